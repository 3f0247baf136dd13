# SPDX-License-Identifier: GPL-3.0-or-later
"""How far drawings move from one to the next, and the times at which the way is shared out evenly.

It measures what is seen: a dense flow (DIS: Kroeger et al., Fast Optical Flow using Dense Inverse
Search, ECCV 2016) where it explains how the pictures differ, else the difference itself.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, cast

import cv2
import numpy as np
import numpy.typing as npt

from .alpha import LUMA, Array, contrasting_grey, over, premultiply, unpremultiply

SIDE = 512
"""Pixels of the longer side on which motion is measured."""
_SMALLEST = 32
"""Below so many pixels there is no flow to see."""
_EXPLAINED = 0.6
"""A flow counts if it leaves less than this share of the difference."""
_OWN_TIME = 0.02
"""Share of the engine's own time in the curve: it rises even where nothing moves."""
_FINE = 2048
Numbers = npt.NDArray[np.float64]
Bytes = npt.NDArray[np.uint8]


def reduced(picture: Array) -> Array:
    """The picture, at most SIDE pixels on its longer side."""
    height, width = picture.shape[:2]
    scale = SIDE / max(height, width)
    if scale >= 1:
        return picture
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(premultiply(picture), size, interpolation=cv2.INTER_AREA)
    return unpremultiply(np.clip(small, 0, 1).astype(np.float32))


def ways(pictures: Sequence[Array]) -> Numbers:
    """How far it is from each picture (H, W, 4) to the next: N - 1 lengths of one unit."""
    grey = contrasting_grey((pictures[0], pictures[-1]))
    views = [_seen(picture, grey) for picture in pictures]
    pairs = list(pairwise(views))
    changes = np.array([_difference(*pair) for pair in pairs])
    if min(views[0].shape) < _SMALLEST:
        return changes
    steps, left = np.array([_flow_between(*pair) for pair in pairs]).T
    return steps if left.sum() < _EXPLAINED * changes.sum() else changes


def even_times(
    own: Sequence[float], lengths: Numbers, wanted: Sequence[float]
) -> tuple[float, ...]:
    """The times at which the wanted shares of the way (0..1, rising) are done.

    own: N rising times of pictures, from 0 to 1. lengths: of the N - 1 ways between them.
    """
    total = float(lengths.sum())
    if not np.isfinite(total) or total <= 0:
        return tuple(wanted)
    times = np.asarray(own, np.float64)
    done = np.concatenate(((0.0,), np.cumsum(lengths))) / total
    done = (1 - _OWN_TIME) * done + _OWN_TIME * times
    fine = np.linspace(0, 1, _FINE + 1)
    found = np.interp(np.asarray(wanted), _rising(times, done, fine), fine)
    return tuple(float(t) for t in found)


def _rising(knots: Numbers, values: Numbers, at: Numbers) -> Numbers:
    """A smooth rising curve through rising values (Fritsch and Butland, SIAM 1984)."""
    widths = np.diff(knots)
    rises = np.diff(values) / widths
    before, after = widths[1:] + 2 * widths[:-1], 2 * widths[1:] + widths[:-1]
    inner = (before + after) / (after / rises[:-1] + before / rises[1:])
    slopes = np.concatenate((rises[:1], inner, rises[-1:]))
    first = np.clip(np.searchsorted(knots, at, "right") - 1, 0, len(widths) - 1)
    width = widths[first]
    u = (at - knots[first]) / width
    start, end = values[first], values[first + 1]
    turn = u * u * (3 - 2 * u)
    bow = u * (1 - u) ** 2 * slopes[first] - u * u * (1 - u) * slopes[first + 1]
    return np.maximum.accumulate(start + (end - start) * turn + bow * width)


def _seen(picture: Array, grey: float) -> Bytes:
    return np.rint(np.clip(over(picture, grey) @ LUMA, 0, 1) * 255).astype(np.uint8)


def _difference(first: Bytes, second: Bytes) -> float:
    return float(cv2.absdiff(first, second).mean())


def _flow_between(first: Bytes, second: Bytes) -> tuple[float, float]:
    """The mean way of what can be seen, in pixels, and the difference that is left after it."""
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    flow = cast(Array, search.calc(first, second, cast(Any, None)))
    rows, columns = np.indices(first.shape, np.float32)
    places = flow + np.stack((columns, rows), 2)
    moved = cv2.remap(
        second, places, cast(Any, None), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    view = first.astype(np.float32)
    weight = np.hypot(cv2.Sobel(view, cv2.CV_32F, 1, 0), cv2.Sobel(view, cv2.CV_32F, 0, 1))
    total = float(weight.sum())
    way = float((np.hypot(flow[..., 0], flow[..., 1]) * weight).sum()) / total if total else 0.0
    return way, _difference(first, cast(Bytes, moved))
