# SPDX-License-Identifier: GPL-3.0-or-later
"""One published file from one of its mirrors to the disk, over every break of the line.

It knows files, and nothing of what is in them. Half a file lies as `NAME.part` beside
`NAME.part.json`, which says where it came from and stays: a later call goes on from there.
"""

from __future__ import annotations

import hashlib
import http.client
import logging
import os
import re
import shutil
import time
import urllib.error
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from backend.disk import disk_errors
from protocol.errors import DiskFull, WeightsFailed

from .catalogue import File
from .wire import Answer, PastEnd, Refused, open_url

log = logging.getLogger(__name__)
Tell = Callable[[str, int, int], None]
"""Told of each step: phase, bytes done, bytes in all (0: not known). It may raise to stop."""
_PIECE = 2**18
_SAFE = 2**26
"""Bytes after which what was written is forced onto the disk."""
_SPARE = 2**26
"""Bytes that must stay free on the disk."""


@dataclass(frozen=True)
class Patience:
    """How long a mirror is borne with. Times in seconds."""

    stall: float = 30.0
    """Without a byte."""
    window: float = 60.0
    """In which `slowest` bytes each second must arrive on average."""
    slowest: float = 1024.0
    tries: int = 6
    """Of each mirror in a row that bring nothing."""
    wait: float = 1.0
    """Before the second try; it doubles with each."""
    longest: float = 60.0


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """Where a file came from. `sha256` is what the mirror, or our list, promised: may be empty."""

    url: str
    size: int = 0
    sha256: str = ""
    validator: str = ""


class Download:
    """Fetches `file` to `target`."""

    def __init__(
        self, file: File, target: Path, tell: Tell, patience: Patience | None = None
    ) -> None:
        self._file = file
        self._target = target
        self._tell = tell
        self._patience = patience or Patience()
        self._part = target.with_name(target.name + ".part")
        self._note = target.with_name(target.name + ".part.json")
        self._source = _read_note(self._note)
        self._promised = file.sha256 or (self._source.sha256 if self._source else "")
        self._feeders = {self._source.url} if self._source else set[str]()
        """The mirrors whose bytes are in the half."""
        self._why: dict[str, str] = {}

    def run(self) -> Source:
        """Where the file came from, once it is whole, checked, and at its place.

        Raises WeightsFailed, DiskFull, BackendBroken, or what `tell` raises; what is here stays.
        """
        with disk_errors():
            self._target.parent.mkdir(parents=True, exist_ok=True)
            if not self._target.exists():
                self._fetch(list(self._file.urls))
        return self._source or Source(url="")

    def _fetch(self, mirrors: list[str]) -> None:
        idle, peak = 0, self._held
        enough = self._patience.slowest * self._patience.window
        while mirrors:
            url = mirrors[0]
            try:
                self._take_from(url)
                self._check(url)
            except Refused as problem:
                self._note_down(url, problem)
                mirrors.remove(url)
                idle = 0
                continue
            except (OSError, http.client.HTTPException) as problem:
                self._note_down(url, problem)
                slow = isinstance(problem, TooSlow)
            else:
                self._part.replace(self._target)
                return
            # Against the most there ever was: what is dropped and sent again is no progress.
            idle = 0 if self._held >= peak + enough and not slow else idle + 1
            peak = max(peak, self._held)
            if idle >= self._patience.tries * len(mirrors):
                break
            if idle:
                mirrors.append(mirrors.pop(0))
                self._pause(idle)
        raise self._failure()

    # One answer of one mirror -----------------------------------------------------------------

    def _take_from(self, url: str) -> None:
        source = self._source
        if source and source.size and self._held == source.size:
            return  # it was whole when an earlier process ended
        begin = self._held if self._may_go_on(url) else 0
        # With a digest the whole is checked anyhow, and hosts may change their marks for one file.
        same = source is not None and source.url == url and not self._promised
        again = source.validator if source and same else ""
        try:
            with open_url(url, begin, again, self._patience.stall) as answer:
                self._accept(url, answer)
                self._require_room(answer.total - answer.begin)
                self._feeders.add(url)
                self._write(answer)
        except PastEnd:
            if source is None or source.size:
                self._drop()
                raise ConnectionError("it has no such bytes") from None
            # nobody told the size: what is here was all

    def _may_go_on(self, url: str) -> bool:
        """What two mirrors sent is put together only if the whole can be checked."""
        if self._source is None or self._held == 0:
            return False
        same = url == self._source.url and bool(self._source.validator)
        return same or bool(self._promised)

    def _accept(self, url: str, answer: Answer) -> None:
        if answer.total and not self._file.fits(answer.total):
            raise Refused(f"its file has {answer.total} bytes instead of {self._file.size}")
        known = self._source
        if answer.begin and known and known.size and answer.total != known.size:
            self._drop()
            raise Refused("its file has another size than the half that is here")
        if self._promised and answer.sha256 and self._promised != answer.sha256:
            raise Refused("its file is another one (sha256)")
        if answer.begin == 0:
            self._drop()
        self._promised = self._promised or answer.sha256
        self._source = Source(
            url=url, size=answer.total, sha256=self._promised, validator=answer.validator
        )
        _write_whole(self._note, msgspec.json.encode(self._source))

    def _require_room(self, size: int) -> None:
        require_room(self._target.parent, size, self._file.name)

    def _write(self, answer: Answer) -> None:
        pace, held = _Pace(self._patience), answer.begin
        with _Part(self._part) as part:
            while piece := answer.read(_PIECE):
                held += len(piece)
                if held > (answer.total or self._file.most):
                    raise Refused("it sends more than it said")
                part.write(piece)
                pace.arrived(len(piece))
                self._tell("downloading", held, answer.total or self._file.size)
        if held < answer.total:
            raise ConnectionError(f"the line broke after {held} of {answer.total} bytes")

    # The whole --------------------------------------------------------------------------------

    def _check(self, url: str) -> None:
        """Raises Refused if the whole is not what it should be; it is dropped then."""
        if not self._file.fits(self._held):
            size = self._held
            self._drop()
            raise Refused(f"its file has {size} bytes instead of {self._file.size}")
        if not self._promised:
            return
        with disk_errors():  # what cannot be read back is not the mirror's fault
            found = digest_of(self._part, self._tell)
        if found == self._promised:
            return
        mixed = len(self._feeders | {url}) > 1
        self._drop()
        if mixed:  # whose bytes are wrong cannot be seen: begin anew, with this one alone
            raise ConnectionError("what several mirrors sent does not fit together")
        raise Refused("its bytes are not the promised ones (sha256)")

    @property
    def _held(self) -> int:
        try:
            return self._part.stat().st_size
        except FileNotFoundError:
            return 0

    def _drop(self) -> None:
        self._part.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)
        self._source = None
        self._feeders.clear()

    def _note_down(self, url: str, problem: Exception) -> None:
        self._why[url] = _words(problem)
        log.warning("%s: %s", url, self._why[url])

    def _pause(self, idle: int) -> None:
        wait = min(self._patience.longest, self._patience.wait * 2 ** (idle - 1))
        self._tell("waiting for an answer", self._held, self._file.size)
        time.sleep(wait)

    def _failure(self) -> WeightsFailed:
        if not self._file.urls:
            return WeightsFailed(
                f"{self._file.name} cannot be fetched by a program.", fix="Try other weights."
            )
        why = "; ".join(f"{_host(url)}: {words}" for url, words in self._why.items())
        return WeightsFailed(f"{self._file.name} could not be downloaded: {why}.")


