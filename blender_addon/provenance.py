# SPDX-License-Identifier: GPL-3.0-or-later
"""The record that lies beside the frames: where they come from, and how to make them again."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

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


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """What a strip needs of the record to show the frames."""

    job: str
    state: str
    sheet: tuple[Exposed, ...] = ()
    frames: tuple[Frame, ...] = ()


def read(folder: Path) -> Record | None:
    """The record that lies in a folder of frames, if there is one that can be read."""
    try:
        return msgspec.json.decode((folder / PROVENANCE).read_bytes(), type=Record)
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
        "keys": [_key(work, path) for path in order.keys],
        "gaps": [list(times) for times in order.gaps],
        "files": [_key(work, path) for path in order.files],
        "task": msgspec.to_builtins(job.task or order.task),
        "frames": _frames(work),
        **order.facts,
        "software": {"protocol": ".".join(map(str, PROTOCOL_VERSION)), **software},
    }


def _key(work: Work, path: Path) -> dict[str, str]:
    return {"file": _relative(path, work.folder.path), "sha256": work.digests.get(path, "")}


def _frames(work: Work) -> list[dict[str, Any]]:
    task = work.job.task
    if task is None:
        return []
    return [
        {
            "file": work.made[slot.index],
            "gap": slot.gap,
            "t": slot.t,
            "sha256": work.job.made[slot.index].digest,
        }
        for slot in task.slots()
        if slot.index in work.made
    ]


def _relative(path: Path, folder: Path) -> str:
    try:
        return Path(os.path.relpath(path, folder)).as_posix()
    except ValueError:  # another drive
        return path.as_posix()
