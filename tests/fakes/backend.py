# SPDX-License-Identifier: GPL-3.0-or-later
"""A backend in memory behind a line without sockets; a test scripts what goes wrong.

It keeps the rules of PROTOCOL.md and notes every breach of a window by the client.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from blender_addon.link import Received
from protocol.endpoint import Endpoint
from protocol.engines import EngineSpec
from protocol.errors import MissingInputs, TweencelError, UnknownDigest, UnknownJob
from protocol.jobs import State
from protocol.limits import CHUNK, WINDOW, Limits
from protocol.messages import (
    Accepted,
    Cancel,
    Data,
    Done,
    Error,
    FetchWeights,
    FrameMade,
    Get,
    Granted,
    Have,
    ListWeights,
    Message,
    Missing,
    Ping,
    Pong,
    Progress,
    Put,
    Release,
    Remainder,
    Status,
    StopWeights,
    Stored,
    Submit,
    Subscribe,
    Weights,
    WeightsChanged,
    WeightsOffer,
    WeightsState,
    Welcome,
)
from protocol.params import IntParam

ENGINE = EngineSpec(
    id="echo",
    label="Echo",
    summary="Gives back pictures that are made up.",
    version="1",
    jobs=("inbetween",),
    params=(IntParam(name="strength", label="Strength", default=3, minimum=1, maximum=9),),
)
ENDPOINT = Endpoint("tcp://127.0.0.1:5555", "ab" * 32, "cd" * 32)


def png(width: int = 8, height: int = 4, *, filler: int = 0, grey: int = 0) -> bytes:
    """A true PNG; `filler` bytes of ballast make it as large as a test needs."""
    rows = b"".join(b"\0" + bytes([grey]) * width for _ in range(min(height, 4096)))
    return (
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
        + (_chunk(b"teSt", grey.to_bytes(4, "big") * (filler // 4)) if filler else b"")
        + _chunk(b"IDAT", zlib.compress(rows))
        + _chunk(b"IEND", b"")
    )


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def digest_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@dataclass
class FakeJob:
    """A job as the backend keeps it."""

    submit: Submit
    events: list[Status | FrameMade] = field(default_factory=list)
    listening: bool = False

    @property
    def state(self) -> State:
        return [e.state for e in self.events if isinstance(e, Status)][-1]


@dataclass
class FakeBackend:
    """What survives a cut connection. The test calls `make` and `end`, or sets `automatic`."""

    automatic: bool = True
    """Make all frames as soon as a job is submitted."""
    frame: Callable[[int], bytes] = lambda index: png(grey=index + 1)
    limits: Limits = field(default_factory=Limits)
    server_id: str = "first"
    engines: tuple[EngineSpec, ...] = (ENGINE,)
    offers: dict[str, WeightsOffer] = field(default_factory=dict)
    """Weights that can be had; with some it speaks protocol 1.2."""
    refuse_weights: TweencelError | None = None
    """What to answer to every FetchWeights."""
    refuse: TweencelError | None = None
    """What to answer to the next Submit."""
    full: TweencelError | None = None
    """What to answer to every Have, Put and Submit."""
    deaf: bool = False
    """Hears nothing and says nothing, while the connection stands."""
    up: bool = True
    spoil: int = 0
    """So many Data messages get a wrong byte."""
    lose_puts: int = 0
    """So many Puts are dropped and answered with a rewind."""
    store: dict[str, bytes] = field(default_factory=dict)
    halves: dict[str, bytes] = field(default_factory=dict)
    jobs: dict[str, FakeJob] = field(default_factory=dict)
    heard: list[Message] = field(default_factory=list)
    breaches: list[str] = field(default_factory=list)
    line: FakeLine | None = None

    def connect(self, endpoint: Endpoint) -> FakeLine:
        """What a Session takes for opening a line."""
        self.line = FakeLine(self)
        return self.line

    def said(self, kind: type[Message]) -> list[Message]:
        """What the client said of that kind."""
        return [message for message in self.heard if isinstance(message, kind)]

    def cut(self) -> None:
        """The connection breaks; what was under way is lost. `mend` brings a new one."""
        assert self.line is not None
        self.line.drop()

    def mend(self) -> None:
        assert self.line is not None
        self.line.begin()

    def restart(self, *, forget_jobs: bool = False, forget_files: bool = False) -> None:
        """The backend ends and starts again."""
        self.cut()
        self.server_id += "+"
        self.halves.clear()
        if forget_jobs:
            self.jobs.clear()
        if forget_files:
            self.store.clear()
        for job in self.jobs.values():
            job.listening = False
        self.mend()

    def make(self, job: str, count: int = 1) -> None:
        """The next frames of a job are finished."""
        for _ in range(count):
            index = sum(isinstance(event, FrameMade) for event in self.jobs[job].events)
            content = self.frame(index)
            digest = digest_of(content)
            self.store[digest] = content
            made = FrameMade(
                job=job, seq=self._seq(job), index=index, digest=digest, size=len(content)
            )
            self.tell(made)

    def move(self, job: str, state: State, error: TweencelError | None = None) -> None:
        """The job's state changes."""
        info = error.info() if error else None
        self.tell(Status(job=job, seq=self._seq(job), state=state, error=info))

    def tell(self, event: Status | FrameMade | Progress) -> None:
        job = self.jobs[event.job]
        if not isinstance(event, Progress):
            job.events.append(event)
        if job.listening and self.line is not None:
            self.line.reply(event)

    def stand(self, name: str, *, news: bool = False, **how: Any) -> None:
        """An offer stands otherwise now; `news`: so do engines."""
        self.offers[name] = msgspec.structs.replace(self.offers[name], **how)
        assert self.line is not None
        engines = self.engines if news else None
        self.line.reply(WeightsChanged(offers=(self.offers[name],), engines=engines))

    def run(self, job: str) -> None:
        """Make all frames of a job."""
        self.move(job, State.RUNNING)
        self.make(job, len(self.jobs[job].submit.task.slots()))
        self.move(job, State.DONE)

    def _seq(self, job: str) -> int:
        return len(self.jobs[job].events) + 1


