# SPDX-License-Identifier: GPL-3.0-or-later
"""From files to Blender: the strip on which the in-betweens appear.

Its elements always name files that exist. Elements that were appended through Python have a size
that nobody set (4.5 to 5.2: whatever was in memory), and Blender takes that size for the magenta
picture of a missing file: it may end the program. So a frame is named only when it has landed.

Key frames are the original files, also when they lie in another folder: a strip has one folder for
all elements, but an element may be named `../keys/a.png`, so a key that is painted over is seen at
once. Only where no such name exists (another drive on Windows, more than 255 bytes) a copy is
shown.

When the .blend file is saved elsewhere, Blender takes the folder of the *first* element's file for
the folder of the strip. The first element is therefore a copy of the first key that lies among the
frames; it stands one frame before the strip's start and is trimmed off.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import bpy
import msgspec

from protocol.errors import NoRoom
from protocol.timing import drawings

from . import provenance, vse
from .blend_paths import stored
from .ledger import ENDED, Stage
from .shot import Plan, Shot, keys_of
from .stand_in import stand_in
from .storage import EXR_SUFFIX, Folder
from .storage import PROVENANCE as PROVENANCE_FILE
from .timeline_mark import (
    BEFORE,
    BEGIN,
    ENGINE,
    GENERATED,
    JOB,
    OPEN,
    PROVENANCE,
    VARIATIONS,
    is_loop,
    job_of,
    noted,
)

_LAST_CHANNEL = 128
_LONGEST_NAME = 255
"""Bytes in the file name of a strip's element."""
_COLOUR = "COLOR_05"
_LOOK = ("offset_x", "offset_y", "scale_x", "scale_y", "rotation", "filter")
_MARKS = (JOB, ENGINE, GENERATED, BEGIN, PROVENANCE)
_CROP = ("min_x", "max_x", "min_y", "max_y")


class Label(NamedTuple):
    """What the strip tells about itself."""

    job: str
    engine: str
    generated: str
    """As timeline_mark.GENERATED."""
    variations: str = ""
    """The same for all results of which one is to be picked, or empty."""
    muted: bool = False
    title: str = ""
    """What follows in the strip's name."""


class _Before(msgspec.Struct):
    """What a strip showed before it was made again. `folder`: the directory's whole path."""

    directory: str
    names: list[str]
    marks: dict[str, str | int | bool]
    begin: int
    channel: int
    folder: str = ""


def key_names(shot: Shot, folder: Folder, plan: Plan) -> list[str]:
    """How the elements name the key files. Raises MissingFile or DiskFull if one must be copied."""
    folder.keep(shot.keys[0].path, 0)  # the anchor
    numbers = [number for number, drawing in enumerate(drawings(plan.gaps)) if drawing.is_key]
    return [
        _relative_name(key.path, folder.path) or folder.keep(key.path, number)
        for key, number in zip(keys_of(shot, plan), numbers, strict=True)
    ]


def known_key_names(keys: Sequence[Path], folder: Folder, copies: Sequence[str]) -> list[str]:
    """What key_names gave when the job began; `copies` says what copies are called."""
    return [
        _relative_name(path, folder.path) or copy for path, copy in zip(keys, copies, strict=True)
    ]


def _relative_name(path: Path, folder: Path) -> str:
    try:
        name = Path(os.path.relpath(path, folder)).as_posix()
    except ValueError:  # another drive
        return ""
    return name if len(name.encode()) <= _LONGEST_NAME else ""


def free_channel(scene: bpy.types.Scene, above: int, start: int, stop: int) -> int:
    """The lowest unlocked channel above `above` with nothing in frames start..stop-1.

    Raises NoRoom if there is none.
    """
    return _free_channel(vse.open_level(scene), above, start, stop)


def _free_channel(level: Any, above: int, start: int, stop: int) -> int:
    taken = {s.channel for s in level.strips if vse.begin(s) < stop and vse.end(s) > start}
    for channel in range(above + 1, _LAST_CHANNEL + 1):
        if channel not in taken and not level.channels[channel].lock:
            return channel
    raise NoRoom(
        f"No channel above {above} is free from frame {start} to {stop - 1}.",
        fix="Clear or unlock a channel above the keys.",
    )


