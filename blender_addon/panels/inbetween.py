# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: TID252
"""The panel of the main job: which keys, how many in-betweens, made by what."""

from __future__ import annotations

from typing import Any

import bpy

from protocol.errors import TooFewKeys, TweencelError

from .. import capture, generation, live, param_props, results, timeline, vse
from ..properties import settings_of, wish_of
from ..shot import Shot, plan
from ..wording import (
    Line,
    engine_label,
    engine_lines,
    error_lines,
    summary,
)
from . import glance
from .presets import TWEENCEL_PT_presets
from .sidebar import Sidebar, draw_lines, in_every_editor, settings_column
from .weights import draw_wanted


class TWEENCEL_PT_inbetween(Sidebar, bpy.types.Panel):
    bl_idname = "TWEENCEL_PT_inbetween"
    bl_label = "In-Betweens"

    def draw_header_preset(self, context: bpy.types.Context) -> None:
        TWEENCEL_PT_presets.draw_panel_header(self.layout)

    def draw(self, context: bpy.types.Context) -> None:
        layout: Any = self.layout
        scene = vse.editing_scene(context)
        settings = settings_of(scene)
        _draw_source(layout, context, settings)
        _draw_engine(layout, context, settings)
        column = settings_column(layout)
        draw_target(column, context, settings)
        column.prop(settings, "folder")
        column.prop(settings, "template")
        if _several(context, settings):
            column.prop(settings, "variations")
        if warning := timeline.view_warning(scene):
            draw_lines(layout, context, [Line(warning, "INFO")])
        _draw_replaced(layout, context)
        row = layout.row()
        row.scale_y = 1.5
        row.operator("tweencel.generate", icon="RENDER_ANIMATION")


def _draw_source(layout: Any, context: bpy.types.Context, settings: Any) -> None:
    _, lines = source_lines(context, settings)
    draw_lines(layout, context, lines)


def source_lines(context: bpy.types.Context, settings: Any) -> tuple[Shot | None, list[Line]]:
    """The keys that are selected, if they can be read, and what the panel says of them."""
    try:
        shot = glance.survey(context, "inbetween")
    except TooFewKeys as problem:
        if results.chosen_owner(context) is not None:
            return None, [Line("Select keys for new in-betweens", "INFO")]
        return None, error_lines(glance.tell(context, problem))
    except TweencelError as problem:
        return None, error_lines(glance.tell(context, problem))
    notes = [Line(note, "INFO") for note in shot.notes]
    try:
        return shot, [Line(summary(shot, plan(shot, wish_of(settings))), "KEYFRAME"), *notes]
    except TweencelError as problem:
        return shot, [*error_lines(glance.tell(context, problem)), *notes]


def draw_target(
    column: Any, context: bpy.types.Context, settings: Any, *, keys: bool = True
) -> None:
    """What shows the frames. `keys`: whether there are any that may be hidden."""
    column.prop(settings, "target")
    target = generation.target_in(context)
    if settings.target == "AUTO" and target != "VSE":
        items = type(settings).bl_rna.properties["target"].enum_items
        column.label(text=items[target].name, icon="FORWARD")
    if target in ("PLANE", "GP_REFERENCE"):
        column.prop(settings, "standing")
    if keys and target == "VSE" and capture.editor_of(context) == "VSE":
        column.prop(settings, "hide_keys")


def _draw_replaced(layout: Any, context: bpy.types.Context) -> None:
    made = results.replaced(context)
    if made is None:
        return
    row = layout.row()
    row.label(text=f"Replaces {made.owner.name}", icon="FILE_REFRESH")
    row.operator("tweencel.stop_replacing", text="", icon="X")


def _several(context: bpy.types.Context, settings: Any) -> bool:
    """Whether there may be variations: the engine minds seeds, and strips or files can lie beside
    each other."""
    alive = live.get()
    chosen = settings.engine or live.usual_engine(alive.engines)
    seeds = any(engine.id == chosen and engine.can.seeds for engine in alive.engines)
    return seeds and generation.target_in(context) in ("VSE", "FILES")


def _draw_engine(layout: Any, context: bpy.types.Context, settings: Any) -> None:
    engines = live.get().engines
    if not engines:
        return
    chosen = settings.engine or live.usual_engine(engines)
    layout.menu("TWEENCEL_MT_engine", text=engine_label(engines, chosen))
    for engine in engines:
        if engine.id == chosen:
            draw_lines(layout, context, engine_lines(engine))
            draw_wanted(layout, context, engine)
            column = settings_column(layout)
            for row in param_props.rows(settings, engine):
                column.prop(settings.engines[engine.id], row.path, text=row.label)
            if engine.can.seeds:
                column.prop(settings, "seed")


CLASSES = in_every_editor(TWEENCEL_PT_inbetween)
