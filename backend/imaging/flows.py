# SPDX-License-Identifier: GPL-3.0-or-later
"""Dense optical flow between two drawings: where each pixel of one lies in the other, and how sure.

DIS (Kroeger et al.: Fast Optical Flow using Dense Inverse Search, ECCV 2016): nothing is learned.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import cv2
import numpy as np

from .alpha import LUMA, Array
from .canvas import resized
from .sampling import floats, looked_up, places_of, softer

_SMALLEST = 32
"""Below so many pixels there is no flow to see."""
_ASIDE = 1.5
"""Pixels by which there and back may miss, before a place counts as hidden."""
_OFF = 12 / 255
"""By so much colours may differ between the same places of two frames."""


@dataclass(frozen=True)
class Flow:
    """From each pixel of one picture to the same place in another.

    ways: (H, W, 2) in pixels, right and down. sure: (H, W), 0..1.
    """

    ways: Array
    sure: Array

    def at(self, height: int, width: int) -> Flow:
        """The same at another size."""
        scale = np.array((width, height), np.float32) / self.sure.shape[::-1]
        ways = resized(self.ways, height, width) * floats(scale)
        return Flow(floats(ways), np.clip(resized(self.sure, height, width), 0, 1))

    def fetch(self, picture: Array) -> Array:
        """The other picture (H, W[, C]) moved to where its places lie in this one."""
        return looked_up(picture, places_of(*self.sure.shape) + self.ways)


def flow(start: Array, end: Array) -> Flow:
    """From `start` to `end`, opaque pictures (H, W, 3) of one size, 0..1."""
    there, back = _dense(start, end), _dense(end, start)
    places = places_of(*start.shape[:2]) + there
    missed = np.hypot(*np.moveaxis(there + looked_up(back, places), 2, 0))
    off = np.abs(looked_up(end, places) - start).max(axis=2)
    doubt = (missed / _ASIDE) ** 2 + (off / _OFF) ** 2
    outside = (places < -0.5) | (places > np.array(start.shape[1::-1], np.float32) - 0.5)
    doubt[outside.any(axis=2)] += 4
    return Flow(there, np.exp(-softer(floats(doubt), 1.0)))


def _dense(start: Array, end: Array) -> Array:
    if min(start.shape[:2]) < _SMALLEST:
        return np.zeros((*start.shape[:2], 2), np.float32)
    views = [np.rint(np.clip(p @ LUMA, 0, 1) * 255).astype(np.uint8) for p in (start, end)]
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    return floats(search.calc(views[0], views[1], cast(Any, None)))
