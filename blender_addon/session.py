# SPDX-License-Identifier: GPL-3.0-or-later
"""The one live object: a line to a backend, the jobs on it, and their files. It knows no Blender.

`tick` is a plain function that a timer or a test calls; it does a few milliseconds of work.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from pathlib import Path

import msgspec

from protocol.endpoint import Endpoint
from protocol.engines import EngineSpec
from protocol.errors import (
    BackendBroken,
    BackendNotRunning,
    BadInput,
    MissingFile,
    TweencelError,
)
from protocol.jobs import Task
from protocol.limits import CHUNK, WINDOW, Limits
from protocol.messages import Data, Ping, Put, Reply, WeightsChanged, Welcome
from protocol.params import complete

from .journal import Journal
from .ledger import Job, Ledger, Sink, Stage
from .link import Connect, Line, Link
from .provenance import describe, read_version
from .resume import Memory, require_folder
from .reuse import digests_of, unchanged
from .storage import (
    FRAME_SUFFIXES,
    Folder,
    Part,
    copy_slices,
    hash_slices,
    inspect_keys,
    read_range,
    set_aside,
    written_at,
)
from .supply import Supply
from .work import Order, Work, only

_log = logging.getLogger(__name__)
BUDGET = 0.008
"""Seconds of work in one tick; a single step may end a little later."""
PING_EVERY = 2.0
PATIENCE = 6.0
_Read = tuple[Task, dict[str, int]]
"""What is known once a job's keys were read: the task, and the bytes of each file by digest."""
_AT_ONCE = 2
"""Messages that are taken before the clock is looked at again."""


class Contact(StrEnum):
    """How we stand with the backend."""

    OFF = "off"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    SILENT = "silent"
    """The connection stands, but the backend does not answer."""


