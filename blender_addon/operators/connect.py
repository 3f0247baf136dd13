# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: TID252
"""Connect to a backend."""

from __future__ import annotations

import bpy
from bpy.props import StringProperty

from .. import live
from ..preferences import preferences_of
from .verb import Verb


class TWEENCEL_OT_connect(Verb, bpy.types.Operator):
    bl_idname = "tweencel.connect"
    bl_label = "Connect"
    bl_description = "Connect to the backend at the address in the preferences"

    endpoint: StringProperty(
        name="Address",
        description="Address and keys in one string; empty: as in the preferences",
        subtype="PASSWORD",
        options={"SKIP_SAVE"},
    )

    def act(self, context: bpy.types.Context) -> str | None:
        live.get().connect(self.endpoint or preferences_of(context).endpoint)
        return None


CLASSES = (TWEENCEL_OT_connect,)
