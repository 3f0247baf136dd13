# SPDX-License-Identifier: GPL-3.0-or-later
"""Many jobs handed in at once: how fast they are accepted, and what they cost the server."""

from __future__ import annotations

import random
import time

from protocol import messages as m

from .backend_process import backend
from .drawings import digest_of, drawing, job_of, name_of
from .finding import Finding, at_most, exactly, percentile, told
from .line import Line

_UNDER_WAY = 100
_BAR = 10.0


def run(jobs: int, seed: int = 1) -> list[Finding]:
    """So many jobs of four frames; a worker makes them while others are handed in."""
    dice = random.Random(seed)
    keys = [drawing(dice.getrandbits(40)) for _ in range(2)]
    with backend(f"[quota]\nopen_jobs = {jobs + 1}\n") as process:
        line = Line(process.connection().endpoint, patience=60.0)
        for key in keys:
            put = m.Put(digest=digest_of(key), offset=0, size=len(key))
            line.ask(put, m.Stored, key)
        before = process.memory()
        submits = [job_of(keys, name_of(dice), 4, start=i / jobs) for i in range(jobs)]
        began = time.monotonic()
        sent: dict[int, float] = {}
        waits: list[float] = []
        for number in range(jobs + _UNDER_WAY):
            if number < jobs:
                sent[line.send(submits[number])] = time.monotonic()
            if number >= _UNDER_WAY:
                waits.append(_await_one(line, sent))
        spent = time.monotonic() - began
        accepted, peak = len(waits), process.peak()
        listed = line.ask(m.ListJobs(rid=0), m.Jobs).jobs
        done = sum(job.state == "done" for job in listed)
        process.kill()
        process.start()
        line.cut()
        line = Line(process.connection().endpoint)
        kept = {job.job for job in line.ask(m.ListJobs(rid=0), m.Jobs).jobs}
        line.cut()
        return [
            exactly("jobs accepted", accepted, jobs),
            at_most("time for all", spent, _BAR * jobs / 1000, "s", speed=True),
            told("from submit to accepted, median", 1000 * percentile(waits, 0.5), "ms"),
            told("the same, p99", 1000 * percentile(waits, 0.99), "ms"),
            told("of them done by then", done),
            at_most("memory of the server at its highest", peak, 150.0, "MiB"),
            told("of this before the jobs", before, "MiB"),
            exactly("jobs there after a kill", len(kept & {s.job for s in submits}), jobs),
        ]


def _await_one(line: Line, sent: dict[int, float]) -> float:
    while True:
        match line.receive()[0]:
            case m.Accepted(rid=rid):
                return time.monotonic() - sent.pop(rid)
            case m.Error() as refusal:
                raise AssertionError(refusal.error.text)
            case _:
                pass