def place(
    scene: bpy.types.Scene,
    shot: Shot,
    plan: Plan,
    folder: Folder,
    names: Sequence[str],
    label: Label,
) -> str:
    """Make the strip that shows `names`, one a frame from the plan's start. Gives its name.

    The anchor must be there, see key_names. Raises NoRoom, BadImage, MissingFile or DiskFull;
    then nothing was made.
    """
    level = vse.open_level(scene)
    channel = free_channel(scene, shot.channel, plan.start, plan.end)
    # The operator image_strip_add ends Blender 5.0 in background mode, and its frame arguments
    # changed; this call has not. It decodes its file for the first element's size, whose
    # proportions the thumbnails need: 20 ms and more for a drawing of 1920x1080.
    with stand_in(shot.keys[0].path, folder.path) as path:
        strip = level.strips.new_image(
            name=f"{shot.name} in-betweens{label.title}",
            filepath=str(path),
            channel=channel,
            frame_start=plan.start - 1,
        )
    strip.directory = folder_path(folder.path)
    strip.elements[0].filename = folder.frame_name(0, shot.keys[0].path.suffix.lower())
    for name in names:
        strip.elements.append(name)
    vse.trim_start(strip, 1)
    _dress(strip, level.strips.get(shot.model), shot)
    mark(strip, folder.path, label, plan.start)
    strip.mute = label.muted
    # The keys stay selected, so that the artist can change a number and generate again.
    strip.select = False
    return strip.name


def switch(
    job: str, shot: Shot, plan: Plan, folder: Folder, names: Sequence[str], label: Label
) -> bool:
    """Let the strips that show a job's frames show another version in place of it.

    Their effects, animation and look stay; so does a start that the artist has moved. What was
    shown can come back. Gives whether there is such a strip: one that was cut stays as it is.
    Raises NoRoom if it lies on others and cannot be lifted.
    """
    whole = [strip for strip in strips_of(job) if _is_whole(strip)]
    for strip in whole:
        begin = vse.content_begin(strip)
        before = _Before(
            directory=strip.directory,
            folder=bpy.path.abspath(strip.directory),
            names=[element.filename for element in strip.elements],
            marks={name: strip[name] for name in _MARKS if name in strip},
            begin=begin,
            channel=strip.channel,
        )
        wanted = plan.start - 1 if begin == strip.get(BEGIN, begin) - 1 else begin
        # First: two strips in one place Blender would part in time.
        _lift(strip, wanted, len(names) + 1)
        anchor = folder.frame_name(0, shot.keys[0].path.suffix.lower())
        _refill(strip, folder_path(folder.path), [anchor, *names])
        vse.put(strip, wanted)
        _dress_colours(strip, shot)
        mark(strip, folder.path, label, plan.start)
        strip[BEFORE] = msgspec.json.encode(before).decode()
    return bool(whole)


def revert(job: str) -> str:
    """Let strips that were made again show what they showed before. Gives the job of that."""
    shown = ""
    for strip in [strip for strip in strips_of(job) if BEFORE in strip]:
        before = noted(strip, _Before)
        directory = _directory_of(before) if before else ""
        if before is None or not directory:
            continue  # somebody removed that version
        _refill(strip, directory, before.names)
        vse.put(strip, before.begin)
        strip.channel = before.channel
        for name, value in before.marks.items():
            strip[name] = value
        _forget(strip, BEFORE, OPEN)
        shown = job_of(strip)
    return shown


def _directory_of(before: _Before) -> str:
    """The folder with all files of an earlier version, or an empty text. A .blend file that was
    saved elsewhere meanwhile knows it by its whole path only."""
    whole = folder_path(Path(before.folder)) if before.folder else ""
    for directory in filter(None, (before.directory, whole)):
        folder = Path(bpy.path.abspath(directory))
        if all((folder / name).is_file() for name in set(before.names)):
            return directory
    return ""


