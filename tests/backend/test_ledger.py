# SPDX-License-Identifier: GPL-3.0-or-later
"""The ledger: what was accepted is still there, in order, and only once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from backend.database import check, open_database
from backend.ledger import Ledger
from backend.runs import Output
from protocol.errors import BackendFailure, ErrorInfo, JobConflict, UnknownJob
from protocol.jobs import Inbetween, State
from protocol.messages import FrameMade, Status, Submit

A, B = "a" * 64, "b" * 64
ME, OTHER = "1" * 64, "2" * 64
OUTPUT = Output(8, "RGBA")
JOB = "1" * 32


def submit(name: str = "1", engine: str = "crossfade") -> Submit:
    task = Inbetween(keys=(A, B), gaps=((0.25, 0.5),))
    return Submit(rid=1, job=name * 32, engine=engine, task=task)


@contextmanager
def opened(folder: Path) -> Iterator[Ledger]:
    database = open_database(folder / "ledger.sqlite3")
    try:
        yield Ledger(database)
        assert check(database) == "ok"
    finally:
        database.close()


def test_the_same_job_twice_is_one_job(tmp_path: Path) -> None:
    with opened(tmp_path) as ledger:
        assert ledger.accept(ME, submit(), OUTPUT)
        assert not ledger.accept(ME, submit(), OUTPUT)
        assert ledger.waiting() == [(ME, JOB)]


def test_another_job_under_the_same_id_is_a_conflict(tmp_path: Path) -> None:
    with opened(tmp_path) as ledger:
        ledger.accept(ME, submit(), OUTPUT)
        with pytest.raises(JobConflict):
            ledger.accept(ME, submit(engine="rife"), OUTPUT)
        with pytest.raises(JobConflict):
            ledger.accept(OTHER, submit(), OUTPUT)


def test_events_are_numbered_without_gaps_and_survive_a_restart(tmp_path: Path) -> None:
    with opened(tmp_path) as ledger:
        ledger.accept(ME, submit(), OUTPUT)
        ledger.move(JOB, State.RUNNING)
        assert ledger.add_frame(JOB, 0, A, 10) is not None
        assert ledger.add_frame(JOB, 0, B, 10) is None
    with opened(tmp_path) as ledger:
        assert ledger.made(JOB) == {0}
        assert ledger.running() == [JOB]
        assert ledger.move(JOB, State.QUEUED).attempt == 1
        events = ledger.events_after(JOB, 1)
        assert [event.seq for event in events] == [2, 3, 4]
        assert isinstance(events[1], FrameMade)
        assert isinstance(events[2], Status)
        assert ledger.job(JOB).output == OUTPUT


def test_several_frames_are_noted_at_once_in_order(tmp_path: Path) -> None:
    with opened(tmp_path) as ledger:
        ledger.accept(ME, submit(), OUTPUT)
        events = ledger.add_frames(JOB, [(0, A, 10), (1, B, 20)])
        assert [(event.seq, event.index) for event in events] == [(2, 0), (3, 1)]
        assert ledger.events_after(JOB, 1) == events


def test_jobs_wait_in_the_order_in_which_they_came(tmp_path: Path) -> None:
    with opened(tmp_path) as ledger:
        for name in "312":
            ledger.accept(ME, submit(name), OUTPUT)
        ledger.move(JOB, State.FAILED, ErrorInfo("engine_failed", "Ouch."))
        assert [job[0] for _, job in ledger.waiting()] == ["3", "2"]
        summaries = ledger.summaries([ME], {ME: "me"})
        assert [summary.job[0] for summary in summaries] == ["3", "1", "2"]
        assert summaries[1].error == ErrorInfo("engine_failed", "Ouch.")
        assert summaries[1].owner == "me"
        assert summaries[1].last_seq == 2
        assert ledger.summaries([OTHER], {}) == ()
        assert ledger.open_jobs(ME) == 2
        assert ledger.counts()[State.FAILED] == 1


def test_an_unknown_job_is_refused(tmp_path: Path) -> None:
    with opened(tmp_path) as ledger:
        for ask in (ledger.job, ledger.standing, lambda job: ledger.move(job, State.DONE)):
            with pytest.raises(UnknownJob):
                ask("9" * 32)


def test_a_wrong_clock_changes_neither_order_nor_numbers(tmp_path: Path) -> None:
    times = iter([1e9, 1e9 - 86_400, 1e9 + 86_400, 0.0, 5.0])
    database = open_database(tmp_path / "ledger.sqlite3")
    ledger = Ledger(database, clock=lambda: next(times))
    for name in "312":
        ledger.accept(ME, submit(name), OUTPUT)
    ledger.move(JOB, State.RUNNING)
    ledger.move(JOB, State.QUEUED)
    assert [job[0] for _, job in ledger.waiting()] == ["3", "1", "2"]
    assert [event.seq for event in ledger.events_after(JOB, 0)] == [1, 2, 3]
    database.close()


def test_two_backends_cannot_work_in_one_folder(tmp_path: Path) -> None:
    with opened(tmp_path):
        with pytest.raises(BackendFailure, match="Another backend") as refusal:
            open_database(tmp_path / "ledger.sqlite3")
        assert "--home" in refusal.value.fix
