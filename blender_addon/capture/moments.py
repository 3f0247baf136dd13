# SPDX-License-Identifier: GPL-3.0-or-later
"""Which frames are keys: the artist's marks, timeline markers, a written list."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from protocol.errors import BadInput

from ..keyframes import KeyFrame  # noqa: TID252
from ..source_props import sources_of  # noqa: TID252

_MOST = 1000
"""As many keys as a backend takes."""
_PLURAL = re.compile(r"\b(frame|key|marker)s\b")
_ENTRY = re.compile(r"(-?\d+)(?:\s*-\s*(-?\d+)(?:\s*/\s*(\d+))?)?")


class Moments(NamedTuple):
    """Frames with keys in order, and a note that says how they were chosen."""

    frames: list[KeyFrame]
    how: str

    @property
    def counted(self) -> str:
        """`3 marked frames`, `1 marker`."""
        what = self.how.split(" (", maxsplit=1)[0]
        if len(self.frames) == 1:
            what = _PLURAL.sub(r"\1", what)
        return f"{len(self.frames)} {what}"

    def within(self, span: range) -> Moments:
        return Moments([one for one in self.frames if one.frame in span], self.how)


def marks(scene: Any) -> list[KeyFrame]:
    """The frames that the artist marked."""
    return sorted(KeyFrame(mark.frame, mark.breakdown) for mark in sources_of(scene).marks)


def has_key_marks(scene: Any, span: range | None = None) -> bool:
    """Whether a key is marked, and not only breakdowns."""
    return any(not mark.breakdown and (span is None or mark.frame in span) for mark in marks(scene))


def chosen(scene: Any, times: str, span: range) -> Moments:
    """The frames in `span` by marks, markers or list. AUTO: marked keys, else markers.

    Marked breakdowns count in every case but the list. Raises BadInput for a list that cannot be
    read.
    """
    if times == "LIST":
        return Moments(listed(sources_of(scene).frame_list), "listed frames").within(span)
    if times == "MARKS" or (times == "AUTO" and has_key_marks(scene, span)):
        return Moments(marks(scene), "marked frames").within(span)
    return _markers(scene, span)


def with_breakdowns(scene: Any, frames: Sequence[KeyFrame]) -> list[KeyFrame]:
    """The frames, and those that the artist marked as breakdowns."""
    kinds = {one.frame: one for one in frames}
    kinds |= {mark.frame: mark for mark in marks(scene) if mark.breakdown}
    return sorted(kinds.values())


def _markers(scene: Any, span: range) -> Moments:
    markers = list(scene.timeline_markers)
    selected = [marker for marker in markers if marker.select]
    frames = {marker.frame for marker in selected or markers}
    how = "selected markers" if selected else "markers (none is selected)"
    found = with_breakdowns(scene, [KeyFrame(frame) for frame in frames])
    return Moments(found, how).within(span)


def listed(text: str) -> list[KeyFrame]:
    """`1, 9-17/4` stands for 1, 9, 13 and 17. Raises BadInput."""
    frames: set[int] = set()
    for entry in filter(None, (part.strip() for part in text.split(","))):
        found = _ENTRY.fullmatch(entry)
        if found is None:
            raise BadInput(f"{entry!r} in the frame list is no frame.", fix=_EXAMPLE)
        frames.update(_range(found))
    if len(frames) > _MOST:
        raise BadInput(f"The frame list has more than {_MOST} frames.", fix="Take fewer keys.")
    return [KeyFrame(frame) for frame in sorted(frames)]


_EXAMPLE = "Write frames like 1, 9-17/4: that is 1, 9, 13 and 17."


def _range(found: re.Match[str]) -> range:
    first = int(found[1])
    last, step = int(found[2] or first), int(found[3] or 1)
    if step < 1 or last < first:
        raise BadInput(f"{found[0]!r} in the frame list has no frame.", fix=_EXAMPLE)
    return range(first, last + 1, step)[: _MOST + 1]
