# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be measured of a loop: its seam, its detail, and whether what should stand still does.

Frames come one by one: only as many numbers as frames are kept.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from .alpha import LUMA, Array
from .geodesic import Mask

Bytes = npt.NDArray[np.uint8]

BAND = 3.0
"""Pixels: detail is what a Gaussian of this standard deviation takes away."""


@dataclass(frozen=True)
class Measures:
    """Of one loop.

    seam: mean |last - first| over the median of the mean |consecutive|, inside the mask; 1 cannot
    be told from any other step. roughness: the largest such step over their median.
    detail: variance of the fine band inside the mask against the still, the lowest of all frames.
    pulse: standard deviation of that over its mean. static: the largest difference outside the
    mask, in steps of 8 bits, all frames.
    """

    seam: float
    roughness: float
    detail: float
    pulse: float
    static: int


def measure(still: Array, inside: Mask, frames: Iterable[Array]) -> Measures:
    """Measure frames (H, W, 4), 0..1, of a loop from a still; at least two, `inside` not empty."""
    steps: list[float] = []
    details: list[float] = []
    static = 0
    first = last = None
    base = detail(still, inside)
    quantised = _bytes(still)
    for frame in frames:
        if last is not None:
            steps.append(difference(last, frame, inside))
        first = frame if first is None else first
        last = frame
        details.append(detail(frame, inside) / max(base, 1e-12))
        static = max(static, static_difference(quantised, _bytes(frame), inside))
    if first is None or last is None or not steps:
        raise ValueError("a loop has at least two frames")
    usual = max(float(np.median(steps)), 1e-12)
    seam = difference(last, first, inside) / usual
    pulse = float(np.std(details) / max(np.mean(details), 1e-12))
    return Measures(seam, max(steps) / usual, min(details), pulse, static)


def difference(one: Array, other: Array, inside: Mask) -> float:
    """The mean absolute difference of two pictures inside a mask, all channels."""
    return float(cv2.absdiff(one, other)[inside].mean())


def detail(picture: Array, inside: Mask) -> float:
    """The variance inside a mask of what is finer than BAND, of the lightness."""
    lightness = picture[..., :3] @ LUMA
    smooth = cv2.GaussianBlur(lightness, (0, 0), BAND, borderType=cv2.BORDER_REFLECT)
    return float((lightness - smooth)[inside].var())


def static_difference(still: Bytes, frame: Bytes, inside: Mask) -> int:
    """The largest difference of two 8-bit pictures outside a mask, 0..255."""
    outside = ~inside
    if not outside.any():
        return 0
    return int(np.abs(still[outside].astype(int) - frame[outside].astype(int)).max())


def _bytes(picture: Array) -> Bytes:
    return np.rint(np.clip(picture, 0, 1) * 255).astype(np.uint8)
