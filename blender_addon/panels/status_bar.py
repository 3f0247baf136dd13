# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: TID252
"""How far the jobs are, in Blender's status bar: seen from every workspace."""

from __future__ import annotations

from typing import Any

import bpy

from .. import live
from ..wording import job_views, plural

_WIDTH = 16.0
"""Of the bar with its text, in buttons."""


def draw(self: Any, context: bpy.types.Context) -> None:
    """What is appended to the status bar."""
    open_jobs = [view for view in job_views(live.get().session) if view.can_cancel]
    if not open_jobs:
        return
    oldest = open_jobs[-1]
    row = self.layout.row(align=True)
    row.separator()
    text = f"{oldest.title}: {oldest.status}"
    if more := len(open_jobs) - 1:
        text += f" (and {plural(more, 'job')} more)"
    if oldest.fraction is None:
        row.label(text=text, icon="RENDER_ANIMATION")
    else:
        bar = row.row()
        bar.ui_units_x = _WIDTH
        bar.progress(factor=oldest.fraction, text=text)
    row.operator("tweencel.cancel", text="", icon="X").job = oldest.job


def _header() -> Any:
    return bpy.types.STATUSBAR_HT_header


def register() -> None:
    _header().append(draw)


def unregister() -> None:
    _header().remove(draw)
