# SPDX-License-Identifier: GPL-3.0-or-later
"""What a loop is made of: one picture, or a run of frames, chosen in an editor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import bpy

from protocol.errors import BadInput, TooFewKeys

from .. import footage, renders, vse  # noqa: TID252
from ..loop_props import loop_of  # noqa: TID252
from ..source_props import sources_of  # noqa: TID252
from ..storage import safe_name  # noqa: TID252
from . import images, pictures, scenes, strips

Take = Callable[[Path], Path]
"""Gives a picture's file; makes it in the folder if it is none yet."""


@dataclass(frozen=True)
class LoopSource:
    """The pictures, one for each frame of a run, or one."""

    name: str
    takes: tuple[Take, ...]
    start: int
    """The frame of the timeline on which it is first seen."""
    end: int
    """The frame after the last on which it is seen."""
    source: str
    """A sentence: what is taken from where."""
    editor: str = "VSE"
    channel: int = 0
    model: str = ""
    """The strip whose place and size in the picture the result takes over."""
    colourspace: str = "sRGB"
    slow: bool = False
    """Whether its pictures must be rendered or converted."""

    @property
    def is_run(self) -> bool:
        return len(self.takes) > 1


def loop_source(context: bpy.types.Context, editor: str) -> LoopSource:
    """What is chosen in the editor: VSE, IMAGE or VIEW3D. Nothing is read or rendered.

    Raises TooFewKeys, MissingFile for a path that has no beginning, or BadInput.
    """
    match editor:
        case "IMAGE":
            return _of_image(context)
        case "VIEW3D":
            return _of_scene(context)
    return _of_strip(context)


# --- the sequencer --------------------------------------------------------------------------------


def _of_strip(context: bpy.types.Context) -> LoopSource:
    scene = vse.editing_scene(context)
    chosen, _ = strips.selected(scene)
    if len(chosen) != 1:
        many = f"{len(chosen)} strips are selected." if chosen else "No strip is selected."
        raise TooFewKeys(many, fix="Select one image, movie, scene or meta strip.")
    (strip,) = chosen
    frames = range(vse.begin(strip), vse.end(strip))
    take = loop_of(scene).take
    if take == "STILL" or (take == "AUTO" and not _moves(strip, frames)):
        frames = _at(scene, frames)
        said = f"The picture of {strip.name} on frame {frames[0]}"
    else:
        said = f"The {len(frames)} frames of {strip.name}"
    return LoopSource(
        name=strips.name_of(strip),
        takes=tuple(partial(_of_strip_at, scene.name, strip.name, frame) for frame in frames),
        start=vse.begin(strip),
        end=vse.end(strip),
        source=said,
        channel=strip.channel,
        model=strip.name,
        colourspace=strip.colorspace_settings.name if strip.type == "IMAGE" else "sRGB",
        slow=strip.type != "IMAGE" or pictures.is_converted(strips.drawing_at(strip, frames[0])),
    )


def _at(scene: Any, frames: range) -> range:
    """The playhead's frame, or the nearest of the frames."""
    frame = min(max(scene.frame_current, frames[0]), frames[-1])
    return range(frame, frame + 1)


def _moves(strip: Any, frames: range) -> bool:
    if strip.type != "IMAGE":
        return len(frames) > 1
    first = strips.drawing_at(strip, frames[0])
    return any(strips.drawing_at(strip, frame) != first for frame in frames)


def _of_strip_at(scene: str, name: str, frame: int, folder: Path) -> Path:
    """By names: between two frames the artist may have removed it."""
    owner: Any = bpy.data.scenes.get(scene)
    level = vse.open_level(owner) if owner else None
    strip = level.strips.get(name) if level else None
    if strip is None:
        raise BadInput(f"{name} is gone.", fix="Select what the loop is to be made of.")
    if strip.type == "IMAGE":
        return _file(strips.drawing_at(strip, frame), folder)
    (made,) = footage.strip_frames(owner, strip, [frame], folder, safe_name(name))
    return made.path


def _file(path: Path, folder: Path) -> Path:
    return pictures.as_png(path, folder) if pictures.is_converted(path) else path


