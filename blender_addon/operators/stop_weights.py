# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: TID252
"""Stop the download of weights."""

from __future__ import annotations

import bpy
from bpy.props import StringProperty

from .. import live
from .verb import Verb


class TWEENCEL_OT_stop_weights(Verb, bpy.types.Operator):
    bl_idname = "tweencel.stop_weights"
    bl_label = "Stop Download"
    bl_description = "Stop this download; what has arrived is kept, and a later one goes on there"
    bl_options = {"INTERNAL"}

    name: StringProperty(options={"SKIP_SAVE"})

    def act(self, context: bpy.types.Context) -> str | None:
        live.get().session.supply.stop(self.name)
        return None


CLASSES = (TWEENCEL_OT_stop_weights,)
