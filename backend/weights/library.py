# SPDX-License-Identifier: GPL-3.0-or-later
"""The weights on this machine that did not come with the package: where they lie, what they are.

One folder for all backends of a user, named by TWEENCEL_WEIGHTS, else `weights` in the folder of
the user's backend. What is installed under a name is whole: it was moved there in one step.

    weights/NAME/weights.json and files     installed
    weights/.fetching/OFFER/                on its way: kept over a crash, for the next try
    weights/seen.json                       the digests of files when they first arrived
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

import msgspec

from protocol.endpoint import state_folder
from protocol.errors import WeightsFailed, WeightsMissing

from . import lock
from .catalogue import Offer

RECORD = "weights.json"
_SEEN = "seen.json"
_FETCHING = ".fetching"


class Piece(msgspec.Struct, frozen=True, kw_only=True):
    """An installed file."""

    file: str
    size: int
    sha256: str


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """A published file that went into it. `url` is empty for one of the user's own files.

    `promised`: whether its digest was known before it arrived.
    """

    file: str
    url: str
    size: int
    sha256: str
    promised: bool = False


class Installed(msgspec.Struct, frozen=True, kw_only=True):
    """What lies in an installed folder. `agreed`: to which licence. `at`: UTC, ISO 8601."""

    offer: str
    title: str
    agreed: str
    at: str
    files: tuple[Piece, ...]
    origins: tuple[Origin, ...]

    @property
    def size(self) -> int:
        return sum(piece.size for piece in self.files)

    @property
    def sha256(self) -> str:
        """Of the file, if it is one; else over the digests of all."""
        if len(self.files) == 1:
            return self.files[0].sha256
        digests = "\n".join(piece.sha256 for piece in self.files)
        return hashlib.sha256(digests.encode("ascii")).hexdigest()


def root() -> Path:
    """The folder of all weights; it need not be there."""
    chosen = os.environ.get("TWEENCEL_WEIGHTS")
    return Path(chosen) if chosen else state_folder() / "weights"


def installed(gives: str, folder: Path | None = None) -> Installed | None:
    """What is installed under that name, if anything is. It looks at the record only."""
    path = (folder or root()) / gives / RECORD
    try:
        stamp = path.stat()
    except OSError:
        return None
    return _read(path, stamp.st_mtime_ns, stamp.st_size)


def paths(gives: str) -> list[Path]:
    """The files that are installed under that name. Raises WeightsMissing."""
    found = installed(gives)
    if found is None:
        raise WeightsMissing(f"The weights {gives} are not on this machine.")
    return [root() / gives / piece.file for piece in found.files]


def workplace(offer: Offer, folder: Path) -> Path:
    """Where an offer's files are kept while they are on their way."""
    return folder / _FETCHING / offer.name


@contextmanager
def reserved(offer: Offer, folder: Path) -> Generator[None]:
    """Nobody else touches what the offer gives. Raises BackendFailure if somebody does already."""
    with lock.held(folder / _FETCHING / f"{offer.gives}.lock", offer.title):
        yield


def place(ready: Path, gives: str, folder: Path) -> None:
    """Move a folder that is whole to where engines look for it, in the place of an earlier one."""
    target, old = folder / gives, folder / _FETCHING / f"{gives}.old"
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        target.replace(old)
    ready.replace(target)
    shutil.rmtree(old, ignore_errors=True)


def remove(gives: str, folder: Path) -> bool:
    """Delete what is installed under that name; False if nothing is."""
    target, old = folder / gives, folder / _FETCHING / f"{gives}.old"
    if not target.exists():
        return False
    shutil.rmtree(old, ignore_errors=True)
    old.parent.mkdir(exist_ok=True)
    target.replace(old)  # an engine never sees half of it
    shutil.rmtree(old)
    return True


def require_known(offer: Offer, file: str, sha256: str, folder: Path) -> None:
    """Remember a file's digest. Raises WeightsFailed if it was another one the last time."""
    seen, name = _read_seen(folder), f"{offer.name}/{file}"
    before = seen.setdefault(name, sha256)
    if before != sha256:
        raise WeightsFailed(
            f"{file} is another file than the one that came first: its sha256 is {sha256[:16]}..., "
            f"that one's was {before[:16]}....",
            fix=f"If its page tells of a new version: `tweencel weights remove {offer.name} "
            "--forget`, then get it again.",
        )
    folder.mkdir(parents=True, exist_ok=True)
    half = folder / f"{_SEEN}.new"
    half.write_bytes(msgspec.json.encode(seen))
    half.replace(folder / _SEEN)


def forget(offer: Offer, folder: Path) -> None:
    """Take the offer's files for unknown ones again, and drop what is on its way."""
    kept = {k: v for k, v in _read_seen(folder).items() if not k.startswith(f"{offer.name}/")}
    if (folder / _SEEN).exists():
        (folder / _SEEN).write_bytes(msgspec.json.encode(kept))
    shutil.rmtree(workplace(offer, folder), ignore_errors=True)


def on_its_way(offer: Offer, folder: Path) -> int:
    """Bytes of the offer that an earlier try has left."""
    there = workplace(offer, folder)
    names = [name for file in offer.files for name in (file.name, f"{file.name}.part")]
    return sum((there / name).stat().st_size for name in names if (there / name).exists())


def _read_seen(folder: Path) -> dict[str, str]:
    try:
        return msgspec.json.decode((folder / _SEEN).read_bytes(), type=dict[str, str])
    except (OSError, ValueError):
        return {}


@lru_cache(maxsize=64)
def _read(path: Path, stamp: int, size: int) -> Installed | None:
    """By its time and size, for it is asked for again and again."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Installed)
    except (OSError, ValueError):
        return None
