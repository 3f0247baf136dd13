# SPDX-License-Identifier: GPL-3.0-or-later
"""The doctor's examinations: of this machine, of the home folder, of the backend if one runs.

Each gives a finding and changes nothing.
"""

from __future__ import annotations

import math
import os
import shutil
import sqlite3
import stat
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from backend.client import connect
from backend.config import Settings
from backend.desk import Desk
from backend.office import Office, Place
from protocol import messages as m
from protocol.errors import BackendNotRunning, TweencelError

from . import weights
from .terminal import size

Verdict = Literal["ok", "warning", "broken"]
_LITTLE, _NOTHING = 2 * 2**30, 200 * 2**20
"""Free bytes on the disk that are a reason to warn, and to call it broken."""


class Finding(msgspec.Struct, frozen=True):
    """What was found out about a subject, and what to do if it is not well."""

    subject: str
    state: Verdict
    text: str
    fix: str = ""


class Running(NamedTuple):
    """Whether a backend runs, and how it is."""

    finding: Finding
    report: m.Report | None = None


def environment(settings: Settings) -> list[Finding]:
    """What a backend needs of this machine."""
    return [
        _python(),
        _torch(settings.device),
        _zeromq(),
        *_weights(),
        _disk(settings.home),
        *_modes(settings),
    ]


def running(settings: Settings) -> Running:
    """Ask the backend that has written the connection file."""
    if not settings.connection.exists():
        return Running(Finding("backend", "ok", "No backend runs for this user."))
    try:
        with connect(settings.connection) as client:
            report = client.ask(m.Survey(rid=0), m.Report)
    except BackendNotRunning as problem:
        return Running(Finding("backend", "warning", problem.text, problem.fix))
    except TweencelError as problem:
        return Running(Finding("backend", "broken", problem.text, problem.fix))
    return Running(Finding("backend", "ok", "A backend runs and answers."), report)


def verify(settings: Settings, backend: Running) -> list[Finding]:
    """Compare all stored files with their digests: through the backend, or without one."""
    try:
        if backend.report is not None:
            with connect(settings.connection) as client:
                return _judge(client.ask(m.Verify(rid=0), m.Verified, math.inf))
        if not settings.database.exists():
            return [Finding("store", "ok", f"{settings.home} holds no jobs yet.")]
        return _judge(_verify_alone(settings))
    except TweencelError as problem:
        return [Finding("store", "broken", problem.text, problem.fix)]
    except sqlite3.DatabaseError as problem:  # so damaged that it cannot even be looked through
        return [_damaged_ledger(str(problem))]


def _verify_alone(settings: Settings) -> m.Verified:
    desk = Desk(settings, lambda event: None)
    try:
        office = Office(desk, settings, Place("", ""))
        office.answer(b"", m.Verify(rid=0), 0)
        while not (ended := office.finished()):
            time.sleep(0.05)
        return ended[0][1]
    finally:
        desk.close()


def _judge(verified: m.Verified) -> list[Finding]:
    findings: list[Finding] = []
    if verified.ledger != "ok":
        findings.append(_damaged_ledger(verified.ledger))
    for word, digests in (("damaged", verified.damaged), ("lost", verified.lost)):
        if digests:
            names = ", ".join(digest[:12] for digest in digests[:5])
            more = f" and {len(digests) - 5} more" if len(digests) > 5 else ""
            count = "1 file is" if len(digests) == 1 else f"{len(digests)} files are"
            text = f"{count} {word}: {names}{more}."
            fix = "Put back a copy of them, or generate those frames again. Check the disk."
            findings.append(Finding("store", "broken", text, fix))
    whole = f"{verified.files} files are true to their names, and the ledger is whole."
    return findings or [Finding("store", "ok", whole)]


def _damaged_ledger(how: str) -> Finding:
    fix = "Stop the backend and put back the last copy of the home folder."
    return Finding("ledger", "broken", f"It is damaged: {how}.", fix)


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    return Finding("python", "ok", version)


def _torch(device: str) -> Finding:
    try:
        import torch

        from backend.models import device as devices

        where = devices.choose(device)
    except ImportError as problem:
        return Finding("torch", "broken", f"It cannot be loaded: {problem}.", "Install it again.")
    except TweencelError as problem:
        return Finding("torch", "broken", problem.text, problem.fix)
    return Finding("torch", "ok", f"{torch.__version__}, device {where}")


def _zeromq() -> Finding:
    import zmq

    text = f"pyzmq {zmq.__version__}, libzmq {zmq.zmq_version()}"
    if not zmq.has("curve"):
        fix = "Install its own wheel: pip install --force-reinstall pyzmq."
        return Finding("zeromq", "broken", f"{text}, without CURVE encryption.", fix)
    return Finding("zeromq", "ok", f"{text}, with CURVE")


def _weights() -> Iterator[Finding]:
    for found in weights.states():
        if found.state.startswith("damaged"):
            yield Finding(f"weights {found.name}", "broken", found.state, "Install tweencel again.")
        elif found.state == "ok":
            yield Finding(f"weights {found.name}", "ok", "They are here.")


def _disk(home: Path) -> Finding:
    there = next(folder for folder in (home, *home.absolute().parents) if folder.exists())
    free = shutil.disk_usage(there).free
    text = f"{size(free)} free for {home}."
    fix = "Free some space, or choose another --home."
    if free < _NOTHING:
        return Finding("disk", "broken", text, fix)
    return Finding("disk", "warning", text, fix) if free < _LITTLE else Finding("disk", "ok", text)


def _modes(settings: Settings) -> Iterator[Finding]:
    """Whether only the owner can read the keys."""
    if os.name != "posix":
        return
    if not settings.home.exists():
        yield Finding("home", "ok", f"{settings.home} is made at the first start.")
        return
    private = [settings.key_file, settings.local_key_file, settings.connection]
    wanted = {settings.home: 0o700, **dict.fromkeys(private, 0o600)}
    wrong = [path for path, mode in wanted.items() if _too_open(path, mode)]
    for path in wrong:
        fix = f"chmod {wanted[path]:o} {path}"
        yield Finding("home", "broken", f"{path} is open to other users.", fix)
    if not wrong:
        yield Finding("home", "ok", f"{settings.home} is open to its owner only.")


def _too_open(path: Path, mode: int) -> bool:
    try:
        return bool(stat.S_IMODE(path.stat().st_mode) & ~mode)
    except FileNotFoundError:
        return False
