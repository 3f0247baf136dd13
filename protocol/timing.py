# SPDX-License-Identifier: GPL-3.0-or-later
"""When each drawing is seen: spacing between two keys, and the exposure sheet of a whole shot.

The panel shows and the engines get times from here and from nowhere else.
A time t is the fraction of the way between two neighbouring keys: 0 is the first, 1 the second.
Slow out and slow in are said as animators say them: *slow out of* a key keeps the drawings close
to the key that is left, *slow into* a key keeps them close to the key that is reached.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from itertools import pairwise
from typing import NamedTuple

from .errors import NoRoom, TooFewKeys


class Spacing(StrEnum):
    """How the in-betweens of one gap lie between its keys."""

    EVEN = "even"
    SLOW_OUT = "slow_out"
    SLOW_IN = "slow_in"
    SLOW_IN_OUT = "slow_in_out"


_CURVES: dict[Spacing, Callable[[float], float]] = {
    Spacing.EVEN: lambda u: u,
    Spacing.SLOW_OUT: lambda u: u * u,
    Spacing.SLOW_IN: lambda u: u * (2.0 - u),
    Spacing.SLOW_IN_OUT: lambda u: u * u * (3.0 - 2.0 * u),
}


def spaced(count: int, spacing: Spacing = Spacing.EVEN) -> tuple[float, ...]:
    """The times of `count` in-betweens of one gap, strictly rising inside (0, 1)."""
    curve = _CURVES[spacing]
    return tuple(curve(i / (count + 1)) for i in range(1, count + 1))


class Drawing(NamedTuple):
    """One drawing of the shot: a key (`t` is 0) or an in-between of the gap after key `key`."""

    key: int
    t: float

    @property
    def is_key(self) -> bool:
        return self.t == 0.0


class Exposure(NamedTuple):
    """One line of the exposure sheet: `drawing` is first seen at `frame` and held for `hold`."""

    drawing: Drawing
    frame: int
    hold: int


def drawings(gaps: Sequence[Sequence[float]]) -> list[Drawing]:
    """All drawings of a shot in the order in which they are seen. `gaps[i]` follows key i."""
    sheet: list[Drawing] = []
    for key, times in enumerate(gaps):
        sheet.append(Drawing(key, 0.0))
        sheet.extend(Drawing(key, t) for t in times)
    sheet.append(Drawing(len(gaps), 0.0))
    return sheet


def expose_between(
    key_frames: Sequence[int], gaps: Sequence[Sequence[float]], last_hold: int = 1
) -> list[Exposure]:
    """The exposure sheet with every key on its own frame and the in-betweens shared out between.

    `key_frames` are timeline frames, rising. Raises NoRoom where a gap has fewer frames than
    in-betweens, TooFewKeys below two keys.
    """
    if len(key_frames) < 2:
        raise TooFewKeys("There is only one key.")
    starts: list[int] = []
    for number, ((first, second), times) in enumerate(
        zip(pairwise(key_frames), gaps, strict=True), start=1
    ):
        _require_room(number, second - first - 1, len(times))
        share = (second - first) / (len(times) + 1)
        starts.extend(first + int(i * share + 0.5) for i in range(len(times) + 1))
    starts.append(key_frames[-1])
    return _held(drawings(gaps), starts, last_hold)


def expose_on(
    start: int, gaps: Sequence[Sequence[float]], step: int, last_hold: int = 0
) -> list[Exposure]:
    """The exposure sheet with every drawing held for `step` frames (1: on ones, 2: on twos).

    Later keys move along as the gaps need. `last_hold` 0 holds the last key as the others.
    """
    sheet = drawings(gaps)
    starts = [start + i * step for i in range(len(sheet))]
    return _held(sheet, starts, last_hold or step)


def room_between(key_frames: Sequence[int]) -> list[int]:
    """How many in-betweens each gap has frames for (that many is "on ones")."""
    return [max(0, second - first - 1) for first, second in pairwise(key_frames)]


def _require_room(gap: int, room: int, wanted: int) -> None:
    if wanted > room:
        raise NoRoom(
            f"Gap {gap} has {room} frame{'' if room == 1 else 's'} between its keys, "
            f"but {wanted} in-betweens are asked for.",
            fix=f"Move the keys apart, ask for at most {room} there, or let the gaps make room.",
        )


def _held(sheet: Sequence[Drawing], starts: Sequence[int], last_hold: int) -> list[Exposure]:
    ends = [*starts[1:], starts[-1] + last_hold]
    return [
        Exposure(drawing, start, end - start)
        for drawing, start, end in zip(sheet, starts, ends, strict=True)
    ]
