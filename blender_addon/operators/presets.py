# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: TID252
"""Keep the settings of a shot under a name, in Blender's own preset system."""

from __future__ import annotations

from pathlib import Path

import bpy
from bl_operators.presets import AddPresetBase

from .. import vse
from ..presets import FOLDER, preset_script
from ..properties import settings_of


class TWEENCEL_OT_add_preset(AddPresetBase, bpy.types.Operator):  # type: ignore[misc]
    bl_idname = "tweencel.add_preset"
    bl_label = "Add Tweencel Preset"
    bl_description = "Keep the timing and the engine's settings under a name, or remove a name"
    preset_menu = "TWEENCEL_PT_presets"
    preset_subdir = FOLDER

    def add(self, context: bpy.types.Context, filepath: str) -> None:
        """Called by Blender with the file to write."""
        settings = settings_of(vse.editing_scene(context))
        Path(filepath).write_text(preset_script(settings), "utf-8")


CLASSES = (TWEENCEL_OT_add_preset,)
