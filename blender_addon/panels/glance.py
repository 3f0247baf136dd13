# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: TID252
"""What is selected, looked at once for all panels of a redraw; what is wrong, told once in it.

Blender tells nobody when a redraw begins or what has changed since the last one. But a panel is
drawn once in a redraw: the panel that asks a second time is in the next, and all is looked at anew.
"""

from __future__ import annotations

import time
from typing import Any

import bpy

from protocol.errors import TweencelError

from .. import capture
from ..shot import Shot

_LONGEST = 0.1
"""Seconds: for a panel that was opened since, and is drawn before those that have asked."""


class Glance:
    """What was seen in an area, and which panels have asked for it."""

    def __init__(self) -> None:
        self._place: object = None
        self._since = 0.0
        self._asked: set[str] = set()
        self._seen: Shot | TweencelError | None = None

    def survey(self, context: bpy.types.Context, panel: str) -> Shot:
        """As capture.survey, and it raises the same."""
        place, now = _place(context), time.monotonic()
        old = place != self._place or panel in self._asked or now - self._since > _LONGEST
        if old or place is None or self._seen is None:
            self._place, self._since, self._asked = place, now, set()
            self._seen = _look(context)
        self._asked.add(panel)
        if isinstance(self._seen, TweencelError):
            raise self._seen
        return self._seen


def _look(context: bpy.types.Context) -> Shot | TweencelError:
    try:
        return capture.survey(context)
    except TweencelError as problem:
        return problem


def _place(context: bpy.types.Context) -> Any:
    """The area and the frame; None where nothing is drawn."""
    area = context.area
    return (area.as_pointer(), context.scene.frame_current) if area is not None else None


_glance = Glance()
_told: dict[tuple[Any, str], float] = {}
"""When an error was last drawn in an area."""


def survey(context: bpy.types.Context, panel: str) -> Shot:
    """As Glance.survey; `panel` is the name of the panel that is drawn."""
    return _glance.survey(context, panel)


def tell(context: bpy.types.Context, error: TweencelError) -> TweencelError:
    """A panel draws this error; gives it back."""
    now = time.monotonic()
    for old in [told for told, since in _told.items() if now - since > _LONGEST]:
        del _told[old]
    _told[_place(context), str(error)] = now
    return error


def was_told(context: bpy.types.Context, error: TweencelError) -> bool:
    """Whether a panel above has drawn it in this redraw."""
    place = _place(context)
    since = _told.get((place, str(error)))
    return place is not None and since is not None and time.monotonic() - since <= _LONGEST
