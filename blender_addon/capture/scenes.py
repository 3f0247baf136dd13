# SPDX-License-Identifier: GPL-3.0-or-later
"""The 3D View: renders of the scene, or Grease Pencil drawings alone, as keys."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import bpy

from protocol.errors import BadInput, TooFewKeys

from .. import keyframes, renders  # noqa: TID252
from ..shot import Key, Shot  # noqa: TID252
from ..source_props import sources_of  # noqa: TID252
from ..storage import safe_name  # noqa: TID252
from . import moments
from .moments import Moments
from .taking import Origin, with_origins

_EVER = range(-(2**20), 2**20)
"""Blender's frames."""


def scene_shot(context: bpy.types.Context) -> Shot:
    """The keys that the 3D View gives. Raises TooFewKeys or BadInput."""
    scene = context.scene
    wanted = sources_of(scene)
    drawings = wanted.view_take == "DRAWINGS"
    objects = pencils(context) if drawings else []
    if drawings and not objects:
        raise BadInput(
            "No Grease Pencil object is selected.", fix="Select the object with the drawings."
        )
    if scene.camera is None:
        raise BadInput(f"{scene.name} has no camera.", fix="Add a camera (Shift+A).")
    picked = _moments(context, wanted, objects)
    if len(picked.frames) < 2:
        raise TooFewKeys(
            f"{scene.name} has {picked.counted}.",
            fix="Go to each key pose and press Mark Key at Playhead, or choose other frames.",
        )
    shot = Shot(
        name=objects[0].name if drawings else scene.name,
        keys=(),
        notes=(f"Keys: {len(picked.frames)} {picked.how}",),
        colourspace=colourspace_of(scene, drawings),
        editor="VIEW3D",
        layer=wanted.view_layer if drawings else "",
        source=source_of(scene, objects, wanted.view_layer),
    )
    label = f"{safe_name(shot.name)}_key"
    origins = [
        Origin(
            Key(Path(), one.frame, one.breakdown),
            partial(_rendered, scene, objects, wanted.view_layer, one.frame, label),
        )
        for one in picked.frames
    ]
    return with_origins(shot, origins)


def pencils(context: bpy.types.Context) -> list[Any]:
    """The selected Grease Pencil objects, else the active one."""
    selected = [one for one in context.selected_objects if one.type == "GREASEPENCIL"]
    active = context.active_object
    if not selected and active is not None and active.type == "GREASEPENCIL":
        return [active]
    return selected


def _moments(context: bpy.types.Context, wanted: Any, objects: Sequence[Any]) -> Moments:
    scene, times = context.scene, wanted.view_times
    active = context.active_object
    if times == "AUTO" and not moments.has_key_marks(scene):
        if drawn := _pencil_moments(objects or pencils(context), wanted):
            return Moments(drawn, "Grease Pencil keys")
        if active is not None and (keyed := keyframes.keyed_frames(active)):
            return Moments(keyed, f"keyed frames of {active.name}")
    if times == "PENCIL":
        drawn = _pencil_moments(objects or pencils(context), wanted)
        return Moments(drawn, "Grease Pencil keys")
    if times == "KEYED":
        name = active.name if active is not None else "the active object (there is none)"
        return Moments(keyframes.keyed_frames(active), f"keyed frames of {name}")
    return moments.chosen(scene, times, _EVER)


def _pencil_moments(objects: Sequence[Any], wanted: Any) -> list[keyframes.KeyFrame]:
    layer = wanted.view_layer if wanted.view_take == "DRAWINGS" else ""
    return keyframes.grease_pencil_key_frames(objects, layer)


def _rendered(
    scene: bpy.types.Scene,
    objects: Sequence[Any],
    layer: str,
    frame: int,
    label: str,
    folder: Path,
) -> Path:
    if objects:
        layers = [layer] if layer else None
        steps = renders.grease_pencil_frames(scene, objects, [frame], folder, label, layers=layers)
    else:
        steps = renders.scene_frames(scene, [frame], folder, label)
    (made,) = steps
    return made.path


def colourspace_of(scene: bpy.types.Scene, drawings: bool) -> str:
    """Blender's name of the colour space in which it is rendered to a file."""
    if drawings or renders.form_of(scene).file_format == "PNG":
        return "sRGB"
    return "Linear Rec.709"


def source_of(scene: bpy.types.Scene, objects: Sequence[Any], layer: str) -> str:
    """What is taken, in words."""
    if not objects:
        engine = scene.render.engine.removeprefix("BLENDER_").replace("_", " ").title()
        return f"Renders of {scene.name} with {engine}, through its camera"
    names = ", ".join(one.name for one in objects)
    part = f" (layer {layer})" if layer else ""
    return f"Grease Pencil drawings of {names}{part} alone, with alpha, through the camera"
