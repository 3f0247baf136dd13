# SPDX-License-Identifier: GPL-3.0-or-later
"""When each drawing is seen: spacing between two keys, and the exposure sheet of a whole shot.

The panel shows and the engines get times from here and from nowhere else.
A time t is the fraction of the way between two neighbouring keys: 0 is the first, 1 the second.
Slow out and slow in are said as animators say them: *slow out of* a key keeps the drawings close
to the key that is left, *slow into* a key keeps them close to the key that is reached.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from itertools import pairwise
from typing import NamedTuple, TypeAlias

from .errors import BadInput, NoRoom, TooFewKeys


class Spacing(StrEnum):
    """How the in-betweens of one gap lie between its keys."""

    EVEN = "even"
    SLOW_OUT = "slow_out"
    SLOW_IN = "slow_in"
    SLOW_IN_OUT = "slow_in_out"


class Curve(NamedTuple):
    """A chart that the artist drew: two or more points (moment, position), straight between them.

    Moments rise. Both count from 0, the key that is left, to 1, the key that is reached. Where the
    curve is flat or falls, no two drawings may lie: `spaced` refuses that.
    """

    points: tuple[tuple[float, float], ...]

    def at(self, moment: float) -> float:
        """The position at a moment; beyond the ends that of the end."""
        index = bisect_right(self.points, moment, key=lambda point: point[0])
        if index in (0, len(self.points)):
            return self.points[min(index, len(self.points) - 1)][1]
        (u0, p0), (u1, p1) = self.points[index - 1 : index + 1]
        return p0 + (p1 - p0) * (moment - u0) / (u1 - u0)


Chart: TypeAlias = Spacing | Curve

_EASES: dict[Spacing, Callable[[float], float]] = {
    Spacing.EVEN: lambda u: u,
    Spacing.SLOW_OUT: lambda u: u * u,
    Spacing.SLOW_IN: lambda u: u * (2.0 - u),
    Spacing.SLOW_IN_OUT: lambda u: u * u * (3.0 - 2.0 * u),
}


def eased(moment: float, chart: Chart) -> float:
    """How far the way from key to key is done when the part `moment` of its time is over.

    At the keys themselves it is 0 and 1, whatever the chart.
    """
    if moment <= 0.0 or moment >= 1.0:
        return min(1.0, max(0.0, moment))
    return chart.at(moment) if isinstance(chart, Curve) else _EASES[Spacing(chart)](moment)


def spaced(count: int, chart: Chart = Spacing.EVEN) -> tuple[float, ...]:
    """The times of `count` in-betweens of one gap, strictly rising inside (0, 1).

    Raises BadInput if the chart stands still or runs back between two of them.
    """
    return spaced_between([moments(0.0, 1.0, count)], [0.0, 1.0], chart)[0]


def moments(first: float, second: float, count: int) -> tuple[float, ...]:
    """`count` moments, shared out evenly between two others."""
    return tuple(first + (second - first) * i / (count + 1) for i in range(1, count + 1))


def spaced_between(
    rows: Sequence[Sequence[float]], pins: Sequence[float], chart: Chart = Spacing.EVEN
) -> list[tuple[float, ...]]:
    """Times between neighbouring drawings, where one chart spans a gap with breakdowns in it.

    `pins` are the moments of the key, its breakdowns and the next key: 0, ..., 1. `rows[i]` are
    the moments of the in-betweens after pin i. A time t of row i maps back to the chart as
    `lower + t * (upper - lower)`, with the chart's positions at the two pins.
    Raises BadInput if the chart stands still or runs back between two drawings.
    """
    times: list[tuple[float, ...]] = []
    for (first, second), row in zip(pairwise(pins), rows, strict=True):
        lower, upper = eased(first, chart), eased(second, chart)
        if row and lower >= upper:
            raise _runs_back(first, second)
        local = [(eased(moment, chart) - lower) / (upper - lower) for moment in row]
        _require_rising([first, *row, second], [0.0, *local, 1.0])
        times.append(tuple(local))
    return times


def _require_rising(at: Sequence[float], times: Sequence[float]) -> None:
    for number, (earlier, later) in enumerate(pairwise(times)):
        if len(times) > 2 and earlier >= later:
            raise _runs_back(at[number], at[number + 1])


def _runs_back(first: float, second: float) -> BadInput:
    return BadInput(
        f"The spacing chart stands still or runs back between {first:.0%} and {second:.0%} "
        "of the gap.",
        fix="Let the curve rise all the way from the key on the left to the key on the right.",
    )


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
    key_frames: Sequence[int],
    gaps: Sequence[Sequence[float]],
    last_hold: int = 1,
    holds: Sequence[int] = (),
) -> list[Exposure]:
    """The exposure sheet with every key on its own frame and the in-betweens shared out between.

    `key_frames` are timeline frames, rising. `holds[i]`: for how many frames key i is held before
    the in-betweens start; 0 or missing: as long as they are. Raises NoRoom where a gap has fewer
    frames than in-betweens, TooFewKeys below two keys.
    """
    if len(key_frames) < 2:
        raise TooFewKeys("There is only one key.")
    waits = [*holds, *[0] * (len(gaps) - len(holds))]
    rooms = room_between(key_frames, waits)
    starts: list[int] = []
    for number, times in enumerate(gaps):
        first, second = key_frames[number : number + 2]
        require_room(number + 1, rooms[number], len(times))
        starts.append(first)
        starts.extend(_starts(first, second, len(times), waits[number]))
    starts.append(key_frames[-1])
    return _held(drawings(gaps), starts, last_hold)


def _starts(first: int, second: int, count: int, wait: int) -> list[int]:
    """The frames of a gap's in-betweens: the frames that are left, shared out."""
    if not wait:
        share = (second - first) / (count + 1)
        return [first + int(i * share + 0.5) for i in range(1, count + 1)]
    begin = first + wait
    return [begin + int(i * (second - begin) / count + 0.5) for i in range(count)]


