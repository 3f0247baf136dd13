# SPDX-License-Identifier: GPL-3.0-or-later
"""What the artist has chosen as keys, masks and sketches. It lives in the scene, saved with it."""

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

_AUTO = ("AUTO", "Automatic", "Marked frames if there are any, else what suits what is selected")
_MARKS = ("MARKS", "Marked Frames", "The frames that were marked here")
_MARKERS = ("MARKERS", "Timeline Markers", "The selected markers, or all if none is selected")
_LIST = ("LIST", "Frame List", "The frames that are written below, such as 1, 9-17/4")
_KEYED = ("KEYED", "Keyed Frames", "The frames with keys of the active object or armature")
_PENCIL = ("PENCIL", "Grease Pencil Keys", "The frames with drawings of Grease Pencil objects")

_TAKES = (
    ("SCENE", "Scene", "Render the scene as it is set, with its camera"),
    ("DRAWINGS", "Grease Pencil", "The selected Grease Pencil drawings alone, with alpha"),
)
_ROLES = (
    ("KEY", "Key", "A key drawing"),
    ("BREAKDOWN", "Breakdown", "A key of lower trust between two keys"),
)
_MASKS = (
    ("NONE", "None", "Everything may change"),
    ("MASK", "Mask", "Where a Blender mask is white"),
    ("PENCIL", "Grease Pencil Layer", "Where a Grease Pencil layer covers the picture"),
    ("IMAGE", "Painted Image", "Where an image is white"),
    ("ALPHA", "Alpha of an Image", "Where an image is opaque"),
)
_GUIDES = (
    ("NONE", "None", "No sketches"),
    ("PENCIL", "Grease Pencil", "Drawings of a Grease Pencil object between the keys"),
    ("STRIPS", "Image Strips", "Image strips on a channel of the sequencer, between the keys"),
)


def _is_pencil(_: Any, thing: Any) -> bool:
    return thing.type == "GREASEPENCIL"


class TWEENCEL_PG_mark(bpy.types.PropertyGroup):
    """A frame of the timeline that the artist has marked."""

    frame: IntProperty(name="Frame", description="The frame of the timeline")
    breakdown: BoolProperty(
        name="Breakdown", description="A key of lower trust: passed through between two keys"
    )


class TWEENCEL_PG_picture(bpy.types.PropertyGroup):
    """An image that is a key on a frame."""

    image: PointerProperty(type=bpy.types.Image, name="Image", description="The key drawing")
    frame: IntProperty(name="Frame", description="The frame of the timeline on which it is seen")
    role: EnumProperty(name="Role", items=_ROLES)


class TWEENCEL_PG_sources(bpy.types.PropertyGroup):
    marks: CollectionProperty(type=TWEENCEL_PG_mark)
    pictures: CollectionProperty(type=TWEENCEL_PG_picture)
    strip_times: EnumProperty(
        name="Keys",
        description="Which frames of the selected strips are keys",
        items=(_AUTO, _MARKS, _MARKERS, _LIST),
    )
    image_times: EnumProperty(
        name="Keys",
        description="Which frames of the image sequence are keys",
        items=(_AUTO, _MARKS, _MARKERS, _LIST),
    )
    view_times: EnumProperty(
        name="Keys",
        description="Which frames are rendered as keys",
        items=(_AUTO, _MARKS, _MARKERS, _LIST, _KEYED, _PENCIL),
    )
    frame_list: StringProperty(
        name="Frames",
        description="Frames of the timeline: 1, 9-17/4 stands for 1, 9, 13 and 17",
    )
    view_take: EnumProperty(name="Take", description="What is rendered as keys", items=_TAKES)
    view_layer: StringProperty(
        name="Layer", description="Take this Grease Pencil layer alone; empty: all that are seen"
    )

    mask_kind: EnumProperty(name="May Change", description="What may change", items=_MASKS)
    mask: PointerProperty(type=bpy.types.Mask, name="Mask", description="White may change")
    mask_image: PointerProperty(
        type=bpy.types.Image,
        name="Image",
        description="An image of the keys' size; it need not be saved",
    )
    mask_object: PointerProperty(
        type=bpy.types.Object,
        name="Object",
        description="The Grease Pencil object with the mask",
        poll=_is_pencil,
    )
    mask_layer: StringProperty(name="Layer", description="What this layer covers may change")
    mask_feather: FloatProperty(
        name="Feather",
        description="Soften the mask's edge over so many pixels to each side",
        min=0.0,
        max=500.0,
        subtype="PIXEL",
    )
    mask_invert: BoolProperty(name="Invert", description="Hold what is white instead")
    mask_animated: BoolProperty(
        name="Animated",
        description="Take the mask anew on the frame of each in-between",
        default=True,
    )

    guide_kind: EnumProperty(
        name="Sketches", description="Rough drawings that guide the in-betweens", items=_GUIDES
    )
    guide_object: PointerProperty(
        type=bpy.types.Object,
        name="Object",
        description="The Grease Pencil object with the sketches",
        poll=_is_pencil,
    )
    guide_layer: StringProperty(
        name="Layer", description="Take this layer alone; empty: all that are seen"
    )
    guide_channel: IntProperty(
        name="Channel",
        description="The sequencer's channel with the sketches",
        default=10,
        min=1,
        max=128,
    )
    guide_strength: FloatProperty(
        name="Strength",
        description="How closely the sketches are followed; the opacity of a strip weakens its own",
        default=1.0,
        min=0.0,
        max=2.0,
    )


CLASSES = (TWEENCEL_PG_mark, TWEENCEL_PG_picture, TWEENCEL_PG_sources)


def register() -> None:
    scene: Any = bpy.types.Scene
    scene.tweencel_sources = PointerProperty(type=TWEENCEL_PG_sources)


def unregister() -> None:
    scene: Any = bpy.types.Scene
    del scene.tweencel_sources


def sources_of(scene: Any) -> Any:
    """The scene's sources."""
    return scene.tweencel_sources


def set_mark(scene: Any, frame: int, *, breakdown: bool) -> None:
    """Mark a frame; one that is marked changes its kind."""
    marks = sources_of(scene).marks
    mark = next((mark for mark in marks if mark.frame == frame), None) or marks.add()
    mark.frame, mark.breakdown = frame, breakdown


def remove_mark(scene: Any, frame: int) -> None:
    """Take the mark off a frame, if there is one."""
    marks = sources_of(scene).marks
    for number in reversed(range(len(marks))):
        if marks[number].frame == frame:
            marks.remove(number)


def set_picture(scene: Any, image: Any, frame: int, role: str) -> None:
    """Let the image be a key on the frame; what was there before gives way."""
    pictures = sources_of(scene).pictures
    one = next((one for one in pictures if one.frame == frame), None) or pictures.add()
    one.image, one.frame, one.role = image, frame, role
