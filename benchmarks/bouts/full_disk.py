# SPDX-License-Identifier: GPL-3.0-or-later
"""A disk that is full at every write point: a small tmpfs in a mount namespace of the server.

The free space is set to 0, 4, 8 ... KiB in turn, so that each write of a job's way through the
backend (upload, its settling, acceptance, state, frame, its line in the ledger) is the one that
fails.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from protocol import messages as m
from protocol.errors import DiskFull, TweencelError
from protocol.jobs import State

from .artist import Artist, JobSeen
from .backend_process import BackendProcess, backend
from .drawings import digest_of, drawing, job_of, name_of
from .finding import Finding, exactly, told
from .line import Silence

_SIZE = 32 * 2**20
_PAGE = 4096
_STEPS = 20
_FRAMES = 3
_BALLAST = 30_000
_PATIENCE = 1.5


def why_not() -> str:
    """Why this machine cannot run it, or an empty text."""
    if shutil.which("unshare") is None:
        return "there is no unshare(1)"
    done = subprocess.run(
        [*_namespace(), "mount", "-t", "tmpfs", "none", "/mnt"], check=False, capture_output=True
    )
    return "" if done.returncode == 0 else "this user may not mount a tmpfs"


def run(steps: int, stride: int = 1, seed: int = 1) -> list[Finding]:
    """With 0, 1, 2 ... times `stride` free pages of 4 KiB: a job from upload to last frame.

    Every 20 steps a new server begins: after 4 MB the ledger's log is written over and grows no
    more.
    """
    dice = random.Random(seed)
    tally = _Tally()
    for first in range(0, steps, _STEPS):
        launch = (*_namespace(), "sh", "-c", _MOUNT, "sh")
        with backend(_CONFIG, launch=launch) as process:
            _fill_and_free(
                process,
                dice,
                range(first * stride, min(first + _STEPS, steps) * stride, stride),
                tally,
            )
    outcome = tally.outcome
    return [
        told("times that the disk was full", steps),
        told("what came of the job", ", ".join(f"{n} {w}" for w, n in outcome.most_common())),
        exactly("refusals that were not disk_full", _untyped(outcome), "none"),
        exactly("went wrong", "; ".join(sorted(set(tally.wrong))) or "nothing", "nothing"),
        told("accepted jobs, those handed in again included", tally.accepted),
        told("of these done in the end", tally.done),
        told("ended by disk_full, done when handed in again", tally.told),
        exactly("lost", tally.accepted - tally.done - tally.told, 0),
    ]


@dataclass
class _Tally:
    """What came of the jobs at first, what went wrong, and what came of them in the end."""

    outcome: Counter[str] = field(default_factory=Counter[str])
    wrong: list[str] = field(default_factory=list[str])
    accepted: int = 0
    done: int = 0
    told: int = 0


def _fill_and_free(
    process: BackendProcess, dice: random.Random, pages: range, tally: _Tally
) -> None:
    disk = _Disk(process)
    artist = Artist(process)
    artist.follow([_hand_in(artist, dice)])
    jobs: list[JobSeen] = []
    for free in pages:
        disk.leave(free * _PAGE)
        keys = [drawing(dice.getrandbits(40), ballast=_BALLAST) for _ in range(2)]
        submit = job_of(keys, name_of(dice), _FRAMES)
        tally.outcome[_attempt(artist, keys, submit, jobs)] += 1
        tally.wrong += [f"half a file: {name}" for name in disk.untrue()]
        disk.free()
        problem, job = _again(artist, keys, submit)
        tally.wrong += [problem] if problem else []
        jobs += [job] if job else []
    _judge(artist, jobs, tally)
    verified = artist.ask(m.Verify(rid=0), m.Verified)
    assert isinstance(verified, m.Verified)
    problems = {
        "files are damaged or lost": verified.damaged + verified.lost,
        f"the ledger: {verified.ledger}": verified.ledger != "ok",
        "the server has ended": not process.alive,
        "defects in its log": "Traceback" in process.stderr(),
        "the log goes on with half a line": not disk.log_is_whole(),
    }
    tally.wrong += [text for text, there in problems.items() if there]
    artist.close()


_CONFIG = "worker_idle = 3600\n"
_MOUNT = (
    f'mkdir -p "$TWEENCEL_HOME" && mount -t tmpfs -o size={_SIZE} none "$TWEENCEL_HOME" && '
    'exec "$@"'
)


def _namespace() -> tuple[str, ...]:
    private = ("unshare", "--mount")
    return private if os.geteuid() == 0 else (*private, "--user", "--map-root-user")


class _Disk:
    """The server's home as it sees it, and a file that takes the space."""

    def __init__(self, process: BackendProcess) -> None:
        process.connection()
        self._home = Path(f"/proc/{process.process.pid}/root{process.home}")
        self._ballast = self._home / "ballast"

    def leave(self, size: int) -> None:
        """Fill the disk but for so many bytes."""
        space = os.statvfs(self._home)
        free = space.f_bavail * space.f_frsize
        with self._ballast.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, max(1, free - size))

    def free(self) -> None:
        self._ballast.unlink()

    def untrue(self) -> list[str]:
        """Files of the store that are not what their names say."""
        objects = self._home / "store" / "objects"
        return [
            path.name
            for path in objects.glob("*/*")
            if digest_of(path.read_bytes()) != path.parent.name + path.name
        ]

    def log_is_whole(self) -> bool:
        """Whether the log's last line can be read: it is written again since there is space."""
        text = (self._home / "log" / "backend.jsonl").read_text("utf-8")
        try:
            json.loads(text.splitlines()[-1])
        except (IndexError, ValueError):
            return False
        return text.endswith("\n")


