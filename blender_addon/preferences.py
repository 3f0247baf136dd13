# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds for all files of this user: where the backend is, and whether to start it."""

from __future__ import annotations

from typing import Any

import bpy
from bpy.props import BoolProperty, StringProperty


class TWEENCEL_AP_preferences(bpy.types.AddonPreferences):
    bl_idname = __package__ or "tweencel"

    executable: StringProperty(
        name="Tweencel Program",
        description="The tweencel program that is started; empty: look in the usual places",
        subtype="FILE_PATH",
    )
    endpoint: StringProperty(
        name="Address",
        description="A backend's address with its keys, in one string; empty: the local backend",
        subtype="PASSWORD",
    )
    start_automatically: BoolProperty(
        name="Start the Local Backend with Blender",
        description="Connect when Blender starts, and start the local backend if none runs",
    )

    def draw(self, context: bpy.types.Context) -> None:
        column = self.layout.column()
        column.prop(self, "executable")
        column.prop(self, "endpoint")
        column.prop(self, "start_automatically")


CLASSES = (TWEENCEL_AP_preferences,)


class _Unsaved:
    """What holds while the add-on is registered but not enabled, as in a test."""

    executable = ""
    endpoint = ""
    start_automatically = False


_unsaved = _Unsaved()


def preferences_of(context: bpy.types.Context) -> Any:
    """The user's preferences for this add-on."""
    addon = context.preferences.addons.get(__package__ or "")
    return addon.preferences if addon else _unsaved
