# SPDX-License-Identifier: GPL-3.0-or-later
"""A well-behaved client in a process of its own: it pings without pause and has jobs made.

`python -m benchmarks.bouts.witness FILE` works until its standard input ends, then prints what it
saw.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import NamedTuple

from protocol import messages as m
from protocol.endpoint import read_connection
from protocol.jobs import State

from .backend_process import ROOT, BackendProcess
from .drawings import drawing, job_of, name_of
from .finding import Finding, at_most, exactly, percentile, told
from .line import Line

_PAUSE = 0.02


class Seen(NamedTuple):
    """What the witness saw. Times in milliseconds."""

    pings: list[float]
    jobs: int
    wrong: list[str]

    def findings(self) -> list[Finding]:
        wrong = "; ".join(self.wrong) or "nothing"
        return [
            told("pings of a well-behaved client", len(self.pings)),
            told("ping, median", percentile(self.pings, 0.5), "ms"),
            at_most("ping, p99", percentile(self.pings, 0.99), 100.0, "ms", speed=True),
            told("ping, slowest", max(self.pings), "ms"),
            Finding("its jobs done meanwhile", str(self.jobs), ">= 1", self.jobs >= 1),
            exactly("what it saw go wrong", wrong, "nothing"),
        ]


class Witness:
    """Runs the process beside a scenario."""

    def __init__(self, backend: BackendProcess) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", __spec__.name, str(backend.file)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            text=True,
        )
        assert self._process.stdout is not None
        self._process.stdout.readline()  # it has begun

    def end(self) -> Seen:
        told, _ = self._process.communicate(timeout=60)
        return Seen(**json.loads(told))


def main() -> None:
    endpoint = read_connection(Path(sys.argv[1])).endpoint
    over = threading.Event()
    seen = Seen([], 0, [])
    made: list[str] = []
    worker = threading.Thread(target=_work, args=(Line(endpoint), over, made, seen.wrong))
    pinger = threading.Thread(target=_ping, args=(Line(endpoint), over, seen))
    print("begun", flush=True)
    for thread in (worker, pinger):
        thread.start()
    sys.stdin.read()
    over.set()
    for thread in (worker, pinger):
        thread.join()
    print(json.dumps(seen._replace(jobs=len(made))._asdict()))


def _ping(line: Line, over: threading.Event, seen: Seen) -> None:
    try:
        while not over.wait(_PAUSE):
            began = time.perf_counter()
            line.ask(m.Ping(rid=0), m.Pong)
            seen.pings.append(1000 * (time.perf_counter() - began))
    except Exception as problem:  # the border of the thread: the scenario judges
        seen.wrong.append(f"ping: {problem!r}")


def _work(line: Line, over: threading.Event, made: list[str], wrong: list[str]) -> None:
    dice = random.Random()
    try:
        while not over.is_set() or not made:
            keys = [drawing(dice.getrandbits(40)) for _ in range(2)]
            for key in keys:
                _put(line, key)
            submit = job_of(keys, name_of(dice), 3)
            line.ask(submit, m.Accepted)
            line.send(m.Subscribe(rid=0, job=submit.job))
            if (end := _end_of(line, submit.job)) is not State.DONE:
                wrong.append(f"a job ended as {end}")
            made.append(submit.job)
            over.wait(0.1)
    except Exception as problem:  # the border of the thread: the scenario judges
        wrong.append(f"work: {problem!r}")


def _put(line: Line, content: bytes) -> None:
    from .drawings import digest_of

    put = m.Put(digest=digest_of(content), offset=0, size=len(content))
    line.ask(put, m.Stored, content)


def _end_of(line: Line, job: str) -> State:
    while True:
        message = line.receive()[0]
        if isinstance(message, m.Status) and message.job == job and message.state.ended:
            return message.state


if __name__ == "__main__":
    main()
