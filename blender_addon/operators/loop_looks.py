# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: TID252
"""Look at a loop before it is made: a small preview, and what each length would cost."""

from __future__ import annotations

import bpy
from bpy.props import IntProperty

from .. import capture, live, loop_player
from ..loop_props import loop_of
from .verb import Verb

_ASIDE = "previews"
"""The folder in the user's profile for what is not kept."""


class TWEENCEL_OT_preview_loop(Verb, bpy.types.Operator):
    bl_idname = "tweencel.preview_loop"
    bl_label = "Preview"
    bl_description = "Make a small loop with few frames, which plays here"

    def act(self, context: bpy.types.Context) -> str | None:
        chosen = loop_of(capture.scene_of(context)).engine
        live.get().loops.preview(context, chosen, live.user_folder(_ASIDE))
        live.get().notice = None
        loop_player.get().play()
        return None


class TWEENCEL_OT_play_preview(Verb, bpy.types.Operator):
    bl_idname = "tweencel.play_preview"
    bl_label = "Play or Pause"
    bl_description = "Play the preview for a while, or pause it"
    bl_options = {"INTERNAL"}

    def act(self, context: bpy.types.Context) -> str | None:
        player = loop_player.get()
        if player.playing:
            player.pause()
        else:
            player.play()
        return None


class TWEENCEL_OT_drop_preview(Verb, bpy.types.Operator):
    bl_idname = "tweencel.drop_preview"
    bl_label = "Close Preview"
    bl_description = "Show the preview no more"
    bl_options = {"INTERNAL"}

    def act(self, context: bpy.types.Context) -> str | None:
        live.get().loops.drop_preview()
        return None


class TWEENCEL_OT_measure_lengths(Verb, bpy.types.Operator):
    bl_idname = "tweencel.measure_lengths"
    bl_label = "Find the Best Length"
    bl_description = "Measure what the seam of a loop of each length would look like"

    def act(self, context: bpy.types.Context) -> str | None:
        loop = loop_of(capture.scene_of(context))
        lengths = min(loop.shortest, loop.longest), max(loop.shortest, loop.longest)
        live.get().loops.measure(context, loop.engine, live.user_folder(_ASIDE), lengths)
        live.get().notice = None
        return None


class TWEENCEL_OT_set_length(Verb, bpy.types.Operator):
    bl_idname = "tweencel.set_length"
    bl_label = "Take This Length"
    bl_description = "Make the loop this long"
    bl_options = {"UNDO", "INTERNAL"}

    length: IntProperty(min=2, max=100_000, options={"SKIP_SAVE"})

    def act(self, context: bpy.types.Context) -> str | None:
        loop_of(capture.scene_of(context)).length = self.length
        return None


CLASSES = (
    TWEENCEL_OT_preview_loop,
    TWEENCEL_OT_play_preview,
    TWEENCEL_OT_drop_preview,
    TWEENCEL_OT_measure_lengths,
    TWEENCEL_OT_set_length,
)
