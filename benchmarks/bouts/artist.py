# SPDX-License-Identifier: GPL-3.0-or-later
"""A client that gives up nothing: it hands in jobs and gets all their frames, over any break.

Each step can be repeated. Whatever breaks, it connects anew and repeats the step, as PROTOCOL.md
says.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from protocol import messages as m
from protocol.errors import BackendNotRunning, HelloFirst, from_info
from protocol.jobs import State
from protocol.limits import CHUNK, WINDOW

from .backend_process import BackendProcess
from .drawings import digest_of
from .line import Line, Silence

_Result = TypeVar("_Result")


@dataclass
class JobSeen:
    """A job as the client saw it."""

    submit: m.Submit
    accepted: bool = False
    last_seq: int = 0
    ended: State | None = None
    error: str = ""
    """The code of the failure that ended it."""
    frames: dict[int, m.FrameMade] = field(default_factory=dict[int, m.FrameMade])
    wrong: list[str] = field(default_factory=list[str])
    """What must not happen and did."""

    def note(self, event: m.Status | m.FrameMade) -> None:
        if event.seq <= self.last_seq:
            return  # told again, as after each break
        if event.seq != self.last_seq + 1:
            self.wrong.append(f"event {event.seq} came after {self.last_seq}")
        self.last_seq = event.seq
        if isinstance(event, m.FrameMade):
            if event.index in self.frames:
                self.wrong.append(f"frame {event.index} was made twice")
            self.frames[event.index] = event
        elif event.state.ended:
            self.ended = event.state
            self.error = event.error.code if event.error else ""


class Artist:
    """One client with one connection at a time."""

    def __init__(self, backend: BackendProcess, patience: float = 2.0, queue: int = 1000) -> None:
        self.begins: Callable[[str], None] = lambda step: None
        """Called when a step begins, with its name."""
        self.breaks = 0
        self.sent = 0
        """Bytes of files that were sent, again or not."""
        self._backend = backend
        self._patience = patience
        self._queue = queue
        self._line: Line | None = None

    @property
    def line(self) -> Line:
        """Its connection, made if there is none."""
        return self._connected()

    def upload(self, content: bytes) -> str:
        """Have a file stored; only what the backend lacks is sent. Its digest."""
        return self._stubborn("uploading", lambda line: self._upload(line, content))

    def submit(self, submit: m.Submit) -> JobSeen:
        self._stubborn("submitting", lambda line: line.ask(submit, m.Accepted))
        return JobSeen(submit, accepted=True)

    def follow(self, jobs: Sequence[JobSeen]) -> None:
        """Until all have ended."""
        self._stubborn("following", lambda line: self._follow(line, jobs))

    def fetch(self, frame: m.FrameMade) -> bytes:
        return self._stubborn("fetching", lambda line: line.fetch(frame.digest, frame.size))

    def ask(self, request: m.Request, kind: type[m.Message]) -> m.Message:
        return self._stubborn(type(request).__name__.lower(), lambda line: line.ask(request, kind))

    def close(self) -> None:
        if self._line is not None:
            self._line.cut()
        self._line = None

    def _stubborn(self, doing: str, step: Callable[[Line], _Result]) -> _Result:
        self.begins(doing)
        while True:
            try:
                return step(self._connected())
            except (Silence, HelloFirst):
                self.breaks += 1
                self.close()

    def _connected(self) -> Line:
        while self._line is None:
            try:
                self._line = Line(
                    self._backend.connection().endpoint,
                    patience=self._patience,
                    queue=self._queue,
                )
            except (Silence, BackendNotRunning, AssertionError):
                time.sleep(0.02)
        return self._line

    def _upload(self, line: Line, content: bytes) -> str:
        digest, size = digest_of(content), len(content)
        missing = line.ask(m.Have(rid=0, files=(m.File(digest, size),)), m.Missing).files
        sent = confirmed = missing[0].offset if missing else size
        while confirmed < size or missing:
            while sent < size and sent - confirmed < WINDOW:
                piece = content[sent : sent + CHUNK]
                line.send(m.Put(digest=digest, offset=sent, size=size), piece)
                sent += len(piece)
                self.sent += len(piece)
            match line.receive()[0]:
                case m.Stored(digest=stored) if stored == digest:
                    return digest
                case m.Granted(digest=named, offset=offset, rewind=rewind) if named == digest:
                    confirmed = offset
                    sent = offset if rewind else sent
                case m.Error(error=error):
                    raise from_info(error)
                case _:
                    pass
        return digest

    def _follow(self, line: Line, jobs: Sequence[JobSeen]) -> None:
        waiting = {job.submit.job: job for job in jobs if job.ended is None}
        for name, job in waiting.items():
            line.send(m.Subscribe(rid=0, job=name, after_seq=job.last_seq))
        heard = time.monotonic()
        while waiting:
            try:
                message = line.receive(self._patience / 4)[0]
            except Silence:
                if time.monotonic() - heard > self._patience:
                    raise
                line.send(m.Ping(rid=0))
                continue
            heard = time.monotonic()
            match message:
                case m.Status() | m.FrameMade() as event if event.job in waiting:
                    waiting[event.job].note(event)
                    if waiting[event.job].ended:
                        del waiting[event.job]
                case m.Error(error=error):
                    raise from_info(error)
                case _:
                    pass
