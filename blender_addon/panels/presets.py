# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: TID252
"""The list of named settings in the header of the main panel."""

from __future__ import annotations

import bpy
from bl_ui.utils import PresetPanel

from ..presets import FOLDER


class TWEENCEL_PT_presets(PresetPanel, bpy.types.Panel):
    bl_label = "Tweencel Presets"
    preset_subdir = FOLDER
    preset_operator = "script.execute_preset"
    preset_add_operator = "tweencel.add_preset"


CLASSES = (TWEENCEL_PT_presets,)
