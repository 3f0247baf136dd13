# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: TID252
"""The last part of the loop's panel: where the result goes, and the buttons."""

from __future__ import annotations

from typing import Any

import bpy

from .. import live, timeline, vse
from ..properties import settings_of
from ..wording import Line
from .inbetween import draw_target
from .sidebar import Sidebar, draw_lines, in_every_editor, settings_column


class TWEENCEL_PT_loop_make(Sidebar, bpy.types.Panel):
    """Registered after all other parts: that is their order in the sidebar."""

    bl_idname = "TWEENCEL_PT_loop_make"
    bl_label = "Make"
    bl_parent_id = "TWEENCEL_PT_loop"
    bl_options = {"HIDE_HEADER"}

    def draw(self, context: bpy.types.Context) -> None:
        layout: Any = self.layout
        scene = vse.editing_scene(context)
        settings = settings_of(scene)
        column = settings_column(layout)
        draw_target(column, context, settings, keys=False)
        column.prop(settings, "folder")
        if warning := timeline.view_warning(scene):
            draw_lines(layout, context, [Line(warning, "INFO")])
        _draw_verbs(layout, context)


def _draw_verbs(layout: Any, context: bpy.types.Context) -> None:
    loops = live.get().loops
    if loops.taken is not None:
        row = layout.row(align=True)
        done, total = loops.taken
        row.progress(factor=done / total, text=f"Reading frame {done} of {total}")
        row.operator("tweencel.stop_reading", text="", icon="X")
    else:
        row = layout.row()
        row.scale_y = 1.5
        row.operator("tweencel.make_loop", icon="FILE_REFRESH")
    layout.operator("tweencel.export_loop", icon="EXPORT")
    if loops.exporting is not None:
        line = Line(f"Writing {loops.exporting.target.name} ...", "SORTTIME")
        draw_lines(layout, context, [line])
    elif loops.exported is not None:
        draw_lines(layout, context, [Line(f"{loops.exported.name} is written", "CHECKMARK")])


CLASSES = in_every_editor(TWEENCEL_PT_loop_make)