def _is_whole(strip: Any) -> bool:
    return len(strip.elements) == len(str(strip.get(GENERATED, ""))) + 1


def _refill(strip: Any, directory: str, names: Sequence[str]) -> None:
    elements = strip.elements
    # Whatever is set stops Blender's rendering ahead, but only after it was set. This changes
    # nothing, so that nothing looks for a file while folder and names do not fit together.
    elements[0].filename = elements[0].filename
    while len(elements) > len(names):
        elements.pop(len(elements) - 1)
    strip.directory = directory
    for element, name in zip(elements, names, strict=False):
        element.filename = name
    for name in names[len(elements) :]:
        elements.append(name)


def _lift(strip: Any, begin: int, frames: int) -> None:
    """Where it is to be, so long, a strip must lie on no other. Raises NoRoom."""
    level = _level_of(strip)
    first, last = vse.content(strip)
    start = begin + vse.begin(strip) - first
    stop = begin + frames + vse.end(strip) - last
    others = [s for s in level.strips if s != strip and s.channel == strip.channel]
    if any(vse.begin(s) < stop and vse.end(s) > start for s in others):
        strip.channel = _free_channel(level, strip.channel, start, stop)


def _level_of(strip: Any) -> Any:
    for level in levels(strip.id_data):
        if any(one == strip for one in level.strips):
            return level
    raise AssertionError("a strip lies on some level")


def show(job: str, names: Sequence[str], deadline: float = math.inf) -> bool:
    """Let the strips of a job show `names`, one a frame.

    Stops at the deadline, in seconds of time.perf_counter; gives whether all are shown.
    """
    for strip in strips_of(job):
        anchored = list(strip.elements)
        if len(anchored) != len(names) + 1:
            continue  # the artist cut it (a hard split): what is left is theirs
        for element, name in zip(anchored[1:], names, strict=True):
            if element.filename != name:
                element.filename = name
                if time.perf_counter() > deadline:
                    return False
    return True


def mend() -> None:
    """Let strips that were saved while their jobs were open show what has landed since.

    For jobs that nobody here follows any more: the record beside the frames knows enough.
    """
    for strip in [strip for strip in _our_strips() if OPEN in strip]:
        if OPEN not in strip:  # a copy, reverted with another
            continue
        folder = Path(bpy.path.abspath(strip.directory))
        record = provenance.read(folder)
        if record is None or record.job != job_of(strip):
            if BEFORE in strip and not folder.is_dir():
                revert(job_of(strip))  # it failed, and a redo has brought it here
            continue
        if BEFORE in strip and record.state in ENDED and record.state != Stage.DONE:
            revert(record.job)
            continue
        _fill(strip, folder, record)
        if record.state in ENDED:
            settle(record.job)


def _fill(strip: Any, folder: Path, record: provenance.Record) -> None:
    elements = list(strip.elements)[1:]
    if len(elements) != sum(line.hold for line in record.sheet):
        return  # the artist cut it
    made = {
        (frame.gap, frame.t): frame.file
        for frame in record.frames
        if (folder / frame.file).is_file()  # see above: a name without a file is dangerous
    }
    position = 0
    for line in record.sheet:
        for element in elements[position : position + line.hold]:
            name = made.get((line.key, line.t), element.filename)
            if element.filename != name:
                element.filename = name
        position += line.hold


def settle(job: str) -> None:
    """The job has ended, and its strips show what there is."""
    for strip in strips_of(job):
        _forget(strip, OPEN, BEFORE)


def _forget(strip: Any, *marks: str) -> None:
    for name in marks:
        if name in strip:
            del strip[name]


def remove(job: str) -> None:
    """Remove the strips of a job that made nothing."""
    for scene in bpy.data.scenes:
        for level in levels(scene):
            for strip in [s for s in level.strips if job_of(s) == job]:
                level.strips.remove(strip)


def strips_of(job: str) -> Iterator[Any]:
    """The strips that show a job's frames, in whichever scene: copies too. They are looked up
    anew each time, because an undo leaves old references dangling."""
    return (strip for strip in _our_strips() if job_of(strip) == job)


