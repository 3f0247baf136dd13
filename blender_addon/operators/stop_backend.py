# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: TID252
"""Stop the backend that this Blender started."""

from __future__ import annotations

import bpy

from .. import live
from .verb import Verb


class TWEENCEL_OT_stop_backend(Verb, bpy.types.Operator):
    bl_idname = "tweencel.stop_backend"
    bl_label = "Stop Local Backend"
    bl_description = "Stop the backend that this Blender started; its jobs go on at its next start"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        local = live.get().local
        return local is not None and local.alive

    def act(self, context: bpy.types.Context) -> str | None:
        live.get().stop_local()
        return None


CLASSES = (TWEENCEL_OT_stop_backend,)
