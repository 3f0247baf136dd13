# SPDX-License-Identifier: GPL-3.0-or-later
"""Files: reads keys in slices, writes frames whole or not at all, keeps every version apart.

It knows no Blender. Every step is short enough for a drawing program's main thread.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from protocol.errors import (
    BadInput,
    DiskFull,
    ImageTooLarge,
    MissingFile,
    TweencelError,
)
from protocol.limits import Limits
from protocol.pictures import PictureInfo, check_same_size, check_size, probe

SLICE = 512 * 1024
"""Bytes that are read and hashed at a time: 1 to 2 ms."""
PROVENANCE = "tweencel.json"
INPUTS = "inputs"
"""The folder beside the frames for keys, masks and sketches that were made for the job."""
EXPOSED = "exposed"
"""The folder beside the frames with one file for each frame of the timeline."""
VERSION_HOLE = "\0"
"""Stands for the version's number in a folder's name: no name can have it."""
EXR_SUFFIX = ".exr"
_HEADER = 64 * 1024
_SUFFIXES = {"EXR": EXR_SUFFIX, "PNG": ".png", "JPEG": ".jpg"}
FRAME_SUFFIXES = tuple(_SUFFIXES.values())
_ENDS = {".png": b"IEND\xaeB`\x82", ".jpg": b"\xff\xd9"}
"""The last bytes of a whole file."""


def inspect_keys(paths: Sequence[Path], limits: Limits) -> list[PictureInfo]:
    """What the headers of the key drawings say; no pixel is read.

    Raises MissingFile, BadImage, ImageTooLarge or SizeMismatch.
    """
    known: dict[Path, PictureInfo] = {}
    for path in dict.fromkeys(paths):
        known[path] = _inspect(path, limits)
    check_same_size([(path.name, known[path]) for path in paths])
    return [known[path] for path in paths]


def _inspect(path: Path, limits: Limits) -> PictureInfo:
    with reading(path), path.open("rb") as file:
        info = probe(file, path.name)
        size = os.fstat(file.fileno()).st_size
    check_size(info, limits, path.name)
    if size > limits.max_file:
        raise ImageTooLarge(
            f"{path.name} has {size // 2**20} MiB.",
            fix=f"Use files of at most {limits.max_file // 2**20} MiB.",
        )
    return info


def hash_slices(path: Path) -> Iterator[None]:
    """A generator that reads one slice at each step and returns (digest, size) at the end.

    Raises MissingFile.
    """
    state, size = hashlib.sha256(), 0
    with reading(path), path.open("rb") as file:
        while piece := file.read(SLICE):
            state.update(piece)
            size += len(piece)
            yield
    return state.hexdigest(), size


def copy_slices(source: Path, target: Path) -> Iterator[None]:
    """A generator that copies one slice at each step and returns the digest at the end.

    Raises MissingFile or DiskFull.
    """
    state = hashlib.sha256()
    half = target.with_name(f".{target.name}.part")
    with contextlib.ExitStack() as files:
        with reading(source):
            file = files.enter_context(source.open("rb"))
        with writing(target):
            copy = files.enter_context(half.open("wb"))
        while True:
            with reading(source):
                piece = file.read(SLICE)
            if not piece:
                break
            state.update(piece)
            with writing(target):
                copy.write(piece)
            yield
    with writing(target):
        half.replace(target)
    return state.hexdigest()


def written_at(path: Path) -> int:
    """When a file was written, as its file system tells; 0 if that cannot be known."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def set_aside(path: Path) -> None:
    """Give a picture that is not ours another name, so that nothing is painted in vain. A half
    file stays to be overwritten. Raises DiskFull or MissingFile."""
    if not path.is_file():
        return
    with reading(path):
        if not path.read_bytes().endswith(_ENDS.get(path.suffix, b"")):
            return
    number, aside = 1, path.with_stem(f"{path.stem}_painted")
    while aside.exists():
        number += 1
        aside = path.with_stem(f"{path.stem}_painted_{number}")
    with writing(path):
        path.rename(aside)


def read_range(path: Path, offset: int, count: int) -> bytes:
    """`count` bytes from `offset` on. Raises MissingFile, BadInput if the file became shorter."""
    with reading(path), path.open("rb") as file:
        file.seek(offset)
        piece = file.read(count)
    if len(piece) < count:
        raise BadInput(
            f"{path.name} changed while it was being sent.", fix="Generate again when it is saved."
        )
    return piece


class Part:
    """A frame on its way to the disk, under a name that nobody takes for a frame."""

    def __init__(self, folder: Path, digest: str) -> None:
        """Raises DiskFull, or MissingFile if the folder cannot be written."""
        self.path = folder / f".{digest}.part"
        self._digest = digest
        self._state = hashlib.sha256()
        self._start = b""
        with writing(self.path):
            self._file = self.path.open("wb")

    def add(self, piece: bytes) -> None:
        """The next bytes. Raises DiskFull."""
        if len(self._start) < _HEADER:
            self._start += piece[:_HEADER]
        with writing(self.path):
            self._file.write(piece)
        self._state.update(piece)

    def check(self) -> bool:
        """Close the file; whether its bytes are those that the digest promises."""
        with writing(self.path):
            self._file.close()
        return self._state.hexdigest() == self._digest

    def suffix(self) -> str:
        """The file name's ending for what the bytes are. Raises BadImage."""
        return _SUFFIXES[probe(io.BytesIO(self._start), "A frame from the backend").format]

    def land(self, targets: Sequence[Path]) -> None:
        """Give the whole, checked file its names. Raises DiskFull or MissingFile."""
        for target in targets[1:]:
            _copy(self.path, target)
        # No fsync: up to 40 ms on the main thread, for bytes that the backend still holds.
        with writing(targets[0]):
            self.path.replace(targets[0])

    def discard(self) -> None:
        """Leave nothing behind."""
        with contextlib.suppress(OSError):
            self._file.close()
        with contextlib.suppress(OSError):
            self.path.unlink()


