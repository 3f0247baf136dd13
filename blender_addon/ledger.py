# SPDX-License-Identifier: GPL-3.0-or-later
"""The jobs as the client knows them: takes the backend's replies, gives the next requests.

A pure state machine: no sockets, no files, no Blender, and no clock but the `now` it is given.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import count
from typing import NamedTuple

from protocol.errors import (
    BackendBroken,
    DigestMismatch,
    EngineFailed,
    MissingInputs,
    QuotaExceeded,
    TweencelError,
    UnknownJob,
    from_info,
)
from protocol.jobs import State, Task
from protocol.messages import (
    Accepted,
    Cancel,
    Data,
    Error,
    FrameMade,
    Get,
    Granted,
    Have,
    Message,
    Missing,
    Progress,
    Put,
    Release,
    Reply,
    Status,
    Stored,
    Submit,
    Subscribe,
)
from protocol.params import Values

from .transfers import Downloads, Uploads

_TRIES = 3
"""How often the same trouble is met by beginning again before the job fails."""
_FIRST_WAIT, _LONGEST_WAIT = 5.0, 60.0
"""Seconds until a job that the backend had no room for is offered again; each wait is doubled."""


class Stage(StrEnum):
    """Where a job stands for the artist. The first two and FETCHING are only the client's."""

    PREPARING = "preparing"
    UPLOADING = "uploading"
    QUEUED = "queued"
    RUNNING = "running"
    FETCHING = "fetching"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        return self in ENDED


ENDED = (Stage.DONE, Stage.FAILED, Stage.CANCELLED)


class Made(NamedTuple):
    """A picture that the backend holds. `size` in bytes."""

    digest: str
    size: int


class Sink(NamedTuple):
    """A place that waits for a picture: the `frame`-th in-between of a job, from 0."""

    job: str
    frame: int


@dataclass
class Job:
    """One job. `times` says when each stage began, by the clock of the `now` arguments."""

    id: str
    engine: str
    params: Values
    seed: int
    total: int
    stage: Stage = Stage.PREPARING
    task: Task | None = None
    accepted: bool = False
    cancelling: bool = False
    error: TweencelError | None = None
    progress: Progress | None = None
    made: dict[int, Made] = field(default_factory=dict)
    landed: set[int] = field(default_factory=set)
    reused: int = 0
    """Frames that need not be made: an earlier version has them. They count in no total."""
    kept: dict[int, str] = field(default_factory=dict)
    """Digests of the frames that an earlier session left on our disk, by index."""
    times: dict[Stage, float] = field(default_factory=dict)
    last_seq: int = 0
    done_there: bool = False
    tries: int = 0
    spent: float = 0.0
    """Seconds for which the engine worked, as the backend measured them."""
    refusal: TweencelError | None = None
    """The backend has no room for the job now; it is offered again at `offer_at`."""
    offer_at: float = 0.0
    wait: float = _FIRST_WAIT
    # What was said on the present connection.
    submitted: bool = False
    subscribed: bool = False
    cancel_sent: bool = False

    @property
    def inputs(self) -> list[str]:
        return self.task.inputs() if self.task else []


