# SPDX-License-Identifier: GPL-3.0-or-later
"""Blender's rendering ahead, held up for the moment in which strips are changed.

Whoever changes a strip while Blender renders ahead (SequenceEditor.use_prefetch) waits until the
frame that is being rendered is done: up to 40 ms at 1920x1080 in 5.2. Switched off it ends by
itself with that frame, and nobody waits. The scene is marked meanwhile, so that a file that was
saved or an undo step that was taken in between does not stay without it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import bpy

_HELD = "tweencel_prefetch_held"
_FIRST, _LONGEST = 0.1, 2.0
"""Seconds that a frame is given to be done: at first, and at most."""
_REST = 0.5
"""Seconds for which Blender may render ahead between two holds: what lands gathers meanwhile."""
_NOTICED = 0.01
"""Seconds: a change that takes longer has waited."""


class Hold:
    """Whether strips may be changed at once. Seconds are those of time.monotonic."""

    def __init__(self, *, needed: bool) -> None:
        """`needed`: whether Blender renders ahead at all; only drawing a window begins it."""
        self._needed = needed
        self._patience = _FIRST
        self._since: float | None = None
        self._ended = 0.0

    def begin(self, scenes: Iterable[Any], now: float) -> bool:
        """Hold Blender's rendering ahead in these scenes; gives whether it has stopped by now."""
        running = [scene for scene in scenes if self._needed and _renders_ahead(scene)]
        if running and self._since is None and now < self._ended + _REST:
            return False
        for scene in running:
            scene[_HELD] = True
            scene.sequence_editor.use_prefetch = False
            self._since = now
        return self._since is None or now >= self._since + self._patience

    def end(self, now: float) -> None:
        """Let Blender render ahead again, where it did before."""
        if self._since is not None:
            self._since, self._ended = None, now
            release()

    def took(self, seconds: float) -> None:
        """How long a change lasted: after one that waited, the next holds give more time."""
        if self._since is not None and seconds > _NOTICED:
            self._patience = min(2 * self._patience, _LONGEST)


def release() -> None:
    """Let Blender render ahead wherever a hold has stopped it."""
    for scene in bpy.data.scenes:
        if _HELD in scene:
            del scene[_HELD]
            if scene.sequence_editor is not None:
                scene.sequence_editor.use_prefetch = True


def _renders_ahead(scene: Any) -> bool:
    editor = scene.sequence_editor
    return editor is not None and editor.use_prefetch and scene.library is None
