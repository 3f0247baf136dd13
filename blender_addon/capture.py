# SPDX-License-Identifier: GPL-3.0-or-later
"""From Blender to files: reads selected strips and markers as keys with their frames.

The drawings are read as the files they are, never through Blender's pixels.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy

from protocol.errors import MissingFile, TooFewKeys

from . import vse
from .shot import Key, Shot
from .timeline_mark import is_ours

_SELECT = "Select two or more image strips, or one image sequence with markers on its key drawings."


def selected_shot(context: bpy.types.Context) -> Shot:
    """The keys that the artist has selected in the sequencer.

    Raises TooFewKeys if the selection holds no two, MissingFile for a path that has no beginning.
    """
    scene = vse.editing_scene(context)
    chosen, notes = _selected_images(scene)
    if not chosen:
        raise TooFewKeys("No image strip is selected.", fix=_SELECT)
    if len(chosen) == 1:
        return _from_sequence(scene, chosen[0], notes)
    return _from_strips(chosen, notes)


def _selected_images(scene: bpy.types.Scene) -> tuple[list[Any], list[str]]:
    level = vse.open_level(scene)
    strips = [strip for strip in level.strips if strip.select] if level else []
    images = [strip for strip in strips if strip.type == "IMAGE"]
    notes = []
    if others := len(strips) - len(images):
        notes.append(f"{others} selected strip{'s' * (others != 1)} without images: left aside")
    sources = [strip for strip in images if not is_ours(strip)]
    if sources and len(sources) < len(images):
        notes.append("In-betweens that were made earlier: left aside")
    return sorted(sources or images, key=vse.begin), notes


def _from_strips(strips: list[Any], notes: list[str]) -> Shot:
    keys = []
    for strip in strips:
        if len({element.filename for element in strip.elements}) > 1:
            notes.append(f"{strip.name} holds several drawings: its first is the key")
        keys.append(Key(_drawing_at(strip, vse.begin(strip)), vse.begin(strip)))
    last = strips[-1]
    return Shot(
        name=_name(strips[0]),
        keys=tuple(keys),
        last_hold=max(1, vse.end(last) - vse.begin(last)),
        channel=max(strip.channel for strip in strips),
        model=strips[0].name,
        notes=tuple(notes),
    )


def _from_sequence(scene: bpy.types.Scene, strip: Any, notes: list[str]) -> Shot:
    if len({element.filename for element in strip.elements}) < 2:
        raise TooFewKeys("One strip with one drawing is selected: that is one key.", fix=_SELECT)
    frames = _marked_frames(scene, strip, notes)
    if len(frames) < 2:
        raise TooFewKeys(
            f"{strip.name} has {len(frames)} marker{'s' * (len(frames) != 1)} on it.",
            fix="Put a marker (M) on each key drawing of the strip: two or more.",
        )
    return Shot(
        name=_name(strip),
        keys=tuple(Key(_drawing_at(strip, frame), frame) for frame in frames),
        last_hold=_held_from(strip, frames[-1]),
        channel=strip.channel,
        model=strip.name,
        notes=tuple(notes),
    )


def _marked_frames(scene: bpy.types.Scene, strip: Any, notes: list[str]) -> list[int]:
    """The frames of the strip under markers: the selected ones, or all if none is selected."""
    markers = list(scene.timeline_markers)
    selected = [marker for marker in markers if marker.select]
    span = range(vse.begin(strip), vse.end(strip))
    frames = sorted({marker.frame for marker in selected or markers if marker.frame in span})
    how = "selected markers" if selected else "markers (none is selected)"
    notes.append(f"Keys: the drawings under {len(frames)} {how}")
    return frames


def _held_from(strip: Any, frame: int) -> int:
    """For how many frames from `frame` on the strip shows the same drawing."""
    first = _element_at(strip, frame).filename
    hold = 1
    while frame + hold < vse.end(strip) and _element_at(strip, frame + hold).filename == first:
        hold += 1
    return hold


def _element_at(strip: Any, frame: int) -> Any:
    # Blender's own answer: it knows about trims, holds, reversed and retimed strips.
    return strip.strip_elem_from_frame(frame) or strip.elements[0]


def _drawing_at(strip: Any, frame: int) -> Path:
    if strip.directory.startswith("//") and not bpy.data.filepath:
        raise MissingFile(
            f"{strip.name} has a path relative to the .blend file, which is not saved yet.",
            fix="Save the .blend file where its drawings are, or choose the drawings again.",
        )
    folder = Path(bpy.path.abspath(strip.directory))
    # Links are not resolved: they may be what the artist works with. Whether the file is there is
    # looked at when it is read, not at each redraw of the panel.
    return Path(folder, _element_at(strip, frame).filename)


def _name(strip: Any) -> str:
    """A name for the shot: the strip's, without a file ending or a frame number."""
    return Path(strip.name).stem.rstrip("0123456789-_. ") or strip.name
