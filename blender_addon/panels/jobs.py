# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: TID252
"""The panel of what is being made and what was made."""

from __future__ import annotations

from typing import Any

import bpy

from .. import live
from ..wording import JobView, error_lines, job_views
from .sidebar import Sidebar, draw_lines


class TWEENCEL_PT_jobs(Sidebar, bpy.types.Panel):
    bl_idname = "TWEENCEL_PT_jobs"
    bl_label = "Jobs"

    def draw(self, context: bpy.types.Context) -> None:
        layout: Any = self.layout
        alive = live.get()
        if alive.notice is not None:
            box = layout.box()
            draw_lines(box, context, error_lines(alive.notice))
            box.operator("tweencel.dismiss", icon="X")
        views = job_views(alive.session)
        for view in views:
            _draw_job(layout.box(), context, view)
        if not views and alive.notice is None:
            layout.label(text="Nothing yet")


def _draw_job(layout: Any, context: bpy.types.Context, view: JobView) -> None:
    row = layout.row()
    row.label(text=view.title)
    if view.has_folder:
        row.operator("tweencel.open_folder", text="", icon="FILE_FOLDER").job = view.job
    if view.can_cancel:
        row.operator("tweencel.cancel", text="", icon="CANCEL").job = view.job
    if view.can_dismiss:
        row.operator("tweencel.dismiss", text="", icon="X").job = view.job
    if view.fraction is None:
        layout.label(text=view.status)
    else:
        layout.progress(factor=view.fraction, text=view.status)
    draw_lines(layout, context, view.lines)


CLASSES = (TWEENCEL_PT_jobs,)
