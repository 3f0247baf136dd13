# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs of frames whose answer is known: textures that go round after so many frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from backend.imaging.alpha import Array
from backend.imaging.sampling import floats

Box = tuple[int, int, int, int]
"""Top, left, bottom, right."""


@dataclass(frozen=True)
class Scene:
    """A still ground with boxes in which a texture goes round: (box, period) for each.

    drift: by how much the light has risen at the end, as a share. noise: standard deviation.
    """

    moving: Sequence[tuple[Box, int]]
    count: int
    drift: float = 0.0
    noise: float = 0.0
    sides: tuple[int, int] = (180, 240)

    def frame(self, number: int) -> Array:
        """Straight opaque RGBA (H, W, 4); always the same for the same number."""
        frame = np.ones((*self.sides, 4), np.float32)
        frame[..., :3] = _texture(*self.sides, seed=99)
        for seed, (box, period) in enumerate(self.moving):
            top, left, bottom, right = box
            turn = 2 * np.pi * number / period
            size = (right - left, bottom - top)
            paper = _texture(size[1] + 60, size[0] + 60, seed)
            across, down = 30 + 20 * np.sin(turn), 30 + 18 * np.sin(2 * turn + 0.5)
            centre = (size[0] / 2 + across - 0.5, size[1] / 2 + down - 0.5)
            frame[top:bottom, left:right, :3] = cv2.getRectSubPix(paper, size, centre)
        light = 1 + self.drift * number / self.count
        chance = np.random.default_rng(number).normal(0, self.noise, (*self.sides, 3))
        frame[..., :3] = np.clip(frame[..., :3] * light + chance, 0, 1)
        return frame

    def mask(self) -> Array:
        """White in the boxes, (H, W)."""
        mask = np.zeros(self.sides, np.float32)
        for (top, left, bottom, right), _ in self.moving:
            mask[top:bottom, left:right] = 1
        return mask


def _texture(height: int, width: int, seed: int) -> Array:
    chance = np.random.default_rng(seed)
    result = np.zeros((height, width, 3), np.float32)
    for cells, weight in ((6, 0.5), (20, 0.3), (60, 0.2)):
        coarse = chance.random((cells, cells, 3), np.float32)
        result += weight * cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return floats(np.clip(0.9 * result, 0, 1))
