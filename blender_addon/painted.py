# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames of ours that the artist painted over: found by their bytes, taken as keys.

It knows no Blender. Files are looked at in slices, so that a panel may say at any time what is
known.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import accumulate, pairwise
from pathlib import Path
from typing import NamedTuple

from protocol.errors import MissingFile, NoRoom
from protocol.timing import Drawing

from .provenance import Version
from .shot import Fit, Key, Shot, Wish, way_back
from .storage import PROVENANCE, hash_slices


class Painted(NamedTuple):
    """A drawing of an earlier version that is a key now."""

    path: Path
    drawing: Drawing
    """Where it stood in the earlier version."""


_Stamp = tuple[int, int]
"""When a file was changed last, and how many bytes it has."""


class Watch:
    """What is known of the versions that were asked for; each file is read once for each change."""

    def __init__(self) -> None:
        self._is_painted: dict[tuple[Path, _Stamp], bool] = {}
        self._going: tuple[Path, Iterator[None]] | None = None
        self._known: dict[Path, list[Path]] = {}

    def known(self, folder: Path) -> list[Path] | None:
        """The painted frames of a folder, as `step` saw them last; None: not looked at yet."""
        return self._known.get(folder)

    def step(self, folder: Path, version: Version, budget_s: float) -> None:
        """Look at a folder's frames for about `budget_s` seconds; the next step goes on there."""
        if self._going is None or self._going[0] != folder:
            self._going = folder, self._look(folder, version)
        end = time.perf_counter() + budget_s
        for _ in self._going[1]:
            if time.perf_counter() > end:
                return
        self._going = None

    def all(self, folder: Path, version: Version) -> list[Path]:
        """The painted frames of a folder. Only what changed since the last look is read."""
        for _ in self._look(folder, version):
            pass
        return self._known[folder]

    def _look(self, folder: Path, version: Version) -> Iterator[None]:
        found: list[Path] = []
        written = _stamp(folder / PROVENANCE)
        for frame in version.frames:
            path = folder / frame.file
            stamp = _stamp(path)
            yield
            if stamp is None or written is None or not frame.sha256:
                continue
            # Without its own time: what is older than the record is as that says.
            if stamp[0] == frame.written or (not frame.written and stamp[0] <= written[0]):
                continue
            if (path, stamp) not in self._is_painted:
                try:
                    digest, _ = yield from hash_slices(path)
                except MissingFile:
                    continue
                self._is_painted[path, stamp] = digest != frame.sha256
            if self._is_painted[path, stamp]:
                found.append(path)
        self._known[folder] = found


def _stamp(path: Path) -> _Stamp | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def painted_of(version: Version, folder: Path, changed: list[Path]) -> list[Painted]:
    """The painted drawings of a version: those `changed` since, and those that were keys in it."""
    fresh = set(changed)
    found = [
        Painted(folder / frame.file, Drawing(frame.gap, frame.t))
        for frame in version.frames
        if folder / frame.file in fresh
    ]
    found += [
        Painted(folder / key.file, Drawing(number, 0.0))
        for number, key in enumerate(version.keys)
        if key.painted
    ]
    return sorted(found, key=lambda one: one.drawing)


def with_painted(
    shot: Shot, wish: Wish, version: Version, folder: Path, painted: list[Painted]
) -> tuple[Shot, Wish]:
    """The shot with painted drawings among its keys, where they stood between theirs.

    A gap that asks for a number of in-betweens asks for so many less. Raises NoRoom where the keys
    have come too close.
    """
    if not painted or not version.sheet:
        return shot, wish
    ends = [
        *shot.key_frames,
        *([shot.key_frames[-1] + back] if (back := way_back(shot, wish)) else []),
    ]
    placed = [
        one for one in _placed(painted, _Times(shot, version, folder)) if one.after < len(ends)
    ]
    if wish.fit is Fit.ROOM:  # only the order of the keys tells there
        ends = _with_room(ends, placed)
    keys = {frame: key._replace(frame=frame) for frame, key in zip(ends, shot.keys, strict=False)}
    fixed = [frame for frame, key in keys.items() if not key.breakdown]
    fewer: Counter[int] = Counter()
    for one, before, after, share in placed:
        frame = _free_frame(share, ends[before], ends[after], keys)
        keys[frame] = Key(one.path, frame, breakdown=True, painted=True)
        fewer[sum(start <= frame for start in fixed) - 1] += 1
    notes = (*shot.notes, *_notes(len(placed), len(painted) - len(placed)))
    full = replace(shot, keys=tuple(keys[frame] for frame in sorted(keys)), notes=notes)
    closing = ends[-1] - max(keys) if back else wish.closing
    return full, replace(_asking_less(wish, fewer), closing=closing)


