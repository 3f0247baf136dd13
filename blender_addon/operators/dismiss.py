# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: TID252
"""Take an ended job, or the last message, off the panel."""

from __future__ import annotations

import bpy
from bpy.props import StringProperty

from .. import live
from .verb import Verb


class TWEENCEL_OT_dismiss(Verb, bpy.types.Operator):
    bl_idname = "tweencel.dismiss"
    bl_label = "Dismiss"
    bl_description = "Take this off the panel; files and strips stay"
    bl_options = {"INTERNAL"}

    job: StringProperty(options={"SKIP_SAVE"})

    def act(self, context: bpy.types.Context) -> str | None:
        if not self.job:
            live.get().notice = None
        elif self.job in live.get().session.works:
            live.get().dismiss(self.job)
        return None


CLASSES = (TWEENCEL_OT_dismiss,)
