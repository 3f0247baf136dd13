# SPDX-License-Identifier: GPL-3.0-or-later
"""What was selected and what is to be made of it: keys, gaps, exposure sheet. It knows no Blender.

Frames are timeline frames. All times come from protocol.timing. A *gap* is what the artist sees:
from one key to the next. Breakdowns lie inside gaps, so between neighbouring *drawings* there may
be more rows of times than there are gaps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from protocol.errors import BadInput, NothingToMake, TooFewKeys, TweencelError
from protocol.timing import (
    Chart,
    Drawing,
    Exposure,
    Spacing,
    closed,
    eased,
    expose_between,
    expose_on,
    moments,
    require_room,
    room_between,
    shared_out,
    spaced_between,
    there_and_back,
)


class Key(NamedTuple):
    """A key drawing: its file, and the frame on which it is first seen.

    A breakdown is a drawing inside a gap, of lower trust than a key, unless the artist painted it:
    then it is trusted as a key. The path of a key that was not rendered yet is `Path()`.
    """

    path: Path
    frame: int
    breakdown: bool = False
    painted: bool = False


@dataclass(frozen=True)
class Shot:
    """The keys in the order of the shot. `notes` say how the selection was read."""

    name: str
    keys: tuple[Key, ...]
    last_hold: int = 1
    """How many frames the last key is held."""
    channel: int = 1
    """The highest channel of the sources."""
    model: str = ""
    """The strip whose place and size in the picture the result takes over."""
    notes: tuple[str, ...] = ()
    take: Callable[[Path], Shot] | None = field(default=None, compare=False)
    """Renders the keys into a folder and gives the shot with their paths; None: all are files."""
    colourspace: str = ""
    """Blender's name of the keys' colour space; empty if unknown."""
    editor: str = "VSE"
    """Where the keys were chosen: VSE, IMAGE or VIEW3D."""
    layer: str = ""
    """What the artist calls the layer of the keys: a channel or a Grease Pencil layer."""
    source: str = ""
    """A sentence: what is taken from where."""
    strips: tuple[str, ...] = ()
    """The names of the strips that show the keys, if strips do."""

    @property
    def key_frames(self) -> list[int]:
        return [key.frame for key in self.keys]


class Fit(StrEnum):
    """Where the drawings go on the timeline."""

    BETWEEN = "between"
    """Keys stay on their frames."""
    ROOM = "room"
    """Later keys move along: each drawing is held for `step` frames."""


class Repeat(StrEnum):
    """How the shot goes on after its last key."""

    ONCE = "once"
    CYCLE = "cycle"
    """From the last key in-betweens lead to the first, which is not shown a second time."""
    PING_PONG = "ping_pong"
    """The same drawings back again, without showing either end twice."""


@dataclass(frozen=True)
class GapWish:
    """How one gap is filled."""

    count: int | None = None
    """How many in-betweens; None: as many as the frames ask for."""
    step: int = 1
    """How many frames each drawing is held: 1 on ones, 2 on twos."""
    hold: int = 0
    """How many frames the key is held before the in-betweens start; 0: as long as they are."""
    chart: Chart = Spacing.EVEN
    cut: bool = False
    """No in-between: the key is held until the next."""


@dataclass(frozen=True)
class Wish:
    """How the artist wants the gaps filled. `count` None: as many as the frames ask for."""

    fit: Fit = Fit.BETWEEN
    step: int = 1
    count: int | None = None
    spacing: Chart = Spacing.EVEN
    hold: int = 0
    per_gap: Mapping[int, GapWish] = field(default_factory=dict)
    """Wishes for single gaps, by the number of the gap from 0. In a cycle the last is the way
    from the last key to the first."""
    repeat: Repeat = Repeat.ONCE
    closing: int = 0
    """The frames from a cycle's last key to its first again; 0: as the gap needs."""
    even_motion: bool = False
    """The times count measured motion; the backend measures."""

    def of(self, gap: int) -> GapWish:
        """What is wished for a gap."""
        usual = GapWish(self.count, self.step, self.hold, self.spacing)
        return self.per_gap.get(gap, usual)


