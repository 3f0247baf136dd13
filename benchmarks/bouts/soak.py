# SPDX-License-Identifier: GPL-3.0-or-later
"""Thousands of small jobs, one after the other: what grows with them, by least squares."""

from __future__ import annotations

import os
import random
import time
from typing import NamedTuple

from protocol import messages as m
from protocol.jobs import State

from .artist import Artist
from .backend_process import BackendProcess, backend
from .drawings import digest_of, drawing, job_of, name_of
from .finding import Finding, at_most, exactly, told

_WARM_UP = 0.2
_AT_ONCE = 10
_MEMORY_BAR = 1.0
"""MiB for each 1,000 jobs: a year of 1,000 jobs a day would be 365 MiB."""


class _Sample(NamedTuple):
    """Taken after so many `jobs`. Memory in MiB, sizes in KiB."""

    jobs: int
    memory: float
    files: int
    database: float
    log: float


def run(jobs: int, seed: int = 1) -> list[Finding]:
    """So many jobs of two frames: handed in by tens, followed, fetched and released."""
    dice = random.Random(seed)
    with backend(f"[quota]\nopen_jobs = {_AT_ONCE}\n") as process:
        artist = Artist(process, patience=10.0)
        samples: list[_Sample] = []
        done = right = 0
        began = time.monotonic()
        for number in range(0, jobs, _AT_ONCE):
            keys = [drawing(dice.getrandbits(40)) for _ in range(2)]
            for key in keys:
                artist.upload(key)
            batch = [
                artist.submit(job_of(keys, name_of(dice), 2, start=i / _AT_ONCE))
                for i in range(_AT_ONCE)
            ]
            artist.follow(batch)
            for job in batch:
                done += job.ended is State.DONE
                right += all(digest_of(artist.fetch(f)) == f.digest for f in job.frames.values())
                artist.ask(m.Release(rid=0, job=job.submit.job), m.Done)
            if number * 100 // jobs != (number - _AT_ONCE) * 100 // jobs:
                samples.append(_sample(process, number + _AT_ONCE))
        spent = time.monotonic() - began
        swept = artist.ask(m.Collect(rid=0), m.Collected)
        artist.close()
        assert isinstance(swept, m.Collected)
        warm = samples[int(_WARM_UP * len(samples)) :]
        return [
            exactly("jobs done", done, jobs),
            exactly("jobs whose frames had the right bytes", right, jobs),
            told("time for a job", 1000 * spent / jobs, "ms"),
            told("memory at the end", samples[-1].memory, "MiB"),
            at_most(
                "memory growth after the warm-up",
                samples[-1].memory - warm[0].memory,
                max(10.0, _MEMORY_BAR * jobs / 1000),
                "MiB",
            ),
            told("memory, slope a 1,000 jobs", _slope(warm, "memory"), "MiB"),
            at_most("file descriptors, slope a 1,000 jobs", _slope(warm, "files"), 0.05),
            told("ledger, slope a 1,000 jobs", _slope(warm, "database"), "KiB"),
            told("its write-ahead log, slope a 1,000 jobs", _slope(warm, "log"), "KiB"),
            told("its write-ahead log at the end", samples[-1].log, "KiB"),
            told("connections broken", artist.breaks),
        ]


def _sample(process: BackendProcess, jobs: int) -> _Sample:
    ledger = process.home / "ledger.sqlite3"
    sizes = [os.path.getsize(path) / 1024 for path in (ledger, f"{ledger}-wal")]
    return _Sample(jobs, process.memory(), process.files(), *sizes)


def _slope(samples: list[_Sample], of: str) -> float:
    """Growth for 1,000 jobs, by least squares."""
    xs = [sample.jobs / 1000 for sample in samples]
    ys = [float(getattr(sample, of)) for sample in samples]
    middle, height = sum(xs) / len(xs), sum(ys) / len(ys)
    spread = sum((x - middle) ** 2 for x in xs)
    return sum((x - middle) * (y - height) for x, y in zip(xs, ys, strict=True)) / spread
