# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: TID252
"""Choose what makes the in-betweens."""

from __future__ import annotations

import bpy
from bpy.props import StringProperty

from .. import vse
from ..properties import settings_of
from .verb import Verb


class TWEENCEL_OT_choose_engine(Verb, bpy.types.Operator):
    bl_idname = "tweencel.choose_engine"
    bl_label = "Choose Engine"
    bl_description = "Make the in-betweens with this engine"
    bl_options = {"UNDO", "INTERNAL"}

    engine: StringProperty(options={"SKIP_SAVE"})

    def act(self, context: bpy.types.Context) -> str | None:
        settings_of(vse.editing_scene(context)).engine = self.engine
        return None


CLASSES = (TWEENCEL_OT_choose_engine,)
