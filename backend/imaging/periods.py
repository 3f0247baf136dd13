# SPDX-License-Identifier: GPL-3.0-or-later
"""After how many frames a run of pictures repeats, and where it can be joined best.

It knows rows of numbers, one row for each picture; it must not know how they were taken.
All pairs of frames are compared as in Schoedl et al.: Video Textures, SIGGRAPH 2000.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .alpha import Array

Costs = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.intp]

AROUND = 2
"""Frames before and after a join that are compared too: motion has to go on, not only the pose."""
RETIME = 0.1
"""A period may be played so much longer or shorter, as a share, to go into a length."""

_QUIET = 0.02
"""Weight of the step at the join: of equal joins the one where least moves is taken."""
_SHORTER = 0.15
"""A period may cost so much more, as a share, if it is the shorter one."""
_RETIMED = 2.0
"""How much worse, as a share of the cost, a retime of 100 % is."""
_BROKEN = 4.0
"""Weight of a cut of the scene within a loop: other than its seam, nothing hides it."""
_REPEATED = 0.5
"""How much worse each repetition is, as a share of the cost, of what does not repeat by itself."""
_DEEP = 0.6
"""A run repeats itself if a join costs less than this share of the way to its other half."""
_ROWS = 256
"""Frames compared in one go: what is held does not grow with the square of the run."""


@dataclass(frozen=True)
class Curve:
    """What the best join costs, by the frames between its two sides (the index).

    costs: root mean square of the difference, in the unit of the numbers; inf where no join is.
    starts: the first frame of the loop that joins best.
    halves: as costs, between the beginning of that loop and its half. Where a run repeats itself
        that is much more than the join costs; where it stands still it is as little.
    broken: whether the scene is cut within that loop.
    """

    costs: Costs
    starts: Numbers
    halves: Costs
    broken: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Join:
    """Frames `start` to `start + period - 1` of a run are a loop; in `cycles` it fills a length."""

    start: int
    period: int
    cost: float
    cycles: int = 1

    def price(self, length: int) -> float:
        """The cost, and what the retime to a length adds to it."""
        return self.cost * (1 + _RETIMED * abs(length / (self.cycles * self.period) - 1))


def curve(rows: Array, longest: int, start: int | None = None) -> Curve:
    """Compare all frames of a run, up to `longest` frames from each other.

    rows: (N, M), N >= 2, one row of numbers for each frame. start: the only frame with which a loop
    may begin, None for any.
    """
    count = len(rows)
    longest = min(longest, count)
    rows = rows - rows.mean(axis=0, dtype=np.float32)
    steps = _squares(rows[1:], rows[:-1])
    broken = np.concatenate(([0.0], np.cumsum(_breaks(steps))))
    costs = np.full(longest + 1, np.inf)
    starts = np.zeros(longest + 1, np.intp)
    for low in range(1, longest + 1, _ROWS):
        block = _diagonals(rows, low, min(_ROWS, longest + 1 - low))
        for period in range(low, min(low + _ROWS, longest + 1)):
            joins = _around(block[period - low, : count - period], _squares(rows[:1], rows[-1:]))
            joins += _QUIET * np.concatenate((steps[:1], steps))[: len(joins)]
            inside = slice(period - 1, period - 1 + len(joins))
            joins += _BROKEN * (broken[inside] - broken[: len(joins)])
            if start is not None:
                joins = joins[start : start + 1]
            if joins.size:
                at = int(joins.argmin())
                costs[period] = np.sqrt(joins[at])
                starts[period] = at if start is None else start
    ends = np.maximum(starts + np.arange(longest + 1) - 1, starts)
    return Curve(costs, starts, _halves(rows, starts), broken[ends] > broken[starts])


def period_of(found: Curve, shortest: int = 2) -> Join:
    """The period that the run has: the shortest of all good joins."""
    first = max(shortest, _parted(found.costs))
    costs = np.where(np.arange(len(found.costs)) < first, np.inf, found.costs)
    if not np.isfinite(costs).any():
        return _join(found, int(found.costs.argmin()))
    dips = _dips(found.costs) & (costs <= (1 + _SHORTER) * costs.min())
    return _join(found, int(dips.argmax() if dips.any() else costs.argmin()))


def fitted(found: Curve, length: int) -> Join | None:
    """The best join whose period goes into a length with at most RETIME; None if there is none.

    It fills the length once, unless the run clearly repeats itself after a part of it.
    """
    periods = np.arange(len(found.costs))
    cycles = np.maximum(1, np.rint(length / np.maximum(periods, 1))).astype(np.intp)
    retimes = np.abs(length / (cycles * np.maximum(periods, 1)) - 1)
    allowed = (retimes <= RETIME + 1e-9) & (periods >= 2) & np.isfinite(found.costs)
    if not allowed.any():
        return None
    whole = allowed & ~found.broken
    wholly = whole & ((cycles == 1) | _deep(found))
    wanted = next(choice for choice in (wholly, whole, allowed) if choice.any())
    worse = (1 + _SHORTER * periods / length) * (1 + _RETIMED * retimes)
    worse *= 1 + _REPEATED * np.where(_deep(found), 0, cycles - 1)
    scores = np.where(wanted, (found.costs + 1e-9) * worse, np.inf)
    best = int(scores.argmin())
    return _join(found, best, int(cycles[best]))


def _breaks(steps: Costs) -> Costs:
    """The steps at which the scene is cut, 0 elsewhere.

    A cut stands alone: it is no quick motion, and not the next drawing after a hold.
    """
    moved = steps[steps > 1e-4 * max(float(steps.max()), 1e-12)]
    usual = 9 * (np.median(moved) if moved.size else 0.0)
    framed = np.concatenate(([0.0], steps, [0.0]))
    beside = np.maximum(framed[:-2], framed[2:])
    return np.where((steps > usual) & (steps > 4 * beside), steps, 0.0)


def _join(found: Curve, period: int, cycles: int = 1) -> Join:
    return Join(int(found.starts[period]), period, float(found.costs[period]), cycles)


def _deep(found: Curve) -> npt.NDArray[np.bool_]:
    """Where a run clearly repeats itself: at dips, beyond the frames that are merely near."""
    costs = found.costs
    beyond = np.arange(len(costs)) >= _parted(costs)
    return beyond & _dips(costs) & (costs <= _DEEP * found.halves)


def _halves(rows: Array, starts: Numbers) -> Costs:
    result = np.zeros(len(starts))
    for period in range(2, len(starts)):
        one = int(starts[period])
        other = one + period // 2
        back, on = min(AROUND, one), min(AROUND + 1, len(rows) - other)
        here, there = rows[one - back : one + on], rows[other - back : other + on]
        result[period] = _squares(here, there).mean()
    return np.sqrt(result)


def _parted(costs: Costs) -> int:
    """The first period, at least 2, at which frames no longer look alike because they are near."""
    known = np.isfinite(costs)
    if not known.any():
        return 2
    far = np.flatnonzero(known & (costs >= 0.5 * np.median(costs[known])))
    return max(2, int(far[0]) if far.size else 2)


def _dips(costs: Costs) -> npt.NDArray[np.bool_]:
    """Where costs are no higher than on either side."""
    framed = np.concatenate(([np.inf], costs, [np.inf]))
    return (costs <= framed[:-2]) & (costs <= framed[2:]) & np.isfinite(costs)


def _squares(some: Array, others: Array) -> Costs:
    """Mean squared difference (N,) of rows."""
    return np.square(some - others).mean(axis=1, dtype=np.float64)


def _diagonals(rows: Array, low: int, many: int) -> Costs:
    """Mean squared difference (many, N - low) of frames i and i + low + the first index.

    Products of whole blocks are ten times faster than differences one by one. What lies beyond the
    run is nonsense and must not be read.
    """
    count, width = rows.shape
    norms = np.square(rows).sum(axis=1, dtype=np.float64)
    result = np.zeros((many, max(0, count - low)))
    for top in range(0, count - low, _ROWS):
        part = rows[top : min(top + _ROWS, count - low)]
        right = rows[top + low : top + low + len(part) + many]
        products = np.zeros((len(part), len(part) + many), np.float32)
        products[:, : len(right)] = part @ right.T
        beyond = np.zeros(len(part) + many)
        beyond[: len(right)] = norms[top + low : top + low + len(right)]
        at = np.arange(len(part))
        for along in range(many):
            squares = norms[top : top + len(part)] + beyond[at + along]
            squares -= 2.0 * products[at, at + along]
            result[along, top : top + len(part)] = squares
    return np.maximum(result, 0) / width


def _around(squares: Costs, ends: Costs) -> Costs:
    """The mean over the frames around each join, for each start; `ends` if nothing goes on."""
    count = len(squares)
    if not count:
        return ends.copy()
    sums = np.concatenate(([0.0], np.cumsum(squares)))
    # A start near the end of the run has few frames to be compared with: it would win by chance.
    starts = np.arange(count + 1 if count < 2 * AROUND else count)
    low = np.maximum(starts - AROUND, 0)
    high = np.minimum(starts + AROUND + 1, count)
    return np.maximum(sums[high] - sums[low], 0) / (high - low)
