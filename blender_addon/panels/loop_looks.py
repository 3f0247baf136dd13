# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: TID252
"""The panels of what is looked at before a loop is made: a preview, and the cost of each length."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy

from .. import capture, live, loop_player, vse
from ..loop_props import loop_of
from ..seams import Seam
from ..wording import Line, plural, seam_lines
from .loop import is_still
from .seam_chart import icon_of
from .sidebar import Sidebar, draw_lines, in_every_editor, settings_column
from .timing import palette_of

_UNIT, _MARGINS, _MOST = 20.0, 3.5, 16.0
"""Pixels of a button's height; of those, what is left and right of a picture, and the most."""
_VALLEYS = 6
"""Lengths that are offered."""


class TWEENCEL_PT_loop_preview(Sidebar, bpy.types.Panel):
    bl_idname = "TWEENCEL_PT_loop_preview"
    bl_label = "Preview"
    bl_parent_id = "TWEENCEL_PT_loop"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return is_still(context)

    def draw(self, context: bpy.types.Context) -> None:
        layout: Any = self.layout
        work = live.get().loops.previewed
        layout.operator("tweencel.preview_loop", icon="PLAY")
        if work is None:
            return
        files = [work.folder.path / work.made[slot] for slot in sorted(work.made)]
        total = len(work.order.numbers)
        if icon := _playing(context, files, float(work.order.facts["preview"]["step"])):
            layout.template_icon(icon_value=icon, scale=picture_scale(context))
        row = layout.row(align=True)
        row.label(text=f"{len(files)} of {plural(total, 'frame')}")
        is_playing = loop_player.get().playing
        row.operator("tweencel.play_preview", text="", icon="PAUSE" if is_playing else "PLAY")
        row.operator("tweencel.drop_preview", text="", icon="X")


def _playing(context: bpy.types.Context, files: list[Path], step: float) -> int:
    """The icon of the frame whose turn it is, in the scene's own time."""
    render = vse.editing_scene(context).render
    return loop_player.get().show(files, render.fps / render.fps_base / step)


def picture_scale(context: bpy.types.Context) -> float:
    """The side of a picture that is as wide as the sidebar, in heights of buttons."""
    width = context.region.width if context.region else 300
    unit = _UNIT * (context.preferences.system.ui_scale or 1.0)  # 0 without a window
    return min(_MOST, max(4.0, width / unit - _MARGINS))


class TWEENCEL_PT_loop_length(Sidebar, bpy.types.Panel):
    bl_idname = "TWEENCEL_PT_loop_length"
    bl_label = "Best Length"
    bl_parent_id = "TWEENCEL_PT_loop"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return not is_still(context)

    def draw(self, context: bpy.types.Context) -> None:
        layout: Any = self.layout
        loop = loop_of(capture.scene_of(context))
        row = settings_column(layout).row(align=True)
        row.use_property_split = False
        row.prop(loop, "shortest")
        row.prop(loop, "longest")
        layout.operator("tweencel.measure_lengths", icon="VIEWZOOM")
        if seam := live.get().loops.seam:
            _draw_seam(layout, context, loop, seam)


def _draw_seam(layout: Any, context: bpy.types.Context, loop: Any, seam: Seam) -> None:
    valleys = seam.valleys(_VALLEYS)
    icon = icon_of(seam, loop.length, valleys, palette_of(context))
    layout.template_icon(icon_value=icon, scale=picture_scale(context))
    draw_lines(layout, context, [Line(text) for text in seam_lines(seam, loop.length)])
    flow = layout.grid_flow(columns=3, align=True, even_columns=True, row_major=True)
    for length in sorted({*valleys, seam.best}):
        icon_name = "SOLO_ON" if length == seam.best else "NONE"
        row = flow.row()
        row.active = length != loop.length
        row.operator("tweencel.set_length", text=str(length), icon=icon_name).length = length


CLASSES = (
    *in_every_editor(TWEENCEL_PT_loop_preview),
    *in_every_editor(TWEENCEL_PT_loop_length),
)
