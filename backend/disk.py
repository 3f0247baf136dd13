# SPDX-License-Identifier: GPL-3.0-or-later
"""What the operating system's errors mean while something is written."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Generator

from protocol.errors import BackendBroken, DiskFull


@contextlib.contextmanager
def disk_errors() -> Generator[None]:
    """The operating system's errors inside become DiskFull or BackendBroken."""
    try:
        yield
    except OSError as problem:
        if problem.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull("The disk of the backend is full.") from problem
        what = f"{problem.filename}: {problem.strerror}" if problem.filename else str(problem)
        raise BackendBroken(f"The backend cannot write: {what}.") from problem
