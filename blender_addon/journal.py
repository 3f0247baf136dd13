# SPDX-License-Identifier: GPL-3.0-or-later
"""What this user's open jobs are, in one small file for each, so that a crash forgets none.

It knows files and locks, not what the notes say, and no Blender. Whoever has a job holds a lock of
the system's on it, so that two Blenders never take the same one; the system takes the lock back
when its holder ends, however that came about.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

_log = logging.getLogger(__name__)


class Journal:
    """The notes in one folder. Trouble with them is logged and never stands in a job's way."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held: dict[str, int] = {}

    def keep(self, job: str, note: bytes) -> None:
        """Write the note of a job that is ours, whole or not at all."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            if not self._hold(job):
                return
            half = self._folder / f".{job}.part"
            # No fsync: it is the end of Blender that the note must outlive.
            half.write_bytes(note)
            half.replace(self._note(job))
        except OSError as problem:
            _log.warning("The job %s is not written down: %s", job, problem)

    def claim(self, wanted: Callable[[bytes], bool]) -> Iterator[tuple[str, bytes]]:
        """The notes that are wanted and that no living Blender holds; they are ours from then on.

        A note that is given away must be kept or dropped.
        """
        for path in sorted(self._folder.glob("*.json")):
            job = path.stem
            if job in self._held or not wanted(_read(path)) or not self._hold(job):
                continue
            if note := _read(path):  # its holder may have dropped it just now
                yield job, note
            else:
                self.drop(job)

    def drop(self, job: str) -> None:
        """The job needs no note any more."""
        if job not in self._held:
            return
        # First the note, then the lock: who gets the lock next finds nothing.
        with contextlib.suppress(OSError):
            self._note(job).unlink()
        self._release(job)
        with contextlib.suppress(OSError):
            self._lock(job).unlink()

    def close(self) -> None:
        """Let go of all jobs: the next Blender, or this one again, may take them."""
        for job in list(self._held):
            self._release(job)

    def _note(self, job: str) -> Path:
        return self._folder / f"{job}.json"

    def _lock(self, job: str) -> Path:
        return self._folder / f"{job}.lock"

    def _hold(self, job: str) -> bool:
        if job in self._held:
            return True
        try:
            handle = os.open(self._lock(job), os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as problem:
            _log.warning("The job %s cannot be locked: %s", job, problem)
            return False
        try:
            _lock_at_once(handle)
        except OSError:
            os.close(handle)
            return False
        self._held[job] = handle
        return True

    def _release(self, job: str) -> None:
        os.close(self._held.pop(job))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


if sys.platform == "win32":
    import msvcrt

    def _lock_at_once(handle: int) -> None:
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock_at_once(handle: int) -> None:
        # Not lockf: that would take no notice of a second session in the same process.
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
