# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: TID252
"""The panels of loops: what repeats, what moves in it and how, made by what."""

from __future__ import annotations

from typing import Any

import bpy

from protocol.engines import EngineSpec
from protocol.errors import TweencelError
from protocol.params import ChoiceParam

from .. import capture, live, loop_asking, param_props, vse
from ..loop_props import active_region, loop_of
from ..loops import CLIP, STILL
from ..properties import settings_of
from ..wording import Line, engine_label, engine_lines, error_lines, loop_summary, plural
from .sidebar import Sidebar, draw_lines, in_every_editor, settings_column
from .source import draw_layer

_OURS = ("motion",)
"""Settings of an engine that each region has for itself."""


class TWEENCEL_PT_loop(Sidebar, bpy.types.Panel):
    bl_idname = "TWEENCEL_PT_loop"
    bl_label = "Loop"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        layout: Any = self.layout
        loop, scene = loop_of(capture.scene_of(context)), vse.editing_scene(context)
        settings = settings_of(scene)
        kind, lines = _source(context, loop, scene)
        draw_lines(layout, context, lines)
        column = settings_column(layout)
        column.prop(loop, "take")
        column.prop(loop, "length")
        column.prop(loop, "layer")
        _draw_engine(layout, context, loop, settings, kind)


def _source(context: bpy.types.Context, loop: Any, scene: Any) -> tuple[str, list[Line]]:
    """The kind of job, and what the panel says of what is selected."""
    try:
        source = loop_asking.source_of(context)
    except TweencelError as problem:
        return STILL, error_lines(problem)
    kind = CLIP if source.is_run else STILL
    rate = scene.render.fps / scene.render.fps_base
    summed = loop_summary(loop.length, rate, len(loop.regions), is_run=source.is_run)
    return kind, [Line(source.source, "IMAGE_DATA"), Line(summed, "FILE_REFRESH")]


def _draw_engine(
    layout: Any, context: bpy.types.Context, loop: Any, settings: Any, kind: str
) -> None:
    loops = live.get().loops
    engines = loops.engines(kind)
    if not engines:
        if live.get().session.engines:
            what = "stills" if kind == STILL else "runs of frames"
            line = Line(f"This backend has no engine that makes loops of {what}", "ERROR", True)
            draw_lines(layout, context, [line])
        return
    chosen = loops.usual(kind, loop.engine) or loop.engine
    layout.menu(_MENUS[kind], text=engine_label(engines, chosen))
    for engine in engines:
        if engine.id == chosen:
            draw_lines(layout, context, engine_lines(engine))
            _draw_params(layout, settings, engine)


def _draw_params(layout: Any, settings: Any, engine: EngineSpec) -> None:
    column = settings_column(layout)
    own = {f'["set_{name}"]' for name in _OURS}
    for row in param_props.rows(settings, engine):
        if row.path not in own:
            column.prop(settings.engines[engine.id], row.path, text=row.label)


class TWEENCEL_UL_regions(bpy.types.UIList):
    """The regions, each with its name and how it moves."""

    bl_idname = "TWEENCEL_UL_regions"

    def draw_item(  # type: ignore[override]
        self,
        context: bpy.types.Context,
        layout: Any,
        data: Any,
        item: Any,
        icon: int,
        active: Any,
        active_name: str,
    ) -> None:
        layout.prop(item, "name", text="", emboss=False, icon="MOD_MASK")


class TWEENCEL_PT_regions(Sidebar, bpy.types.Panel):
    bl_idname = "TWEENCEL_PT_regions"
    bl_label = "What Moves"
    bl_parent_id = "TWEENCEL_PT_loop"

    def draw(self, context: bpy.types.Context) -> None:
        layout: Any = self.layout
        loop = loop_of(capture.scene_of(context))
        region = active_region(loop)
        if region is None:
            said = "Nothing moves yet" if is_still(context) else "Everything moves"
            draw_lines(layout, context, [Line(said, "INFO")])
            layout.operator("tweencel.add_region", icon="ADD")
            return
        row = layout.row()
        row.template_list("TWEENCEL_UL_regions", "", loop, "regions", loop, "active", rows=2)
        column = row.column(align=True)
        column.operator("tweencel.add_region", text="", icon="ADD")
        column.operator("tweencel.remove_region", text="", icon="REMOVE")
        _draw_mask(settings_column(layout), region)
        if is_still(context):
            _draw_motion(layout, loop, region)
            _draw_strokes(layout, context, region)


def is_still(context: bpy.types.Context) -> bool:
    """Whether one picture is selected, or nothing."""
    try:
        return not loop_asking.source_of(context).is_run
    except TweencelError:
        return True


