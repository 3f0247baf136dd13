# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: TID252
"""Stop one job and no other."""

from __future__ import annotations

import bpy
from bpy.props import StringProperty

from .. import live
from .verb import Verb


class TWEENCEL_OT_cancel(Verb, bpy.types.Operator):
    bl_idname = "tweencel.cancel"
    bl_label = "Cancel"
    bl_description = "Stop this job; the frames that are there stay"
    bl_options = {"INTERNAL"}

    job: StringProperty(options={"SKIP_SAVE"})

    def act(self, context: bpy.types.Context) -> str | None:
        session = live.get().session
        if self.job in session.works:
            session.cancel(self.job)
        return None


CLASSES = (TWEENCEL_OT_cancel,)
