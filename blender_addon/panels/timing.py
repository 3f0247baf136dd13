# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: TID252
"""The panel of the timing: how the gaps are filled, and the chart of each."""

from __future__ import annotations

from typing import Any

import bpy

from protocol.errors import TweencelError

from .. import charts, vse
from ..properties import is_custom, settings_of, wish_of
from ..shot import Fit, GapView, Repeat, gap_views
from ..wording import Line, error_lines, gap_lines, gap_title
from . import glance
from .chart import Palette, icon_of
from .sidebar import Sidebar, draw_lines, in_every_editor, settings_column

_UNIT = 20.0
"""Pixels of a button's height at a scale of 1."""
_PADDING = 4.0
"""Pixels that Blender leaves free on each side of a picture."""
_CHART_PART = 0.42
_MOST_CHARTS = 4
"""With more gaps only those with a timing of their own show their charts."""


class TWEENCEL_PT_timing(Sidebar, bpy.types.Panel):
    bl_idname = "TWEENCEL_PT_timing"
    bl_label = "Timing"

    def draw(self, context: bpy.types.Context) -> None:
        layout: Any = self.layout
        settings = settings_of(vse.editing_scene(context))
        _draw_usual(layout, settings)
        _draw_repeat(layout, settings)
        _draw_gaps(layout, context, settings)


def _draw_usual(layout: Any, settings: Any) -> None:
    column = settings_column(layout)
    column.prop(settings, "fit")
    column.prop(settings, "fill")
    if not settings.fill:
        column.prop(settings, "count")
    # With a count the way back of a cycle is as long as its drawings are held.
    if settings.fill or settings.fit == Fit.ROOM.value or settings.repeat == Repeat.CYCLE.value:
        column.prop(settings, "step")
    column.prop(settings, "hold")
    column.prop(settings, "spacing")
    _draw_curve(layout, settings)


def _draw_repeat(layout: Any, settings: Any) -> None:
    column = settings_column(layout)
    column.prop(settings, "repeat")
    if settings.repeat == Repeat.CYCLE.value:
        column.prop(settings, "closing")
    column.prop(settings, "even_motion")


def _draw_curve(layout: Any, owner: Any) -> None:
    node = charts.node_of(owner) if is_custom(owner) else None
    if node is not None:
        layout.template_curve_mapping(node, "mapping")


def _draw_gaps(layout: Any, context: bpy.types.Context, settings: Any) -> None:
    try:
        views = gap_views(glance.survey(context, "timing"), wish_of(settings))
    except TweencelError:  # told where the keys are shown
        return
    for view in views:
        _draw_gap(layout, context, settings, view, len(views) <= _MOST_CHARTS)
    if len(settings.gaps) != len(views):
        layout.operator("tweencel.fit_gaps")


def _draw_gap(
    layout: Any, context: bpy.types.Context, settings: Any, view: GapView, charted: bool
) -> None:
    gap = settings.gaps[view.number] if view.number < len(settings.gaps) else None
    own = gap is not None and gap.own
    box = layout.box()
    row = box.row(align=True)
    row.label(text=gap_title(view))
    if gap is not None:
        row.prop(gap, "own", text="", icon="PREFERENCES")
    if view.problem is not None:
        draw_lines(box, context, error_lines(view.problem))
    body = box
    if view.ticks and (own or charted):
        body = box.split(factor=_CHART_PART)
        scale, size = _chart_size(context)
        body.template_icon(icon_of(view.ticks, size, palette_of(context)), scale=scale)
    column = body.column(align=True)
    if own:
        _draw_own(column, settings, gap)
        _draw_curve(box, gap)
    else:
        draw_lines(column, context, [Line(text) for text in gap_lines(view)])


def _draw_own(column: Any, settings: Any, gap: Any) -> None:
    column.prop(gap, "cut")
    if gap.cut:
        return
    column.prop(gap, "fill", text="Fill")
    if not gap.fill:
        column.prop(gap, "count", text="Count")
    if gap.fill or settings.fit == Fit.ROOM.value:
        column.prop(gap, "on", text="")
        if gap.on == "other":
            column.prop(gap, "step", text="Frames")
    column.prop(gap, "hold", text="Hold")
    column.prop(gap, "spacing", text="")


def _chart_size(context: bpy.types.Context) -> tuple[float, int]:
    """The chart's side: in buttons' heights as Blender wants it, and in pixels."""
    width = context.region.width if context.region else 300
    unit = _UNIT * (context.preferences.system.ui_scale or 1.0)  # 0 without a window
    scale = min(7.0, max(2.5, _CHART_PART * (width / unit - 3.0)))
    return scale, max(16, round(scale * unit - 2 * _PADDING))


def palette_of(context: bpy.types.Context) -> Palette:
    """What is read well in the theme that the artist has chosen."""
    theme: Any = context.preferences.themes[0].user_interface
    red, green, blue = theme.wcol_regular.text[:3]
    return Palette((red, green, blue, 1.0))


CLASSES = in_every_editor(TWEENCEL_PT_timing)
