# SPDX-License-Identifier: GPL-3.0-or-later
"""How far each file is on its way, and how much may be under way at once; no sockets, no disks.

Sizes and offsets are in bytes. Both windows hold for a whole connection, not for each file.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from protocol.limits import CHUNK, MAX_CHUNK, WINDOW
from protocol.messages import File, Put, Remainder

MOST_FILES = 1000
"""In one Have."""


class _Known(Enum):
    """What we know of the backend's copy of a file."""

    NOTHING = 0
    ASKED = 1
    MISSING = 2
    STORED = 3
    REFUSED = 4
    """There is no room for it now."""


@dataclass
class _Upload:
    size: int
    known: _Known = _Known.NOTHING
    asked_by: int = 0
    sent: int = 0
    confirmed: int = 0


class Uploads:
    """The files that the backend needs from us."""

    def __init__(self, window: int = WINDOW, chunk: int = CHUNK) -> None:
        self.window = window
        self.chunk = chunk
        self._files: dict[str, _Upload] = {}

    @property
    def under_way(self) -> int:
        """Bytes that were sent and are not confirmed."""
        return sum(file.sent - file.confirmed for file in self._files.values())

    def __contains__(self, digest: str) -> bool:
        return digest in self._files

    def want(self, digest: str, size: int) -> None:
        """See to it that the backend gets this file, or still holds it."""
        self._files.setdefault(digest, _Upload(size))
        self.ask_again([digest])

    def ask(self, rid: int) -> tuple[File, ...]:
        """The files to name in a Have that carries that number; none if nothing is to be asked."""
        fresh = [(d, f) for d, f in self._files.items() if f.known is _Known.NOTHING][:MOST_FILES]
        for _, file in fresh:
            file.known, file.asked_by = _Known.ASKED, rid
        return tuple(File(digest, file.size) for digest, file in fresh)

    def asked(self, rid: int) -> list[str]:
        """The files of the Have with that number, if it is not answered yet."""
        return [d for d, f in self._files.items() if f.known is _Known.ASKED and f.asked_by == rid]

    def answer(self, rid: int, missing: Sequence[Remainder]) -> None:
        """The backend's Missing: what it does not name, it holds."""
        offsets = {remainder.digest: remainder.offset for remainder in missing}
        for digest, file in self._files.items():
            if file.known is _Known.ASKED and file.asked_by == rid:
                offset = offsets.get(digest)
                file.known = _Known.STORED if offset is None else _Known.MISSING
                file.sent = file.confirmed = min(offset or 0, file.size)

    def next_put(self) -> Put | None:
        """The header of the next chunk to send, which then counts as sent; None: wait."""
        room = self.window - self.under_way
        for digest, file in self._files.items():
            size = min(self.chunk, file.size - file.sent)
            if file.known is _Known.MISSING and 0 < size <= room:
                put = Put(digest=digest, offset=file.sent, size=file.size)
                file.sent += size
                return put
        return None

    def granted(self, digest: str, offset: int, rewind: bool) -> None:
        """The backend holds `offset` bytes; with `rewind`, go on from there."""
        file = self._files.get(digest)
        if file is None or file.known is not _Known.MISSING:
            return
        if rewind:
            file.sent = file.confirmed = min(offset, file.size)
        else:
            file.confirmed = max(file.confirmed, min(offset, file.sent))

    def stored(self, digest: str) -> None:
        if file := self._files.get(digest):
            file.known = _Known.STORED
            file.sent = file.confirmed = file.size

    def forget(self, digest: str) -> None:
        self._files.pop(digest, None)

    def refused(self, digest: str) -> None:
        """The backend has no room for the file now: `retry` asks for it again."""
        if file := self._files.get(digest):
            self._files[digest] = _Upload(file.size, _Known.REFUSED)

    def retry(self, digests: Iterable[str]) -> None:
        """Ask for those files again that were refused."""
        for digest in digests:
            file = self._files.get(digest)
            if file is not None and file.known is _Known.REFUSED:
                file.known = _Known.NOTHING

    def ask_again(self, digests: Iterable[str]) -> None:
        """The backend may have swept these files since it stored them."""
        for digest in digests:
            file = self._files.get(digest)
            if file is not None and file.known is _Known.STORED:
                self._files[digest] = _Upload(file.size)

    def begin_again(self) -> None:
        """The connection is new: nothing is under way, and every file is asked for anew."""
        self._files = {digest: _Upload(file.size) for digest, file in self._files.items()}

    def all_stored(self, digests: Iterable[str]) -> bool:
        files = (self._files.get(digest) for digest in digests)
        return all(file is not None and file.known is _Known.STORED for file in files)

    def fraction(self, digests: Iterable[str]) -> float:
        """How much of those files the backend holds, 0..1."""
        files = [file for digest in digests if (file := self._files.get(digest))]
        total = sum(file.size for file in files)
        return sum(file.confirmed for file in files) / total if total else 0.0