class Session:
    """Everything that goes on between this Blender and one backend."""

    def __init__(
        self,
        connect: Connect | None = None,
        software: Mapping[str, str] | None = None,
        journal: Journal | None = None,
    ) -> None:
        self.on_landed: Callable[[Work, int], None] = lambda work, index: None
        self.on_ended: Callable[[Work], None] = lambda work: None
        self.on_resumed: Callable[[Work], None] = lambda work: None
        self.on_welcome: Callable[[Welcome], None] = lambda welcome: None
        self.software = dict(software or {})
        self.endpoint: Endpoint | None = None
        self.welcome: Welcome | None = None
        self.ledger = Ledger()
        self.supply = Supply()
        self.works: dict[str, Work] = {}
        self.problem: TweencelError | None = None
        """A defect of ours that a tick met."""
        self.longest_tick = 0.0
        """Seconds; set it to 0 to measure anew."""
        self._memory = Memory(journal)
        self._connect = connect or self._open_link
        self._line: Line | None = None
        self._parts: dict[str, Part] = {}
        self._paths: dict[str, Path] = {}
        self._unsent: tuple[Put, bytes] | None = None
        self._last_ping = 0.0
        self._unanswered: float | None = None
        self._silent = False

    # The backend --------------------------------------------------------------------------------

    def connect(self, endpoint: Endpoint) -> None:
        """Begin to connect; an earlier line is closed. Jobs that were accepted go on."""
        self.disconnect()
        self.problem = None
        self.endpoint = endpoint
        self._line = self._connect(endpoint)

    def disconnect(self) -> None:
        """Close the line. The backend goes on with what it accepted."""
        if self._line is not None:
            self._line.close()
        self._line = None
        self.welcome = None
        self.supply.lost()
        self._unsent = None
        self._unanswered, self._silent = None, False

    @property
    def contact(self) -> Contact:
        if self._line is None:
            return Contact.OFF
        if not self._line.open or self.welcome is None:
            return Contact.CONNECTING
        return Contact.SILENT if self._silent else Contact.CONNECTED

    @property
    def trouble(self) -> TweencelError | None:
        """What is wrong with the connection, if anything is."""
        if self.problem is not None:
            return self.problem
        match self.contact:
            case Contact.CONNECTING if self._line is not None:
                return self._line.problem
            case Contact.SILENT:
                return BackendNotRunning(
                    "The backend does not answer.",
                    fix="Wait a moment; if it stays silent, restart the backend.",
                )
        return None

    @property
    def engines(self) -> tuple[EngineSpec, ...]:
        """What the backend can make; empty without one."""
        return self.welcome.engines if self.welcome else ()

    @property
    def limits(self) -> Limits:
        return self.welcome.limits if self.welcome else Limits()

    @property
    def busy(self) -> bool:
        """Whether ticks should come quickly."""
        match self.contact:
            case Contact.OFF:
                return any(work.preparing for work in self.works.values())
            case Contact.CONNECTING:
                return self.trouble is None
        return self.ledger.busy

    # Jobs -----------------------------------------------------------------------------------------

    def generate(
        self, order: Order, now: float | None = None, folder: Folder | None = None
    ) -> Work:
        """Take a job on. Nothing is written if it is refused.

        `folder`: the one that was made for it, where some of its files had to be made first; if
        the job is refused it is the caller's to discard. Raises BackendNotRunning, any BadInput,
        MissingFile or DiskFull.
        """
        self.require_backend()
        inspect_keys(order.files, self.limits)
        order.task.check(self.limits)
        job = Job(
            id=uuid.uuid4().hex,
            engine=order.engine.id,
            params=complete(order.engine.params, order.params),
            seed=order.seed,
            total=len(order.task.slots()),
        )
        work = Work(job, order, folder or Folder.make(order.parent, order.name))
        work.preparing = self._prepare(work)
        try:
            self._write_provenance(work)
        except TweencelError:
            work.folder.discard()
            raise
        self.works[job.id] = work
        self.ledger.add(job, _clock(now))
        self._memory.keep(work)
        return work

    def cancel(self, job_id: str, now: float | None = None) -> None:
        """Stop that job and no other."""
        job = self.ledger.jobs[job_id]
        self.ledger.cancel(job, _clock(now), reachable=self.contact is Contact.CONNECTED)

    def fail(self, job_id: str, error: TweencelError, now: float | None = None) -> None:
        """End a job for a reason that lies outside: its result cannot be shown, say."""
        self.ledger.fail(self.ledger.jobs[job_id], error, _clock(now))

    def dismiss(self, job_id: str) -> None:
        """Forget a job that has ended; its files stay."""
        self.ledger.dismiss(self.ledger.jobs[job_id])
        if job_id not in self.ledger.jobs:
            self.works.pop(job_id, None)

    def close(self) -> None:
        """End everything at once and leave no half file. Open jobs are picked up by the next
        session that has the same journal."""
        self.disconnect()
        self._memory.close()
        for part in self._parts.values():
            part.discard()
        self._parts.clear()

    # The heart ------------------------------------------------------------------------------------

    def tick(self, now: float | None = None, budget_s: float = BUDGET) -> None:
        """Do what there is to do for about `budget_s` seconds. Never raises, never blocks."""
        began = time.perf_counter()
        now = _clock(now)
        try:
            self._step(now, began + budget_s)
        except Exception as problem:  # the border to the timer: a raise would end it for good
            _log.exception("A tick failed")
            self._give_up(problem, now)
        self.longest_tick = max(self.longest_tick, time.perf_counter() - began)

    def _step(self, now: float, deadline: float) -> None:
        self._listen(now, deadline)
        self._mind_silence(now)
        self._prepare_jobs(now, deadline)
        self._speak(now, deadline)
        self._tell_found()
        self._tell_ends()

    def _listen(self, now: float, deadline: float) -> None:
        while self._line is not None:
            received = self._line.receive(_AT_ONCE)
            for message, body in received:
                self._unanswered, self._silent = None, False
                self._take(message, body, now)
            if not received or time.perf_counter() > deadline:
                return

    def _take(self, message: Reply, body: bytes, now: float) -> None:
        match message:
            case Welcome():
                self._take_welcome(message, now)
            case Data():
                self._take_data(message, body, now)
            case _:
                if isinstance(message, WeightsChanged) and message.engines is not None:
                    self._take_engines(message.engines)
                if not self.supply.take(message):
                    self.ledger.take(message, now)

    def _take_engines(self, engines: tuple[EngineSpec, ...]) -> None:
        """What the backend can make has changed: as if it had said so when it greeted us."""
        if self.welcome is not None:
            self.welcome = msgspec.structs.replace(self.welcome, engines=engines)
            self.on_welcome(self.welcome)

    def _take_welcome(self, welcome: Welcome, now: float) -> None:
        self.welcome = welcome
        self._unsent = None
        self.ledger.uploads.chunk = min(CHUNK, max(1, welcome.chunk))
        self.ledger.uploads.window = self.ledger.downloads.window = min(WINDOW, welcome.window)
        self.ledger.connected()
        self.supply.connected(welcome.v)
        self.on_welcome(welcome)
        if self.endpoint is not None:
            self._memory.connected(self.endpoint, self.works.values())
            self._pick_up(now)

    def _mind_silence(self, now: float) -> None:
        if self._line is None or not self._line.open:
            return
        # Only after what has come was read: the silence may have been ours.
        self._silent = self._unanswered is not None and now - self._unanswered > PATIENCE
        if now - self._last_ping >= PING_EVERY and self._line.send(Ping(rid=0)):
            self._last_ping = now
            self._unanswered = now if self._unanswered is None else self._unanswered

    def _speak(self, now: float, deadline: float) -> None:
        if self._line is None or not self._line.open or self.welcome is None:
            return
        for message in (*self.supply.requests(), *self.ledger.requests(now)):
            self._line.send(message)
        while self._send_chunk(self._line, now) and time.perf_counter() < deadline:
            pass

    def _send_chunk(self, line: Line, now: float) -> bool:
        if self._unsent is None:
            put = self.ledger.next_put()
            if put is None:
                return False
            try:
                self._unsent = put, self._read_chunk(put)
            except TweencelError as problem:
                self.ledger.unreadable(put.digest, problem, now)
                return True
        if not line.send(*self._unsent):
            return False
        self._unsent = None
        return True

    # What an earlier session left open ------------------------------------------------------------

    def _pick_up(self, now: float) -> None:
        for work in self._memory.left_behind():
            self.works[work.job.id] = work
            self.ledger.add(work.job, now)
            try:
                require_folder(work)
            except TweencelError as problem:
                self.ledger.fail(work.job, problem, now)
                continue
            work.preparing = self._survey(work)
            self.on_resumed(work)

    def _survey(self, work: Work) -> Iterator[None]:
        """What lies in the folder; then as `_prepare`, if the job was not sent yet."""
        work.folder.clear_halves()
        if not work.job.accepted:
            return (yield from self._prepare(work))
        for slot in work.reused:
            for name in self._names_there(work, slot):
                self._have(work, slot, name)
        for index in range(work.job.total):
            for name in self._names_there(work, work.slot_of(index)):
                work.job.kept[index], _ = yield from hash_slices(work.folder.path / name)
                work.found[index] = name
            yield
        return None

    @staticmethod
    def _names_there(work: Work, slot: int) -> list[str]:
        names = [work.name_of(slot, suffix) for suffix in FRAME_SUFFIXES]
        return [name for name in names if (work.folder.path / name).is_file()]

    def _have(self, work: Work, slot: int, name: str) -> None:
        work.made[slot] = name
        work.written[slot] = written_at(work.folder.path / name)
        self.on_landed(work, slot)

    def _tell_found(self) -> None:
        for job, index in self.ledger.pop_found():
            work = self.works[job]
            self._have(work, work.slot_of(index), work.found[index])

    # Keys -----------------------------------------------------------------------------------------

    def _prepare_jobs(self, now: float, deadline: float) -> None:
        for work in self.works.values():
            if work.preparing is None and work.job.stage is Stage.PREPARING:
                work.preparing = self._prepare(work)  # see Ledger._once_more
            while work.preparing is not None:
                self._prepare_slice(work, now)
                if time.perf_counter() > deadline:
                    return

    def _prepare_slice(self, work: Work, now: float) -> None:
        if work.job.stage.ended:
            work.preparing = None
            return
        try:
            assert work.preparing is not None
            next(work.preparing)
        except StopIteration as end:
            work.preparing = None
            self._prepared(work, end.value, now)
        except TweencelError as problem:
            work.preparing = None
            self.ledger.fail(work.job, problem, now)

    def _prepared(self, work: Work, read: _Read | None, now: float) -> None:
        if read is None:
            self.ledger.resumed(work.job, now)
            return
        task, sizes = read
        work.job.total, work.job.reused = len(task.slots()), len(work.reused)
        self.ledger.prepared(work.job, task, sizes, now)
        self._memory.keep(work)  # before the job is sent

    def _prepare(self, work: Work) -> Iterator[None]:
        sizes: dict[str, int] = {}
        for path in dict.fromkeys(work.order.files):
            digest, size = yield from hash_slices(path)
            if work.digests.get(path, digest) != digest:
                raise BadInput(
                    f"{path.name} was changed after Generate was pressed.", fix="Generate again."
                )
            work.digests[path], sizes[digest] = digest, size
            self._paths[digest] = path
        task = work.whole_task()
        if work.asked is None and work.order.earlier is not None:
            yield from self._take_over(work, task, work.order.earlier)
        return task if work.asked is None else only(task, work.asked), sizes

    def _take_over(self, work: Work, task: Task, earlier: Path) -> Iterator[None]:
        """Copy the frames of an earlier version for which nothing has changed."""
        for group in unchanged(work, task, read_version(earlier)):
            copied: dict[int, tuple[str, str]] = {}
            for slot, frame in group.items():
                name = work.name_of(slot, Path(frame.file).suffix)
                try:
                    digest = yield from copy_slices(earlier / frame.file, work.folder.path / name)
                except MissingFile:
                    break
                copied[slot] = name, digest
            # What was painted over, or lost, is made anew, and what was made with it.
            if {slot: digest for slot, (_, digest) in copied.items()} == digests_of(group):
                for slot, (name, digest) in copied.items():
                    work.reused[slot] = digest
                    self._have(work, slot, name)
            else:
                for name, _ in copied.values():
                    work.folder.drop(name)
        work.asked = tuple(n for n in range(len(work.order.numbers)) if n not in work.reused)

    def _read_chunk(self, put: Put) -> bytes:
        size = min(self.ledger.uploads.chunk, put.size - put.offset)
        return read_range(self._paths[put.digest], put.offset, size)

    # Frames ---------------------------------------------------------------------------------------

    def _take_data(self, data: Data, body: bytes, now: float) -> None:
        sinks = self.ledger.sinks(data.digest)
        if not self.ledger.take_data(data, len(body)) or not sinks:
            return
        try:
            part = self._parts.get(data.digest) or self._new_part(data.digest, sinks[0])
            part.add(body)
            if self.ledger.downloads.whole(data.digest):
                self._finish(data.digest, part, sinks, now)
        except TweencelError as problem:
            for job in {sink.job for sink in sinks}:
                self.ledger.fail(self.ledger.jobs[job], problem, now)
            self._drop(data.digest)

    def _new_part(self, digest: str, sink: Sink) -> Part:
        part = self._parts[digest] = Part(self.works[sink.job].folder.path, digest)
        return part

    def _finish(self, digest: str, part: Part, sinks: list[Sink], now: float) -> None:
        if not part.check():
            self._drop(digest)
            self.ledger.spoiled(digest, now)
            return
        suffix = part.suffix()
        targets = [self._target(sink, suffix) for sink in sinks]
        for sink, target in zip(sinks, targets, strict=True):
            if target.name in self.works[sink.job].found.values():
                set_aside(target)  # whoever wrote it, it was not this session
        part.land(targets)
        del self._parts[digest]
        self.ledger.downloads.forget(digest)
        for sink in sinks:
            work = self.works[sink.job]
            self._have(work, work.slot_of(sink.frame), self._target(sink, suffix).name)
            self.ledger.landed(work.job, sink.frame, now)

    def _target(self, sink: Sink, suffix: str) -> Path:
        work = self.works[sink.job]
        return work.folder.path / work.name_of(work.slot_of(sink.frame), suffix)

    def _drop(self, digest: str) -> None:
        if part := self._parts.pop(digest, None):
            part.discard()

    # Ends -----------------------------------------------------------------------------------------

    def _tell_ends(self) -> None:
        for job in self.ledger.pop_ended():
            work = self.works[job.id]
            self._memory.drop(job.id)
            for digest in [d for d in self._parts if not self.ledger.sinks(d)]:
                self._drop(digest)
            self._close_folder(work)
            self.on_ended(work)

    def _close_folder(self, work: Work) -> None:
        if not work.made and work.job.stage is not Stage.DONE:
            work.folder.discard()
            return
        try:
            self._write_provenance(work)
        except TweencelError as problem:
            work.job.error = work.job.error or problem

    def _write_provenance(self, work: Work) -> None:
        software = self.software | ({"backend": self.welcome.software} if self.welcome else {})
        work.folder.write_provenance(describe(work, software))

    def _give_up(self, problem: Exception, now: float) -> None:
        """A defect of ours: show it, and fail the jobs rather than meet it at every tick."""
        self.problem = problem if isinstance(problem, TweencelError) else _defect(problem)
        for job in self.ledger.jobs.values():
            self.ledger.fail(job, self.problem, now)

    def require_backend(self) -> None:
        """Raise BackendNotRunning unless a backend answers."""
        if self.contact is Contact.OFF:
            raise BackendNotRunning("There is no connection to a backend.")
        if self.contact is not Contact.CONNECTED:
            raise self.trouble or BackendNotRunning("The backend has not answered yet.")

    def _open_link(self, endpoint: Endpoint) -> Line:
        return Link(endpoint, f"tweencel add-on {self.software.get('add-on', '')}".strip())


def _clock(now: float | None) -> float:
    return time.monotonic() if now is None else now


def _defect(problem: Exception) -> TweencelError:
    return BackendBroken(
        f"The add-on met a defect of its own: {type(problem).__name__}: {problem}.",
        fix="Connect again; please report it with the text of the system console.",
    )