def _draw_mask(column: Any, region: Any) -> None:
    column.prop(region, "mask_kind")
    match region.mask_kind:
        case "ALL":
            return
        case "MASK":
            column.prop(region, "mask")
        case "PENCIL":
            column.prop(region, "mask_object")
            draw_layer(column, region, "mask_layer", region.mask_object)
        case _:
            column.prop(region, "mask_image")
    column.prop(region, "feather")
    column.prop(region, "invert")


def _draw_motion(layout: Any, loop: Any, region: Any) -> None:
    row = layout.row()
    row.use_property_split = True
    split = row.split(factor=0.4)
    label = split.row()
    label.alignment = "RIGHT"
    label.label(text="Motion")
    split.menu("TWEENCEL_MT_motion", text=_motion_label(loop, region.motion))
    column = settings_column(layout)
    column.prop(region, "speed")
    column.prop(region, "period")


def _draw_strokes(layout: Any, context: bpy.types.Context, region: Any) -> None:
    column = settings_column(layout)
    column.prop(region, "stroke_kind")
    match region.stroke_kind:
        case "NONE":
            return
        case "PENCIL":
            column.prop(region, "stroke_object")
            draw_layer(column, region, "stroke_layer", region.stroke_object)
            draw_layer(column, region, "freeze_layer", region.stroke_object)
            column.prop(region, "by_thickness")
        case _:
            column.prop(region, "stroke_mask")
            if region.stroke_mask is not None:
                column.prop_search(region, "freeze_layer", region.stroke_mask, "layers")
    column.prop(region, "pace")
    draw_lines(layout, context, [_strokes_line(context, region)])


def _strokes_line(context: bpy.types.Context, region: Any) -> Line:
    """What was drawn, counted; its places do not matter here."""
    try:
        drawn = capture.drawn_of(capture.scene_of(context), region, (1, 1))
    except TweencelError as problem:
        return Line(problem.text, "INFO")
    held = len(drawn.anchors) + len(drawn.areas)
    parts = [plural(len(drawn.strokes), "stroke"), f"{held} frozen" if held else ""]
    return Line(", ".join(filter(None, parts)), "GREASEPENCIL")


def _motions(loop: Any) -> list[tuple[str, str]]:
    """The names of motions that the chosen engine publishes, with their labels."""
    loops = live.get().loops
    chosen = loops.usual(STILL, loop.engine)
    spec = next((engine for engine in loops.engines(STILL) if engine.id == chosen), None)
    for param in spec.params if spec else ():
        if param.name == "motion" and isinstance(param, ChoiceParam):
            return [(choice.id, choice.label) for choice in param.choices]
    return [("auto", "By Its Shape")]


def _motion_label(loop: Any, motion: str) -> str:
    return dict(_motions(loop)).get(motion, motion.title())


class TWEENCEL_MT_motion(bpy.types.Menu):
    bl_idname = "TWEENCEL_MT_motion"
    bl_label = "Motion"

    def draw(self, context: bpy.types.Context | None) -> None:
        layout: Any = self.layout
        assert context is not None
        for name, label in _motions(loop_of(capture.scene_of(context))):
            layout.operator("tweencel.choose_motion", text=label).motion = name


def _draw_engines(layout: Any, kind: str) -> None:
    for engine in live.get().loops.engines(kind):
        row = layout.row()
        row.enabled = not engine.unavailable
        text = f"{engine.label}: {engine.unavailable}" if engine.unavailable else engine.label
        row.operator("tweencel.choose_loop_engine", text=text).engine = engine.id


class TWEENCEL_MT_still_engine(bpy.types.Menu):
    bl_idname = "TWEENCEL_MT_still_engine"
    bl_label = "Engine"

    def draw(self, context: bpy.types.Context | None) -> None:
        _draw_engines(self.layout, STILL)


class TWEENCEL_MT_clip_engine(bpy.types.Menu):
    bl_idname = "TWEENCEL_MT_clip_engine"
    bl_label = "Engine"

    def draw(self, context: bpy.types.Context | None) -> None:
        _draw_engines(self.layout, CLIP)


_MENUS = {STILL: "TWEENCEL_MT_still_engine", CLIP: "TWEENCEL_MT_clip_engine"}

CLASSES = (
    TWEENCEL_MT_motion,
    TWEENCEL_MT_still_engine,
    TWEENCEL_MT_clip_engine,
    TWEENCEL_UL_regions,
    *in_every_editor(TWEENCEL_PT_loop),
    *in_every_editor(TWEENCEL_PT_regions),
)
