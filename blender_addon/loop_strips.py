# SPDX-License-Identifier: GPL-3.0-or-later
"""The strip on which a loop repeats, for as long as the artist drags it.

An image strip holds its last picture beyond its content, so its content must be as long as it is:
the names of the loop's files stand in it again and again, far more often than they are seen, and
`stretch` adds more when the strip was dragged beyond them, at either end. The file that is saved
has all that is seen in it: without this add-on it looks the same.

Until the first frame has landed a copy of the source is shown, from a folder in the folder.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import bpy

from . import timeline, vse
from .stand_in import stand_in
from .timeline import Label
from .timeline_mark import LOOP, OPEN, is_loop, job_of

_LEAST, _CYCLES = 2000, 3
"""Frames and cycles that are there at least: dragging within them changes nothing."""


class Look(NamedTuple):
    """What the strip is called, and what it looks like in the picture."""

    name: str
    above: int
    """The channel above which it lies."""
    model: str
    """The strip whose place and size in the picture it takes over."""
    colourspace: str
    is_exr: bool


def place(
    scene: bpy.types.Scene,
    look: Look,
    span: range,
    folder: Path,
    names: Sequence[str],
    label: Label,
) -> Any:
    """Make the strip that shows `names` again and again, in the frames of `span`.

    Raises NoRoom, BadImage, MissingFile or DiskFull; then nothing was made.
    """
    level = vse.open_level(scene)
    channel = timeline.free_channel(scene, look.above, span.start, span.stop)
    with stand_in(folder / names[0], folder) as path:  # see timeline.place
        strip = level.strips.new_image(
            name=look.name, filepath=str(path), channel=channel, frame_start=span.start
        )
    strip.directory = timeline.folder_path(folder)
    strip.elements[0].filename = names[0]
    _repeat(strip, names, max(_LEAST, _CYCLES * len(names), 2 * len(span)))
    vse.set_end(strip, span.stop)
    model = level.strips.get(look.model)
    timeline.dress(strip, model, look.colourspace, is_exr=look.is_exr)
    timeline.mark(strip, folder, label, span.start)
    strip[LOOP] = len(names)
    strip.select = False
    return strip


def _repeat(strip: Any, names: Sequence[str], least: int) -> None:
    """Whole cycles, at least that many frames. The strip's first element is there already."""
    cycles = -(-least // len(names))
    for name in (list(names) * cycles)[1:]:
        strip.elements.append(name)


def show(job: str, folder: Path, names: Sequence[str]) -> None:
    """Let the loops of a job show `names`, which lie in the folder."""
    for strip in strips_of(job):
        if strip[LOOP] != len(names):
            continue
        directory = timeline.folder_path(folder)
        if strip.directory != directory:  # see timeline: saving may have moved it
            strip.directory = directory
        _fill(strip, names)


def _fill(strip: Any, names: Sequence[str]) -> None:
    for number, element in enumerate(strip.elements):
        name = names[number % len(names)]
        if element.filename != name:
            element.filename = name


def stretch() -> None:
    """Lengthen the content of loops that were dragged beyond it. Not while the artist drags."""
    for strip in loops():
        first, stop = vse.content(strip)
        before, after = first - vse.begin(strip), vse.end(strip) - stop
        if before > 0 or after > 0:
            _lengthen(strip, max(0, before), max(0, after))


def _lengthen(strip: Any, before: int, after: int) -> None:
    """At least so many frames more at each end, in whole cycles; the handles stay."""
    period = int(strip[LOOP])
    names = [element.filename for element in list(strip.elements)[:period]]
    if len(names) < period:
        return  # the artist cut it (a hard split): what is left is theirs
    begin, end = vse.begin(strip), vse.end(strip)
    first, _ = vse.content(strip)
    # Twice as long as is asked for: the next drag may go further.
    cycles = [-(-2 * more // period) for more in (before, after)]
    for name in names * sum(cycles):
        strip.elements.append(name)
    if cycles[0]:
        vse.put(strip, first - cycles[0] * period)
    vse.set_begin(strip, begin)
    vse.set_end(strip, end)


def settle(job: str) -> None:
    """The job has ended, and its strips show what there is."""
    for strip in strips_of(job):
        if OPEN in strip:
            del strip[OPEN]


def strips_of(job: str) -> Iterator[Any]:
    """The strips that show a job's loop, in whichever scene: copies too."""
    return (strip for strip in loops() if job_of(strip) == job)


def loops() -> Iterator[Any]:
    """Every loop of ours in this file."""
    for scene in bpy.data.scenes:
        editor = scene.sequence_editor
        for strip in editor.strips_all if editor else ():
            if strip.type == "IMAGE" and is_loop(strip):
                yield strip
