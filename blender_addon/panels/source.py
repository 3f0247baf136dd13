# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: TID252
"""The panels of what is taken: the keys, what may change, and the sketches between the keys."""

from __future__ import annotations

from typing import Any

import bpy

from protocol.errors import TweencelError

from .. import capture, live, vse
from ..properties import settings_of
from ..source_props import sources_of
from ..wording import Line
from . import glance
from .sidebar import Sidebar, draw_lines, in_every_editor, settings_column

_TIMES = {"VSE": "strip_times", "IMAGE": "image_times", "VIEW3D": "view_times"}


class TWEENCEL_PT_source(Sidebar, bpy.types.Panel):
    bl_idname = "TWEENCEL_PT_source"
    bl_label = "Source"

    def draw(self, context: bpy.types.Context) -> None:
        layout: Any = self.layout
        editor = capture.editor_of(context)
        wanted = sources_of(capture.scene_of(context))
        if taken := taken_line(context):
            draw_lines(layout, context, [taken])
        column = settings_column(layout)
        if editor == "VIEW3D":
            _draw_view(column, context, wanted)
        column.prop(wanted, _TIMES[editor])
        if getattr(wanted, _TIMES[editor]) == "LIST":
            column.prop(wanted, "frame_list")
        _draw_marks(layout, wanted, editor)


def taken_line(context: bpy.types.Context) -> Line | None:
    """What is taken, if there is something; why not is said where the keys are summed up."""
    try:
        shot = glance.survey(context, "source")
    except TweencelError:
        return None
    return Line(shot.source, "IMAGE_DATA") if shot.source else None


def _draw_view(column: Any, context: bpy.types.Context, wanted: Any) -> None:
    column.prop(wanted, "view_take")
    active = context.active_object
    if wanted.view_take == "DRAWINGS":
        draw_layer(column, wanted, "view_layer", active)


def draw_layer(column: Any, wanted: Any, name: str, thing: Any) -> None:
    """A setting that names a layer of a Grease Pencil object."""
    if thing is not None and thing.type == "GREASEPENCIL":
        column.prop_search(wanted, name, thing.data, "layers")
    else:
        column.prop(wanted, name)


def _draw_marks(layout: Any, wanted: Any, editor: str) -> None:
    row = layout.row(align=True)
    row.operator("tweencel.mark_key", text="Mark Key", icon="KEYFRAME_HLT")
    row.operator("tweencel.mark_breakdown", text="Breakdown", icon="HANDLETYPE_ALIGNED_VEC")
    row.operator("tweencel.clear_marks", text="", icon="X")
    flow = layout.grid_flow(columns=4, align=True, even_columns=True, row_major=True)
    marks = sorted((mark.frame, mark.breakdown) for mark in wanted.marks)
    for frame, breakdown in marks:
        text = f"{frame} b" if breakdown else str(frame)
        flow.operator("tweencel.unmark", text=text, icon="X").frame = frame
    if editor != "IMAGE":
        return
    for one in sorted(wanted.pictures, key=lambda one: one.frame):
        row = layout.row(align=True)
        name = one.image.name if one.image else "(gone)"
        row.label(text=f"{one.frame}: {name}", icon="IMAGE_DATA")
        row.prop(one, "role", text="")
        row.operator("tweencel.unmark", text="", icon="X").frame = one.frame


class TWEENCEL_PT_mask(Sidebar, bpy.types.Panel):
    bl_idname = "TWEENCEL_PT_mask"
    bl_label = "What May Change"
    bl_parent_id = "TWEENCEL_PT_source"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        layout: Any = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        wanted = sources_of(capture.scene_of(context))
        layout.prop(wanted, "mask_kind")
        match wanted.mask_kind:
            case "NONE":
                return
            case "MASK":
                layout.prop(wanted, "mask")
            case "PENCIL":
                layout.prop(wanted, "mask_object")
                draw_layer(layout, wanted, "mask_layer", wanted.mask_object)
            case _:
                layout.prop(wanted, "mask_image")
        layout.prop(wanted, "mask_feather")
        layout.prop(wanted, "mask_invert")
        if wanted.mask_kind in ("MASK", "PENCIL"):
            layout.prop(wanted, "mask_animated")
        held = "Outside of the mask the key before is held, bit by bit"
        draw_lines(layout, context, [Line(held, "INFO")])


class TWEENCEL_PT_guides(Sidebar, bpy.types.Panel):
    bl_idname = "TWEENCEL_PT_guides"
    bl_label = "Sketches"
    bl_parent_id = "TWEENCEL_PT_source"
    bl_options = {"DEFAULT_CLOSED"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return _takes_sketches(context)

    def draw(self, context: bpy.types.Context) -> None:
        layout: Any = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        wanted = sources_of(capture.scene_of(context))
        layout.prop(wanted, "guide_kind")
        match wanted.guide_kind:
            case "NONE":
                return
            case "PENCIL":
                layout.prop(wanted, "guide_object")
                draw_layer(layout, wanted, "guide_layer", wanted.guide_object)
            case _:
                layout.prop(wanted, "guide_channel")
        layout.prop(wanted, "guide_strength")


def _takes_sketches(context: bpy.types.Context) -> bool:
    """Whether the chosen engine is guided by sketches: few are."""
    engines = live.get().engines
    chosen = settings_of(vse.editing_scene(context)).engine or live.usual_engine(engines)
    return any(engine.id == chosen and engine.can.sketches for engine in engines)


CLASSES = (
    *in_every_editor(TWEENCEL_PT_source),
    *in_every_editor(TWEENCEL_PT_mask),
    *in_every_editor(TWEENCEL_PT_guides),
)
