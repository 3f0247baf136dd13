# SPDX-License-Identifier: GPL-3.0-or-later
"""The record that lies beside the frames: where they come from, and how to make them again."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from protocol.jobs import Inbetween, Task
from protocol.params import Value
from protocol.version import PROTOCOL_VERSION

from .storage import PROVENANCE
from .work import Work


class Exposed(msgspec.Struct, frozen=True):
    """One line of the exposure sheet: as protocol.timing.Exposure."""

    key: int
    t: float
    frame: int
    hold: int


class Frame(msgspec.Struct, frozen=True):
    """An in-between that is there: the `file` beside the record."""

    file: str
    gap: int
    t: float
    sha256: str = ""
    written: int = 0
    """When the file was written (st_mtime_ns); 0 in a record of an earlier release."""


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """What a strip needs of the record to show the frames."""

    job: str
    state: str
    sheet: tuple[Exposed, ...] = ()
    frames: tuple[Frame, ...] = ()


class KeyFile(msgspec.Struct, frozen=True):
    """A key: its file as seen from the record's folder."""

    file: str
    sha256: str = ""
    painted: bool = False
    """A frame of an earlier version that the artist painted over."""


class WeightsUsed(msgspec.Struct, frozen=True):
    sha256: str


class Maker(msgspec.Struct, frozen=True):
    """The engine that made the frames."""

    id: str
    label: str = ""
    version: str = ""
    weights: tuple[WeightsUsed, ...] = ()


class Version(Record, frozen=True, kw_only=True):
    """All that is needed to make the frames again."""

    engine: Maker
    params: dict[str, Value] = {}
    seed: int = 0
    keys: tuple[KeyFile, ...] = ()
    task: Task
    settings: dict[str, Any] = {}
    """The panel's settings as they were; empty in a record of an earlier release."""
    sources: dict[str, Any] = {}
    origin: dict[str, Any] = {}
    """What the artist had selected; likewise."""


def read(folder: Path) -> Record | None:
    """The record that lies in a folder of frames, if there is one that can be read."""
    return _read(folder, Record)


def read_version(folder: Path) -> Version | None:
    """The whole record, if it can be read, says enough and fits together."""
    version = _read(folder, Version)
    return version if version is not None and _fits_together(version) else None


def _fits_together(version: Version) -> bool:
    """Whether the record is as we write them: who changed it by hand may have erred."""
    task = version.task
    if not isinstance(task, Inbetween):
        return True
    return (
        len(task.gaps) == len(task.keys) - 1 == len(version.keys) - 1
        and not all(key.painted for key in version.keys)
        and len(task.masks) in (0, 1, sum(map(len, task.gaps)))
        and all(0 <= line.key < len(task.keys) for line in version.sheet)
        and all(0 <= frame.gap < len(task.gaps) for frame in version.frames)
        and all(Path(frame.file).name == frame.file for frame in version.frames)
    )


_Kind = TypeVar("_Kind", bound=Record)


def _read(folder: Path, kind: type[_Kind]) -> _Kind | None:
    try:
        return msgspec.json.decode((folder / PROVENANCE).read_bytes(), type=kind)
    except (OSError, ValueError, RecursionError):
        return None


def describe(work: Work, software: Mapping[str, str]) -> dict[str, Any]:
    """The record as plain data for JSON. Files are named relative to the frames' folder."""
    job, order = work.job, work.order
    engine = order.engine
    return {
        "tweencel": 1,
        "job": job.id,
        "state": str(job.stage),
        "engine": {
            "id": engine.id,
            "label": engine.label,
            "version": engine.version,
            "licence": engine.licence,
            "weights": [{"name": w.name, "sha256": w.sha256} for w in engine.weights],
        },
        "params": dict(job.params),
        "seed": job.seed,
        "keys": [
            _key(work, path) | ({"painted": True} if path in order.painted else {})
            for path in order.keys
        ],
        "gaps": [list(times) for times in order.gaps],
        "files": [_key(work, path) for path in order.files],
        "task": msgspec.to_builtins(work.whole_task() if job.task else order.task),
        "frames": _frames(work),
        **order.facts,
        "software": {"protocol": ".".join(map(str, PROTOCOL_VERSION)), **software},
    }


def _key(work: Work, path: Path) -> dict[str, str]:
    return {"file": _relative(path, work.folder.path), "sha256": work.digests.get(path, "")}


def _frames(work: Work) -> list[dict[str, Any]]:
    made = {work.slot_of(index): made.digest for index, made in work.job.made.items()}
    digests = made | work.reused
    return [
        {
            "file": work.made[slot.index],
            "gap": slot.gap,
            "t": slot.t,
            "sha256": digests[slot.index],
            "written": work.written.get(slot.index, 0),
        }
        for slot in work.order.task.slots()
        if slot.index in work.made
    ]


def _relative(path: Path, folder: Path) -> str:
    try:
        return Path(os.path.relpath(path, folder)).as_posix()
    except ValueError:  # another drive
        return path.as_posix()
