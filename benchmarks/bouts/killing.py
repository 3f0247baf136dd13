# SPDX-License-Identifier: GPL-3.0-or-later
"""SIGKILL for the server at random moments, while an artist hands in jobs and fetches frames."""

from __future__ import annotations

import random
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Sequence

from protocol import messages as m
from protocol.jobs import State

from .artist import Artist, JobSeen
from .backend_process import BackendProcess, backend
from .drawings import digest_of, drawing, job_of, name_of, truth
from .finding import Finding, exactly, told

_BATCH = 6
_FRAMES = 8
_BALLAST = 400_000
"""Bytes of every third job's keys: uploads of two pieces, and frames that take a while."""


_LASTS = {"uploading": 0.01, "submitting": 0.005, "following": 0.8, "fetching": 0.005}
"""About how many seconds a step of the artist takes: what the backend does meanwhile differs."""


class _Killer:
    """Kills the server within a random step of the artist and starts it again."""

    def __init__(self, backend: BackendProcess, artist: Artist, dice: random.Random) -> None:
        self.moments: Counter[str] = Counter()
        self._backend = backend
        self._dice = dice
        self._step, self._skip = "", 0
        self._thread: threading.Thread | None = None
        artist.begins = self._passed

    def aim(self, jobs: int) -> None:
        """Choose a moment in the coming batch of so many jobs."""
        times = {"uploading": 2 * jobs, "submitting": jobs, "following": 1, "fetching": jobs}
        self._step = self._dice.choice(tuple(times))
        self._skip = self._dice.randrange(times[self._step])

    def wait(self) -> None:
        """Until it has struck."""
        if self._thread is not None:
            self._thread.join()

    def _passed(self, step: str) -> None:
        if step != self._step:
            return
        self._skip -= 1
        if self._skip < 0:
            self._step = ""
            self.moments[step] += 1
            after = self._dice.uniform(0.0, _LASTS[step])
            self._thread = threading.Thread(target=self._strike, args=(after,))
            self._thread.start()

    def _strike(self, after: float) -> None:
        time.sleep(after)
        self._backend.kill()
        self._backend.start()


def run(kills: int, jobs: int, seed: int = 1) -> list[Finding]:
    """`kills` kills while `jobs` jobs are made."""
    dice = random.Random(seed)
    with backend() as process:
        process.connection()
        artist = Artist(process, patience=1.0)
        killer = _Killer(process, artist, dice)
        seen: list[JobSeen] = []
        wrong: list[str] = []
        batches = max(kills, jobs // _BATCH)
        began = time.monotonic()
        for number in range(batches):
            size = jobs // batches + (number < jobs % batches)
            if number * kills // batches != (number + 1) * kills // batches:
                killer.aim(size)
            made, problems = _make(artist, dice, len(seen), size)
            killer.wait()
            seen += made
            wrong += problems
        spent = time.monotonic() - began
        findings = _judge(process, artist, seen, wrong)
        artist.close()
        moments = ", ".join(f"{n} {what}" for what, n in killer.moments.most_common())
        return [
            exactly("kills of the server", sum(killer.moments.values()), kills),
            told("what the client did at those moments", moments),
            told("the whole, starts included", spent, "s"),
            *findings,
        ]


def _make(
    artist: Artist, dice: random.Random, first: int, count: int
) -> tuple[list[JobSeen], list[str]]:
    """Hand in so many jobs, wait for their end, fetch all frames; what went wrong."""
    seen: list[JobSeen] = []
    keys_of: dict[str, list[bytes]] = {}
    for number in range(first, first + count):
        ballast = _BALLAST if number % 3 == 0 else 0
        keys = [drawing(2 * number + i, ballast=ballast) for i in range(2)]
        for key in keys:
            artist.upload(key)
        submit = job_of(keys, name_of(dice), _FRAMES)
        keys_of[submit.job] = keys
        seen.append(artist.submit(submit))
    wanted = [truth(job.submit, keys_of[job.submit.job]) for job in seen]  # it runs meanwhile
    artist.follow(seen)
    wrong: list[str] = []
    for job, files in zip(seen, wanted, strict=True):
        wrong += _compare(artist, job, files)
        artist.ask(m.Release(rid=0, job=job.submit.job), m.Done)
    return seen, wrong


def _compare(artist: Artist, job: JobSeen, wanted: Sequence[str]) -> list[str]:
    wrong = list(job.wrong)
    if job.ended is not State.DONE:
        wrong.append(f"a job ended as {job.ended}")
    if sorted(job.frames) != list(range(len(wanted))):
        wrong.append(f"a job has the frames {sorted(job.frames)}")
    for index, frame in job.frames.items():
        if digest_of(artist.fetch(frame)) != frame.digest:
            wrong.append("a file is not what its digest says")
        if frame.digest != wanted[index]:
            wrong.append("a frame shows something else")
    return wrong


def _judge(
    process: BackendProcess, artist: Artist, seen: Sequence[JobSeen], wrong: Sequence[str]
) -> list[Finding]:
    again = [JobSeen(job.submit, accepted=True) for job in seen]
    artist.follow(again)
    lost = sum(job.ended is not State.DONE for job in again)
    twice = [text for job in [*seen, *again] for text in job.wrong]
    verified = artist.ask(m.Verify(rid=0), m.Verified)
    assert isinstance(verified, m.Verified)
    process.process.terminate()
    process.process.wait(20)
    with sqlite3.connect(process.home / "ledger.sqlite3") as database:
        integrity = database.execute("PRAGMA integrity_check").fetchone()[0]
        attempts = database.execute("SELECT SUM(attempt) FROM jobs").fetchone()[0]
    database.close()
    return [
        exactly("accepted jobs that are not done", lost, 0),
        exactly("frames or events told twice or out of order", len(twice), 0),
        exactly("other things that went wrong", "; ".join(sorted(set(wrong))) or "none", "none"),
        exactly("files that are damaged or lost", len(verified.damaged + verified.lost), 0),
        exactly(
            "the ledger, asked by protocol and by sqlite", f"{verified.ledger} {integrity}", "ok ok"
        ),
        told("jobs", len(seen)),
        told("frames", sum(len(job.frames) for job in seen)),
        told("attempts that a kill cut short", attempts - len(seen)),
    ]
