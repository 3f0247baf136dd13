# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: TID252
"""The panel of in-betweens that are selected: how they were made, and making them again."""

from __future__ import annotations

from typing import Any

import bpy

from protocol.errors import TweencelError

from .. import live, results, timeline
from ..wording import Line, error_lines, result_lines
from .sidebar import Sidebar, draw_lines, in_every_editor


class TWEENCEL_PT_result(Sidebar, bpy.types.Panel):
    bl_idname = "TWEENCEL_PT_result"
    bl_label = "Selected In-Betweens"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return results.chosen_owner(context) is not None

    def draw(self, context: bpy.types.Context) -> None:
        layout: Any = self.layout
        try:
            made = results.chosen(context)
        except TweencelError as problem:
            draw_lines(layout, context, error_lines(problem))
            return
        layout.label(text=made.owner.name, icon="RENDER_ANIMATION")
        painted = live.get().painted_in(made)
        draw_lines(layout, context, result_lines(made.version, painted))
        row = layout.row(align=True)
        row.operator("tweencel.restore", icon="LOOP_BACK")
        row.operator("tweencel.make_again", icon="FILE_REFRESH")
        if variations := timeline.variations_of(made.owner):
            number = variations.index(made.owner) + 1
            draw_lines(layout, context, [Line(f"Variation {number} of {len(variations)}")])
            row = layout.row(align=True)
            row.operator("tweencel.pick", text="Use This", icon="CHECKMARK")
            row.operator(
                "tweencel.pick", text="And Remove Others", icon="TRASH"
            ).remove_others = True


CLASSES = in_every_editor(TWEENCEL_PT_result)
