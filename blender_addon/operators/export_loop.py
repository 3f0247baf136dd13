# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: TID252
"""Write the selected loop as a movie, an animation or a sequence, beside Blender."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
from bpy.props import EnumProperty, IntProperty, StringProperty

from protocol.errors import BadInput

from .. import capture, live, vse
from ..backend_process import find_program
from ..exports import Export, target_of
from ..preferences import preferences_of
from ..record_place import folder_of
from ..timeline_mark import is_loop
from .verb import Verb

_KINDS = (
    ("MP4", "MP4", "A movie that plays everywhere; no alpha"),
    ("WEBM", "WebM", "A movie for the web, with alpha"),
    ("GIF", "GIF", "An animation with few colours, for ever"),
    ("APNG", "APNG", "An animation with all colours and alpha, for ever"),
    ("WEBP", "WebP", "A small animation with alpha, for ever"),
    ("PNG", "PNG Sequence", "Numbered files"),
    ("EXR", "EXR Sequence", "Numbered files with linear light"),
)


def selected_loop(context: bpy.types.Context) -> Any:
    """The loop of ours that is selected in the editor of the context; None if there is none."""
    match capture.editor_of(context):
        case "IMAGE":
            things = [context.space_data.image]  # type: ignore[union-attr]
        case "VIEW3D":
            things = [context.active_object, *context.selected_objects]
        case _:
            level = vse.open_level(vse.editing_scene(context))
            things = [strip for strip in level.strips if strip.select] if level else []
    return next((thing for thing in things if thing is not None and is_loop(thing)), None)


class TWEENCEL_OT_export_loop(Verb, bpy.types.Operator):
    bl_idname = "tweencel.export_loop"
    bl_label = "Export Loop..."
    bl_description = "Write the selected loop as a movie, an animation or numbered files"

    filepath: StringProperty(subtype="FILE_PATH", options={"SKIP_SAVE"})
    kind: EnumProperty(name="Format", items=_KINDS)
    times: IntProperty(
        name="Times",
        description="How often it is played; 0: for ever, where the format can say so, else once",
        min=0,
        max=10_000,
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if selected_loop(context) is not None:
            return True
        cls.poll_message_set("Select a loop that was made here.")  # type: ignore[attr-defined]
        return False

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[Any]:
        if not self.filepath:
            folder = folder_of(selected_loop(context))
            self.filepath = str(folder.with_name(folder.name + ".mp4"))
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def act(self, context: bpy.types.Context) -> str | None:
        folder = folder_of(selected_loop(context))
        program = find_program(preferences_of(context).executable)
        path = Path(bpy.path.abspath(self.filepath))
        if not path.name or path.is_dir():
            raise BadInput("The file has no name.", fix="Write a name for it.")
        render = vse.editing_scene(context).render
        fps = str(render.fps) if render.fps_base == 1 else f"{render.fps / render.fps_base:.6f}"
        target = target_of(path, self.kind)
        live.get().loops.export(Export(program, folder, target, fps, self.times or None))
        return f"{target.name} is being written to {target.parent}"


CLASSES = (TWEENCEL_OT_export_loop,)
