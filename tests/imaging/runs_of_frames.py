# SPDX-License-Identifier: GPL-3.0-or-later
"""Small runs of frames whose parts repeat after known numbers of frames."""

from collections.abc import Sequence

import cv2
import numpy as np

from backend.imaging.alpha import Array
from tests.imaging.moving_stills import texture

Box = tuple[int, int, int, int]
"""Top, left, bottom, right."""


class Scene:
    """A still background with boxes in which a texture goes round: (box, period) for each."""

    def __init__(
        self,
        moving: Sequence[tuple[Box, int]],
        sides: tuple[int, int] = (96, 128),
        drift: float = 0.0,
        noise: float = 0.0,
        length: int = 150,
    ) -> None:
        self._moving = moving
        self._ground = texture(*sides, seed=99) * np.float32((0.9, 0.9, 0.9, 1))
        self._textures = [texture(140, 160, seed) for seed in range(len(moving))]
        self._drift, self._noise, self._length = drift, noise, length
        self.sides = sides

    def frame(self, number: int) -> Array:
        """Frame `number` as straight opaque RGBA; always the same for the same number."""
        frame = self._ground.copy()
        for (box, period), paper in zip(self._moving, self._textures, strict=True):
            turn = 2 * np.pi * number / period
            across, down = 12 + 10 * np.sin(turn), 12 + 9 * np.sin(2 * turn + 0.5)
            size = (box[3] - box[1], box[2] - box[0])
            centre = (across + size[0] / 2 - 0.5, down + size[1] / 2 - 0.5)
            window = cv2.getRectSubPix(paper[..., :3].copy(), size, centre)
            frame[box[0] : box[2], box[1] : box[3], :3] = window * np.float32(0.9)
        random = np.random.default_rng(number)
        light = 1 + self._drift * number / self._length
        colours = frame[..., :3] * light + random.normal(0, self._noise, frame[..., :3].shape)
        frame[..., :3] = np.clip(colours, 0, 1)
        return frame

    def mask(self) -> Array:
        """White in the boxes, as straight RGBA."""
        mask = np.zeros((*self.sides, 4), np.float32)
        mask[..., 3] = 1
        for (top, left, bottom, right), _ in self._moving:
            mask[top:bottom, left:right, :3] = 1
        return mask
