# SPDX-License-Identifier: GPL-3.0-or-later
"""A run of pictures as numbered files of one kind."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from backend.imaging import codecs
from protocol.errors import BadInput, MissingFile, TweencelError

from .found import require_free

KINDS = (".png", ".exr")
_DIGITS = 4


def check(pattern: Path) -> None:
    """Raise BadInput unless the name has one row of # for the number."""
    if len(re.findall("#+", pattern.name)) != 1:
        raise BadInput(
            f"{pattern.name} has no place for a frame's number.",
            fix=f"Write it as a row of #: {pattern.stem}_####{pattern.suffix}.",
        )


def name_of(pattern: Path, number: int) -> Path:
    """The file of a frame: the row of # is its number."""
    name = re.sub("#+", lambda row: f"{number:0{len(row.group())}d}", pattern.name)
    return pattern.with_name(name)


def write(
    files: Sequence[Path], to: Path, overwrite: bool, tell: Callable[[int, int], None]
) -> list[Path]:
    """Number the pictures from 1 in a folder, or as a pattern (`loop_####.exr`) says.

    A file that is of the wanted kind is copied byte for byte. PNG from EXR has 16 bits, EXR from
    others is half. Raises BadInput, TweencelError.
    """
    if to.suffix:
        targets = [name_of(to, number) for number in range(1, len(files) + 1)]
    else:
        names = [f"{n:0{_DIGITS}d}{file.suffix.lower()}" for n, file in enumerate(files, 1)]
        targets = [to / name for name in names]
    for target in targets:
        require_free(target, overwrite)
    for done, (file, target) in enumerate(zip(files, targets, strict=True), 1):
        _write(file, target)
        tell(done, len(files))
    return targets


def _write(file: Path, target: Path) -> None:
    half = target.with_name(f".{target.name}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if file.suffix.lower() == target.suffix.lower():
            shutil.copyfile(file, half)
        else:
            half.write_bytes(_converted(file, target.suffix.lower()))
        half.replace(target)
    except FileNotFoundError:
        raise MissingFile(f"There is no file {file}.") from None
    except OSError as problem:
        raise TweencelError(
            f"{target} cannot be written: {problem.strerror}.",
            fix="Free some space, or choose another place.",
        ) from None
    finally:
        half.unlink(missing_ok=True)


def _converted(file: Path, suffix: str) -> bytes:
    picture = codecs.decode(file.read_bytes(), name=file.name)
    if suffix == ".exr":
        return codecs.encode(picture.pixels, 16, picture.channels, "EXR")
    depth = 8 if picture.depth == 8 else 16
    return codecs.encode(picture.pixels, depth, picture.channels)
