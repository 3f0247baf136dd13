# SPDX-License-Identifier: GPL-3.0-or-later
"""A backend without a server, for one job: from files to files, without Blender and socket.

It stands on the same scheduler, store and worker as the server, so the pixels are the same.
"""

from __future__ import annotations

import select
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from protocol.errors import DiskFull, MissingFile, TweencelError, from_info
from protocol.jobs import State
from protocol.limits import Limits
from protocol.messages import FrameMade, Progress, Status, Submit
from protocol.pictures import PictureInfo, check_size, probe

from .clients import LOCAL
from .config import Settings
from .desk import Desk

_DISK_PATIENCE = 10.0
"""Seconds for which a full disk may hold up a run."""
Listener = Callable[[Status | FrameMade | Progress], None]


class Shop:
    """Takes files, one job, and gives the frames as they are made."""

    def __init__(self, settings: Settings, listen: Listener) -> None:
        self._desk = Desk(settings, self._publish)
        self._listen = listen
        self._end: Status | None = None
        self.on_frame: Callable[[FrameMade], None] = lambda frame: None

    def add(self, content: bytes) -> str:
        """Hold a key's file; its digest."""
        digest = self._desk.store.add(content)
        self._desk.holdings.claim(LOCAL, digest, len(content))
        return digest

    def read(self, frame: FrameMade) -> bytes:
        return self._desk.store.read(frame.digest, 0, frame.size)

    def order(self, submit: Submit) -> None:
        """Take the job on; nothing runs yet. Raises what is wrong with it."""
        self._desk.scheduler.submit(LOCAL, submit)

    def make(self) -> None:
        """Run the job to its end. Raises the failure it ended with."""
        patience = time.monotonic() + _DISK_PATIENCE
        while self._end is None:
            now = time.monotonic()
            self._desk.scheduler.tick(now)
            if not self._desk.scheduler.waits_for_disk:
                patience = now + _DISK_PATIENCE
            elif now > patience:
                raise DiskFull(f"There is no space left in {tempfile.gettempdir()}.")
            select.select([self._desk.executor.wake], [], [], 0.1)
        if self._end.state is State.FAILED and self._end.error is not None:
            raise from_info(self._end.error)

    def close(self) -> None:
        self._desk.close()

    def _publish(self, event: Status | FrameMade | Progress) -> None:
        if isinstance(event, FrameMade):
            self.on_frame(event)
        if isinstance(event, Status) and event.state.ended:
            self._end = event
        self._listen(event)


def look_at(path: Path, limits: Limits) -> PictureInfo:
    """A picture file's record. Raises MissingFile, BadImage, ImageTooLarge."""
    try:
        with path.open("rb") as file:
            info = probe(file, path.name)
    except OSError as problem:
        raise MissingFile(f"{path} cannot be read: {problem.strerror}.") from None
    check_size(info, limits, path.name)
    return info


def write(path: Path, content: bytes) -> None:
    """Write a file so that it is there only when it is whole. Raises TweencelError."""
    half = path.with_name(f".{path.name}.part")
    try:
        half.write_bytes(content)
        half.replace(path)
    except OSError as problem:
        raise TweencelError(
            f"{path} cannot be written: {problem.strerror}.",
            fix="Free some space or choose another folder with --out.",
        ) from None
    finally:
        half.unlink(missing_ok=True)