class Plan(NamedTuple):
    """The times between neighbouring drawings, and the exposure sheet of the result."""

    gaps: tuple[tuple[float, ...], ...]
    sheet: tuple[Exposure, ...]
    cycle: bool = False
    """The first key is named once more as the last; the sheet does not show it again."""

    @property
    def total(self) -> int:
        return sum(map(len, self.gaps))

    @property
    def start(self) -> int:
        return self.sheet[0].frame

    @property
    def end(self) -> int:
        """The frame after the last."""
        return self.sheet[-1].frame + self.sheet[-1].hold


class Tick(NamedTuple):
    """A drawing on a gap's chart: where it lies between the keys, and when it is seen."""

    at: float
    """0 at the key that is left, 1 at the key that is reached."""
    frame: int
    """Frames since the gap's first key."""
    hold: int
    number: int
    """Its number among all drawings of the shot, from 1."""
    kind: str
    """key, breakdown or between."""


class GapView(NamedTuple):
    """A gap as the panel shows it. No ticks where it cannot be filled: `problem` says why."""

    number: int
    """From 0."""
    frames: tuple[int, int]
    inbetweens: int
    wish: GapWish
    ticks: tuple[Tick, ...] = ()
    problem: TweencelError | None = None


class _Span(NamedTuple):
    """A gap with its breakdowns: the frames of all its given drawings."""

    number: int
    frames: tuple[int, ...]
    wish: GapWish

    @property
    def wait(self) -> int:
        """For how many frames the key is held before the in-betweens start; 0: no longer."""
        return 0 if self.wish.cut else self.wish.hold

    @property
    def holds(self) -> list[int]:
        return [self.wait, *[0] * (len(self.frames) - 2)]

    @property
    def rooms(self) -> list[int]:
        return room_between(self.frames, self.holds)

    @property
    def lengths(self) -> list[int]:
        return [second - first for first, second in pairwise(self.frames)]


class _Filled(NamedTuple):
    """A span's in-betweens: times between its neighbouring drawings, and the pins' positions."""

    span: _Span
    rows: list[tuple[float, ...]]
    pins: list[float]


def counts(shot: Shot, wish: Wish) -> list[int]:
    """In-betweens for each gap, from key to key."""
    return [sum(_parts(span, wish.fit)) for span in _spans(shot, wish)]


def plan(shot: Shot, wish: Wish) -> Plan:
    """What is to be made. Raises TooFewKeys, BadInput, NothingToMake or NoRoom."""
    _require_keys(shot)
    filled = [_fill(span, wish.fit) for span in _spans(shot, wish)]
    gaps = tuple(row for gap in filled for row in gap.rows)
    if not any(gaps):
        raise NothingToMake(
            "There is nothing to make: no gap gets an in-between.",
            fix="Ask for a number of in-betweens, or move the keys apart.",
        )
    sheet = _expose(filled, wish.fit, _last_hold(shot, wish))
    if wish.repeat is Repeat.CYCLE:
        sheet = closed(sheet)
    elif wish.repeat is Repeat.PING_PONG:
        sheet = there_and_back(sheet)
    return Plan(gaps, tuple(sheet), _adds_first(shot, wish))


def keys_of(shot: Shot, plan: Plan) -> tuple[Key, ...]:
    """The keys between which the gaps of the plan lie: a cycle ends with its first."""
    return (*shot.keys, shot.keys[0]) if plan.cycle else shot.keys


def breakdowns_of(shot: Shot) -> tuple[int, ...]:
    """Which keys are breakdowns, to be trusted less than keys."""
    drawn = [key.breakdown and not key.painted for key in shot.keys]
    return tuple(number for number, less in enumerate(drawn) if less)


