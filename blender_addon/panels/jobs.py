# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: TID252
"""The panel of what is being made and what was made."""

from __future__ import annotations

from typing import Any

import bpy

from .. import live, thumbnails
from ..wording import JobView, error_lines, job_views
from . import glance
from .sidebar import Sidebar, draw_lines, in_every_editor

_PICTURE = 5.0
"""Height of a job's picture, in lines of text."""


class TWEENCEL_PT_jobs(Sidebar, bpy.types.Panel):
    bl_idname = "TWEENCEL_PT_jobs"
    bl_label = "Jobs"

    def draw(self, context: bpy.types.Context) -> None:
        layout: Any = self.layout
        alive = live.get()
        notice = alive.notice
        if notice is not None and glance.was_told(context, notice):
            notice = None
        if notice is not None:
            box = layout.box()
            draw_lines(box, context, error_lines(notice))
            box.operator("tweencel.dismiss", icon="X")
        views = job_views(alive.session)
        for view in views:
            _draw_job(_beside_picture(layout.box(), view), context, view)
        if not views and notice is None:
            layout.label(text="Nothing yet")


def _beside_picture(box: Any, view: JobView) -> Any:
    """The place for a job's lines: right of the last frame that landed, if there is one."""
    icon = thumbnails.icon_of(live.get().session.works[view.job])
    if not icon:
        return box
    row = box.row()
    row.template_icon(icon_value=icon, scale=_PICTURE)
    return row.column()


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


CLASSES = in_every_editor(TWEENCEL_PT_jobs)
