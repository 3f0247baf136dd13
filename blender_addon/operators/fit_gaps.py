# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: TID252
"""List the gaps, so that each can get a timing of its own."""

from __future__ import annotations

import bpy

from .. import capture, vse
from ..properties import fit_gaps, settings_of, wish_of
from ..shot import counts
from .verb import Verb


class TWEENCEL_OT_fit_gaps(Verb, bpy.types.Operator):
    bl_idname = "tweencel.fit_gaps"
    bl_label = "Set Each Gap"
    bl_description = "List the gaps of the selection, to give some of them a timing of their own"
    bl_options = {"UNDO"}

    def act(self, context: bpy.types.Context) -> str | None:
        settings = settings_of(vse.editing_scene(context))
        fit_gaps(settings, counts(capture.survey(context), wish_of(settings)))
        return None


CLASSES = (TWEENCEL_OT_fit_gaps,)
