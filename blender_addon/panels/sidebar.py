# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: TID252
"""Where the panels are, and how lines are drawn."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

import bpy

from ..wording import Line

_CHARACTER, _MARGINS, _ICON = 6.0, 84, 24
"""Points: of one character on average, of what is left and right of the text of a box, of an icon.
Seen in Blender's own font at its usual size."""

_OTHER_EDITORS = {"view3d": "VIEW_3D", "image": "IMAGE_EDITOR"}


class Sidebar:
    """A panel of the tab Tweencel."""

    bl_space_type = "SEQUENCE_EDITOR"
    bl_region_type = "UI"
    bl_category = "Tweencel"


def in_every_editor(panel: type) -> tuple[type, ...]:
    """The sequencer's panel, and its likes for the 3D View and the Image Editor: Blender wants a
    class for each. Call it before the class is registered."""
    return (panel, *(_like(panel, name, space) for name, space in _OTHER_EDITORS.items()))


def _like(panel: type, name: str, space: str) -> type:
    own = {
        key: value for key, value in vars(panel).items() if key not in ("__dict__", "__weakref__")
    }
    own |= {"bl_space_type": space, "bl_idname": f"{panel.__name__}_{name}"}
    if "bl_parent_id" in own:
        own["bl_parent_id"] = f"{own['bl_parent_id']}_{name}"
    return type(f"{panel.__name__}_{name}", panel.__bases__, own)


def settings_column(layout: Any) -> Any:
    """A column of settings with their names on the left, which take no key frames."""
    column = layout.column()
    column.use_property_split = True
    column.use_property_decorate = False
    return column


def draw_lines(layout: Any, context: bpy.types.Context, lines: Sequence[Line]) -> None:
    """Labels in Blender do not wrap: break the text at the width of the sidebar."""
    width = context.region.width if context.region else 300
    scale = context.preferences.system.ui_scale or 1.0  # 0 without a window
    column = layout.column(align=True)
    for line in lines:
        block = column.column(align=True)
        block.alert = line.alert
        icon: Any = line.icon
        taken = _MARGINS + (_ICON if icon != "NONE" else 0)
        for text in textwrap.wrap(line.text, max(16, int((width / scale - taken) / _CHARACTER))):
            block.label(text=text, icon=icon)
            # The next line starts below the text, which is not indented if there is no icon.
            icon = "NONE" if line.icon == "NONE" else "BLANK1"
