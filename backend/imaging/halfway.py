# SPDX-License-Identifier: GPL-3.0-or-later
"""What lies between two frames that follow each other: what moves is shown on its way.

Source: Kroeger, Timofte, Dai, Van Gool: Fast Optical Flow using Dense Inverse Search, ECCV 2016, as
OpenCV has it.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from .alpha import LUMA, Array, bounds, is_opaque, premultiply, unpremultiply
from .sampling import floats, looked_up, places_of

_LEAST = 16
"""Pixels: smaller pictures have no measurable motion and are mixed."""


def between(one: Array, other: Array, share: float) -> Array:
    """The picture at `share` (0..1) of the way from one to other, straight RGBA (H, W, 4)."""
    first, second = premultiply(one), premultiply(other)
    if min(first.shape[:2]) >= _LEAST:
        way = _flow(first, second)
        here = places_of(*first.shape[:2])
        first = looked_up(first, floats(here - way * share), cv2.INTER_CUBIC)
        second = looked_up(second, floats(here + way * (1 - share)), cv2.INTER_CUBIC)
    mixed = floats(first * (1 - share) + second * share)
    if is_opaque(one) and is_opaque(other):
        mixed[..., 3] = 1
    return unpremultiply(mixed, bounds((one, other)))


def _flow(first: Array, second: Array) -> Array:
    """By how many pixels (H, W, 2) each place moves from first to second."""
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    way = np.zeros((*first.shape[:2], 2), np.float32)
    return floats(search.calc(_grey(first), _grey(second), way))


def _grey(premultiplied: Array) -> npt.NDArray[np.uint8]:
    """Over a grey: black lines on nothing are seen too."""
    over = premultiplied[..., :3] @ LUMA + (1 - premultiplied[..., 3]) * np.float32(0.5)
    return np.rint(np.clip(over, 0, 1) * 255).astype(np.uint8)
