# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: TID252
"""Mark the frames that are keys and breakdowns; in the Image Editor, the image that is shown."""

from __future__ import annotations

from typing import Any

import bpy
from bpy.props import IntProperty

from .. import capture
from ..source_props import remove_mark, set_mark, set_picture, sources_of
from .verb import Verb


def _single_image(context: bpy.types.Context) -> Any:
    """The Image Editor's image if it is one picture, not a sequence."""
    if capture.editor_of(context) != "IMAGE":
        return None
    space: Any = context.space_data
    image = space.image
    return image if image is not None and image.source in ("FILE", "GENERATED") else None


def _mark(context: bpy.types.Context, *, breakdown: bool) -> str:
    scene = capture.scene_of(context)
    what = "breakdown" if breakdown else "key"
    if (image := _single_image(context)) is not None:
        set_picture(scene, image, scene.frame_current, what.upper())
        return f"{image.name} is a {what} on frame {scene.frame_current}"
    set_mark(scene, scene.frame_current, breakdown=breakdown)
    return f"Frame {scene.frame_current} is a {what}"


class _Editor(Verb):
    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if context.scene is not None:
            return True
        cls.poll_message_set("There is no scene whose frames could be marked.")  # type: ignore[attr-defined]
        return False


class TWEENCEL_OT_mark_key(_Editor, bpy.types.Operator):
    bl_idname = "tweencel.mark_key"
    bl_label = "Mark Key at Playhead"
    bl_description = "The drawing on this frame is a key"
    bl_options = {"REGISTER", "UNDO"}

    def act(self, context: bpy.types.Context) -> str | None:
        return _mark(context, breakdown=False)


class TWEENCEL_OT_mark_breakdown(_Editor, bpy.types.Operator):
    bl_idname = "tweencel.mark_breakdown"
    bl_label = "Mark Breakdown at Playhead"
    bl_description = "The drawing on this frame is a breakdown: a key of lower trust between keys"
    bl_options = {"REGISTER", "UNDO"}

    def act(self, context: bpy.types.Context) -> str | None:
        return _mark(context, breakdown=True)


class TWEENCEL_OT_unmark(_Editor, bpy.types.Operator):
    bl_idname = "tweencel.unmark"
    bl_label = "Remove Mark"
    bl_description = "This frame is no key any more"
    bl_options = {"UNDO", "INTERNAL"}

    frame: IntProperty(options={"SKIP_SAVE"})

    def act(self, context: bpy.types.Context) -> str | None:
        scene = capture.scene_of(context)
        remove_mark(scene, self.frame)
        if capture.editor_of(context) == "IMAGE":
            pictures = sources_of(scene).pictures
            for number in reversed(range(len(pictures))):
                if pictures[number].frame == self.frame:
                    pictures.remove(number)
        return None


class TWEENCEL_OT_clear_marks(Verb, bpy.types.Operator):
    bl_idname = "tweencel.clear_marks"
    bl_label = "Clear Marks"
    bl_description = "Remove all marks of keys and breakdowns; timeline markers stay"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        wanted = sources_of(capture.scene_of(context))
        if len(wanted.marks) or len(wanted.pictures):
            return True
        cls.poll_message_set("No frame is marked.")
        return False

    def act(self, context: bpy.types.Context) -> str | None:
        wanted = sources_of(capture.scene_of(context))
        wanted.marks.clear()
        wanted.pictures.clear()
        return None


CLASSES = (
    TWEENCEL_OT_mark_key,
    TWEENCEL_OT_mark_breakdown,
    TWEENCEL_OT_unmark,
    TWEENCEL_OT_clear_marks,
)
