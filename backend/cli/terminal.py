# SPDX-License-Identifier: GPL-3.0-or-later
"""How the command line speaks: to people, to machines, and with which exit code it ends."""

from __future__ import annotations

import sys

import msgspec
from rich.console import Console

from protocol.errors import (
    BackendFailure,
    BadInput,
    ProtocolFailure,
    TransferFailure,
    TweencelError,
    UnknownJob,
)

DONE, FAILED, BAD_INPUT, TROUBLE, INTERRUPTED = 0, 1, 2, 3, 130
out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


def print_json(record: object) -> None:
    """One record, one line."""
    sys.stdout.write(msgspec.json.encode(record).decode() + "\n")
    sys.stdout.flush()


def print_problem(problem: TweencelError, *, json: bool) -> None:
    """What happened, then what to do; for machines, one record on stderr."""
    if json:
        sys.stderr.write(msgspec.json.encode(problem.info()).decode() + "\n")
        return
    # soft: a path or an address must stay whole however narrow the terminal is
    err.print(problem.text, style="red", markup=False, soft_wrap=True)
    if problem.fix:
        err.print(problem.fix, markup=False, soft_wrap=True)


def exit_code(problem: TweencelError) -> int:
    match problem:
        case BadInput() | UnknownJob():
            return BAD_INPUT
        case BackendFailure() | ProtocolFailure() | TransferFailure():
            return TROUBLE
        case _:
            return FAILED


def size(count: float) -> str:
    """Bytes for people."""
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if count < 1024:
            return (
                f"{count:.0f} {unit}" if count >= 10 or unit == "bytes" else f"{count:.1f} {unit}"
            )
        count /= 1024
    return f"{count:.1f} TiB"


def duration(seconds: float) -> str:
    """Seconds for people: "41 s", "3 min 20 s", "5 h 12 min", "31 d 4 h"."""
    whole = round(seconds)
    for big, small, length in (("d", "h", 86400), ("h", "min", 3600), ("min", "s", 60)):
        if whole >= length:
            rest = whole % length // {"h": 3600, "min": 60, "s": 1}[small]
            return f"{whole // length} {big} {rest} {small}"
    return f"{whole} s"
