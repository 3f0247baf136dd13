# SPDX-License-Identifier: GPL-3.0-or-later
"""The ledger: what was accepted is still there, in order, and only once."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.ledger import Ledger
from protocol.errors import BackendFailure, ErrorInfo, JobConflict, UnknownJob
from protocol.jobs import Inbetween, State
from protocol.messages import FrameMade, Status, Submit

A, B = "a" * 64, "b" * 64


def submit(name: str = "1", engine: str = "crossfade") -> Submit:
    task = Inbetween(keys=(A, B), gaps=((0.25, 0.5),))
    return Submit(rid=1, job=name * 32, engine=engine, task=task)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite3"


def test_the_same_job_twice_is_one_job(path: Path) -> None:
    ledger = Ledger(path)
    assert ledger.accept(submit())
    assert not ledger.accept(submit())
    assert [job.id for job in ledger.waiting()] == ["1" * 32]
    ledger.close()


def test_another_job_under_the_same_id_is_a_conflict(path: Path) -> None:
    ledger = Ledger(path)
    ledger.accept(submit())
    with pytest.raises(JobConflict):
        ledger.accept(submit(engine="rife"))
    ledger.close()


def test_events_are_numbered_without_gaps_and_survive_a_restart(path: Path) -> None:
    ledger = Ledger(path)
    ledger.accept(submit())
    ledger.move("1" * 32, State.RUNNING)
    assert ledger.add_frame("1" * 32, 0, A, 10) is not None
    assert ledger.add_frame("1" * 32, 0, B, 10) is None
    ledger.close()

    ledger = Ledger(path)
    assert ledger.missing_from("1" * 32) == 1
    assert [status.state for status in ledger.recover()] == [State.QUEUED]
    events = ledger.events_after("1" * 32, 1)
    assert [event.seq for event in events] == [2, 3, 4]
    assert isinstance(events[1], FrameMade)
    assert isinstance(events[2], Status)
    assert events[2].attempt == 1
    ledger.close()


def test_jobs_wait_in_the_order_in_which_they_came(path: Path) -> None:
    ledger = Ledger(path)
    for name in "312":
        ledger.accept(submit(name))
    ledger.move("1" * 32, State.FAILED, ErrorInfo("engine_failed", "Ouch."))
    assert [job.id[0] for job in ledger.waiting()] == ["3", "2"]
    assert [job.job[0] for job in ledger.summaries()] == ["3", "1", "2"]
    last = ledger.events_after("1" * 32, 1)[-1]
    assert isinstance(last, Status)
    assert last.error == ErrorInfo("engine_failed", "Ouch.")
    ledger.close()


def test_an_unknown_job_is_refused(path: Path) -> None:
    ledger = Ledger(path)
    with pytest.raises(UnknownJob):
        ledger.job("9" * 32)
    ledger.close()


def test_two_backends_cannot_work_in_one_folder(path: Path) -> None:
    ledger = Ledger(path)
    with pytest.raises(BackendFailure, match="Another backend") as refusal:
        Ledger(path)
    assert "--home" in refusal.value.fix
    ledger.close()