def way_back(shot: Shot, wish: Wish) -> int:
    """The frames from a cycle's last key to its first again; 0 if the shot does not come back."""
    if not _adds_first(shot, wish):
        return 0
    fixed = sum(not key.breakdown for key in shot.keys[1:])
    return _closing(shot, wish, fixed)


def gap_views(shot: Shot, wish: Wish) -> list[GapView]:
    """The gaps as the panel shows them, with the times that the engine gets.

    Raises TooFewKeys or BadInput where there are none.
    """
    _require_keys(shot)
    views: list[GapView] = []
    number = 1
    for span in _spans(shot, wish):
        count = sum(_parts(span, wish.fit))
        view = GapView(span.number, (span.frames[0], span.frames[-1]), count, span.wish)
        try:
            views.append(view._replace(ticks=_ticks(_fill(span, wish.fit), wish.fit, number)))
        except TweencelError as problem:
            views.append(view._replace(problem=problem))
        number += count + len(span.frames) - 1
    return views


def shown(sheet: Sequence[Exposure], keys: Sequence[str], made: Mapping[int, str]) -> list[str]:
    """The file to show on each frame of the sheet while frames are still coming.

    `keys` are the key files' names, `made` the names of the in-betweens that have landed, by
    index. Where one has not, the nearest earlier drawing stands in its place: the names in the
    result are always those of files that exist. A drawing may be exposed more than once.
    """
    names: list[str] = []
    slots: dict[Drawing, int] = {}
    name = ""
    for exposure in sheet:
        drawing = exposure.drawing
        if drawing.is_key:
            name = keys[drawing.key]
        else:
            name = made.get(slots.setdefault(drawing, len(slots)), name)
        names.extend([name] * exposure.hold)
    return names


def _spans(shot: Shot, wish: Wish) -> list[_Span]:
    """The gaps from key to key. The two ends count as keys, whatever they are marked as."""
    frames = shot.key_frames
    if len(shot.keys) < 2:
        return []
    ends = [n for n, key in enumerate(shot.keys) if not key.breakdown or n == 0]
    if _adds_first(shot, wish):
        frames = [*frames, frames[-1] + _closing(shot, wish, len(ends) - 1)]
    if ends[-1:] != [len(frames) - 1]:
        ends.append(len(frames) - 1)
    return [
        _Span(number, tuple(frames[first : second + 1]), wish.of(number))
        for number, (first, second) in enumerate(pairwise(ends))
    ]


def _adds_first(shot: Shot, wish: Wish) -> bool:
    """Whether a cycle has to come back to its first key: not if its last key is the same file."""
    if wish.repeat is not Repeat.CYCLE or len(shot.keys) < 2:
        return False
    first, last = shot.keys[0].path, shot.keys[-1].path
    return len(shot.keys) == 2 or first == Path() or first != last


def _closing(shot: Shot, wish: Wish, gap: int) -> int:
    """The frames from a cycle's last key to its first again."""
    own = wish.of(gap)
    if wish.closing:
        return wish.closing
    if own.cut:
        return max(shot.last_hold, own.hold)
    if own.count is not None:
        return (own.hold or own.step) + own.count * own.step
    return shot.keys[-1].frame - shot.keys[-2].frame


def _last_hold(shot: Shot, wish: Wish) -> int:
    return shot.last_hold if wish.fit is Fit.BETWEEN else 0


def _parts(span: _Span, fit: Fit) -> list[int]:
    """How many in-betweens follow each drawing of a gap. They may be more than there is room."""
    wish = span.wish
    if wish.cut:
        return [0] * len(span.lengths)
    if wish.count is None:
        return _full(span)
    if fit is Fit.ROOM or len(span.lengths) == 1:
        return shared_out(wish.count, span.lengths)
    if wish.count > sum(span.rooms):
        return [wish.count, *[0] * (len(span.lengths) - 1)]
    return shared_out(wish.count, span.lengths, span.rooms)


