# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: TID252
"""Leave the backend; what it has accepted goes on there."""

from __future__ import annotations

import bpy

from .. import live
from .verb import Verb


class TWEENCEL_OT_disconnect(Verb, bpy.types.Operator):
    bl_idname = "tweencel.disconnect"
    bl_label = "Disconnect"
    bl_description = "Close the connection; the backend goes on with its jobs"

    def act(self, context: bpy.types.Context) -> str | None:
        live.get().disconnect()
        return None


CLASSES = (TWEENCEL_OT_disconnect,)
