# SPDX-License-Identifier: GPL-3.0-or-later
"""The drafts of jobs that make loops, with files for digests. It knows no Blender."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from protocol.jobs import ClipLoop, Region, SeamPlot, StillLoop, Stroke
from protocol.loops import Line

from .work import called

Files = tuple[Path, ...]


class Moving(NamedTuple):
    """A region of a still as protocol.loops.Region, with a file for the digest of its mask."""

    mask: Path
    motion: str
    strokes: tuple[Stroke, ...] = ()
    anchors: tuple[Line, ...] = ()
    speed: float = 1.0
    period: float = 0.0


def still_task(
    still: Path, regions: Sequence[Moving], length: int, *, layer: bool = False
) -> tuple[Files, StillLoop]:
    """The files and the draft of a loop from a still."""
    files, names = called((still, *(region.mask for region in regions)))
    moving = tuple(Region(**{**one._asdict(), "mask": names[one.mask]}) for one in regions)
    return files, StillLoop(still=names[still], regions=moving, length=length, layer=layer)


def clip_task(
    frames: Sequence[Path],
    masks: Sequence[Path],
    length: int,
    *,
    layer: bool = False,
) -> tuple[Files, ClipLoop]:
    """The files and the draft of a loop from a run of frames."""
    files, names = called((*frames, *masks))
    task = ClipLoop(
        frames=tuple(names[frame] for frame in frames),
        masks=tuple(names[mask] for mask in masks),
        length=length,
        layer=layer,
    )
    return files, task


def seam_task(
    frames: Sequence[Path], masks: Sequence[Path], shortest: int, longest: int
) -> tuple[Files, SeamPlot]:
    """The files and the draft of the question what each length of a loop would cost."""
    files, names = called((*frames, *masks))
    task = SeamPlot(
        frames=tuple(names[frame] for frame in frames),
        masks=tuple(names[mask] for mask in masks),
        shortest=shortest,
        longest=longest,
    )
    return files, task
