# SPDX-License-Identifier: GPL-3.0-or-later
"""A client that asks for much and then does not read for a while: the others must not notice."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence

from protocol import messages as m
from protocol.jobs import State
from protocol.limits import WINDOW

from .artist import Artist, JobSeen
from .backend_process import backend
from .drawings import digest_of, drawing, job_of, name_of, truth
from .finding import Finding, exactly, told
from .line import Line, Silence
from .witness import Witness

_FILES = 4
_SIZE = 6 * 2**20


def run(seconds: float, frames: int, seed: int = 1) -> list[Finding]:
    """It does not read for so long while a job of so many frames is made to which it listens."""
    dice = random.Random(seed)
    files = {digest_of(c): c for c in (dice.randbytes(_SIZE) for _ in range(_FILES))}
    keys = [drawing(dice.getrandbits(40), ballast=40_000) for _ in range(2)]
    with backend() as process:
        artist = Artist(process, queue=10)
        for content in [*files.values(), *keys]:
            artist.upload(content)
        job = artist.submit(job_of(keys, name_of(dice), frames))
        before = process.memory()
        _ask_for_all(artist.line, job, list(files))
        witness = Witness(process)
        time.sleep(seconds)
        seen = witness.end()
        grown = process.memory() - before
        began = time.monotonic()
        waited = _read_what_waits(artist.line, job)
        breaks = artist.breaks
        artist.follow([job])
        right = sum(digest_of(artist.fetch(f)) == f.digest for f in job.frames.values())
        whole = sum(
            artist.fetch(_named(digest, content)) == content for digest, content in files.items()
        )
        spent = time.monotonic() - began
        wanted = truth(job.submit, keys)
        artist.close()
        return [
            told("seconds without reading", seconds),
            told("messages that had waited for it", waited),
            told("times it had to connect and greet anew", artist.breaks - breaks),
            exactly("the job it listens to", str(job.ended), str(State.DONE)),
            exactly("frames of it that it has, with the right bytes", right, frames),
            exactly(
                "they are the right drawings",
                [job.frames[i].digest for i in sorted(job.frames)] == wanted,
                True,
            ),
            exactly("files it had asked for, whole", whole, _FILES),
            exactly("events told twice or out of order", len(job.wrong), 0),
            told("time to catch up, frames fetched", spent, "s"),
            told("memory growth of the server meanwhile", grown, "MiB"),
            *seen.findings(),
        ]


def _named(digest: str, content: bytes) -> m.FrameMade:
    return m.FrameMade(job="", seq=0, index=0, digest=digest, size=len(content))


def _ask_for_all(line: Line, job: JobSeen, digests: Sequence[str]) -> None:
    """Subscribe, and ask for twice as many bytes as a client may be owed."""
    line.send(m.Subscribe(rid=0, job=job.submit.job))
    for digest in digests:
        line.send(m.Get(rid=0, digest=digest, offset=0, credit=WINDOW))


def _read_what_waits(line: Line, job: JobSeen) -> int:
    """Note the events among it; how many messages there were."""
    count = 0
    try:
        while True:
            message, _ = line.receive(0.5)
            count += 1
            if isinstance(message, m.Status | m.FrameMade):
                job.note(message)
    except Silence:
        return count
