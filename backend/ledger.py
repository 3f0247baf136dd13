# SPDX-License-Identifier: GPL-3.0-or-later
"""The jobs that were accepted, their states and events, written down before anybody is told.

One connection, used by one thread. Order comes from sequence numbers, never from a clock.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import NamedTuple

import msgspec

from protocol.errors import BackendFailure, ErrorInfo, JobConflict, UnknownJob
from protocol.jobs import State
from protocol.messages import FrameMade, JobSummary, Status, Submit

_SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    submit BLOB NOT NULL,
    state TEXT NOT NULL,
    attempt INTEGER NOT NULL DEFAULT 0,
    total INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS events (
    job TEXT NOT NULL REFERENCES jobs (id),
    seq INTEGER NOT NULL,
    message BLOB NOT NULL,
    PRIMARY KEY (job, seq)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS frames (
    job TEXT NOT NULL REFERENCES jobs (id),
    number INTEGER NOT NULL,
    digest TEXT NOT NULL,
    PRIMARY KEY (job, number)
) WITHOUT ROWID;
PRAGMA user_version = 1;
"""

_encode = msgspec.msgpack.Encoder(order="deterministic").encode
_event = msgspec.msgpack.Decoder(Status | FrameMade)
_submit = msgspec.msgpack.Decoder(Submit)


class Job(NamedTuple):
    """A job as it was accepted, and where it stands. `made` of `total` frames are there."""

    submit: Submit
    state: State
    attempt: int
    made: int
    total: int

    @property
    def id(self) -> str:
        return self.submit.job


class Ledger:
    """The durable list of jobs. Every method has committed when it returns."""

    def __init__(self, path: Path) -> None:
        """Open or make the file. Raises BackendFailure if another backend has it open."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(path, timeout=1.0)
        try:
            # EXCLUSIVE: one backend for one folder, and no shared-memory file
            self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.executescript(_SCHEMA)
        except sqlite3.OperationalError as problem:
            self._db.close()
            raise BackendFailure(
                f"Another backend already works in {path.parent} ({problem}).",
                fix="Use that one, or give this one a folder of its own with --home.",
                retryable=False,
            ) from None

    def close(self) -> None:
        self._db.close()

    def accept(self, submit: Submit) -> bool:
        """Write the job down; False if the very same job was there already.

        Raises JobConflict if its id belongs to another job.
        """
        wanted = msgspec.structs.replace(submit, rid=0)
        known = self._db.execute("SELECT submit FROM jobs WHERE id = ?", (submit.job,)).fetchone()
        if known is not None:
            if _submit.decode(known[0]) != wanted:
                raise JobConflict("Another job has the same id.")
            return False
        with self._db:
            self._db.execute(
                "INSERT INTO jobs (id, submit, state, total) VALUES (?, ?, ?, ?)",
                (submit.job, _encode(wanted), State.QUEUED, len(submit.task.slots())),
            )
            self._add_event(Status(job=submit.job, seq=1, state=State.QUEUED))
        return True

    def move(
        self, job: str, state: State, error: ErrorInfo | None = None, spent: float = 0.0
    ) -> Status:
        """Set the job's state and tell the event. Entering RUNNING begins a new attempt."""
        with self._db:
            self._db.execute(
                "UPDATE jobs SET state = ?, attempt = attempt + ? WHERE id = ?",
                (state, state is State.RUNNING, job),
            )
            attempt = self.job(job).attempt
            status = Status(
                job=job,
                seq=self._next_seq(job),
                state=state,
                attempt=attempt,
                error=error,
                spent=spent,
            )
            self._add_event(status)
        return status

    def add_frame(self, job: str, index: int, digest: str, size: int) -> FrameMade | None:
        """Note that a frame is in the store; None if it was noted before."""
        with self._db:
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

    def job(self, job: str) -> Job:
        """Raises UnknownJob."""
        row = self._db.execute(f"{_SELECT} WHERE id = ?", (job,)).fetchone()
        if row is None:
            raise UnknownJob("The backend does not know that job.")
        return _job(row)

    def events_after(self, job: str, seq: int) -> list[Status | FrameMade]:
        """The job's events with a number above `seq`, in order."""
        rows = self._db.execute(
            "SELECT message FROM events WHERE job = ? AND seq > ? ORDER BY seq", (job, seq)
        )
        return [_event.decode(row[0]) for row in rows]

    def waiting(self) -> list[Job]:
        """The queued jobs, first come first."""
        rows = self._db.execute(f"{_SELECT} WHERE state = ? ORDER BY number", (State.QUEUED,))
        return [_job(row) for row in rows]

    def missing_from(self, job: str) -> int:
        """The index of the first frame that is not there yet."""
        row = self._db.execute(
            "SELECT COUNT(*), COALESCE(MAX(number) + 1, 0) FROM frames WHERE job = ?", (job,)
        ).fetchone()
        return row[1]

    def recover(self) -> list[Status]:
        """After a restart: what was running is queued again. Tells the events."""
        rows = self._db.execute("SELECT id FROM jobs WHERE state = ?", (State.RUNNING,)).fetchall()
        return [self.move(row[0], State.QUEUED) for row in rows]

    def summaries(self, most: int = 1000) -> tuple[JobSummary, ...]:
        """The newest jobs, oldest of them first."""
        rows = self._db.execute(f"{_SELECT} ORDER BY number DESC LIMIT ?", (most,)).fetchall()
        return tuple(
            JobSummary(
                job=job.id,
                engine=job.submit.engine,
                state=job.state,
                made=job.made,
                total=job.total,
            )
            for job in map(_job, reversed(rows))
        )

    def _next_seq(self, job: str) -> int:
        row = self._db.execute("SELECT MAX(seq) FROM events WHERE job = ?", (job,)).fetchone()
        return (row[0] or 0) + 1

    def _add_event(self, event: Status | FrameMade) -> None:
        self._db.execute(
            "INSERT INTO events VALUES (?, ?, ?)", (event.job, event.seq, _encode(event))
        )


_SELECT = """SELECT submit, state, attempt,
    (SELECT COUNT(*) FROM frames WHERE frames.job = jobs.id), total FROM jobs"""


def _job(row: tuple[bytes, str, int, int, int]) -> Job:
    return Job(_submit.decode(row[0]), State(row[1]), row[2], row[3], row[4])
