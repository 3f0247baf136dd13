# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: TID252
"""Make a loop of what is selected, and set what moves in it."""

from __future__ import annotations

from typing import Any

import bpy
from bpy.props import StringProperty

from .. import capture, live, vse
from ..loop_props import active_region, loop_of
from ..properties import settings_of
from ..wording import plural
from .verb import Verb


def _loop(context: bpy.types.Context) -> Any:
    return loop_of(capture.scene_of(context))


class TWEENCEL_OT_make_loop(Verb, bpy.types.Operator):
    bl_idname = "tweencel.make_loop"
    bl_label = "Make Loop"
    bl_description = "Make a loop of the selected picture or frames, which repeats by itself"
    # Not REGISTER: changing a value in the redo panel would send a second job.
    bl_options = {"UNDO"}

    def act(self, context: bpy.types.Context) -> str | None:
        alive = live.get()
        parent = live.output_folder(settings_of(vse.editing_scene(context)))
        work = alive.loops.generate(context, _loop(context).engine, parent)
        alive.notice = None
        if work is None:
            return "The frames are read first"
        return f"{plural(work.job.total, 'frame')} on the way to {work.folder.path}"


class TWEENCEL_OT_stop_reading(Verb, bpy.types.Operator):
    bl_idname = "tweencel.stop_reading"
    bl_label = "Stop Reading Frames"
    bl_description = "Read no more frames, and make no loop of them"
    bl_options = {"INTERNAL"}

    def act(self, context: bpy.types.Context) -> str | None:
        live.get().loops.stop_taking()
        return None


class TWEENCEL_OT_add_region(Verb, bpy.types.Operator):
    bl_idname = "tweencel.add_region"
    bl_label = "Add Region"
    bl_description = "One more part of the picture that moves"
    bl_options = {"UNDO"}

    def act(self, context: bpy.types.Context) -> str | None:
        loop = _loop(context)
        region = loop.regions.add()
        region.name = f"Region {len(loop.regions)}"
        loop.active = len(loop.regions) - 1
        return None


class _OfRegion(Verb):
    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if active_region(_loop(context)) is not None:
            return True
        cls.poll_message_set("There is no region.")  # type: ignore[attr-defined]
        return False


class TWEENCEL_OT_remove_region(_OfRegion, bpy.types.Operator):
    bl_idname = "tweencel.remove_region"
    bl_label = "Remove Region"
    bl_description = "This part of the picture stays still; its mask is kept"
    bl_options = {"UNDO"}

    def act(self, context: bpy.types.Context) -> str | None:
        loop = _loop(context)
        loop.regions.remove(loop.active)
        loop.active = max(0, min(loop.active, len(loop.regions) - 1))
        return None


class TWEENCEL_OT_choose_motion(_OfRegion, bpy.types.Operator):
    bl_idname = "tweencel.choose_motion"
    bl_label = "Choose Motion"
    bl_description = "How the region moves where no stroke says it"
    bl_options = {"UNDO", "INTERNAL"}

    motion: StringProperty(options={"SKIP_SAVE"})

    def act(self, context: bpy.types.Context) -> str | None:
        active_region(_loop(context)).motion = self.motion
        return None


class TWEENCEL_OT_choose_loop_engine(Verb, bpy.types.Operator):
    bl_idname = "tweencel.choose_loop_engine"
    bl_label = "Choose Engine"
    bl_description = "Make the loop with this engine"
    bl_options = {"UNDO", "INTERNAL"}

    engine: StringProperty(options={"SKIP_SAVE"})

    def act(self, context: bpy.types.Context) -> str | None:
        _loop(context).engine = self.engine
        return None


CLASSES = (
    TWEENCEL_OT_make_loop,
    TWEENCEL_OT_stop_reading,
    TWEENCEL_OT_add_region,
    TWEENCEL_OT_remove_region,
    TWEENCEL_OT_choose_motion,
    TWEENCEL_OT_choose_loop_engine,
)
