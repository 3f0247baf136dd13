# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys that are files already, and keys that must first become files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from protocol.errors import MissingFile

from ..shot import Key, Shot  # noqa: TID252


class Origin(NamedTuple):
    """A key, and what makes its file in a folder; None if it is a file already."""

    key: Key
    make: Callable[[Path], Path] | None = None


def with_origins(shot: Shot, origins: Sequence[Origin]) -> Shot:
    """The shot with these keys, and a `take` if some must be made."""
    shot = replace(shot, keys=tuple(origin.key for origin in origins))
    if all(origin.make is None for origin in origins):
        return shot

    def take(folder: Path) -> Shot:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as problem:
            reason = problem.strerror or problem
            raise MissingFile(f"{folder} cannot be made: {reason}.") from None
        keys = [key if make is None else key._replace(path=make(folder)) for key, make in origins]
        return replace(shot, keys=tuple(keys))

    return replace(shot, take=take)
