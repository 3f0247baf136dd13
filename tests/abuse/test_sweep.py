# SPDX-License-Identifier: GPL-3.0-or-later
"""The sweep of a store that has grown for months, in which the server's loop waits."""

from __future__ import annotations

from pathlib import Path

from backend.database import open_database
from backend.holdings import Holdings
from backend.ledger import Ledger
from backend.runs import Output
from benchmarks.bouts.drawings import digest_of, job_of
from protocol.jobs import State

ME = "1" * 64
_FRAMES = 10
_STEPS = 100


def work_of_a_sweep(folder: Path, jobs: int) -> int:
    """How many hundreds of instructions SQLite needs when that many jobs hold their frames."""
    database = open_database(folder / f"{jobs}.sqlite3")
    ledger, holdings = Ledger(database), Holdings(database)
    with database:
        for number in range(jobs):
            keys = [b"%d %d" % (number, i) for i in range(2)]
            job = job_of(keys, f"{number:032x}", _FRAMES)
            ledger.accept(ME, job, Output(8, "RGBA"))
            for digest in job.task.keys:
                holdings.claim(ME, digest, 100)
            frames = [(i, digest_of(b"%d %d." % (number, i)), 100) for i in range(_FRAMES)]
            for _, digest, size in frames:
                holdings.claim(ME, digest, size)
            ledger.add_frames(job.job, frames)
            ledger.move(job.job, State.DONE)
    steps = [0]

    def count() -> int:
        steps[0] += 1
        return 0

    database.set_progress_handler(count, _STEPS)
    assert holdings.sweep(31 * 86400.0, 2**30).digests == []
    database.set_progress_handler(None, 0)
    database.close()
    return steps[0]


def test_eight_times_the_files_are_not_sixty_times_the_work(tmp_path: Path) -> None:
    assert work_of_a_sweep(tmp_path, 400) < 12 * work_of_a_sweep(tmp_path, 50)
