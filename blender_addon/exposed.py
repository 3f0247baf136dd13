# SPDX-License-Identifier: GPL-3.0-or-later
"""The shot as a run of files, one for each frame of the timeline: what an image sequence needs.

It knows no Blender. The run lies in a folder of its own among the frames. Every file is there from
the start: a drawing that has not landed is shown by an earlier one.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from .storage import EXPOSED, Folder, writing


class Run:
    """The run of one job. `name` is that of its frames."""

    def __init__(self, folder: Folder, suffix: str) -> None:
        """`suffix`: Blender looks for one ending in all files of a sequence (what is in a file it
        finds out by itself, so a JPEG may be called .png)."""
        self._folder = folder
        self._suffix = suffix
        self._shown: list[str] = []
        self._keys: dict[str, tuple[int, int] | None] = {}
        """How the key files were when they were copied, by the names of `lay`."""

    @property
    def first(self) -> Path:
        return self._path(0)

    def lay(self, names: Sequence[str]) -> bool:
        """Show `names`, one a frame, as they are called from the frames' folder.

        Gives whether anything changed. Raises DiskFull or MissingFile.
        """
        names = list(names)
        if names == self._shown:
            return False
        with writing(self.first):
            self.first.parent.mkdir(exist_ok=True)
        for index, name in enumerate(names):
            if self._shown[index : index + 1] == [name]:
                continue
            same = index and names[index - 1] == name
            self._put(self._path(index - 1) if same else self._folder.path / name, index, name)
        self._shown = names
        return True

    def follow(self) -> bool:
        """Show keys that were painted over since they were laid; gives whether there are any.

        Raises DiskFull or MissingFile.
        """
        old = {name for name, was in self._keys.items() if self._stamp(name) not in (None, was)}
        if not old:
            return False
        names = self._shown
        self._shown = ["" if name in old else name for name in names]
        return self.lay(names)

    def _stamp(self, name: str) -> tuple[int, int] | None:
        try:
            found = (self._folder.path / name).stat()
        except OSError:  # away for the moment: what is shown stays
            return None
        return found.st_mtime_ns, found.st_size

    def _put(self, source: Path, index: int, name: str) -> None:
        target = self._path(index)
        with writing(target):
            with contextlib.suppress(FileNotFoundError):
                target.unlink()
            # A key is the artist's own file: no second name by which it could be painted over.
            is_key = source.parent != target.parent and Path(name).parent != Path()
            if is_key:
                self._keys[name] = self._stamp(name)
            if is_key or not _linked(source, target):
                shutil.copyfile(source, target)

    def _path(self, index: int) -> Path:
        name = f"{self._folder.name}_{index + 1:04d}{self._suffix}"
        return self._folder.path / EXPOSED / name


def _linked(source: Path, target: Path) -> bool:
    try:
        os.link(source, target)
    except OSError:  # a file system without hard links
        return False
    return True
