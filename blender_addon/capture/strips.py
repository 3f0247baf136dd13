# SPDX-License-Identifier: GPL-3.0-or-later
"""Selected strips of the sequencer as keys: images, movies, scenes, meta strips."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import bpy

from protocol.errors import MissingFile, TooFewKeys

from .. import footage, vse  # noqa: TID252
from ..keyframes import KeyFrame  # noqa: TID252
from ..shot import Key, Shot  # noqa: TID252
from ..source_props import sources_of  # noqa: TID252
from ..storage import safe_name  # noqa: TID252
from ..timeline_mark import is_ours  # noqa: TID252
from . import moments, pictures
from .taking import Origin, with_origins

_SELECT = "Select two or more image strips, or one sequence with markers on its key drawings."
_KINDS = {"IMAGE": "image", "MOVIE": "movie", "SCENE": "scene", "META": "meta"}


def strips_shot(context: bpy.types.Context) -> Shot:
    """The keys that the artist has selected in the sequencer.

    Raises TooFewKeys if the selection holds no two, MissingFile for a path that has no beginning,
    BadInput for a frame list that cannot be read.
    """
    scene = vse.editing_scene(context)
    strips, notes = selected(scene)
    if not strips:
        raise TooFewKeys("No image strip is selected.", fix=_SELECT)
    times = sources_of(scene).strip_times
    marks = moments.marks(scene)
    on_keys = {mark.frame for mark in marks if not mark.breakdown}
    marked = any(not on_keys.isdisjoint(_span(strip)) for strip in strips)
    if times == "AUTO" and len(strips) > 1 and not marked:
        every = {mark.frame for mark in marks}
        found = [
            (strip, KeyFrame(vse.begin(strip), not every.isdisjoint(_span(strip))))
            for strip in strips
        ]
        notes += [
            f"{strip.name} holds several drawings: its first is the key"
            for strip in strips
            if strip.type == "IMAGE" and _drawings(strip) > 1
        ]
    else:
        found = _under_moments(scene, strips, times, notes)
    notes += _speed_notes(scene, strips)
    return _shot(scene, strips, found, notes)


def selected(scene: bpy.types.Scene) -> tuple[list[Any], list[str]]:
    """The selected strips with pictures, in order, and notes on those that are left aside."""
    level = vse.open_level(scene)
    strips = [strip for strip in level.strips if strip.select] if level else []
    shown = [strip for strip in strips if strip.type in _KINDS]
    notes = []
    if others := len(strips) - len(shown):
        notes.append(f"{others} selected strip{'s' * (others != 1)} without images: left aside")
    sources = [strip for strip in shown if not is_ours(strip)]
    if sources and len(sources) < len(shown):
        notes.append("In-betweens that were made earlier: left aside")
    return sorted(sources or shown, key=vse.begin), notes


def _speed_notes(scene: bpy.types.Scene, strips: Sequence[Any]) -> list[str]:
    """A retimed strip is taken as it is seen; an effect above it is a strip of its own."""
    effects = [strip for strip in vse.open_level(scene).strips if strip.type == "SPEED"]
    return [
        f"{strip.name}: taken without its Speed effect; with it if both are a meta strip (Ctrl G)"
        for strip in strips
        if any(effect.input_1 == strip and not effect.mute for effect in effects)
    ]


def _under_moments(
    scene: bpy.types.Scene, strips: Sequence[Any], times: str, notes: list[str]
) -> list[tuple[Any, KeyFrame]]:
    if len(strips) == 1 and strips[0].type == "IMAGE" and _drawings(strips[0]) < 2:
        raise TooFewKeys("One strip with one drawing is selected: that is one key.", fix=_SELECT)
    span = range(min(map(vse.begin, strips)), max(map(vse.end, strips)))
    picked = moments.chosen(scene, times, span)
    found = []
    for moment in picked.frames:
        on = [strip for strip in strips if moment.frame in _span(strip)]
        if on:
            found.append((max(on, key=lambda strip: strip.channel), moment))
    if len(found) < 2:
        on_it = picked._replace(frames=[moment for _, moment in found])
        what = strips[0].name if len(strips) == 1 else "The selection"
        raise TooFewKeys(f"{what} has {on_it.counted} on it.", fix=_fix(on_it.how))
    notes.append(f"Keys: the drawings under {len(found)} {picked.how}")
    return found


def _fix(how: str) -> str:
    if how.startswith("listed"):
        return "List two or more frames of the strip, such as 1, 9-17/4."
    if how.startswith("marked"):
        return "Mark each key drawing of the strip (Mark Key at Playhead): two or more."
    return "Put a marker (M) on each key drawing of the strip: two or more."


def _shot(
    scene: bpy.types.Scene,
    strips: Sequence[Any],
    found: Sequence[tuple[Any, KeyFrame]],
    notes: Sequence[str],
) -> Shot:
    name = name_of(strips[0])
    last, moment = found[-1]
    shot = Shot(
        name=name,
        keys=(),
        last_hold=_held_from(last, moment.frame),
        channel=max(strip.channel for strip in strips),
        model=strips[0].name,
        notes=tuple(notes),
        colourspace=_colourspace(strips[0]),
        editor="VSE",
        layer=_channel_name(scene, last.channel),
        source=_source(strips),
        strips=tuple(dict.fromkeys(strip.name for strip, _ in found)),
    )
    return with_origins(shot, [_origin(scene, strip, one, name) for strip, one in found])


def _origin(scene: bpy.types.Scene, strip: Any, moment: KeyFrame, name: str) -> Origin:
    if strip.type != "IMAGE":
        made = partial(_rendered, scene, strip, moment.frame, name)
        return Origin(Key(Path(), moment.frame, moment.breakdown), made)
    path = drawing_at(strip, moment.frame)
    if pictures.is_converted(path):
        made = partial(pictures.as_png, path)
        return Origin(Key(Path(), moment.frame, moment.breakdown), made)
    return Origin(Key(path, moment.frame, moment.breakdown))


def _rendered(scene: bpy.types.Scene, strip: Any, frame: int, name: str, folder: Path) -> Path:
    label = f"{safe_name(name)}_key"
    (made,) = footage.strip_frames(scene, strip, [frame], folder, label)
    return made.path


def _channel_name(scene: bpy.types.Scene, channel: int) -> str:
    level = vse.open_level(scene)
    return level.channels[channel].name if level and channel < len(level.channels) else ""


def _colourspace(strip: Any) -> str:
    # What is rendered is written as it is seen, in the view Standard.
    return strip.colorspace_settings.name if strip.type == "IMAGE" else "sRGB"


def _source(strips: Sequence[Any]) -> str:
    """What is taken: `Source pixels of 2 image strips; ...`."""
    parts = []
    for kind, word in _KINDS.items():
        if count := sum(strip.type == kind for strip in strips):
            parts.append(f"{count} {word} strip{'s' * (count != 1)}")
    return f"Source pixels of {', '.join(parts)}; transforms and crops are left to Blender"


def _held_from(strip: Any, frame: int) -> int:
    """For how many frames from `frame` on the strip shows the same drawing."""
    if strip.type != "IMAGE":
        return vse.end(strip) - frame if frame == vse.begin(strip) else 1
    first = _element_at(strip, frame).filename
    hold = 1
    while frame + hold < vse.end(strip) and _element_at(strip, frame + hold).filename == first:
        hold += 1
    return hold


def _drawings(strip: Any) -> int:
    return len({element.filename for element in strip.elements})


def _span(strip: Any) -> range:
    return range(vse.begin(strip), vse.end(strip))


def _element_at(strip: Any, frame: int) -> Any:
    # Blender's own answer: it knows about trims, holds, reversed and retimed strips.
    return strip.strip_elem_from_frame(frame) or strip.elements[0]


def drawing_at(strip: Any, frame: int) -> Path:
    """The file that an image strip shows on a frame. Raises MissingFile."""
    if strip.directory.startswith("//") and not bpy.data.filepath:
        raise MissingFile(
            f"{strip.name} has a path relative to the .blend file, which is not saved yet.",
            fix="Save the .blend file where its drawings are, or choose the drawings again.",
        )
    folder = Path(bpy.path.abspath(strip.directory))
    # Links are not resolved: they may be what the artist works with. Whether the file is there is
    # looked at when it is read, not at each redraw of the panel.
    return Path(folder, _element_at(strip, frame).filename)


def name_of(strip: Any) -> str:
    """A name for the shot: the strip's, without a file ending or a frame number."""
    return Path(strip.name).stem.rstrip("0123456789-_. ") or strip.name
