# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: TID252
"""Show a job's frames in the file browser of the system."""

from __future__ import annotations

import bpy
from bpy.props import StringProperty

from protocol.errors import MissingFile

from .. import live
from .verb import Verb


class TWEENCEL_OT_open_folder(Verb, bpy.types.Operator):
    bl_idname = "tweencel.open_folder"
    bl_label = "Open Folder"
    bl_description = "Show the frames of this job in the file browser"
    bl_options = {"INTERNAL"}

    job: StringProperty(options={"SKIP_SAVE"})

    def act(self, context: bpy.types.Context) -> str | None:
        work = live.get().session.works.get(self.job)
        if work is None or not work.folder.path.is_dir():
            raise MissingFile("The folder of this job is gone.", fix="Generate again.")
        bpy.ops.wm.path_open(filepath=str(work.folder.path))
        return None


CLASSES = (TWEENCEL_OT_open_folder,)
