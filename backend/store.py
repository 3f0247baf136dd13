# SPDX-License-Identifier: GPL-3.0-or-later
"""Files named by the sha256 of their bytes: uploads that arrive in pieces, frames that are made.

A file is either whole and true to its name, or it is not there. It knows nothing of jobs.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

from protocol.errors import DigestMismatch, UnknownDigest

from .disk import disk_errors

_REHASH = 1024 * 1024
_CLAIM_WITHIN = 3600.0
"""Seconds after which an added file that nobody claimed may go like any other."""
_DIGEST = re.compile(r"[0-9a-f]{64}")


class _Hasher(Protocol):
    def update(self, data: bytes, /) -> None: ...
    def hexdigest(self) -> str: ...


class Store:
    """A folder of content-addressed files. `add` may be called from any thread."""

    def __init__(self, root: Path) -> None:
        self._objects = root / "objects"
        self._parts = root / "parts"
        for folder in (self._objects, self._parts):
            folder.mkdir(parents=True, exist_ok=True)
        self._uploads: dict[str, _Hasher] = {}
        self._changing = threading.Lock()
        self._unclaimed: dict[str, float] = {}

    def path(self, digest: str) -> Path:
        """Where a file of that digest lies, whether it is there or not."""
        return self._objects / digest[:2] / digest[2:]

    def has(self, digest: str) -> bool:
        return self.path(digest).exists()

    def add(self, content: bytes) -> str:
        """Keep a file for good and tell its digest. Raises DiskFull."""
        digest = hashlib.sha256(content).hexdigest()
        with self._changing:
            self._unclaimed[digest] = time.monotonic()
            if self.has(digest):
                return digest
        part = self._parts / f"{digest}.{os.getpid()}.{threading.get_ident()}"
        with disk_errors():
            try:
                with part.open("wb") as file:
                    file.write(content)
                    _flush(file)
                self._settle(part, digest)
            finally:
                part.unlink(missing_ok=True)
        return digest

    def claimed(self, digest: str) -> None:
        """Somebody holds the added file now: `delete` may be asked for it again."""
        with self._changing:
            self._unclaimed.pop(digest, None)

    def read(self, digest: str, offset: int, count: int) -> bytes:
        """At most `count` bytes from `offset` on. Raises UnknownDigest."""
        try:
            with self.path(digest).open("rb") as file:
                file.seek(offset)
                return file.read(count)
        except FileNotFoundError:
            raise _unknown(digest) from None

    def size(self, digest: str) -> int:
        """Of a whole file, in bytes. Raises UnknownDigest."""
        try:
            return self.path(digest).stat().st_size
        except FileNotFoundError:
            raise _unknown(digest) from None

    def held(self, sender: str, digest: str) -> int:
        """How many bytes of that sender's unfinished upload are there."""
        try:
            return self._part(sender, digest).stat().st_size
        except FileNotFoundError:
            return 0

    def unfinished(self, sender: str) -> tuple[int, int]:
        """How many uploads of that sender are not whole, and how many bytes of them are there."""
        with os.scandir(self._parts) as entries:
            sizes = [e.stat().st_size for e in entries if e.name.endswith(f".{sender[:16]}")]
        return len(sizes), sum(sizes)

    def settle(self, sender: str, digest: str, size: int) -> bool:
        """Whether that sender's upload has all its bytes but was not made whole: then it is now.

        So ends an upload whose backend was killed, or had a full disk, between the two. Raises
        DigestMismatch (the upload starts again from nothing), DiskFull.
        """
        part = self._part(sender, digest)
        if size == 0 or self.held(sender, digest) < size:
            return False
        with disk_errors(), part.open("rb+") as file:
            _flush(file)
        self._finish(part, digest, _hash_of(part))
        return True

    def append(self, sender: str, digest: str, content: bytes, size: int) -> int:
        """Add the next bytes of an upload of `size` bytes; tell how many are there now.

        The last piece makes the file whole: it is then in the store. Senders do not share uploads:
        whoever wants a file here must have it whole. Raises DigestMismatch (the upload starts again
        from nothing), DiskFull.
        """
        part = self._part(sender, digest)
        held = self.held(sender, digest)
        hasher = self._uploads.get(part.name) if held else hashlib.sha256()
        if hasher is None:
            hasher = _hash_of(part)
        with disk_errors():
            try:
                _append(part, content, last=held + len(content) >= size)
            except OSError:
                self._uploads.pop(part.name, None)  # a part of the piece may have been written
                raise
        hasher.update(content)
        self._uploads[part.name] = hasher
        held += len(content)
        if held >= size:
            self._finish(part, digest, hasher)
        return held

    def all(self) -> Iterator[tuple[str, Path]]:
        """Every whole file: its digest and where it lies."""
        for path in self._objects.glob("??/*"):
            digest = path.parent.name + path.name
            if _DIGEST.fullmatch(digest):  # people's file managers leave files of their own
                yield digest, path

    def delete(self, digest: str) -> None:
        """Nobody holds it any more. A file that was added and not yet claimed stays."""
        with disk_errors(), self._changing:
            if self._unclaimed.get(digest, -_CLAIM_WITHIN) < time.monotonic() - _CLAIM_WITHIN:
                self._unclaimed.pop(digest, None)
                self.path(digest).unlink(missing_ok=True)

    def drop_parts(self, before: float) -> None:
        """Give up uploads that were not continued since `before` (seconds since the epoch)."""
        for part in self._parts.iterdir():
            with contextlib.suppress(OSError):
                if part.stat().st_mtime < before:
                    part.unlink()
                    self._uploads.pop(part.name, None)

    def _finish(self, part: Path, digest: str, hasher: _Hasher) -> None:
        self._uploads.pop(part.name, None)
        if hasher.hexdigest() != digest:
            part.unlink(missing_ok=True)
            raise DigestMismatch("A file arrived with other bytes than its digest promises.")
        with disk_errors():
            self._settle(part, digest)

    def _settle(self, part: Path, digest: str) -> None:
        target = self.path(digest)
        if not target.parent.exists():
            target.parent.mkdir(exist_ok=True)
            _flush_folder(self._objects)
        part.replace(target)
        _flush_folder(target.parent)

    def _part(self, sender: str, digest: str) -> Path:
        return self._parts / f"{digest}.{sender[:16]}"


def is_true(digest: str, path: Path) -> bool:
    """Whether the file's bytes are those that its name promises; read at each call."""
    return _hash_of(path).hexdigest() == digest


def _unknown(digest: str) -> UnknownDigest:
    return UnknownDigest(f"The backend holds no file {digest[:12]}...")


def _append(part: Path, content: bytes, *, last: bool) -> None:
    with part.open("ab") as file:
        file.write(content)
        if last:
            _flush(file)


def _hash_of(path: Path) -> _Hasher:
    hasher = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_REHASH):
            hasher.update(piece)
    return hasher


def _flush(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _flush_folder(folder: Path) -> None:
    if os.name != "posix":  # Windows cannot open a folder
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
