# SPDX-License-Identifier: GPL-3.0-or-later
"""A wall clock that jumps by a day: what is ordered, kept and swept does not follow it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.database import Database, open_database
from backend.holdings import Holdings
from backend.ledger import Ledger
from backend.runs import Output
from benchmarks.bouts.drawings import drawing, job_of
from protocol.jobs import State

ME, DAY = "1" * 64, 86400.0
JUMPS = (0.0, DAY, -DAY, 0.0, -DAY, DAY)
KEYS = [drawing(1), drawing(2)]


class Clock:
    """Seconds since the epoch, as the test sets them."""

    def __init__(self) -> None:
        self.now = 1.7e9

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = open_database(tmp_path / "ledger.sqlite3")
    yield database
    database.close()


def test_jobs_and_events_keep_the_order_in_which_they_came(database: Database) -> None:
    clock = Clock()
    ledger = Ledger(database, clock)
    names = []
    for number, jump in enumerate(JUMPS):
        clock.now = 1.7e9 + jump
        job = job_of(KEYS, f"{number:032x}", 2)
        ledger.accept(ME, job, Output(8, "RGBA"))
        names.append(job.job)
    assert [job for _, job in ledger.waiting()] == names
    first = names[0]
    for jump, state in zip(JUMPS, (State.RUNNING, State.QUEUED) * 3, strict=True):
        clock.now = 1.7e9 + jump
        ledger.move(first, state)
    assert [event.seq for event in ledger.events_after(first, 0)] == list(range(1, 8))
    assert [job.job for job in ledger.summaries([ME], {})] == names


def test_a_sweep_a_day_too_early_or_too_late_takes_nothing_young(database: Database) -> None:
    clock = Clock()
    holdings = Holdings(database, clock)
    for number, jump in enumerate(JUMPS):
        clock.now = 1.7e9 + jump
        holdings.claim(ME, f"{number:064x}", 10)
    for jump in JUMPS:
        clock.now = 1.7e9 + jump
        assert holdings.sweep(31 * DAY, 10**9).digests == []
    clock.now = 1.7e9 + 33 * DAY
    assert len(holdings.sweep(31 * DAY, 10**9).digests) == len(JUMPS)
