# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys that are files already, and keys that must first become files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from ..shot import Key, Shot  # noqa: TID252
from ..storage import writing  # noqa: TID252


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
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            keys = [
                key if make is None else key._replace(path=make(folder)) for key, make in origins
            ]
        return replace(shot, keys=tuple(keys))

    return replace(shot, take=take)
