# SPDX-License-Identifier: GPL-3.0-or-later
"""A picture of what a loop of each length would cost at its seam, for choosing one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from .alpha import Array
from .sampling import floats

Bytes = npt.NDArray[np.uint8]

_HEIGHT, _WIDTH = 540, 960
_LEFT, _RIGHT, _TOP, _BOTTOM = 90, 930, 60, 470
_PAPER, _INK, _LINE = (31, 31, 33), (217, 217, 217), (64, 64, 69)
_COLOURS = ((89, 178, 255), (255, 166, 64), (128, 230, 128), (242, 128, 204))
_ROWS = 4
_FEW = 60
"""Up to so many lengths have a dot each."""


def drawn(lengths: Sequence[int], costs: Sequence[Sequence[float]], best: int) -> Array:
    """Straight opaque RGBA (540, 960, 4): a curve for each part, and the best length marked.

    lengths: rising. costs: for each part a number for each length, in steps of 8 bits; not finite
    where no loop is.
    """
    known = [cost for row in costs for cost in row if np.isfinite(cost)]
    axes = _Axes(lengths[0], max(lengths[-1], lengths[0] + 1), _above(max(known, default=1.0)))
    page = np.empty((_HEIGHT, _WIDTH, 3), np.uint8)
    page[:] = _PAPER
    _grid(page, axes)
    cv2.line(page, axes.at(best, 0), axes.at(best, axes.high), _INK, 2)
    for number, row in enumerate(costs):
        colour = _COLOURS[number % len(_COLOURS)]
        places = [axes.at(n, c) for n, c in zip(lengths, row, strict=True) if np.isfinite(c)]
        line = np.array(places, np.int32).reshape(-1, 1, 2)
        cv2.polylines(page, [line], False, colour, 2)
        for place in places if len(places) <= _FEW else ():
            cv2.circle(page, place, 4, colour, -1)
    _write(page, f"Difference at the seam, in steps of 8 bits.  Best: {best} frames", (_LEFT, 36))
    _write(page, "Length of the loop, frames", (_LEFT, _HEIGHT - 16))
    return np.dstack((floats(page / np.float32(255)), np.ones(page.shape[:2], np.float32)))


@dataclass(frozen=True)
class _Axes:
    first: int
    last: int
    high: float

    def at(self, length: float, cost: float) -> tuple[int, int]:
        along = (length - self.first) / (self.last - self.first)
        return (
            round(_LEFT + along * (_RIGHT - _LEFT)),
            round(_BOTTOM - cost / self.high * (_BOTTOM - _TOP)),
        )


def _grid(page: Bytes, axes: _Axes) -> None:
    for part in range(_ROWS + 1):
        cost = axes.high * part / _ROWS
        left, right = axes.at(axes.first, cost), axes.at(axes.last, cost)
        cv2.line(page, left, right, _LINE, 1)
        _write(page, f"{cost:.3g}", (16, left[1] + 6))
    step = max(1, int(_above((axes.last - axes.first) / 10)))
    for length in range(-(-axes.first // step) * step, axes.last + 1, step):
        foot = axes.at(length, 0)
        cv2.line(page, foot, (foot[0], _TOP), _LINE, 1)
        _write(page, str(length), (foot[0] - 6 * len(str(length)), foot[1] + 26))


def _above(value: float) -> float:
    """The next round number: 1, 2, 4 or 5 times a power of ten."""
    if value <= 0:
        return 1.0
    power = 10.0 ** np.floor(np.log10(value))
    return next((float(n * power) for n in (1, 2, 4, 5) if n * power >= value), float(10 * power))


def _write(page: Bytes, text: str, at: tuple[int, int]) -> None:
    cv2.putText(page, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.6, _INK, 1, cv2.LINE_AA)