class _Placed(NamedTuple):
    """A painted drawing between two of the shot's keys, by their numbers. `share` of the way."""

    painted: Painted
    before: int
    after: int
    share: float


class _Times:
    """When drawings of a version were seen, and which keys of a shot are keys of it."""

    def __init__(self, shot: Shot, version: Version, folder: Path) -> None:
        self.seen: dict[Drawing, int] = {}
        for line in version.sheet:
            self.seen.setdefault(Drawing(line.key, line.t), line.frame)
        last, end = version.sheet[-1], Drawing(len(version.keys) - 1, 0.0)
        self._came_back = end not in self.seen
        # A cycle's first key comes again after its end.
        self.seen.setdefault(end, last.frame + last.hold)
        self.own = [n for n, key in enumerate(version.keys) if not key.painted]
        self.now = self._now(shot, version, folder)

    def _now(self, shot: Shot, version: Version, folder: Path) -> dict[int, int]:
        """The shot's number of each key of the version; one more than the last is the first again.

        Keys that were added or taken away leave the others known by their files.
        """
        count = len(shot.keys)
        olds = self.own[:-1] if self._came_back else self.own
        if len(olds) == count:
            now = {old: new for new, old in enumerate(olds)}
        else:
            places = {os.path.realpath(key.path): n for n, key in enumerate(shot.keys)}
            files = {old: os.path.realpath(folder / version.keys[old].file) for old in olds}
            now = {old: places[file] for old, file in files.items() if file in places}
        return now | ({self.own[-1]: count} if self._came_back else {})


def _placed(painted: list[Painted], times: _Times) -> Iterator[_Placed]:
    for one in painted:
        key = one.drawing.key
        before = max((old for old in times.own if old <= key), default=-1)
        after = min((old for old in times.own if old > key), default=-1)
        if before not in times.now or after not in times.now or one.drawing not in times.seen:
            continue
        first, last = (times.seen.get(Drawing(old, 0.0)) for old in (before, after))
        if first is None or last is None or last <= first:
            continue
        share = (times.seen[one.drawing] - first) / (last - first)
        yield _Placed(one, times.now[before], times.now[after], share)


def _with_room(ends: list[int], placed: list[_Placed]) -> list[int]:
    """The keys' frames, moved on where painted drawings need room between them."""
    lengths = [second - first for first, second in pairwise(ends)]
    for gap, count in Counter(one.before for one in placed).items():
        lengths[gap] = max(lengths[gap], count + 1)
    return list(accumulate(lengths, initial=ends[0]))


def _free_frame(share: float, first: int, last: int, taken: Mapping[int, Key]) -> int:
    wanted = first + round(share * (last - first))
    free = [frame for frame in range(first + 1, last) if frame not in taken]
    if not free:
        raise NoRoom(
            f"Between the keys on {first} and {last} is no room for the frames that you painted.",
            fix="Move the keys apart.",
        )
    return min(free, key=lambda frame: abs(frame - wanted))


def _notes(kept: int, lost: int) -> Iterator[str]:
    if kept:
        what = "frame that you painted: a key" if kept == 1 else "frames that you painted: keys"
        yield f"{kept} {what} now"
    if lost:
        what = "frame has" if lost == 1 else "frames have"
        yield f"{lost} painted {what} no place any more: the keys beside are gone"


def _asking_less(wish: Wish, fewer: Mapping[int, int]) -> Wish:
    own = {gap: wish.of(gap) for gap in fewer}
    less = {
        gap: replace(usual, count=max(0, usual.count - fewer[gap]))
        for gap, usual in own.items()
        if usual.count is not None
    }
    return replace(wish, per_gap={**wish.per_gap, **less})