class FakeLine:
    """One connection: a Line for the session."""

    def __init__(self, backend: FakeBackend) -> None:
        self.backend = backend
        self.problem: TweencelError | None = None
        self.closed = False
        self._replies: deque[Received] = deque()
        self._open = False
        self._ahead: dict[str, int] = {}
        """Bytes that were put and not yet granted."""
        self._owed = 0
        if backend.up:
            self.begin()

    @property
    def open(self) -> bool:
        return self._open

    def begin(self) -> None:
        self._open = True
        self._replies.clear()
        self.reply(
            Welcome(
                rid=0,
                v=(1, 2) if self.backend.offers else (1, 0),
                server_id=self.backend.server_id,
                software="fake 1",
                chunk=CHUNK,
                window=WINDOW,
                limits=self.backend.limits,
                engines=self.backend.engines,
            )
        )

    def drop(self) -> None:
        self._open = False
        self._replies.clear()
        self._ahead.clear()
        self._owed = 0
        for job in self.backend.jobs.values():
            job.listening = False

    def close(self) -> None:
        self.drop()
        self.closed = True

    def reply(self, message: Message, body: bytes = b"") -> None:
        if self._open:
            self._replies.append((message, body))  # type: ignore[arg-type]

    def send(self, message: Message, body: bytes | None = None) -> bool:
        if not self._open:
            return False
        self.backend.heard.append(message)
        if isinstance(message, Put):
            self._note_put(message, body or b"")
        if not self.backend.deaf:
            self._answer(message, body or b"")
        return True

    def receive(self, most: int) -> list[Received]:
        if self.backend.deaf:
            return []
        received = [self._replies.popleft() for _ in range(min(most, len(self._replies)))]
        for message, body in received:
            if isinstance(message, Granted | Stored):
                self._ahead.pop(message.digest, None)
            if isinstance(message, Data):
                self._owed -= len(body)
        return received

    def _note_put(self, put: Put, body: bytes) -> None:
        held = len(self.backend.halves.get(put.digest, b""))
        self._ahead[put.digest] = put.offset + len(body) - held
        ahead = self._ahead[put.digest]
        if len(body) > CHUNK or ahead > WINDOW:
            self.backend.breaches.append(f"put {ahead} bytes ahead")

    def _answer(self, message: Message, body: bytes) -> None:
        match message:
            case Ping():
                self.reply(Pong(rid=message.rid))
            case Have():
                self._answer_have(message)
            case Put():
                self._take_put(message, body)
            case Submit():
                self._take_submit(message)
            case Subscribe():
                self._subscribe(message)
            case Get():
                self._hand_out(message)
            case Cancel():
                self._cancel(message)
            case Release():
                self.reply(Done(rid=message.rid))
            case ListWeights() | FetchWeights() | StopWeights():
                self._answer_weights(message)
            case _:
                raise AssertionError(message)

    def _answer_weights(self, message: ListWeights | FetchWeights | StopWeights) -> None:
        match message:
            case ListWeights():
                offers = tuple(self.backend.offers.values())
                self.reply(Weights(rid=message.rid, offers=offers))
            case FetchWeights() if self.backend.refuse_weights is not None:
                error = self.backend.refuse_weights.info()
                self.reply(Error(rid=message.rid, error=error))
            case FetchWeights():
                self.reply(Done(rid=message.rid))
                self.backend.stand(message.name, state=WeightsState.WAITING)
            case StopWeights():
                self.reply(Done(rid=message.rid))
                self.backend.stand(message.name, state=WeightsState.MISSING)

    def _answer_have(self, have: Have) -> None:
        if self.backend.full is not None:
            self.reply(Error(rid=have.rid, error=self.backend.full.info()))
            return
        halves = self.backend.halves
        missing = tuple(
            Remainder(file.digest, len(halves.get(file.digest, b"")))
            for file in have.files
            if file.digest not in self.backend.store
        )
        self.reply(Missing(rid=have.rid, files=missing))

    def _take_put(self, put: Put, body: bytes) -> None:
        if self.backend.full is not None:
            self.reply(Error(error=self.backend.full.info(), digest=put.digest))
            return
        held = self.backend.halves.get(put.digest, b"")
        if self.backend.lose_puts or put.offset != len(held):
            self.backend.lose_puts = max(0, self.backend.lose_puts - 1)
            self.reply(Granted(digest=put.digest, offset=len(held), rewind=True))
            return
        held += body
        self.backend.halves[put.digest] = held
        if len(held) < put.size:
            self.reply(Granted(digest=put.digest, offset=len(held)))
            return
        assert digest_of(held) == put.digest
        self.backend.store[put.digest] = self.backend.halves.pop(put.digest)
        self.reply(Stored(digest=put.digest))

    def _take_submit(self, submit: Submit) -> None:
        if self.backend.full is not None:
            self._refuse(submit, self.backend.full)
            return
        if self.backend.refuse is not None:
            self._refuse(submit, self.backend.refuse)
            self.backend.refuse = None
            return
        if any(digest not in self.backend.store for digest in submit.task.inputs()):
            self._refuse(submit, MissingInputs("Some files are missing."))
            return
        fresh = submit.job not in self.backend.jobs
        if fresh:
            self.backend.jobs[submit.job] = FakeJob(submit)
            self.backend.move(submit.job, State.QUEUED)
        self.reply(Accepted(rid=submit.rid, job=submit.job))
        if fresh and self.backend.automatic:
            self.backend.run(submit.job)

    def _subscribe(self, request: Subscribe) -> None:
        job = self.backend.jobs.get(request.job)
        if job is None:
            self._refuse(request, UnknownJob("The backend does not know that job."))
            return
        job.listening = True
        for event in job.events:
            if event.seq > request.after_seq:
                self.reply(event)

    def _hand_out(self, get: Get) -> None:
        content = self.backend.store.get(get.digest)
        if content is None:
            error = UnknownDigest("The backend does not hold that file.").info()
            self.reply(Error(rid=get.rid, error=error, digest=get.digest))
            return
        self._owed += get.credit
        if self._owed > WINDOW:
            self.backend.breaches.append(f"owed {self._owed} bytes")
        end = min(len(content), get.offset + get.credit)
        for offset in range(get.offset, end, CHUNK):
            piece = content[offset : min(end, offset + CHUNK)]
            if self.backend.spoil:
                self.backend.spoil -= 1
                piece = bytes([piece[0] ^ 1]) + piece[1:]
            data = Data(rid=get.rid, digest=get.digest, offset=offset, size=len(content))
            self.reply(data, piece)

    def _cancel(self, request: Cancel) -> None:
        job = self.backend.jobs.get(request.job)
        if job is None:
            self._refuse(request, UnknownJob("The backend does not know that job."))
            return
        self.reply(Accepted(rid=request.rid, job=request.job))
        if not job.state.ended:
            self.backend.move(request.job, State.CANCELLED)

    def _refuse(self, request: Submit | Subscribe | Cancel, error: TweencelError) -> None:
        self.reply(Error(rid=request.rid, error=error.info(), job=request.job))
