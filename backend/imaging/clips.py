# SPDX-License-Identifier: GPL-3.0-or-later
"""A run of frames to the frames of a loop: each moving part repeats by itself, the rest is held.

Frames are asked for one by one, when they are needed; of all of them together only small rows of
numbers are kept, whose sum does not grow with the length of the run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .alpha import Array, bounds, premultiply
from .cutting import jumps
from .edges import feathered
from .geodesic import Mask, components
from .halfway import between
from .held import hold
from .periods import Join
from .sampling import coarser, finer, floats, softer

Read = Callable[[int], Array]
"""Gives a frame by its number, straight RGBA (H, W, 4)."""
Window = Callable[[int], Array]
"""Gives what a part shows in a frame of the loop, straight RGBA (h, w, 4)."""

MOST_PARTS = 12
"""Small parts beyond that are looped together."""

_ANY = 2 / 255
"""Grey above this belongs to a mask."""
_NUMBERS = 12_000_000
"""What is kept of all frames together: so many numbers of four bytes."""
_ROW = 6_000
"""The most numbers that are kept of one frame."""
_GRID = 160
"""Pixels of small copies along the long side of a part."""
_CUT = 96
"""The same, where the cut is searched; its time grows much faster than the number of pixels."""
_CUT_CELLS = 150_000
"""Pixels of all frames of a cut together."""
_DRIFT = 0.3
"""Drift is what changes over more than this share of a part's long side."""
_SEEN = 0.5 / 255
"""A drift of less is none."""


@dataclass(frozen=True)
class Manner:
    """How a loop is closed.

    overlap: frames in which a part changes over. cut: each place has its own moment, that of least
    difference; otherwise all fade slowly. feather: frames in which one place changes over. even:
    spread slow changes of light over the loop. between: what is shown between two frames: "moved"
    along, their "mixture", or the "nearest".
    """

    overlap: int = 12
    cut: bool = True
    feather: float = 3.0
    even: bool = True
    between: str = "moved"


@dataclass(frozen=True)
class Part:
    """What moves in one piece: a window of the picture, and how much of it is seen (h, w), 0..1."""

    rows: slice
    columns: slice
    cover: Array

    @property
    def inside(self) -> Mask:
        return self.cover > 0

    def of(self, picture: Array) -> Array:
        """The part's window of a picture."""
        return picture[self.rows, self.columns]


def parts_of(masks: Sequence[Array], shape: tuple[int, int], edge: float) -> list[Part]:
    """The parts of masks (H, W) that hang together; the whole picture if there are no masks.

    edge: pixels, over which each is faded in from its edge inwards.
    """
    if not masks:
        return [Part(slice(0, shape[0]), slice(0, shape[1]), np.ones(shape, np.float32))]
    found: list[Part] = []
    for mask in masks:
        support = mask > _ANY
        if support.any():
            found += [_part(mask, piece, edge) for piece in components(support, MOST_PARTS)]
    return found


def _part(mask: Array, piece: Mask, edge: float) -> Part:
    cover = np.where(piece, mask, np.float32(0))
    if edge > 0:
        cover = cover * feathered(piece, edge)
    rows, columns = np.flatnonzero(piece.any(1)), np.flatnonzero(piece.any(0))
    down = slice(int(rows[0]), int(rows[-1]) + 1)
    across = slice(int(columns[0]), int(columns[-1]) + 1)
    return Part(down, across, floats(cover[down, across]))