def _hand_in(artist: Artist, dice: random.Random) -> JobSeen:
    keys = [drawing(dice.getrandbits(40)) for _ in range(2)]
    for key in keys:
        artist.upload(key)
    return artist.submit(job_of(keys, name_of(dice), 1))


def _attempt(artist: Artist, keys: list[bytes], submit: m.Submit, jobs: list[JobSeen]) -> str:
    """As far as it goes on a disk that may be full: where it was refused, and how."""
    where = "upload"
    try:
        for key in keys:
            artist.upload(key)
        where = "submit"
        job = artist.submit(submit)
        jobs.append(job)
        where = "frames"
        return _outcome(artist, job)
    except DiskFull:
        return f"{where}: disk_full"
    except TweencelError as problem:
        return f"{where}: {problem.code} ({problem.text})"


def _outcome(artist: Artist, job: JobSeen) -> str:
    """Wait a moment for the job's end; while the disk is full it may just wait."""
    deadline = time.monotonic() + _PATIENCE
    artist.line.send(m.Subscribe(rid=0, job=job.submit.job, after_seq=job.last_seq))
    while job.ended is None and time.monotonic() < deadline:
        try:
            message = artist.line.receive(0.2)[0]
        except Silence:
            continue
        if isinstance(message, m.Status | m.FrameMade) and message.job == job.submit.job:
            job.note(message)
    if job.ended is None:
        return "frames: waits"
    return "frames: done" if job.ended is State.DONE else f"frames: {job.error}"


def _untyped(outcome: Counter[str]) -> str:
    known = ("disk_full", "waits", "done")
    return "; ".join(what for what in outcome if not what.endswith(known)) or "none"


def _again(artist: Artist, keys: list[bytes], submit: m.Submit) -> tuple[str, JobSeen | None]:
    """The same once more with space; what goes wrong, and the job that replaces a failed one."""
    try:
        for key in keys:
            artist.upload(key)
        job = artist.submit(submit)
        artist.follow([job])
        if job.ended is State.DONE:
            return "", None
        fresh = m.Submit(rid=0, job=job.submit.job[::-1], engine="crossfade", task=submit.task)
        job = artist.submit(fresh)
        artist.follow([job])
        return ("" if job.ended is State.DONE else f"again: {job.ended}"), job
    except TweencelError as problem:
        return f"again: {problem.code} ({problem.text})", None


def _judge(artist: Artist, jobs: list[JobSeen], tally: _Tally) -> None:
    """Each accepted job is done in the end, or told its owner that the disk was full."""
    again = [JobSeen(job.submit) for job in jobs]
    artist.follow(again)
    tally.done += sum(job.ended is State.DONE for job in again)
    tally.told += sum(job.error == DiskFull.code for job in again)
    tally.accepted += len(again)
