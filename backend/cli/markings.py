# SPDX-License-Identifier: GPL-3.0-or-later
"""What may move in a still, and how: from options and from a JSON file to regions.

The file holds `{"regions": [{"mask": "falls.png", "motion": "waterfall", "strokes": [{"line":
[[x, y], ...], "speed": 2.5}], "anchors": [[[x, y], ...]], "speed": 1, "period": 0}, ...]}`, or just
`{"strokes": [...], "anchors": [...]}` for the masks of the options. Paths are seen from the file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import dist
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from protocol.closing import Closing, close
from protocol.errors import BadInput, BadParameter, MissingFile
from protocol.jobs import Point, Region, Stroke

_USUAL = 24.0
"""Frames in which a stroke without a speed is the way."""
Points = Annotated[tuple[Point, ...], Meta(min_length=1)]


class _RegionRecord(msgspec.Struct, forbid_unknown_fields=True):
    mask: str
    motion: str = "auto"
    strokes: tuple[Stroke, ...] = ()
    anchors: tuple[Points, ...] = ()
    speed: float = 1.0
    period: float = 0.0


class _MarkingsFile(msgspec.Struct, forbid_unknown_fields=True):
    regions: tuple[_RegionRecord, ...] = ()
    strokes: tuple[Stroke, ...] = ()
    anchors: tuple[Points, ...] = ()


@dataclass(frozen=True)
class Marked:
    """A region whose mask is a file."""

    mask: Path
    motion: str = "auto"
    strokes: tuple[Stroke, ...] = ()
    anchors: tuple[tuple[Point, ...], ...] = ()
    speed: float = 1.0
    period: float = 0.0

    def region(self, digest: str) -> Region:
        return Region(
            mask=digest,
            motion=self.motion,
            strokes=self.strokes,
            anchors=self.anchors,
            speed=self.speed,
            period=self.period,
        )


def marked(
    masks: Sequence[Path],
    strokes: Sequence[str],
    freezes: Sequence[str],
    motion: str,
    file: Path | None,
) -> list[Marked]:
    """The regions of options and file together. Raises MissingFile, BadInput, BadParameter."""
    record = _read(file) if file else _MarkingsFile()
    drawn = (*map(read_stroke, strokes), *record.strokes)
    held = (*map(read_line, freezes), *record.anchors)
    found = [Marked(mask, motion, drawn, held) for mask in masks]
    for region in record.regions:
        assert file is not None
        found.append(
            Marked(
                mask=file.parent / region.mask,
                motion=motion if region.motion == "auto" else region.motion,
                strokes=(*region.strokes, *drawn),
                anchors=(*region.anchors, *held),
                speed=region.speed,
                period=region.period,
            )
        )
    return found


def closed(regions: Sequence[Marked], tolerance: float) -> tuple[list[Marked], Closing | None]:
    """Regions with periods of their own, each a little stretched so that all close together.

    tolerance: percent. None if none has a period. Raises BadParameter if no length will do.
    """
    periods = [region.period for region in regions if region.period]
    if not periods:
        return list(regions), None
    found = close(periods, tolerance)
    if found is None:
        raise BadParameter(
            f"No length closes periods of {', '.join(f'{p:g}' for p in periods)} frames within "
            f"{tolerance:g} %.",
            fix="Allow more with --tolerance, or choose periods that go together.",
        )
    fitted = iter(found.periods)
    return [replace(r, period=next(fitted)) if r.period else r for r in regions], found


def read_stroke(text: str) -> Stroke:
    """`x0,y0,x1,y1[,...][,speed]`: an odd number more is pixels per frame. Raises BadParameter."""
    numbers = _numbers(text, "--stroke", "x0,y0,x1,y1 or x0,y0,x1,y1,speed")
    speed = numbers.pop() if len(numbers) % 2 else 0.0
    line = _points(numbers)
    if len(line) < 2:
        raise BadParameter(f"The stroke {text!r} goes nowhere.", fix="Give two points or more.")
    long = sum(dist((a.x, a.y), (b.x, b.y)) for a, b in pairwise(line))
    return Stroke(line=line, speed=speed or max(long, 0.01) / _USUAL)


def read_line(text: str) -> tuple[Point, ...]:
    """`x,y[,x,y,...]`: a place or a line that stays. Raises BadParameter."""
    numbers = _numbers(text, "--freeze", "x,y or x0,y0,x1,y1")
    if len(numbers) % 2:
        raise BadParameter(f"--freeze {text!r} has half a point.", fix="Give x,y for each.")
    return _points(numbers)


def _numbers(text: str, option: str, form: str) -> list[float]:
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) < 2 or not all(abs(number) <= 1e6 for number in numbers):
        raise BadParameter(f"{option} {text!r} is no row of numbers.", fix=f"Write {form}.")
    return numbers


def _points(numbers: Sequence[float]) -> tuple[Point, ...]:
    return tuple(Point(x, y) for x, y in zip(numbers[::2], numbers[1::2], strict=True))


def _read(file: Path) -> _MarkingsFile:
    try:
        return msgspec.json.decode(file.read_bytes(), type=_MarkingsFile)
    except OSError as problem:
        raise MissingFile(f"{file} cannot be read: {problem.strerror}.") from None
    except msgspec.MsgspecError as problem:
        raise BadInput(
            f"{file} does not hold strokes or regions: {problem}.",
            fix='Write {"strokes": [{"line": [[10, 20], [60, 20]], "speed": 2}]}.',
        ) from None
