# SPDX-License-Identifier: GPL-3.0-or-later
"""The seam between the scheduler and the machines that compute.

An executor runs one job after the other in a process that is not the server's, and tells what
happens through `events`. It puts frames into the store before it tells of them.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from protocol.errors import ErrorInfo
from protocol.messages import WorkerSummary

from .runs import Run


class Stepped(NamedTuple):
    """The run lives. `fraction` of the phase, 0..1."""

    run: int
    phase: str
    fraction: float


@dataclass(frozen=True, slots=True)
class FrameStored:
    """A frame of the run is in the store. `size` in bytes."""

    run: int
    index: int
    digest: str
    size: int


class Finished(NamedTuple):
    """The run is over: all made, `stopped` because it was asked to, or failed with `error`.

    `spent`: seconds for which the engine worked.
    """

    run: int
    stopped: bool
    error: ErrorInfo | None
    spent: float = 0.0


Event = Stepped | FrameStored | Finished


class Executor(Protocol):
    """Where runs are run. All methods return at once."""

    @property
    def wake(self) -> socket.socket:
        """Readable when there are events."""
        ...

    @property
    def free(self) -> bool:
        """Whether `start` may be called."""
        ...

    def start(self, run: Run) -> None: ...

    def stop(self, run: int) -> None:
        """Stop a run at its next step; after a time of grace its process is killed."""
        ...

    def unload(self) -> bool:
        """End what is loaded and idle, so that its memory returns; False if it is at work."""
        ...

    def summary(self) -> WorkerSummary: ...

    def events(self) -> list[Event]: ...

    def tick(self, now: float) -> None:
        """Look at the clock (seconds, monotonic): kill what does not stop, end what is idle."""
        ...

    def close(self) -> None: ...
