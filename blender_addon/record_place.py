# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the record of a result lies, also after its .blend file was saved elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bpy

from . import provenance
from .storage import EXPOSED
from .timeline_mark import PROVENANCE, job_of


def folder_of(owner: Any) -> Path:
    """Where the frames and the record of a result lie: a strip, an image or an object.

    Blender keeps the paths of files when a .blend file is saved in another folder, but not our
    mark: then the record lies where the files are that are shown.
    """
    marked, *others = dict.fromkeys(_places(owner))
    if others and not _is_of(marked, owner):
        return next((place for place in others if _is_of(place, owner)), marked)
    return marked


def _places(owner: Any) -> Iterator[Path]:
    yield Path(bpy.path.abspath(str(owner.get(PROVENANCE, "")))).parent
    if directory := getattr(owner, "directory", ""):
        yield Path(bpy.path.abspath(directory))
        return
    for image in [image for image in bpy.data.images if job_of(image) == job_of(owner)]:
        run = Path(bpy.path.abspath(image.filepath)).parent
        yield run.parent if run.name == EXPOSED else run


def _is_of(folder: Path, owner: Any) -> bool:
    record = provenance.read(folder)
    return record is not None and record.job == job_of(owner)
