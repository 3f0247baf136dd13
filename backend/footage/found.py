# SPDX-License-Identifier: GPL-3.0-or-later
"""The pictures of a run, as files in the order in which they are played."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from protocol.errors import BadInput, MissingFile
from protocol.pictures import PictureInfo, check_same_size, probe

PICTURES = frozenset((".png", ".jpg", ".jpeg", ".exr"))
MOVIES = frozenset((".mp4", ".webm", ".mov", ".mkv", ".avi", ".m4v", ".gif"))
"""What is taken apart frame by frame (movies.unpacked)."""


def is_movie(path: Path) -> bool:
    return path.suffix.lower() in MOVIES


def pictures(source: Path) -> list[Path]:
    """The pictures of a folder, of a pattern (`shot/loop_*.png`), or the one file itself.

    What is numbered comes in the order of its numbers: 2 before 10. Raises MissingFile.
    """
    if source.is_dir():
        found = [p for p in source.iterdir() if p.suffix.lower() in PICTURES and p.is_file()]
        where = f"The folder {source}"
    elif any(sign in source.name for sign in "*?["):
        found = [path for path in source.parent.glob(source.name) if path.is_file()]
        where = f"The pattern {source}"
    elif source.is_file():
        return [source]
    else:
        raise MissingFile(f"There is no file or folder {source}.")
    found = [path for path in found if not path.name.startswith(".")]
    if not found:
        raise MissingFile(f"{where} has no picture.", fix="It looks for PNG, JPEG and EXR files.")
    return sorted(found, key=_natural)


def look_at(files: Sequence[Path]) -> PictureInfo:
    """The first picture's record; all have its size. Raises MissingFile, BadInput, SizeMismatch."""
    infos = [(path.name, _probed(path)) for path in files]
    check_same_size(infos)
    return infos[0][1]


def _probed(path: Path) -> PictureInfo:
    try:
        with path.open("rb") as file:
            return probe(file, path.name)
    except OSError as problem:
        raise MissingFile(f"{path} cannot be read: {problem.strerror}.") from None


def _natural(path: Path) -> list[tuple[int, int, str]]:
    parts = re.split(r"(\d+)", path.name.lower())
    return [(1, int(part), "") if part.isdecimal() else (0, 0, part) for part in parts]


def require_free(path: Path, overwrite: bool) -> None:
    """Raise BadInput if there is a file that shall not be replaced."""
    if path.exists() and not overwrite:
        raise BadInput(f"{path} is already there.", fix="Choose another name, or pass --overwrite.")