def _full(span: _Span) -> list[int]:
    """As many as the frames ask for if each is held for about `step` of them."""
    # Without a hold one drawing's frames are the key's own; after one all that are left are free.
    return [room // span.wish.step for room in span.rooms]


def _fill(span: _Span, fit: Fit) -> _Filled:
    parts = _parts(span, fit)
    if fit is Fit.BETWEEN:
        _require_hold(span)
        require_room(span.number + 1, sum(span.rooms), sum(parts))
    pins = _pins(span, parts, fit)
    rows = [moments(*pair, n) for pair, n in zip(pairwise(pins), parts, strict=True)]
    try:
        times = spaced_between(rows, pins, span.wish.chart)
    except BadInput as problem:
        raise BadInput(f"Gap {span.number + 1}: {problem.text}", fix=problem.fix) from problem
    return _Filled(span, times, [eased(pin, span.wish.chart) for pin in pins])


def _require_hold(span: _Span) -> None:
    if span.wait > span.lengths[0]:
        what = "next key" if len(span.frames) == 2 else "breakdown"
        raise BadInput(
            f"Gap {span.number + 1} holds its key for {span.wait} frames, "
            f"but the {what} comes after {span.lengths[0]}.",
            fix=f"Hold it for at most {span.lengths[0]} frames, or move the {what}.",
        )


def _pins(span: _Span, parts: list[int], fit: Fit) -> list[float]:
    """When the key, its breakdowns and the next key are seen: from 0 to 1 of the motion's time.

    Where keys move along only the order of the drawings is left to tell. Else frames do; a key
    that is held sets out so late that its first in-between comes when the hold is over.
    """
    if fit is Fit.ROOM:
        before = [sum(parts[:n]) + n for n in range(len(span.frames))]
        return [number / before[-1] for number in before]
    begin: float = span.frames[0]
    if span.wait:
        left = span.lengths[0] - span.wait
        begin += max(0.0, span.wait - (left / parts[0] if parts[0] else 1))
    rest = [(frame - begin) / (span.frames[-1] - begin) for frame in span.frames[1:-1]]
    return [0.0, *rest, 1.0]


def _expose(filled: Sequence[_Filled], fit: Fit, last_hold: int) -> list[Exposure]:
    rows = [row for gap in filled for row in gap.rows]
    holds = [hold for gap in filled for hold in _holds(gap, fit)]
    start = filled[0].span.frames[0]
    if fit is Fit.ROOM:
        steps = [gap.span.wish.step for gap in filled for _ in gap.rows]
        return expose_on(start, rows, steps, last_hold, holds)
    frames = [start, *(frame for gap in filled for frame in gap.span.frames[1:])]
    return expose_between(frames, rows, last_hold, holds)


def _holds(gap: _Filled, fit: Fit) -> list[int]:
    """A cut keeps its length also where other keys move along."""
    if gap.span.wish.cut:
        return gap.span.lengths if fit is Fit.ROOM else [0] * len(gap.rows)
    return gap.span.holds


def _ticks(gap: _Filled, fit: Fit, number: int) -> tuple[Tick, ...]:
    sheet = _expose([gap], fit, 1)
    ticks: list[Tick] = []
    last = len(gap.rows)
    for offset, line in enumerate(sheet):
        key, t = line.drawing
        lower, upper = gap.pins[key], gap.pins[min(key + 1, last)]
        kind = "between" if t else "key" if key in (0, last) else "breakdown"
        at, frame = lower + t * (upper - lower), line.frame - sheet[0].frame
        ticks.append(Tick(at, frame, line.hold, number + offset, kind))
    return tuple(ticks)


def _require_keys(shot: Shot) -> None:
    if len(shot.keys) < 2:
        raise TooFewKeys(f"There {'is only one key' if shot.keys else 'are no keys'}.")
    for first, second in pairwise(shot.keys):
        if first.frame >= second.frame:
            raise BadInput(
                f"{first.path.name or 'A key'} and {second.path.name or 'the next'} begin on the "
                f"same frame, {second.frame}.",
                fix="Move one of the two.",
            )
