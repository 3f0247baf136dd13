# SPDX-License-Identifier: GPL-3.0-or-later
"""A lock between processes that the system takes away from whoever dies."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Generator
from pathlib import Path

from protocol.errors import BackendFailure


@contextlib.contextmanager
def held(path: Path, what: str) -> Generator[None]:
    """Hold the lock. Raises BackendFailure if another process, or this one, holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            _take(handle)
        except OSError:
            raise BackendFailure(
                f"{what} is being fetched already.",
                fix="Wait for its end: `tweencel weights` shows how far it is.",
            ) from None
        yield
    finally:
        os.close(handle)  # which gives the lock back


def _take(handle: int) -> None:
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
