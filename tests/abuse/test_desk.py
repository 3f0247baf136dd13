# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs that come at a bad moment, through a backend without a server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.config import Quota, Settings
from backend.desk import Desk
from benchmarks.bouts.drawings import drawing, job_of
from protocol.errors import JobConflict, QuotaExceeded
from protocol.jobs import State

ME = "1" * 64
KEYS = [drawing(1), drawing(2)]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    settings = Settings(home=tmp_path, device="cpu", threads=1, quota=Quota(open_jobs=1))
    desk = Desk(settings, lambda _: None)
    for key in KEYS:
        desk.holdings.claim(ME, desk.store.add(key), len(key))
    yield desk
    desk.close()


def test_a_job_handed_in_twice_is_accepted_twice_though_the_quota_is_used_up(desk: Desk) -> None:
    job = job_of(KEYS, "a" * 32, 2)
    desk.scheduler.submit(ME, job)
    with pytest.raises(QuotaExceeded):
        desk.scheduler.submit(ME, job_of(KEYS, "b" * 32, 2))
    desk.scheduler.submit(ME, job)
    with pytest.raises(JobConflict):
        desk.scheduler.submit(ME, job_of(KEYS, "a" * 32, 3))
    assert desk.ledger.waiting() == [(ME, "a" * 32)]


def test_a_job_whose_engine_has_gone_fails_and_the_next_one_runs(desk: Desk) -> None:
    gone = job_of(KEYS, "a" * 32, 2)
    desk.scheduler.submit(ME, gone)
    desk.ledger._db.execute(
        "UPDATE jobs SET submit = CAST(replace(submit, 'crossfade', 'crossmade') AS BLOB)"
    )
    desk.ledger._db.commit()
    desk.scheduler.tick(1.0)
    assert desk.ledger.standing("a" * 32).state is State.FAILED
    desk.scheduler.submit(ME, job_of(KEYS, "b" * 32, 2))
    desk.scheduler.tick(2.0)
    assert desk.ledger.standing("b" * 32).state is State.RUNNING
