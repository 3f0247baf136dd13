# SPDX-License-Identifier: GPL-3.0-or-later
"""What was selected and what is to be made of it: keys, gaps, exposure sheet. It knows no Blender.

Frames are timeline frames. All times come from protocol.timing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from protocol.errors import BadInput, NothingToMake, TooFewKeys
from protocol.timing import (
    Exposure,
    Spacing,
    expose_between,
    expose_on,
    room_between,
    spaced,
)


class Key(NamedTuple):
    """A key drawing: its file, and the frame on which it is first seen."""

    path: Path
    frame: int


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

    @property
    def key_frames(self) -> list[int]:
        return [key.frame for key in self.keys]


class Fit(StrEnum):
    """Where the drawings go on the timeline."""

    BETWEEN = "between"
    """Keys stay on their frames."""
    ROOM = "room"
    """Later keys move along: each drawing is held for `step` frames."""


@dataclass(frozen=True)
class Wish:
    """How the artist wants the gaps filled. `count` None: as many as the frames ask for."""

    fit: Fit = Fit.BETWEEN
    step: int = 1
    count: int | None = None
    spacing: Spacing = Spacing.EVEN
    per_gap: Mapping[int, int] = field(default_factory=dict)
    """Counts for single gaps, by the number of the gap from 0."""


class Plan(NamedTuple):
    """The times of each gap's in-betweens, and the exposure sheet of the result."""

    gaps: tuple[tuple[float, ...], ...]
    sheet: tuple[Exposure, ...]

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


def fills(shot: Shot, step: int) -> list[int]:
    """How many in-betweens each gap takes if each drawing is held for about `step` frames."""
    return [room // step for room in room_between(shot.key_frames)]


def counts(shot: Shot, wish: Wish) -> list[int]:
    """In-betweens for each gap."""
    usual = fills(shot, wish.step)
    if wish.count is not None:
        usual = [wish.count] * len(usual)
    return [wish.per_gap.get(gap, number) for gap, number in enumerate(usual)]


def plan(shot: Shot, wish: Wish) -> Plan:
    """What is to be made. Raises TooFewKeys, BadInput, NothingToMake or NoRoom."""
    _require_keys(shot)
    gaps = tuple(spaced(count, wish.spacing) for count in counts(shot, wish))
    if not any(gaps):
        raise NothingToMake(
            "There is nothing to make: no gap gets an in-between.",
            fix="Ask for a number of in-betweens, or move the keys apart.",
        )
    if wish.fit is Fit.BETWEEN:
        sheet = expose_between(shot.key_frames, gaps, shot.last_hold)
    else:
        sheet = expose_on(shot.keys[0].frame, gaps, wish.step)
    return Plan(gaps, tuple(sheet))


def _require_keys(shot: Shot) -> None:
    if len(shot.keys) < 2:
        raise TooFewKeys(f"There {'is only one key' if shot.keys else 'are no keys'}.")
    for first, second in pairwise(shot.keys):
        if first.frame >= second.frame:
            raise BadInput(
                f"{first.path.name} and {second.path.name} begin on the same frame, "
                f"{second.frame}.",
                fix="Move one of the two strips.",
            )


def shown(sheet: Sequence[Exposure], keys: Sequence[str], made: Mapping[int, str]) -> list[str]:
    """The file to show on each frame of the sheet while frames are still coming.

    `keys` are the key files' names, `made` the names of the in-betweens that have landed, by
    index. Where one has not, the nearest earlier drawing stands in its place: the names in the
    result are always those of files that exist.
    """
    names: list[str] = []
    index, name = 0, ""
    for exposure in sheet:
        if exposure.drawing.is_key:
            name = keys[exposure.drawing.key]
        else:
            name = made.get(index, name)
            index += 1
        names.extend([name] * exposure.hold)
    return names
