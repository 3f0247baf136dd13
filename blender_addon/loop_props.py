# SPDX-License-Identifier: GPL-3.0-or-later
"""The artist's settings of a loop and its regions. They live in the scene and are saved with it.

A property keeps its name and its meaning: files of earlier releases hold it.
"""

from __future__ import annotations

from typing import Any

import bpy
from bpy.props import (
    BoolProperty,
    CollectionProperty,
    EnumProperty,
    FloatProperty,
    IntProperty,
    PointerProperty,
    StringProperty,
)

_TAKES = (
    ("AUTO", "Automatic", "All frames of what moves, else the one picture"),
    ("STILL", "One Picture", "The picture on the playhead's frame"),
    ("RUN", "All Frames", "All frames of the strip or sequence; in the 3D View the scene's range"),
)
_MASKS = (
    ("ALL", "Everything", "The whole picture moves"),
    ("MASK", "Mask", "Where a Blender mask is white"),
    ("PENCIL", "Grease Pencil Layer", "Where a Grease Pencil layer covers the picture"),
    ("IMAGE", "Painted Image", "Where an image is white: grey moves less"),
    ("ALPHA", "Alpha of an Image", "Where an image is opaque"),
)
_STROKES = (
    ("NONE", "None", "The motion alone says how it moves"),
    ("PENCIL", "Grease Pencil", "Strokes of a Grease Pencil layer: it moves as they were drawn"),
    ("MASK", "Open Splines", "Splines of a Blender mask that are not closed, first point to last"),
)


def _is_pencil(_: Any, thing: Any) -> bool:
    return thing.type == "GREASEPENCIL"


class TWEENCEL_PG_region(bpy.types.PropertyGroup):
    """A part of the picture that moves."""

    mask_kind: EnumProperty(name="Moves", description="What may move", items=_MASKS, default="MASK")
    mask: PointerProperty(type=bpy.types.Mask, name="Mask", description="White moves")
    mask_image: PointerProperty(
        type=bpy.types.Image,
        name="Image",
        description="An image of the picture's size; it need not be saved",
    )
    mask_object: PointerProperty(
        type=bpy.types.Object,
        name="Object",
        description="The Grease Pencil object with the mask",
        poll=_is_pencil,
    )
    mask_layer: StringProperty(name="Layer", description="What this layer covers moves")
    feather: FloatProperty(
        name="Feather",
        description="Soften the mask's edge over so many pixels to each side",
        min=0.0,
        max=500.0,
        subtype="PIXEL",
    )
    invert: BoolProperty(name="Invert", description="What is white stays still instead")
    motion: StringProperty(
        name="Motion",
        description="How it moves where no stroke says it",
        default="auto",
    )
    speed: FloatProperty(
        name="Speed", description="A factor on all its motion", default=1.0, min=0.0, max=100.0
    )
    period: IntProperty(
        name="Period",
        description="Frames after which it repeats; the loop's length must be a whole number of "
        "them. 0: the loop's length",
        min=0,
        max=100_000,
    )
    stroke_kind: EnumProperty(
        name="Strokes", description="Drawn directions of the motion", items=_STROKES
    )
    stroke_object: PointerProperty(
        type=bpy.types.Object,
        name="Object",
        description="The Grease Pencil object with the strokes",
        poll=_is_pencil,
    )
    stroke_layer: StringProperty(
        name="Layer", description="Its strokes are directions: from where they begin to their end"
    )
    freeze_layer: StringProperty(
        name="Freeze",
        description="A layer of what stays where it is: strokes hold, closed strokes are left out",
    )
    stroke_mask: PointerProperty(
        type=bpy.types.Mask, name="Mask", description="Its open splines are directions"
    )
    pace: FloatProperty(
        name="Pace",
        description="How fast a stroke of usual thickness moves",
        default=1.0,
        min=0.01,
        max=1000.0,
        subtype="PIXEL",
    )
    by_thickness: BoolProperty(
        name="Thick is Fast",
        description="A stroke that is twice as thick as the others moves twice as fast",
        default=True,
    )


class TWEENCEL_PG_loop(bpy.types.PropertyGroup):
    """Settings of a loop."""

    take: EnumProperty(name="Make a Loop of", description="What loops", items=_TAKES)
    length: IntProperty(
        name="Length",
        description="Frames after which the loop begins anew",
        default=48,
        min=2,
        max=100_000,
    )
    layer: BoolProperty(
        name="Layer",
        description="Only what moves, with alpha, to be laid over the picture",
    )
    shortest: IntProperty(
        name="Shortest", description="The shortest loop to try", default=12, min=2, max=100_000
    )
    longest: IntProperty(
        name="Longest", description="The longest loop to try", default=96, min=2, max=100_000
    )
    regions: CollectionProperty(type=TWEENCEL_PG_region)
    active: IntProperty(name="Region", description="The region whose settings are shown")
    engine: StringProperty(name="Engine", description="What makes the loop")


CLASSES = (TWEENCEL_PG_region, TWEENCEL_PG_loop)


def register() -> None:
    scene: Any = bpy.types.Scene
    scene.tweencel_loop = PointerProperty(type=TWEENCEL_PG_loop)


def unregister() -> None:
    scene: Any = bpy.types.Scene
    del scene.tweencel_loop


def loop_of(scene: Any) -> Any:
    """The scene's loop settings."""
    return scene.tweencel_loop


def active_region(loop: Any) -> Any:
    """The region whose settings are shown; None if there is no region yet."""
    return loop.regions[loop.active] if 0 <= loop.active < len(loop.regions) else None
