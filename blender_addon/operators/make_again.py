# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: TID252
"""What is done with a result: bring its settings back, make it again, pick a variation."""

from __future__ import annotations

import bpy
from bpy.props import BoolProperty

from protocol.errors import BadInput

from .. import live, results, timeline, vse
from ..properties import settings_of
from ..wording import plural
from .verb import Verb


class TWEENCEL_OT_make_again(Verb, bpy.types.Operator):
    bl_idname = "tweencel.make_again"
    bl_label = "Make Again"
    bl_description = (
        "Make the selected in-betweens again in their place, with their own settings and their "
        "keys as these are now. Only what has changed is made; frames you painted over are kept "
        "as keys"
    )
    bl_options = {"UNDO"}

    def act(self, context: bpy.types.Context) -> str | None:
        made = results.chosen(context)
        work = live.get().make_again(context, made)
        return f"{plural(work.job.total, 'in-between')} in the place of {made.owner.name}"


class TWEENCEL_OT_restore(Verb, bpy.types.Operator):
    bl_idname = "tweencel.restore"
    bl_label = "Restore Settings"
    bl_description = (
        "Bring back the settings and the keys of the selected in-betweens. What you generate then "
        "takes their place"
    )
    bl_options = {"UNDO"}

    def act(self, context: bpy.types.Context) -> str | None:
        made = results.chosen(context)
        lost = live.get().restore(context, made)
        return "; ".join(lost) or f"The settings of {made.owner.name} are back"


class TWEENCEL_OT_stop_replacing(Verb, bpy.types.Operator):
    bl_idname = "tweencel.stop_replacing"
    bl_label = "Make a New Result"
    bl_description = "Let Generate make a new result instead of replacing this one"
    bl_options = {"UNDO", "INTERNAL"}

    def act(self, context: bpy.types.Context) -> str | None:
        settings_of(vse.editing_scene(context)).replaces = ""
        return None


class TWEENCEL_OT_pick(Verb, bpy.types.Operator):
    bl_idname = "tweencel.pick"
    bl_label = "Use This Variation"
    bl_description = "Show the selected variation and mute the others"
    bl_options = {"UNDO", "REGISTER"}

    remove_others: BoolProperty(
        name="Remove the Others", description="Remove the other strips; their files stay"
    )

    def act(self, context: bpy.types.Context) -> str | None:
        strip = results.chosen_owner(context)
        if strip is None or not timeline.variations_of(strip):
            raise BadInput("No variation is selected.", fix="Select one of the stacked strips.")
        others = timeline.pick(strip, remove_others=self.remove_others)
        what = "removed" if self.remove_others else "muted"
        return f"{plural(len(others), 'other variation')} {what}"


CLASSES = (
    TWEENCEL_OT_make_again,
    TWEENCEL_OT_restore,
    TWEENCEL_OT_stop_replacing,
    TWEENCEL_OT_pick,
)