# --- the Image Editor -----------------------------------------------------------------------------


def _of_image(context: bpy.types.Context) -> LoopSource:
    space: Any = context.space_data
    image, scene = space.image, context.scene
    if image is None or image.source not in ("FILE", "GENERATED", "SEQUENCE"):
        what = f"{image.name} is a movie." if image is not None else "No image is shown."
        raise BadInput(what, fix="Show an image, or add the movie to the Video Sequencer.")
    if image.source == "SEQUENCE":
        return _of_sequence(scene, image, space.image_user)
    first = scene.frame_current
    return LoopSource(
        name=images.name_of(image),
        takes=(partial(_shown_image, image.name),),
        start=first,
        end=first + 1,
        source=f"The image {image.name}",
        editor="IMAGE",
        colourspace=image.colorspace_settings.name,
    )


def _of_sequence(scene: Any, image: Any, user: Any) -> LoopSource:
    frames = range(user.frame_start, user.frame_start + max(1, user.frame_duration))
    start, end = frames[0], frames[-1] + 1
    still = loop_of(scene).take == "STILL"
    if still:
        frames = _at(scene, frames)
    return LoopSource(
        name=images.name_of(image),
        takes=tuple(partial(_file, images.numbered(image, user, frame)) for frame in frames),
        start=start,
        end=end,
        source=f"Frame {frames[0]} of {image.name}"
        if still
        else f"The {len(frames)} frames of the image sequence {image.name}",
        editor="IMAGE",
        colourspace=image.colorspace_settings.name,
    )


def _shown_image(name: str, folder: Path) -> Path:
    image: Any = bpy.data.images.get(name)
    if image is None:
        raise BadInput(f"{name} is gone.", fix="Choose another image.")
    if pictures.is_file(image):
        return _file(images.path_of(image), folder)
    return pictures.from_datablock(image, folder, f"{safe_name(name)}_still")


# --- the 3D View ----------------------------------------------------------------------------------


def _of_scene(context: bpy.types.Context) -> LoopSource:
    scene = context.scene
    if scene.camera is None:
        raise BadInput(f"{scene.name} has no camera.", fix="Add a camera (Shift+A).")
    wanted = sources_of(scene)
    drawn = scenes.pencils(context) if wanted.view_take == "DRAWINGS" else []
    if wanted.view_take == "DRAWINGS" and not drawn:
        raise BadInput(
            "No Grease Pencil object is selected.", fix="Select the object with the drawings."
        )
    frames = range(scene.frame_current, scene.frame_current + 1)
    if loop_of(scene).take == "RUN":
        frames = _range_of(scene)
    what = scenes.source_of(scene, drawn, wanted.view_layer)
    names = tuple(one.name for one in drawn)
    return LoopSource(
        name=names[0] if names else scene.name,
        takes=tuple(
            partial(_rendered_scene, scene.name, names, wanted.view_layer, frame)
            for frame in frames
        ),
        start=frames[0],
        end=frames[-1] + 1,
        source=f"{what}, frame {frames[0]}" + (f" to {frames[-1]}" if len(frames) > 1 else ""),
        editor="VIEW3D",
        colourspace=scenes.colourspace_of(scene, bool(drawn)),
        slow=True,
    )


def _range_of(scene: Any) -> range:
    if scene.use_preview_range:
        return range(scene.frame_preview_start, scene.frame_preview_end + 1)
    return range(scene.frame_start, scene.frame_end + 1)


def _rendered_scene(name: str, drawn: Sequence[str], layer: str, frame: int, folder: Path) -> Path:
    scene: Any = bpy.data.scenes.get(name)
    objects = [found for one in drawn if (found := bpy.data.objects.get(one)) is not None]
    if scene is None or len(objects) < len(drawn):
        raise BadInput(f"{name} or its drawings are gone.", fix="Choose the scene again.")
    label = f"{safe_name(name)}_frame"
    if objects:
        layers = [layer] if layer else None
        steps = renders.grease_pencil_frames(scene, objects, [frame], folder, label, layers=layers)
    else:
        steps = renders.scene_frames(scene, [frame], folder, label)
    (made,) = steps
    return made.path
