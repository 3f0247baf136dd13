# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: TID252
"""Start the backend of this computer, or find the one that runs."""

from __future__ import annotations

import bpy

from .. import live
from .verb import Verb


class TWEENCEL_OT_start_backend(Verb, bpy.types.Operator):
    bl_idname = "tweencel.start_backend"
    bl_label = "Start Local Backend"
    bl_description = "Start the tweencel program on this computer and connect to it"

    def act(self, context: bpy.types.Context) -> str | None:
        live.get().start_local(context)
        return None


CLASSES = (TWEENCEL_OT_start_backend,)
