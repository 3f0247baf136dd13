# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: TID252
"""Make the in-betweens of the selected keys."""

from __future__ import annotations

import bpy

from .. import live
from ..wording import plural
from .verb import Verb


class TWEENCEL_OT_generate(Verb, bpy.types.Operator):
    bl_idname = "tweencel.generate"
    bl_label = "Generate"
    bl_description = "Make the in-betweens of the selected keys on a new strip above them"
    # Not REGISTER: changing a value in the redo panel would send a second job.
    bl_options = {"UNDO"}

    def act(self, context: bpy.types.Context) -> str | None:
        work = live.get().generate(context)
        return f"{plural(work.job.total, 'in-between')} on the way to {work.folder.path}"


CLASSES = (TWEENCEL_OT_generate,)