def expose_on(
    start: int,
    gaps: Sequence[Sequence[float]],
    step: int | Sequence[int],
    last_hold: int = 0,
    holds: Sequence[int] = (),
) -> list[Exposure]:
    """The exposure sheet with every drawing held for `step` frames (1: on ones, 2: on twos).

    `step` may be one number for each gap. Later keys move along as the gaps need. `holds[i]`: for
    how many frames key i is held; 0 or missing: as the drawings of its gap. `last_hold` 0 holds
    the last key as the drawings before it.
    """
    steps = [step] * len(gaps) if isinstance(step, int) else list(step)
    waits = [*holds, *[0] * (len(gaps) - len(holds))]
    lengths: list[int] = []
    for times, on, wait in zip(gaps, steps, waits, strict=True):
        lengths.extend([wait or on, *[on] * len(times)])
    starts = [start]
    for length in lengths:
        starts.append(starts[-1] + length)
    return _held(drawings(gaps), starts, last_hold or steps[-1])


def closed(sheet: Sequence[Exposure]) -> list[Exposure]:
    """The sheet of a cycle: its last drawing is its first again, and that comes with the repeat."""
    return list(sheet[:-1])


def there_and_back(sheet: Sequence[Exposure]) -> list[Exposure]:
    """The sheet forth and back again. The two ends are not doubled, also not when it repeats."""
    result, frame = list(sheet), sheet[-1].frame + sheet[-1].hold
    for exposure in reversed(sheet[1:-1]):
        result.append(exposure._replace(frame=frame))
        frame += exposure.hold
    return result


def room_between(key_frames: Sequence[int], holds: Sequence[int] = ()) -> list[int]:
    """How many in-betweens each gap has frames for (that many is "on ones")."""
    waits = [*holds, *[0] * (len(key_frames) - 1 - len(holds))]
    return [
        max(0, second - first - max(1, wait))
        for (first, second), wait in zip(pairwise(key_frames), waits, strict=True)
    ]


def shared_out(count: int, lengths: Sequence[int], rooms: Sequence[int] | None = None) -> list[int]:
    """How many of `count` in-betweens fall into each part of a gap that breakdowns divide.

    Each goes where the drawings would be held longest; no part gets more than its room.
    """
    parts = [0] * len(lengths)
    for _ in range(count):
        free = [i for i, n in enumerate(parts) if rooms is None or n < rooms[i]]
        if not free:
            break
        parts[max(free, key=lambda i: lengths[i] / (parts[i] + 1))] += 1
    return parts


def require_room(gap: int, room: int, wanted: int) -> None:
    """Raise NoRoom if gap number `gap`, counted from 1, has fewer frames than in-betweens."""
    if wanted > room:
        raise NoRoom(
            f"Gap {gap} has {room} frame{'' if room == 1 else 's'} between its keys, "
            f"but {wanted} in-betweens are asked for.",
            fix=f"Move the keys apart, ask for at most {room} there, or let the gaps make room.",
        )


def frames_of(sheet: Iterable[Exposure]) -> list[int]:
    """Every frame that the sheet covers, in order."""
    return [frame for line in sheet for frame in range(line.frame, line.frame + line.hold)]


def _held(sheet: Sequence[Drawing], starts: Sequence[int], last_hold: int) -> list[Exposure]:
    ends = [*starts[1:], starts[-1] + last_hold]
    return [
        Exposure(drawing, start, end - start)
        for drawing, start, end in zip(sheet, starts, ends, strict=True)
    ]
