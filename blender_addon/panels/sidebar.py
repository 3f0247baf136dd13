# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: TID252
"""Where the panels are, and how lines are drawn."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

import bpy

from ..wording import Line

_POINTS_PER_CHARACTER = 6.5


class Sidebar:
    """A panel of the tab Tweencel."""

    bl_space_type = "SEQUENCE_EDITOR"
    bl_region_type = "UI"
    bl_category = "Tweencel"


def draw_lines(layout: Any, context: bpy.types.Context, lines: Sequence[Line]) -> None:
    """Labels in Blender do not wrap: break the text at the width of the sidebar."""
    width = context.region.width if context.region else 300
    scale = context.preferences.system.ui_scale or 1.0  # 0 without a window
    room = max(20, int(width / (_POINTS_PER_CHARACTER * scale)) - 6)
    column = layout.column(align=True)
    for line in lines:
        block = column.column(align=True)
        block.alert = line.alert
        for number, text in enumerate(textwrap.wrap(line.text, room)):
            icon: Any = line.icon if number == 0 else "BLANK1"
            block.label(text=text, icon=icon)