class Survey:
    """Small rows of numbers of all frames of a run, for each part: what periods are found in."""

    def __init__(self, parts: Sequence[Part], count: int) -> None:
        self._parts = parts
        most = min(_ROW, _NUMBERS // max(1, count * len(parts)))
        self._sides = [_sides(part.cover.shape, most // 4) for part in parts]
        self._weights = [
            _weights(part, side) for part, side in zip(parts, self._sides, strict=True)
        ]
        self.rows = [np.empty((count, int((w > 0).sum()) * 4), np.float32) for w in self._weights]

    def take(self, number: int, frame: Array) -> None:
        """Note a frame (H, W, 4)."""
        for at, part in enumerate(self._parts):
            small = coarser(premultiply(part.of(frame)), *self._sides[at])
            weights = self._weights[at]
            self.rows[at][number] = (small * weights[..., None])[weights > 0].ravel()


def _sides(shape: tuple[int, ...], cells: int, long: int = _GRID) -> tuple[int, int]:
    """The size of a small copy of at most so many pixels, at most `long` on the long side."""
    shrink = min(1.0, long / max(shape), (max(cells, 1) / (shape[0] * shape[1])) ** 0.5)
    return max(1, int(shape[0] * shrink)), max(1, int(shape[1] * shrink))


def _weights(part: Part, sides: tuple[int, int]) -> Array:
    """Weights (h, w) whose squares have a mean of 1 where they are not 0."""
    small = np.sqrt(np.clip(coarser(part.cover, *sides), 0, 1))
    return floats(small / max(1e-6, float(np.sqrt(np.square(small[small > 0]).mean()))))


class Cycle:
    """One part of a run as a loop of `join.period` frames."""

    def __init__(self, part: Part, join: Join, read: Read, count: int, manner: Manner) -> None:
        self.part = part
        self.join = join
        self._read = read
        self._manner = manner
        self._before, self._after = _room(join, count, manner.overlap)
        self._drift = self._light(count) if manner.even else None
        self._jumps = self._cut() if manner.cut and self.overlap else None

    @property
    def overlap(self) -> int:
        """Frames in which the end of the loop becomes its beginning."""
        return self._before + self._after

    def at(self, place: float) -> Array:
        """The part's window at a place in the loop, 0 <= place < period."""
        low = int(np.floor(place))
        share = place - low
        if self._manner.between == "nearest":
            return self._whole(round(place) % self.join.period)
        if share < 1e-6:
            return self._whole(low)
        one, other = self._whole(low), self._whole((low + 1) % self.join.period)
        if self._manner.between == "moved":
            return between(one, other, share)
        return hold(one, other, np.full(one.shape[:2], share, np.float32))

    def _whole(self, place: int) -> Array:
        period, start = self.join.period, self.join.start
        into = place - (period - self._before) if place >= period - self._before else None
        if place < self._after:
            into, place = place + self._before, place + period
        if into is None:
            return self._frame(start + place)
        share = self._share(into)
        if not share.any():
            return self._frame(start + place)
        if (share >= 1).all():
            return self._frame(start + place - period)
        return hold(self._frame(start + place), self._frame(start + place - period), share)

    def _share(self, into: int) -> Array:
        """How much of the beginning is seen (h, w), 0..1, at a frame of the overlap."""
        shape = self.part.cover.shape
        if self._jumps is None:
            return np.full(shape, (into + 1) / (self.overlap + 1), np.float32)
        soft = min(max(self._manner.feather, 1.0), self.overlap)
        moments = np.clip(self._jumps, soft / 2, self.overlap - soft / 2)
        return np.clip((into + 0.5 - finer(moments, *shape)) / soft + 0.5, 0, 1, dtype=np.float32)

    def _frame(self, number: int) -> Array:
        """The window of a frame of the run, its light corrected."""
        whole = self._read(number)
        window = self.part.of(whole)
        if self._drift is None:
            return window
        share = np.float32((number - self.join.start) / self.join.period - 0.5)
        result = window.copy()
        result[..., :3] += finer(self._drift, *window.shape[:2]) * share
        np.clip(result[..., :3], *bounds((window,)), out=result[..., :3])
        return result

    def _small(self, number: int, sides: tuple[int, int]) -> Array:
        return coarser(premultiply(self._frame(number)), *sides)

    def _cut(self) -> Array:
        cells = min(_CUT * _CUT, _CUT_CELLS // self.overlap)
        sides = _sides(self.part.cover.shape, cells, _CUT)
        first = self.join.start + self.join.period - self._before
        numbers = range(first, first + self.overlap)
        going = np.stack([self._small(number, sides) for number in numbers])
        coming = np.stack([self._small(number - self.join.period, sides) for number in numbers])
        return jumps(going, coming, coarser(self.part.cover, *sides) > 0)

    def _light(self, count: int) -> Array | None:
        """By how much (h, w, 3) the light at the end of the loop differs from its beginning.

        None if it does not. Only what changes over a large part of the window counts.
        """
        self._drift = None
        sides = _sides(self.part.cover.shape, 48 * 48)
        cover = coarser(self.part.cover, *sides)
        change = np.zeros((*sides, 3), np.float32)
        start, period = self.join.start, self.join.period
        around = range(max(0, start - 2), min(start + 3, count - period))
        for number in around:
            change += (self._small(number, sides) - self._small(number + period, sides))[..., :3]
        if not around:
            return None
        sigma = _DRIFT * max(sides)
        weight = np.maximum(softer(cover, sigma), 1e-6)[..., None]
        slow = softer(floats(change * (cover / len(around))[..., None]), sigma) / weight
        slow = np.where(cover[..., None] > 0, slow, np.float32(0))
        return floats(slow) if np.abs(slow).max() > _SEEN else None


class Swing:
    """One part of a run, there and back: at an even length no frame is doubled where it turns.

    cycles: how often it goes there and back in `length` frames.
    """

    def __init__(self, part: Part, start: int, length: int, cycles: int, read: Read) -> None:
        self.part = part
        self._start, self._period, self._read = start, length / cycles, read

    def at(self, frame: int) -> Array:
        """The part's window in a frame of the loop."""
        place = frame % self._period
        way = min(place, self._period - place)
        return self.part.of(self._read(self._start + round(way - 1e-6)))


def swing_of(rows: Array, length: int, start: int | None) -> tuple[int, int] | None:
    """Where to begin to go there and back in `length` frames, and how often; None if nothing fits.

    rows: (N, M) of numbers, one row for each frame. It turns where least moves.
    """
    room = len(rows) - 1 - (start or 0)
    cycles = -(-length // (2 * room)) if room > 0 else length
    way = int(length / cycles / 2)
    if way < 1:
        return None
    if start is not None:
        return start, cycles
    steps = np.square(np.diff(rows, axis=0)).mean(axis=1)
    starts = np.arange(len(rows) - way)
    return int((steps[starts] + steps[starts + way - 1]).argmin()), cycles


def _room(join: Join, count: int, overlap: int) -> tuple[int, int]:
    """Frames of the overlap before and after the join, as far as the run and the loop have them."""
    left = count - join.start - join.period
    wanted = min(overlap, join.period // 2, join.start + left)
    after = min(left, max(wanted - wanted // 2, wanted - join.start))
    return wanted - after, after


@dataclass(frozen=True)
class Laid:
    """The loop: the plate, over which the parts are laid. Frames are straight RGBA (H, W, 4)."""

    plate: Array
    parts: Sequence[Part]
    windows: Sequence[Window]

    @cached_property
    def cover(self) -> Array:
        """How much of the parts is mixed over the plate (H, W), 0..1."""
        bare = np.ones(self.plate.shape[:2], np.float32)
        for part in self.parts:
            part.of(bare)[:] *= 1 - part.cover
        return 1 - bare

    def frame(self, number: int) -> Array:
        """One frame; where no part covers, it has exactly the values of the plate."""
        result = self.plate.copy()
        for part, window in zip(self.parts, self.windows, strict=True):
            under = np.ascontiguousarray(part.of(result))
            part.of(result)[:] = hold(under, window(number), part.cover)
        return result