class Range(NamedTuple):
    """Bytes of a file to ask for."""

    digest: str
    offset: int
    credit: int


@dataclass
class _Download:
    size: int
    asked: int = 0
    received: int = 0


class Downloads:
    """The files that we want from the backend, fetched in the order in which they were wanted."""

    def __init__(self, window: int = WINDOW, most: int = MAX_CHUNK) -> None:
        self.window = window
        self.most = most
        self.under_way = 0
        """Bytes that were asked for and have not arrived."""
        self._files: dict[str, _Download] = {}
        self._to_ask: dict[str, _Download] = {}
        """Those of which not every byte was asked for, so that thousands cost no search."""
        self._unwanted: dict[str, int] = {}
        """Bytes that will still come of files that nobody wants any more."""

    def __contains__(self, digest: str) -> bool:
        return digest in self._files

    def __len__(self) -> int:
        return len(self._files)

    def want(self, digest: str, size: int) -> None:
        if digest not in self._files:
            self._files[digest] = self._to_ask[digest] = _Download(size)

    def next_range(self) -> Range | None:
        """The next bytes to ask for, which then count as asked for; None: wait."""
        digest = next(iter(self._to_ask), "")
        if not digest:
            return None
        file = self._to_ask[digest]
        credit = min(self.most, file.size - file.asked)
        if credit > self.window - self.under_way:
            return None
        file.asked += credit
        self.under_way += credit
        if file.asked == file.size:
            del self._to_ask[digest]
        return Range(digest, file.asked - credit, credit)

    def arrived(self, digest: str, offset: int, count: int) -> bool:
        """Note bytes that came. False if they are not the next ones of a file we want."""
        file = self._files.get(digest)
        if file is None or offset != file.received or not 0 < count <= file.asked - offset:
            self._let_pass(digest, count)
            return False
        file.received += count
        self.under_way -= count
        return True

    def whole(self, digest: str) -> bool:
        file = self._files.get(digest)
        return file is not None and file.received == file.size

    def forget(self, digest: str) -> None:
        if file := self._files.pop(digest, None):
            self.under_way -= file.asked - file.received
            self._to_ask.pop(digest, None)

    def leave(self, digest: str) -> None:
        """Nobody wants the file any more; what was asked for still comes and is let pass."""
        file = self._files.get(digest)
        self.forget(digest)
        if file is not None and file.asked > file.received:
            self._unwanted[digest] = self._unwanted.get(digest, 0) + file.asked - file.received
            self.under_way += file.asked - file.received

    def from_start(self, digest: str) -> None:
        """What came of this file is worthless."""
        if file := self._files.get(digest):
            self.under_way -= file.asked - file.received
            file.asked = file.received = 0
            self._to_ask[digest] = file

    def begin_again(self) -> None:
        """The connection is new: what was asked for and did not come never will."""
        self.under_way = 0
        self._unwanted.clear()
        for file in self._files.values():
            file.asked = file.received
        self._to_ask = {d: file for d, file in self._files.items() if file.asked < file.size}

    def _let_pass(self, digest: str, count: int) -> None:
        if left := self._unwanted.pop(digest, 0):
            self.under_way -= min(left, count)
            if left > count:
                self._unwanted[digest] = left - count
