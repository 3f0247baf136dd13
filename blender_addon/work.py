# SPDX-License-Identifier: GPL-3.0-or-later
"""A job with its files on this disk: what was ordered, where the frames go, which have come.

It knows no Blender.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from protocol.engines import EngineSpec
from protocol.params import Value

from .ledger import Job
from .storage import Folder


@dataclass(frozen=True)
class Order:
    """What to generate, and where the frames are to go: into a new folder in `parent`."""

    keys: tuple[Path, ...]
    gaps: tuple[tuple[float, ...], ...]
    engine: EngineSpec
    parent: Path
    name: str = "shot"
    params: Mapping[str, Value] = field(default_factory=dict)
    seed: int = 0
    facts: Mapping[str, Any] = field(default_factory=dict)
    """More for the record beside the frames, such as the exposure sheet."""


@dataclass
class Work:
    """A job with its files. `made` gives the file names of the frames that landed, by index."""

    job: Job
    order: Order
    folder: Folder
    preparing: Iterator[None] | None = None
    digests: dict[Path, str] = field(default_factory=dict)
    made: dict[int, str] = field(default_factory=dict)
    found: dict[int, str] = field(default_factory=dict)
    """Frames that an earlier session left in the folder; they may be whole or not."""

    def key_names(self) -> Iterator[str]:
        """What copies of the keys are called, where there are copies."""
        drawing = 0
        for path, times in zip(self.order.keys, (*self.order.gaps, ()), strict=True):
            yield self.folder.frame_name(drawing, path.suffix.lower())
            drawing += 1 + len(times)

    def name_of(self, index: int, suffix: str = ".png") -> str:
        """The file name of the `index`-th in-between: its number among all drawings, keys too."""
        gaps = self.order.gaps
        before = 0
        for gap, times in enumerate(gaps):
            before += len(times)
            if index < before:
                return self.folder.frame_name(index + gap + 1, suffix)
        raise IndexError(index)