class Folder:
    """The folder of one job's frames: `NAME_v001`, `NAME_v002`, ... none is ever used twice.

    `name` is that of the frames in it.
    """

    def __init__(self, path: Path, name: str) -> None:
        self.path = path
        self.name = name
        self._kept: list[str] = []
        self._new_parents: list[Path] = []

    @classmethod
    def make(cls, parent: Path, name: str, called: str = "") -> Folder:
        """The next free version. `called`: the folder's name, if not the usual one, with
        VERSION_HOLE where the number goes.

        Raises DiskFull or MissingFile if it cannot be made.
        """
        name = safe_name(name)
        called = called or f"{name}_v{VERSION_HOLE}"
        with writing(parent):
            missing = [one for one in (parent, *parent.parents) if not one.exists()]
            parent.mkdir(parents=True, exist_ok=True)
            names = [entry.name for entry in parent.iterdir()]
            version = 1 + max((_version(entry, called) for entry in names), default=0)
            while True:
                path = parent / called.replace(VERSION_HOLE, f"{version:03d}")
                try:
                    path.mkdir()
                except FileExistsError:
                    version += 1
                    continue
                folder = cls(path, name)
                folder._new_parents = missing
                return folder

    def frame_name(self, drawing: int, suffix: str = ".png") -> str:
        """The file name of the `drawing`-th drawing of the shot, keys counted, from 0."""
        return f"{self.name}_{drawing + 1:04d}{suffix}"

    def keep(self, source: Path, drawing: int) -> str:
        """A copy of a key, byte for byte, where its own place cannot be referred to."""
        name = self.frame_name(drawing, source.suffix.lower())
        with reading(source), source.open("rb"):
            pass
        _copy(source, self.path / name)
        self._kept.append(name)
        return name

    def write_provenance(self, record: Mapping[str, Any]) -> Path:
        """Say beside the frames where they come from. Raises DiskFull."""
        path = self.path / PROVENANCE
        half = path.with_name(f".{PROVENANCE}.part")
        with writing(path):
            half.write_text(_lines(record), "utf-8")
            half.replace(path)
        return path

    def drop(self, name: str) -> None:
        """Remove a file that is of no use."""
        with contextlib.suppress(OSError):
            (self.path / name).unlink()

    def adopt(self, kept: Sequence[str]) -> None:
        """The folder is that of an earlier session's job, with those copies of keys in it."""
        self._kept = list(kept)

    def clear_halves(self) -> None:
        """Remove what an earlier session had not received whole."""
        with contextlib.suppress(OSError):
            for path in self.path.glob(".*.part"):
                path.unlink()

    def discard(self, *, also_parent: bool = False) -> None:
        """Remove what a job without a single frame left, and the folder if it is empty then.

        `also_parent`: the folders around it too, if they were made for this one.
        """
        self.clear_halves()
        for name in (PROVENANCE, *self._kept):
            with contextlib.suppress(OSError):
                (self.path / name).unlink()
        for name in (INPUTS, EXPOSED):
            shutil.rmtree(self.path / name, ignore_errors=True)
        with contextlib.suppress(OSError):
            self.path.rmdir()
            for parent in self._new_parents if also_parent else ():
                parent.rmdir()


def _lines(record: Mapping[str, Any]) -> str:
    """JSON with one line for each entry: json's own indent is ten times slower, and a shot of
    thousands of frames would be felt."""
    entries = [f"  {_json(key)}: {_json(value)}" for key, value in record.items()]
    return "{\n" + ",\n".join(entries) + "\n}\n"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _copy(source: Path, target: Path) -> None:
    half = target.with_name(f".{target.name}.part")
    with writing(target):
        shutil.copyfile(source, half)
        half.replace(target)


def safe_name(text: str) -> str:
    """A file name that every system takes, from whatever the artist calls the shot."""
    name = re.sub(r"[^\w\-]+", "_", text).strip("_")[:60]
    return name or "shot"


def _version(entry: str, called: str) -> int:
    before, _, after = called.partition(VERSION_HOLE)
    found = re.fullmatch(re.escape(before) + r"(\d{3,6})" + re.escape(after), entry)
    return int(found[1]) if found else 0


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise MissingFile(
            f"{path} is not there.", fix="Relink the strip, or save the drawing again."
        ) from None
    except OSError as problem:
        raise MissingFile(f"{path} cannot be read: {problem.strerror or problem}.") from None


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Within it an OSError becomes DiskFull or MissingFile, which name the path."""
    try:
        yield
    except OSError as problem:
        raise _unwritable(path, problem) from None


def _unwritable(path: Path, problem: OSError) -> TweencelError:
    if problem.errno in (28, 122):  # no space left, over quota
        return DiskFull(f"There is no space left for {path}.")
    return MissingFile(
        f"{path} cannot be written: {problem.strerror or problem}.",
        fix="Choose another output folder in the panel, or allow writing there.",
    )
