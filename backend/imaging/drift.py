# SPDX-License-Identifier: GPL-3.0-or-later
"""How the light of a run of frames drifts, and how it is taken out.

Light drifts everywhere at once and steadily. What moves, comes or goes is in some places only, or
goes back: it must not be taken for light.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from .alpha import Array, bounds, premultiply
from .sampling import coarser, floats

Numbers = npt.NDArray[np.float64]

_CELLS = 12
"""Along a side: in so many places the light is looked at."""
_PAINT = 0.1
"""A place with less paint tells nothing."""
_DARK = 4 / 255
"""Nor does one as dark as that."""
_FEW = 6
"""Frames: of fewer no drift can be told from motion."""
_STEADY = 3.0
"""A drift is so many times more than what the light scatters around it."""
_SEEN = 0.4 / 255
"""A drift of less is none."""


def places(frame: Array, cover: Array | None) -> Array:
    """The light of a frame (H, W, 4) in each place: (places, 3); not a number where none is told.

    cover: (H, W), 0..1, where the frame counts; None: everywhere.
    """
    paint = premultiply(frame)
    if cover is not None:
        paint *= cover[..., None]
    height, width = (min(_CELLS, side) for side in frame.shape[:2])
    small = coarser(paint, height, width).reshape(-1, 4)
    known = small[:, 3] > _PAINT
    light = np.full((len(small), 3), np.nan, np.float32)
    light[known] = small[known, :3] / small[known, 3:]
    return light


def gains(lights: Sequence[Array]) -> Numbers | None:
    """By what each frame's colours must be multiplied to have the light of the first, (N, 3).

    lights: of each frame, from `places`. None if the light does not drift.
    """
    if len(lights) < _FEW:
        return None
    rise = np.array([_rise(lights[0], light) for light in lights])
    if not np.isfinite(rise).all():
        return None
    count = np.arange(len(rise), dtype=np.float64)
    slope, start = np.polyfit(count, rise, 1)
    line = start + count[:, None] * slope
    way = np.abs(slope) * (len(rise) - 1)
    drifts = (way > _SEEN) & (way > _STEADY * (rise - line).std(axis=0))
    if not drifts.any():
        return None
    return np.where(drifts, line[0] / np.maximum(line, 1e-3), 1.0)


def _rise(first: Array, other: Array) -> Numbers:
    """How much lighter another frame is, as a factor for each colour: the median of all places."""
    usable = np.isfinite(first) & np.isfinite(other) & (np.minimum(first, other) > _DARK)
    found = np.full(3, np.nan)
    for colour in range(3):
        at = usable[:, colour]
        if at.any():
            found[colour] = np.median(other[at, colour] / first[at, colour])
        else:  # this colour is nowhere: it cannot drift
            found[colour] = 1.0
    return found


def lit(frame: Array, gain: Numbers) -> Array:
    """The frame with its colours multiplied (3,), no lighter than the frame can be."""
    result = frame.copy()
    result[..., :3] *= floats(gain)
    return np.clip(result, *bounds((frame,)), out=result)
