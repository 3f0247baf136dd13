# SPDX-License-Identifier: GPL-3.0-or-later
"""The log: how a line is written, for machines in a file and for people on a terminal, and read.

The file holds one JSON record a line and is replaced when it is full. A line about a job has the
job's id. No key and no pairing string is ever logged.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import BinaryIO

import msgspec

from .config import Log, make_private


class Line(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line. `time` in UTC (ISO 8601), `room` the module that speaks, `trace` of a defect."""

    time: str
    level: str
    room: str
    text: str
    job: str = ""
    trace: str = ""

    def __str__(self) -> str:
        """For people: in local time, with the beginning of the job's id."""
        clock = datetime.fromisoformat(self.time).astimezone().strftime("%Y-%m-%d %H:%M:%S")
        about = f"[{self.job[:8]}] " if self.job else ""
        trace = f"\n{self.trace}" if self.trace else ""
        return f"{clock} {self.level:7} {about}{self.text}{trace}"


_decode = msgspec.json.Decoder(Line).decode


def line_of(record: logging.LogRecord) -> Line:
    when = datetime.fromtimestamp(record.created, UTC)
    trace = logging.Formatter().formatException(record.exc_info) if record.exc_info else ""
    return Line(
        time=when.isoformat(timespec="milliseconds"),
        level=record.levelname.lower(),
        room=record.name.removeprefix("backend."),
        text=record.getMessage().replace("\n", " "),
        job=str(getattr(record, "job", "")),
        trace=trace,
    )


class ForPeople(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return str(line_of(record))


class ForMachines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return msgspec.json.encode(line_of(record)).decode()


class _PrivateFile(RotatingFileHandler):
    """A log file that only its owner may read. A disk that is full does not end what logs."""

    _told = False

    def _open(self) -> io.TextIOWrapper:
        handle = os.open(self.baseFilename, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        return os.fdopen(handle, "a", encoding="utf-8")

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        if not self._told:
            self._told = True
            problem = sys.exc_info()[1]
            sys.stderr.write(f"{self.baseFilename} cannot be written: {problem}\n")


def to_terminal(level: str) -> None:
    """Write to stderr, for people, from now on."""
    handler = logging.StreamHandler()
    handler.setFormatter(ForPeople())
    root = logging.getLogger()
    root.setLevel(level.upper())
    root.addHandler(handler)


def to_file(path: Path, log: Log) -> None:
    """Write to the file too. Raises OSError if it cannot be opened."""
    make_private(path.parent)
    handler = _PrivateFile(path, maxBytes=log.size, backupCount=log.files, encoding="utf-8")
    handler.setFormatter(ForMachines())
    logging.getLogger().addHandler(handler)


class Reader:
    """The lines of a log file that another process writes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        self._half = b""

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def old(self) -> Iterator[Line]:
        """The lines of the files that are full, oldest first."""
        full = self._path.parent.glob(f"{self._path.name}.*")
        numbered = {int(path.suffix[1:]): path for path in full if path.suffix[1:].isdecimal()}
        for _, path in sorted(numbered.items(), reverse=True):
            with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
                yield from filter(None, map(_read, file))

    def news(self) -> Iterator[Line]:
        """The lines of the current file that were not told before."""
        while self._file is not None or self._found():
            replaced = self._replaced()  # asked first: nothing is added to a file that was replaced
            yield from self._rest()
            if not replaced:
                return
            self.close()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
        self._file = None
        self._half = b""

    def _found(self) -> bool:
        try:
            self._file = self._path.open("rb")
        except FileNotFoundError:
            return False
        return True

    def _replaced(self) -> bool:
        assert self._file is not None
        try:
            there = self._path.stat()
        except FileNotFoundError:
            return False
        return there.st_ino != os.fstat(self._file.fileno()).st_ino

    def _rest(self) -> Iterator[Line]:
        assert self._file is not None
        while piece := self._file.readline():
            self._half += piece
            if not piece.endswith(b"\n"):
                return
            line, self._half = _read(self._half), b""
            if line is not None:
                yield line


def _read(text: bytes) -> Line | None:
    """None for a line that a crash or a full disk has cut."""
    try:
        return _decode(text)
    except ValueError:
        return None
