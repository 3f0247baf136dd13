# SPDX-License-Identifier: GPL-3.0-or-later
"""Small pictures of what landed last, one for each job, made by Blender beside its main thread."""

from __future__ import annotations

import time
from typing import Any

import bpy.utils.previews

from .work import Work

_REST = 1.0
"""Seconds for which a job's picture stays: to load one takes its time."""
_MOST = 32
"""Pictures that are kept."""


class Thumbnails:
    """The pictures of all jobs."""

    def __init__(self) -> None:
        self._previews: Any = bpy.utils.previews.new()
        self._shown: dict[str, tuple[str, float]] = {}

    def icon_of(self, work: Work) -> int:
        """The number of the icon that shows the job's last frame; 0 if it has none."""
        if not work.made:
            return 0
        name, now = next(reversed(work.made.values())), time.monotonic()
        key, since = self._shown.get(work.job.id, ("", 0.0))
        path = str(work.folder.path / name)
        if key != path and now - since > _REST:
            self._forget(key)
            if len(self._shown) > _MOST:
                self._forget(self._shown.pop(next(iter(self._shown)))[0])
            self._previews.load(path, path, "IMAGE")
            self._shown[work.job.id] = path, now
            key = path
        return self._previews[key].icon_id if key in self._previews else 0

    def _forget(self, key: str) -> None:
        if key in self._previews:
            del self._previews[key]

    def close(self) -> None:
        """Give the pictures' memory back."""
        bpy.utils.previews.remove(self._previews)


_thumbnails: Thumbnails | None = None


def icon_of(work: Work) -> int:
    """As Thumbnails.icon_of."""
    return _thumbnails.icon_of(work) if _thumbnails else 0


def register() -> None:
    global _thumbnails
    _thumbnails = Thumbnails()


def unregister() -> None:
    global _thumbnails
    if _thumbnails is not None:
        _thumbnails.close()
    _thumbnails = None
