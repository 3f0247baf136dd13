# SPDX-License-Identifier: GPL-3.0-or-later
"""Plays the frames of a preview as a small picture in the panel, a while and over again."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import bpy.utils.previews

_LASTS = 20.0
"""Seconds for which it plays by itself: each frame costs a redraw of the sidebar."""
_SEEN = 0.5
"""Seconds after which a picture that was not drawn again counts as out of sight."""


class Player:
    """One run of files at a time."""

    def __init__(self) -> None:
        self._previews: Any = bpy.utils.previews.new()
        self._files: list[Path] = []
        self._rate = 24.0
        self._until = self._drawn_at = 0.0
        self._shown = -1

    def show(self, files: list[Path], rate: float) -> int:
        """The icon of the frame whose turn it is; `rate` is in frames a second. 0: no file."""
        self._rate, self._drawn_at = rate, time.monotonic()
        if files[:1] != self._files[:1]:
            self.clear()
            self.play()
        self._files = files
        if not files:
            return 0
        self._shown = self._turn()
        path = str(files[self._shown])
        if path not in self._previews:
            # To ask for its size is to load it now, a few milliseconds: else a wheel turns there.
            _ = self._previews.load(path, path, "IMAGE").image_size[0]
        return self._previews[path].icon_id

    def play(self) -> None:
        """From now on for a while."""
        self._until = time.monotonic() + _LASTS

    def pause(self) -> None:
        self._until = 0.0

    @property
    def playing(self) -> bool:
        now = time.monotonic()
        return len(self._files) > 1 and now < self._until and now - self._drawn_at < _SEEN

    def tick(self) -> None:
        """Draw the sidebars anew if another frame's turn has come."""
        if bpy.app.background or not self.playing or self._turn() == self._shown:
            return
        for window in bpy.context.window_manager.windows:
            for area in window.screen.areas:
                for region in area.regions:
                    if region.type == "UI":
                        region.tag_redraw()

    def _turn(self) -> int:
        now = time.monotonic()
        playing = now < self._until
        # Paused: the picture that is there; another one would have to be loaded first.
        turn = int(now * self._rate) if playing else max(0, self._shown)
        return turn % len(self._files)

    def clear(self) -> None:
        """Forget the pictures."""
        self._previews.clear()
        self._files, self._shown = [], -1

    def close(self) -> None:
        """Give the pictures' memory back."""
        bpy.utils.previews.remove(self._previews)


_player: Player | None = None


def get() -> Player:
    """The player of the registered add-on."""
    assert _player is not None, "the add-on is not registered"
    return _player


def register() -> None:
    global _player
    _player = Player()


def unregister() -> None:
    global _player
    if _player is not None:
        _player.close()
    _player = None