class _Part:
    """Half a file. What the disk says is never taken for what a mirror says: DiskFull,
    BackendBroken."""

    def __init__(self, path: Path) -> None:
        with disk_errors():
            self._file = path.open("ab", buffering=0)
        self._unsafe = 0

    def __enter__(self) -> _Part:
        return self

    def __exit__(self, *_: object) -> None:
        with disk_errors(), self._file:
            os.fsync(self._file.fileno())

    def write(self, piece: bytes) -> None:
        with disk_errors():
            view = memoryview(piece)
            while view:
                view = view[self._file.write(view) :]
            self._unsafe += len(piece)
            if self._unsafe > _SAFE:
                self._unsafe = 0
                os.fsync(self._file.fileno())


class TooSlow(TimeoutError):
    """Bytes arrive, but for hours to come."""


class _Pace:
    """Notices a line that is alive and brings nothing."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._since = time.monotonic()
        self._bytes = 0

    def arrived(self, size: int) -> None:
        """Raises TooSlow."""
        self._bytes += size
        spent = time.monotonic() - self._since
        if spent < self._patience.window:
            return
        if self._bytes < self._patience.slowest * spent:
            raise TooSlow(f"only {self._bytes / spent:.0f} bytes a second")
        self._since, self._bytes = time.monotonic(), 0


def require_room(folder: Path, size: int, what: str) -> None:
    """Raises DiskFull if so many bytes more would fill the disk."""
    free = shutil.disk_usage(folder).free
    if size > 0 and free < size + _SPARE:
        raise DiskFull(
            f"{what} needs {size / 1e9:.2f} GB more in {folder}; {free / 1e9:.2f} GB are free.",
            fix="Free some space, or name a folder on a larger disk in TWEENCEL_WEIGHTS.",
        )


def digest_of(path: Path, tell: Tell) -> str:
    """The sha256 of a file, in hex."""
    digest, done, size = hashlib.sha256(), 0, path.stat().st_size
    with path.open("rb") as file:
        while piece := file.read(2**22):
            digest.update(piece)
            done += len(piece)
            tell("checking", done, size)
    return digest.hexdigest()


def _read_note(path: Path) -> Source | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Source)
    except (OSError, ValueError):
        return None


def _write_whole(path: Path, content: bytes) -> None:
    half = path.with_name(path.name + ".new")
    with disk_errors():
        half.write_bytes(content)
        half.replace(path)


def _host(url: str) -> str:
    return re.sub(r"\A\w+://([^/?]*@)?([^/?]*).*", r"\2", url)


def _words(problem: Exception) -> str:
    match problem:
        case urllib.error.HTTPError():
            return f"it answers {problem.code} {problem.reason}"
        case urllib.error.URLError():
            return f"no answer ({problem.reason})"
        case TimeoutError():
            return f"it is silent or too slow ({problem})"
        case http.client.IncompleteRead():
            return "the line broke"
        case _:
            return str(problem) or type(problem).__name__
