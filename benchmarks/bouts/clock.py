# SPDX-License-Identifier: GPL-3.0-or-later
"""The machine's clock jumps a day forward and two back while jobs wait and run (libfaketime).

Only the wall clock is moved, as an administrator or NTP would move it.
"""

from __future__ import annotations

import random
import time
from pathlib import Path

from protocol import messages as m
from protocol.jobs import State

from .artist import Artist, JobSeen
from .backend_process import backend
from .drawings import drawing, job_of, name_of
from .finding import Finding, exactly, told

_DAY = 86400
_LIBRARIES = (
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
)
_CONFIG = "silence = 20\nworker_idle = 4\ncancel_grace = 4\n"


def why_not() -> str:
    """Why this machine cannot run it, or an empty text."""
    return "" if _library() else "libfaketime is not installed"


def run(jobs: int, seed: int = 1) -> list[Finding]:
    """So many jobs for each jump: handed in before, made after."""
    dice = random.Random(seed)
    moved: list[JobSeen] = []
    with backend(_CONFIG) as process:
        process.kill()  # it was started without the moved clock
        clock = process.home.with_name("clock")
        _jump(clock, 0)
        process.variables |= {
            "LD_PRELOAD": _library(),
            "FAKETIME_TIMESTAMP_FILE": str(clock),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        process.start()
        artist = Artist(process)
        began = time.monotonic()
        for days in (1, -1, 0):
            keys = [drawing(dice.getrandbits(40), ballast=100_000) for _ in range(2)]
            for key in keys:
                artist.upload(key)
            batch = [
                artist.submit(job_of(keys, name_of(dice), 8, start=i / jobs)) for i in range(jobs)
            ]
            _jump(clock, days * _DAY)
            artist.follow(batch)
            moved += batch
        spent = time.monotonic() - began
        listed = [j.job for j in artist.ask(m.ListJobs(rid=0), m.Jobs).jobs]
        worker = artist.ask(m.Survey(rid=0), m.Report).workers[0].pid
        log = _days_of(process.home / "log" / "backend.jsonl")
        time.sleep(6.0)
        after = artist.ask(m.Survey(rid=0), m.Report).workers[0].pid
        artist.close()
        return [
            exactly("the log saw so many different days", len(log), 3),
            exactly("jobs done", sum(job.ended is State.DONE for job in moved), len(moved)),
            exactly("events out of order", sum(len(job.wrong) for job in moved), 0),
            exactly(
                "jobs listed in the order of coming",
                listed == [job.submit.job for job in moved],
                True,
            ),
            exactly("the idle worker was kept over the jumps", worker != 0, True),
            exactly("and ended in its time", after, 0),
            exactly("connections broken by a jump", artist.breaks, 0),
            told("the whole", spent, "s"),
        ]


def _library() -> str:
    return next((path for path in _LIBRARIES if Path(path).exists()), "")


def _jump(clock: Path, seconds: int) -> None:
    """Move the server's wall clock against the true one."""
    half = clock.with_suffix(".half")
    half.write_text(f"{seconds:+d}s\n", "ascii")
    half.replace(clock)


def _days_of(log: Path) -> set[str]:
    """The dates of the log's lines."""
    return {line.split('"time":"')[1][:10] for line in log.read_text("utf-8").splitlines()}