def scenes_of(job: str) -> list[Any]:
    """The scenes with a strip that shows a job's frames."""
    return [scene for scene in bpy.data.scenes if any(job_of(s) == job for s in _strips_in(scene))]


def _strips_in(scene: Any) -> Iterator[Any]:
    editor = scene.sequence_editor
    return (s for s in (editor.strips_all if editor else ()) if s.type == "IMAGE")


def _our_strips() -> Iterator[Any]:
    for scene in bpy.data.scenes:
        yield from (strip for strip in _strips_in(scene) if job_of(strip) and not is_loop(strip))


def variations_of(strip: Any) -> list[Any]:
    """The strips of which this is one, the lowest first; empty if it is no variation."""
    group = strip.get(VARIATIONS, "")
    near = _strips_in(strip.id_data) if group else ()  # a copy of the scene has its own
    found = [one for one in near if one.get(VARIATIONS) == group]
    return sorted(found, key=lambda one: one.channel)


def pick(strip: Any, *, remove_others: bool = False) -> list[Any]:
    """Show this variation and mute, or remove, the others. Gives those that went."""
    others = [one for one in variations_of(strip) if one != strip]
    strip.mute = False
    for other in others:
        if remove_others:
            _level_of(other).strips.remove(other)
        else:
            other.mute = True
    if remove_others and VARIATIONS in strip:
        del strip[VARIATIONS]
    return others


def view_warning(scene: Any) -> str:
    """A sentence if the scene's view transform changes drawn colours, else an empty text."""
    transform = scene.view_settings.view_transform
    if transform == "Standard":
        return ""
    return f"View transform {transform} shifts drawn colours: Standard shows them as drawn"


def levels(scene: bpy.types.Scene) -> Iterator[Any]:
    """The scene's editor and its meta strips: all that have strips."""
    editor = scene.sequence_editor
    if editor is None:
        return
    yield editor
    yield from [strip for strip in editor.strips_all if strip.type == "META"]


def folder_path(folder: Path) -> str:
    """A folder as a strip names it."""
    return stored(folder).rstrip("/\\") + "/"


def _dress(strip: Any, model: Any, shot: Shot) -> None:
    dress(strip, model, shot.colourspace, is_exr=_is_exr(shot))


def dress(strip: Any, model: Any, colourspace: str, *, is_exr: bool) -> None:
    """Give a result its colours, and the place and size in the picture of the strip `model`."""
    strip.blend_type = "ALPHA_OVER"
    _set_colours(strip, colourspace, is_exr=is_exr)
    strip.color_tag = _COLOUR
    if model is None or model.type != "IMAGE":
        return
    # Drawings are often scaled to fit the frame when they are added: the result must lie on them.
    for name in _LOOK:
        setattr(strip.transform, name, getattr(model.transform, name))
    strip.transform.origin = model.transform.origin
    for name in _CROP:
        setattr(strip.crop, name, getattr(model.crop, name))
    strip.use_flip_x, strip.use_flip_y = model.use_flip_x, model.use_flip_y


def _dress_colours(strip: Any, shot: Shot) -> None:
    _set_colours(strip, shot.colourspace, is_exr=_is_exr(shot))


def _is_exr(shot: Shot) -> bool:
    return shot.keys[0].path.suffix.lower() == EXR_SUFFIX


def _set_colours(strip: Any, colourspace: str, *, is_exr: bool) -> None:
    # An EXR holds its colours multiplied with alpha, a PNG does not.
    strip.alpha_mode = "PREMUL" if is_exr else "STRAIGHT"
    strip.colorspace_settings.name = colourspace or "sRGB"


def mark(strip: Any, folder: Path, label: Label, start: int) -> None:
    """Write on a strip what it shows, and that its job is open."""
    strip[JOB] = label.job
    strip[ENGINE] = label.engine
    strip[GENERATED] = label.generated
    strip[BEGIN] = start
    if label.variations:
        strip[VARIATIONS] = label.variations
    strip[OPEN] = True
    strip[PROVENANCE] = folder_path(folder) + PROVENANCE_FILE
