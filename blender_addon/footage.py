# SPDX-License-Identifier: GPL-3.0-or-later
"""Strips that are no image files, as files: movie, scene and meta strips at timeline frames.

A movie or meta strip is rendered by Blender's sequencer in a copy of the scene that is removed
again, so that trims, reversed play and retiming are Blender's own. The strip's transform, crop,
modifiers, blending and fading are left out: the strip with the result gets them. Colours stay as
they are (view "Standard", no dither).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import bpy

from protocol.errors import BadInput, MissingFile

from . import vse
from .renders import Form, Made, form_of, frame_name, scene_frame, standard_view, still

_PNG = Form()


def strip_frames(
    scene: bpy.types.Scene, strip: Any, frames: Sequence[int], folder: Path, name: str
) -> Iterator[Made]:
    """What the movie, scene or meta strip shows at these frames of the timeline, one file for each
    different frame. A movie has its own size, a meta strip the scene's, a scene strip its scene's.

    Raises BadInput or MissingFile.
    """
    make = {"MOVIE": _movie_frame, "META": _meta_frame, "SCENE": _scene_strip_frame}.get(strip.type)
    if make is None:
        raise BadInput(
            f"{strip.name} has no pictures.", fix="Select image, movie, scene or meta strips."
        )
    for frame in dict.fromkeys(frames):
        if not vse.begin(strip) <= frame < vse.end(strip):
            raise BadInput(
                f"{strip.name} is not on frame {frame}.", fix="Move the marker onto the strip."
            )
        yield Made(frame, make(scene, strip, frame, folder, name))


def _movie_frame(scene: Any, strip: Any, frame: int, folder: Path, name: str) -> Path:
    size = _movie_size(strip)
    path = folder / frame_name(name, frame, _PNG)
    with _alone(scene, strip) as copy:
        copy.animation_data_clear()  # it would move the strip again
        copy.render.resolution_x, copy.render.resolution_y = size
        copy.render.resolution_percentage = 100
        copy.frame_current = frame
        still(copy, path, _PNG, sequencer=True)
    return path


def _movie_size(strip: Any) -> tuple[int, int]:
    first = strip.elements[0] if len(strip.elements) else None
    if first is None or not first.orig_width or not first.orig_height:
        raise MissingFile(f"{strip.name}: {strip.filepath} cannot be read.")
    return first.orig_width, first.orig_height


def _meta_frame(scene: Any, strip: Any, frame: int, folder: Path, name: str) -> Path:
    path = folder / frame_name(name, frame, _PNG)
    with _alone(scene, strip) as copy:
        copy.frame_current = frame
        still(copy, path, _PNG, sequencer=True)
    return path


def _scene_strip_frame(scene: Any, strip: Any, frame: int, folder: Path, name: str) -> Path:
    if strip.scene is None:
        raise BadInput(f"{strip.name} has lost its scene.", fix="Choose its scene again.")
    if len(strip.retiming_keys):
        raise BadInput(
            f"{strip.name} is retimed: which frame of its scene it shows is not known.",
            fix="Remove the retiming, or render the scene to a movie.",
        )
    shown = scene_strip_frame(strip, frame)
    if strip.scene_input == "SEQUENCER":
        path = folder / frame_name(name, frame, _PNG)
        with _copied(strip.scene) as copy:
            copy.frame_current = shown
            still(copy, path, _PNG, sequencer=True)
        return path
    form = form_of(strip.scene)
    path = folder / frame_name(name, frame, form)
    scene_frame(strip.scene, shown, path, form, standard=True, camera=strip.scene_camera)
    return path


def scene_strip_frame(strip: Any, frame: int) -> int:
    """The frame of the strip's scene that is seen at this frame of the timeline."""
    new = hasattr(strip, "content_start")  # 5.1+; the others are to go in 6.0
    start = round(strip.content_start if new else strip.frame_start)
    length = round(strip.content_duration if new else strip.frame_duration)
    skipped = strip.content_trim_start if new else strip.animation_offset_start
    index = min(max(frame - start, 0), length - 1)
    if strip.use_reverse_frames:
        index = length - 1 - index
    if strip.strobe > 1:
        index -= int(index % strip.strobe)
    return strip.scene.frame_start + round(skipped) + index


@contextmanager
def _copied(scene: Any) -> Iterator[Any]:
    """A copy of the scene for its sequencer only: nothing in it has to be evaluated in 3D."""
    copy = scene.copy()
    try:
        for collection in list(copy.collection.children):
            copy.collection.children.unlink(collection)
        for one in list(copy.collection.objects):
            copy.collection.objects.unlink(one)
        copy.render.use_border = False
        copy.sequencer_colorspace_settings.name = "sRGB"
        with standard_view(copy):
            yield copy
    finally:
        bpy.data.scenes.remove(copy)


@contextmanager
def _alone(scene: Any, strip: Any) -> Iterator[Any]:
    """A copy of the scene in which only this strip is seen, as it would be without its look."""
    with _copied(scene) as copy:
        chain = _way_to(copy.sequence_editor.strips, strip.name)
        level = copy.sequence_editor.strips
        for wanted in chain:
            for other in level:
                other.mute = other != wanted
            _plain(wanted)
            level = getattr(wanted, "strips", ())
        yield copy


def _way_to(level: Any, name: str) -> list[Any]:
    """The meta strips that hold the strip of this name, outermost first, and the strip."""
    for strip in level:
        if strip.name == name:
            return [strip]
        if strip.type == "META" and (way := _way_to(strip.strips, name)):
            return [strip, *way]
    return []


def _plain(strip: Any) -> None:
    strip.blend_type = "REPLACE"
    strip.blend_alpha = strip.color_multiply = strip.color_saturation = 1
    strip.use_flip_x = strip.use_flip_y = strip.multiply_alpha = False
    for modifier in strip.modifiers:
        modifier.mute = True  # clear() ends Blender 5.0 at a meta strip without any
    look = strip.transform
    look.offset_x = look.offset_y = look.rotation = 0
    look.scale_x = look.scale_y = 1
    look.filter = "NEAREST"
    crop = strip.crop
    crop.min_x = crop.max_x = crop.min_y = crop.max_y = 0