class Ledger:
    """All jobs of this client, and the files on their way."""

    def __init__(self, uploads: Uploads | None = None, downloads: Downloads | None = None) -> None:
        self.uploads = uploads or Uploads()
        self.downloads = downloads or Downloads()
        self.jobs: dict[str, Job] = {}
        self._rids = count(1)
        self._fresh_ends: list[Job] = []
        self._spoiled: dict[str, int] = {}
        self._fresh_finds: list[Sink] = []
        self._to_cancel: list[str] = []
        self._to_release: list[str] = []
        self._waiting: dict[str, list[Sink]] = {}

    # What the artist does ---------------------------------------------------------------------

    def add(self, job: Job, now: float) -> None:
        """A new job, whose files are still being looked at."""
        self.jobs[job.id] = job
        job.times[job.stage] = now

    def prepared(self, job: Job, task: Task, sizes: Mapping[str, int], now: float) -> None:
        """The job's files are known: `sizes` gives their bytes by digest."""
        if job.stage.ended:
            return
        job.task = task
        if not job.total:  # every frame was there already
            job.done_there = True
            self._end_if_complete(job, now)
            return
        for digest in task.inputs():
            self.uploads.want(digest, sizes[digest])
        self._enter(job, Stage.UPLOADING, now)

    def resumed(self, job: Job, now: float) -> None:
        """The job was sent in an earlier session, and what that left on disk is known."""
        if not job.stage.ended:
            self._enter(job, Stage.QUEUED, now)

    def cancel(self, job: Job, now: float, *, reachable: bool = True) -> None:
        """The artist does not want it any more. Without a connection the job ends here at once,
        and the backend hears of it when it comes back."""
        if job.stage.ended or (job.cancelling and reachable):
            return
        if job.done_there or not (job.accepted or job.submitted):
            self._end(job, Stage.CANCELLED, now)
        elif reachable:
            job.cancelling = True
        else:
            self._to_cancel.append(job.id)
            self._end(job, Stage.CANCELLED, now)

    def fail(self, job: Job, error: TweencelError, now: float) -> None:
        """The job cannot go on, for a reason of this side."""
        if not job.stage.ended:
            job.error = error
            if job.accepted:
                self._to_cancel.append(job.id)
            self._end(job, Stage.FAILED, now)

    def dismiss(self, job: Job) -> None:
        """Forget a job that has ended."""
        if job.stage.ended:
            self.jobs.pop(job.id, None)

    @property
    def busy(self) -> bool:
        return any(not job.stage.ended for job in self.jobs.values())

    def pop_ended(self) -> list[Job]:
        """The jobs that ended since the last call."""
        ended, self._fresh_ends = self._fresh_ends, []
        return ended

    def pop_found(self) -> list[Sink]:
        """The frames that were on our disk already, since the last call."""
        found, self._fresh_finds = self._fresh_finds, []
        return found

    # What is to be said -------------------------------------------------------------------------

    def connected(self) -> None:
        """There is a new connection, on which nothing was said yet."""
        self.uploads.begin_again()
        self.downloads.begin_again()
        for job in self.jobs.values():
            job.submitted = job.subscribed = job.cancel_sent = False

    def requests(self, now: float) -> Iterator[Message]:
        """What is to be sent now, without the Puts. What was given counts as sent."""
        for job in self.jobs.values():
            if job.refusal and now >= job.offer_at and not job.stage.ended:
                self.uploads.retry(job.inputs)
        while self._to_cancel:
            yield Cancel(rid=next(self._rids), job=self._to_cancel.pop())
        while self._to_release:
            yield Release(rid=next(self._rids), job=self._to_release.pop())
        rid = next(self._rids)
        if files := self.uploads.ask(rid):
            yield Have(rid=rid, files=files)
        for job in self.jobs.values():
            if not job.stage.ended:
                yield from self._requests_of(job, now)
        while wanted := self.downloads.next_range():
            yield Get(rid=next(self._rids), **wanted._asdict())

    def next_put(self) -> Put | None:
        """The header of the next chunk to send; the caller reads its bytes."""
        return self.uploads.next_put()

    def _requests_of(self, job: Job, now: float) -> Iterator[Message]:
        if job.cancelling and not job.cancel_sent:
            job.cancel_sent = True
            yield Cancel(rid=next(self._rids), job=job.id)
        if job.stage is Stage.UPLOADING and now >= job.offer_at and self._may_submit(job):
            job.submitted = True
            yield self._submit(job)
        if job.accepted and not job.subscribed and job.stage is not Stage.PREPARING:
            job.subscribed = True
            yield Subscribe(rid=next(self._rids), job=job.id, after_seq=job.last_seq)

    def _may_submit(self, job: Job) -> bool:
        if job.submitted or job.accepted or job.cancelling:
            return False
        return self.uploads.all_stored(job.inputs)

    def _submit(self, job: Job) -> Submit:
        assert job.task is not None
        return Submit(
            rid=next(self._rids),
            job=job.id,
            engine=job.engine,
            params=dict(job.params),
            seed=job.seed,
            task=job.task,
        )

    # What the backend says ----------------------------------------------------------------------

    def take(self, reply: Reply, now: float) -> None:
        """Any reply but Data."""
        match reply:
            case Missing():
                self.uploads.answer(reply.rid, reply.files)
            case Granted():
                self.uploads.granted(reply.digest, reply.offset, reply.rewind)
                if not reply.rewind:
                    self._found_room(reply.digest)
            case Stored():
                self.uploads.stored(reply.digest)
                self._found_room(reply.digest)
            case Error():
                self._take_error(reply, now)
            case Accepted() | Status() | FrameMade() | Progress():
                job = self.jobs.get(reply.job)
                if job is not None and not job.stage.ended:
                    self._take_news(job, reply, now)
            case _:
                pass

    def take_data(self, data: Data, size: int) -> bool:
        """Whether those bytes are the next ones of a file that we want."""
        return self.downloads.arrived(data.digest, data.offset, size)

    def sinks(self, digest: str) -> list[Sink]:
        """Who waits for that file."""
        return [sink for sink in self._waiting.get(digest, ()) if self._waits(sink)]

    def _waits(self, sink: Sink) -> bool:
        job = self.jobs.get(sink.job)
        return job is not None and not job.stage.ended and sink.frame not in job.landed

    def landed(self, job: Job, index: int, now: float) -> None:
        """The picture lies on our disk under its own name."""
        job.landed.add(index)
        self._waiting.pop(job.made[index].digest, None)
        self._end_if_complete(job, now)

    def spoiled(self, digest: str, now: float) -> None:
        """The bytes that came are not those that their name promises: once more, or give up."""
        self._spoiled[digest] = self._spoiled.get(digest, 0) + 1
        if self._spoiled[digest] < _TRIES:
            self.downloads.from_start(digest)
            return
        error = DigestMismatch(
            "A frame arrived damaged, again and again.",
            fix="Check the network and the backend's disk, then generate again.",
        )
        for sink in self.sinks(digest):
            self.fail(self.jobs[sink.job], error, now)
        self.downloads.forget(digest)

    def unreadable(self, digest: str, error: TweencelError, now: float) -> None:
        """That file will not get through, in whichever direction: fail the jobs that need it."""
        waiting = {sink.job for sink in self.sinks(digest)}
        needing = {job.id for job in self.jobs.values() if digest in job.inputs}
        for name in waiting | {name for name in needing if not self.jobs[name].accepted}:
            self.fail(self.jobs[name], error, now)
        self.downloads.forget(digest)
        self.uploads.forget(digest)

    def _take_news(
        self, job: Job, reply: Accepted | Status | FrameMade | Progress, now: float
    ) -> None:
        match reply:
            case Accepted():
                job.accepted = True
                job.refusal = None
                if job.stage is Stage.UPLOADING:
                    self._enter(job, Stage.QUEUED, now)
            case Progress():
                job.progress = reply
            case _ if reply.seq <= job.last_seq:
                pass
            case FrameMade():
                job.last_seq = reply.seq
                self._take_frame(job, reply)
            case Status():
                job.last_seq = reply.seq
                self._take_status(job, reply, now)

    def _take_frame(self, job: Job, event: FrameMade) -> None:
        if event.index in job.landed or event.index >= job.total:
            return
        job.made[event.index] = Made(event.digest, event.size)
        if job.kept.get(event.index) == event.digest:
            job.landed.add(event.index)
            self._fresh_finds.append(Sink(job.id, event.index))
        elif not job.cancelling:
            sinks = self._waiting.setdefault(event.digest, [])
            if (sink := Sink(job.id, event.index)) not in sinks:
                sinks.append(sink)
            self.downloads.want(event.digest, event.size)

    def _take_status(self, job: Job, event: Status, now: float) -> None:
        job.spent += event.spent
        match event.state:
            case State.QUEUED:
                self._enter(job, Stage.QUEUED, now)
            case State.RUNNING:
                self._enter(job, Stage.RUNNING, now)
            case State.CANCELLED:
                self._end(job, Stage.CANCELLED, now)
            case State.FAILED:
                job.error = from_info(event.error) if event.error else _unexplained()
                self._end(job, Stage.FAILED, now)
            case State.DONE:
                self._done_there(job, now)

    def _done_there(self, job: Job, now: float) -> None:
        if job.cancelling:  # too late for the backend, but what came since was not fetched
            self._end(job, Stage.CANCELLED, now)
            return
        if len(job.made) < job.total:
            self._once_more(job, now, _incomplete(job))
            return
        job.done_there = True
        self._enter(job, Stage.FETCHING, now)
        self._end_if_complete(job, now)

    def _end_if_complete(self, job: Job, now: float) -> None:
        if job.done_there and len(job.landed) == job.total:
            self._end(job, Stage.DONE, now)

    def _take_error(self, reply: Error, now: float) -> None:
        error = from_info(reply.error)
        if files := [reply.digest] if reply.digest else self.uploads.asked(reply.rid):
            for digest in files:
                self._take_file_error(digest, error, now)
        elif (job := self.jobs.get(reply.job)) and not job.stage.ended:
            self._take_job_error(job, error, now)

    def _take_file_error(self, digest: str, error: TweencelError, now: float) -> None:
        if not isinstance(error, QuotaExceeded):
            self.unreadable(digest, error, now)
            return
        self.uploads.refused(digest)
        for job in self.jobs.values():
            if job.stage is Stage.UPLOADING and digest in job.inputs:
                self._offer_later(job, error, now)

    def _found_room(self, digest: str) -> None:
        for job in self.jobs.values():
            if job.refusal is not None and digest in job.inputs:
                job.refusal = None

    def _offer_later(self, job: Job, error: TweencelError, now: float) -> None:
        if job.refusal is None or now >= job.offer_at:  # one refusal may come for many files
            job.wait = min(_LONGEST_WAIT, job.wait * 2) if job.refusal else _FIRST_WAIT
            job.offer_at = now + job.wait
        job.refusal, job.submitted = error, False

    def _take_job_error(self, job: Job, error: TweencelError, now: float) -> None:
        if isinstance(error, UnknownJob) and job.cancelling:
            self._end(job, Stage.CANCELLED, now)
        elif isinstance(error, UnknownJob | MissingInputs):
            # Another backend, one that lost its memory, or one that swept our files.
            self._once_more(job, now, error)
        elif isinstance(error, QuotaExceeded) and job.stage is Stage.UPLOADING:
            if job.cancelling:
                self._end(job, Stage.CANCELLED, now)
            else:
                self._offer_later(job, error, now)
        else:
            self.fail(job, error, now)

    def _once_more(self, job: Job, now: float, error: TweencelError) -> None:
        job.tries += 1
        if job.tries >= _TRIES:
            self.fail(job, error, now)
            return
        job.accepted = job.submitted = job.subscribed = False
        job.last_seq = 0
        self.uploads.ask_again(job.inputs)
        # The keys of an earlier session's job were not read in this one.
        read = all(digest in self.uploads for digest in job.inputs)
        self._enter(job, Stage.UPLOADING if read else Stage.PREPARING, now)

    def _enter(self, job: Job, stage: Stage, now: float) -> None:
        job.stage = stage
        job.times[stage] = now

    def _end(self, job: Job, stage: Stage, now: float) -> None:
        self._enter(job, stage, now)
        self._fresh_ends.append(job)
        if job.accepted:
            self._to_release.append(job.id)  # the backend need not keep its frames for us
        for digest in {made.digest for made in job.made.values()}:
            if not self.sinks(digest):
                self._waiting.pop(digest, None)
                self.downloads.leave(digest)
        needed = {digest for other in self.jobs.values() for digest in _needs(other)}
        for digest in set(job.inputs) - needed:
            self.uploads.forget(digest)


def _needs(job: Job) -> list[str]:
    return [] if job.stage.ended else job.inputs


def _incomplete(job: Job) -> TweencelError:
    return BackendBroken(
        f"The backend calls the job done, but told of {len(job.made)} of {job.total} frames."
    )


def _unexplained() -> TweencelError:
    return EngineFailed("The job failed; the backend does not say why.")
