# SPDX-License-Identifier: GPL-3.0-or-later
"""The jobs that were accepted, their states and events, written down before anybody is told.

Order comes from sequence numbers, never from a clock; the clock only tells how old something is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple

import msgspec

from protocol.errors import ErrorInfo, JobConflict, UnknownJob
from protocol.jobs import State
from protocol.messages import FrameMade, JobSummary, Status, Submit

from .database import Database, writing
from .runs import Output

_encode = msgspec.msgpack.Encoder(order="deterministic").encode
_event = msgspec.msgpack.Decoder(Status | FrameMade)
_submit = msgspec.msgpack.Decoder(Submit)
_output = msgspec.msgpack.Decoder(Output)


class Job(NamedTuple):
    """A job as it was accepted, and where it stands. `owner` is a client's key."""

    submit: Submit
    owner: str
    output: Output
    state: State
    attempt: int
    total: int

    @property
    def id(self) -> str:
        return self.submit.job


class Standing(NamedTuple):
    """What is asked for most often of a job."""

    owner: str
    state: State


class Ledger:
    """The durable list of jobs. Every method that writes has committed when it returns.

    All of them raise DiskFull or BackendBroken if they cannot; then nothing has changed.
    """

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._db = database
        self._clock = clock

    def together(self) -> AbstractContextManager[None]:
        """Everything that is written inside, here or in the holdings, is committed as one."""
        return writing(self._db)

    def knows(self, owner: str, submit: Submit) -> bool:
        """Whether the very same job was accepted before.

        Raises JobConflict if its id belongs to another job.
        """
        known = self._db.execute(
            "SELECT owner, submit FROM jobs WHERE id = ?", (submit.job,)
        ).fetchone()
        if known is None:
            return False
        if known[0] != owner or _submit.decode(known[1]) != msgspec.structs.replace(submit, rid=0):
            raise JobConflict("Another job has the same id.")
        return True

    def accept(self, owner: str, submit: Submit, output: Output) -> bool:
        """Write the job down; False if the very same job was there already.

        Raises JobConflict if its id belongs to another job.
        """
        if self.knows(owner, submit):
            return False
        total = len(submit.task.slots())
        with writing(self._db):
            self._db.execute(
                "INSERT INTO jobs (id, owner, engine, submit, output, state, total, touched)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    submit.job,
                    owner,
                    submit.engine,
                    _encode(msgspec.structs.replace(submit, rid=0)),
                    _encode(output),
                    State.QUEUED,
                    total,
                    self._clock(),
                ),
            )
            self._db.executemany(
                "INSERT INTO inputs VALUES (?, ?)",
                [(submit.job, digest) for digest in submit.task.inputs()],
            )
            self._add_event(Status(job=submit.job, seq=1, state=State.QUEUED))
        return True

    def move(
        self, job: str, state: State, error: ErrorInfo | None = None, spent: float = 0.0
    ) -> Status:
        """Set the job's state and tell the event. Entering RUNNING begins a new attempt."""
        with writing(self._db):
            self._db.execute(
                "UPDATE jobs SET state = ?, attempt = attempt + ?, touched = ? WHERE id = ?",
                (state, state is State.RUNNING, self._clock(), job),
            )
            status = Status(
                job=job,
                seq=self._next_seq(job),
                state=state,
                attempt=self._attempt(job),
                error=error,
                spent=spent,
            )
            self._add_event(status)
        return status

    def add_frame(self, job: str, index: int, digest: str, size: int) -> FrameMade | None:
        """Note that a frame is in the store; None if it was noted before."""
        with writing(self._db):
            fresh = self._db.execute(
                "INSERT OR IGNORE INTO frames VALUES (?, ?, ?)", (job, index, digest)
            ).rowcount
            if not fresh:
                return None
            event = FrameMade(
                job=job, seq=self._next_seq(job), index=index, digest=digest, size=size
            )
            self._add_event(event)
        return event

    def add_frames(self, job: str, frames: Sequence[tuple[int, str, int]]) -> list[FrameMade]:
        """Note several at once: index, digest, size of each. None of them was there before."""
        with writing(self._db):
            seq = self._next_seq(job)
            events = [
                FrameMade(job=job, seq=seq + i, index=index, digest=digest, size=size)
                for i, (index, digest, size) in enumerate(frames)
            ]
            for event in events:
                self._db.execute(
                    "INSERT INTO frames VALUES (?, ?, ?)", (job, event.index, event.digest)
                )
                self._add_event(event)
        return events

    def release(self, job: str) -> None:
        """The owner has all its frames: they may be swept."""
        with writing(self._db):
            self._db.execute("UPDATE jobs SET released = 1 WHERE id = ?", (job,))

    def job(self, job: str) -> Job:
        """Raises UnknownJob."""
        row = self._db.execute(
            "SELECT submit, owner, output, state, attempt, total FROM jobs WHERE id = ?", (job,)
        ).fetchone()
        if row is None:
            raise _unknown()
        return Job(
            _submit.decode(row[0]), row[1], _output.decode(row[2]), State(row[3]), row[4], row[5]
        )

    def standing(self, job: str) -> Standing:
        """Raises UnknownJob."""
        row = self._db.execute("SELECT owner, state FROM jobs WHERE id = ?", (job,)).fetchone()
        if row is None:
            raise _unknown()
        return Standing(row[0], State(row[1]))

    def events_after(self, job: str, seq: int) -> list[Status | FrameMade]:
        """The job's events with a number above `seq`, in order."""
        rows = self._db.execute(
            "SELECT message FROM events WHERE job = ? AND seq > ? ORDER BY seq", (job, seq)
        )
        return [_event.decode(row[0]) for row in rows]

    def made(self, job: str) -> set[int]:
        """The indices of the frames that are there."""
        rows = self._db.execute("SELECT number FROM frames WHERE job = ?", (job,))
        return {row[0] for row in rows}

    def waiting(self) -> list[tuple[str, str]]:
        """Owner and id of the queued jobs, first come first."""
        return self._db.execute(
            "SELECT owner, id FROM jobs WHERE state = ? ORDER BY number", (State.QUEUED,)
        ).fetchall()

    def running(self) -> list[str]:
        """The jobs that an ended backend left running."""
        rows = self._db.execute("SELECT id FROM jobs WHERE state = ?", (State.RUNNING,))
        return [row[0] for row in rows]

    def open_jobs(self, owner: str) -> int:
        """How many of the owner's jobs have not ended."""
        row = self._db.execute(
            "SELECT COUNT(*) FROM jobs WHERE owner = ? AND state IN (?, ?)",
            (owner, State.QUEUED, State.RUNNING),
        ).fetchone()
        return row[0]

    def open_of(self, owner: str) -> list[str]:
        """The owner's jobs that have not ended."""
        rows = self._db.execute(
            "SELECT id FROM jobs WHERE owner = ? AND state IN (?, ?)",
            (owner, State.QUEUED, State.RUNNING),
        )
        return [row[0] for row in rows]

    def counts(self) -> dict[State, int]:
        """How many jobs are in each state."""
        rows = dict(self._db.execute("SELECT state, COUNT(*) FROM jobs GROUP BY state").fetchall())
        return {state: rows.get(state, 0) for state in State}

    def summaries(
        self, owners: Sequence[str], names: Mapping[str, str], most: int = 1000
    ) -> tuple[JobSummary, ...]:
        """The newest jobs of those owners, oldest of them first. `names`: of owners, by key."""
        marks = ", ".join("?" * len(owners))
        rows = self._db.execute(
            f"SELECT id, engine, state, total, released, owner,"
            f" (SELECT COUNT(*) FROM frames WHERE frames.job = jobs.id),"
            f" (SELECT MAX(seq) FROM events WHERE events.job = jobs.id)"
            f" FROM jobs WHERE owner IN ({marks}) ORDER BY number DESC LIMIT ?",
            (*owners, most),
        ).fetchall()
        return tuple(self._summary(row, names) for row in reversed(rows))

    def _summary(
        self, row: tuple[str, str, str, int, int, str, int, int], names: Mapping[str, str]
    ) -> JobSummary:
        job, engine, state, total, released, owner, made, last_seq = row
        last = self.events_after(job, last_seq - 1) if state == State.FAILED else []
        return JobSummary(
            job=job,
            engine=engine,
            state=State(state),
            made=made,
            total=total,
            owner=names.get(owner, ""),
            last_seq=last_seq,
            released=bool(released),
            error=_short(last[-1]) if last and isinstance(last[-1], Status) else None,
        )

    def _attempt(self, job: str) -> int:
        row = self._db.execute("SELECT attempt FROM jobs WHERE id = ?", (job,)).fetchone()
        if row is None:
            raise _unknown()
        return row[0]

    def _next_seq(self, job: str) -> int:
        row = self._db.execute("SELECT MAX(seq) FROM events WHERE job = ?", (job,)).fetchone()
        return (row[0] or 0) + 1

    def _add_event(self, event: Status | FrameMade) -> None:
        self._db.execute(
            "INSERT INTO events VALUES (?, ?, ?)", (event.job, event.seq, _encode(event))
        )


def _short(status: Status) -> ErrorInfo | None:
    """The error in few words: a list of a thousand jobs must fit into one header."""
    error = status.error
    return error and ErrorInfo(error.code, error.text[:160], "", error.retryable)


def _unknown() -> UnknownJob:
    return UnknownJob("The backend does not know that job.")
