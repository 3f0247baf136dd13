# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs through the scheduler and a real worker process: engines that behave, and that do not."""

from __future__ import annotations

import select
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from backend.config import Settings
from backend.ledger import Ledger
from backend.local import LocalExecutor
from backend.scheduler import Scheduler
from backend.store import Store
from protocol.errors import (
    BadImage,
    BadParameter,
    MissingInputs,
    NothingToMake,
    SizeMismatch,
    UnknownEngine,
    UnknownJob,
)
from protocol.jobs import Inbetween, State
from protocol.limits import Limits
from protocol.messages import FrameMade, Progress, Status, Submit
from protocol.params import Value

pytestmark = pytest.mark.usefixtures("plugin")
TIMES = (0.2, 0.4, 0.6, 0.8)


class Desk:
    """A scheduler with everything under it, and what it published."""

    def __init__(self, home: Path, keys: list[bytes], **settings: float) -> None:
        self.settings = Settings(home=home, device="cpu", threads=1, **settings)
        self.store = Store(self.settings.store)
        self.ledger = Ledger(self.settings.database)
        self.executor = LocalExecutor(self.store, self.settings)
        self.said: list[Status | FrameMade | Progress] = []
        self.scheduler = Scheduler(
            self.ledger, self.store, self.executor, Limits(), self.said.append
        )
        self.keys = tuple(self.store.add(key) for key in keys[:2])
        self.count = 0

    def submit(self, engine: str = "abusive", **params: Value) -> str:
        self.count += 1
        task = Inbetween(keys=self.keys, gaps=(TIMES,))
        job = f"{self.count:032x}"
        self.scheduler.submit(Submit(rid=1, job=job, engine=engine, params=params, task=task))
        return job

    def pump(self, until: Callable[[], object]) -> None:
        while not until():
            self.scheduler.tick(time.monotonic())
            select.select([self.executor.wake], [], [], 0.05)

    def end_of(self, job: str) -> Status:
        """Wait until the job has ended."""
        self.pump(lambda: self.ledger.job(job).state.ended)
        return [said for said in self.said if isinstance(said, Status) and said.job == job][-1]

    def frames_of(self, job: str) -> list[int]:
        return [said.index for said in self.said if isinstance(said, FrameMade) and said.job == job]

    def close(self) -> None:
        self.executor.close()
        self.ledger.close()


@pytest.fixture
def desk(tmp_path: Path, keys: list[bytes]) -> Iterator[Desk]:
    desk = Desk(tmp_path, keys, cancel_grace=0.5)
    yield desk
    desk.close()


def test_a_job_is_done_frame_by_frame_in_order(desk: Desk) -> None:
    job = desk.submit(level=1.0)
    assert desk.end_of(job).state is State.DONE
    assert desk.frames_of(job) == [0, 1, 2, 3]
    assert any(isinstance(said, Progress) and said.left is not None for said in desk.said)


@pytest.mark.parametrize(
    ("deed", "code", "words"),
    [
        ("raise", "engine_failed", "ZeroDivisionError"),
        ("refuse", "bad_parameter", "too sad"),
        ("memory", "engine_failed", "out of memory"),
        ("segfault", "worker_died", "segmentation fault"),
        ("kill", "worker_died", "killed"),
        ("exit", "worker_died", "exit code 3"),
        ("short", "engine_failed", "1 of 4"),
    ],
)
def test_a_failing_engine_fails_its_job_with_a_sentence_and_the_next_job_runs(
    desk: Desk, deed: str, code: str, words: str
) -> None:
    job = desk.submit(deed=deed)
    end = desk.end_of(job)
    assert end.state is State.FAILED
    assert end.error is not None
    assert end.error.code == code
    assert words in end.error.text
    assert desk.end_of(desk.submit()).state is State.DONE


def test_a_worker_stays_warm_between_jobs(desk: Desk) -> None:
    desk.end_of(desk.submit())
    process = desk.executor._process
    desk.end_of(desk.submit())
    assert desk.executor._process is process


def test_an_idle_worker_ends_and_the_next_job_gets_a_new_one(
    tmp_path: Path, keys: list[bytes]
) -> None:
    desk = Desk(tmp_path, keys, worker_idle=0.0)
    desk.end_of(desk.submit())
    desk.pump(lambda: desk.executor._process is None)
    assert desk.end_of(desk.submit()).state is State.DONE
    desk.close()


def test_cancel_stops_a_job_at_its_next_step_and_no_other(desk: Desk) -> None:
    first, second = desk.submit(deed="slow"), desk.submit()
    desk.pump(lambda: desk.frames_of(first))
    desk.scheduler.cancel(first)
    assert desk.end_of(first).state is State.CANCELLED
    assert len(desk.frames_of(first)) < 4
    assert desk.end_of(second).state is State.DONE


def test_a_waiting_job_is_cancelled_without_ever_running(desk: Desk) -> None:
    first, second = desk.submit(deed="slow"), desk.submit()
    desk.pump(lambda: desk.frames_of(first))
    desk.scheduler.cancel(second)
    assert desk.end_of(second).state is State.CANCELLED
    assert desk.end_of(first).state is State.DONE
    assert desk.frames_of(second) == []


def test_a_hung_engine_is_killed_after_the_grace(desk: Desk) -> None:
    job = desk.submit(deed="hang")
    desk.pump(lambda: desk.frames_of(job) == [0])
    desk.scheduler.cancel(job)
    assert desk.end_of(job).state is State.CANCELLED
    assert desk.end_of(desk.submit()).state is State.DONE


def test_cancelling_an_ended_job_changes_nothing(desk: Desk) -> None:
    job = desk.submit()
    desk.end_of(job)
    desk.scheduler.cancel(job)
    assert desk.ledger.job(job).state is State.DONE
    with pytest.raises(UnknownJob):
        desk.scheduler.cancel("f" * 32)


def test_a_job_goes_on_with_its_next_frame_after_a_restart(
    tmp_path: Path, keys: list[bytes]
) -> None:
    desk = Desk(tmp_path, keys)
    job = desk.submit(deed="slow")
    desk.pump(lambda: len(desk.frames_of(job)) == 2)
    desk.close()

    desk = Desk(tmp_path, keys)
    desk.scheduler.recover()
    assert desk.end_of(job).state is State.DONE
    made = [event for event in desk.ledger.events_after(job, 0) if isinstance(event, FrameMade)]
    assert [event.index for event in made] == [0, 1, 2, 3]
    assert desk.frames_of(job)[0] >= 2
    desk.close()


def test_bad_jobs_are_refused_before_they_are_written_down(desk: Desk, keys: list[bytes]) -> None:
    with pytest.raises(UnknownEngine, match="nobody") as refusal:
        desk.submit("nobody")
    assert "crossfade" in refusal.value.fix
    with pytest.raises(BadParameter):
        desk.submit(level=2.0)
    a, b = desk.keys
    text = desk.store.add(b"not a picture at all")
    wide = desk.store.add(keys[0][:16] + (41).to_bytes(4, "big") + keys[0][20:])
    for pair, gaps, failure in [
        ((a, "0" * 64), TIMES, MissingInputs),
        ((a, b), (), NothingToMake),
        ((a, text), TIMES, BadImage),
        ((a, wide), TIMES, SizeMismatch),
    ]:
        with pytest.raises(failure):
            desk.scheduler.submit(
                Submit(
                    rid=1, job="e" * 32, engine="abusive", task=Inbetween(keys=pair, gaps=(gaps,))
                )
            )
    assert desk.ledger.summaries() == ()
