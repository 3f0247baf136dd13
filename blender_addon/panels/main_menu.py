# SPDX-License-Identifier: GPL-3.0-or-later
"""The verbs in the editors' menus: there Blender's search (F3) finds them."""

from __future__ import annotations

from typing import Any

import bpy

_WHERE = ("SEQUENCER_MT_strip", "VIEW3D_MT_object", "VIEW3D_MT_pose", "IMAGE_MT_image")
VERBS = (
    "tweencel.generate",
    "tweencel.make_loop",
    "tweencel.export_loop",
    "tweencel.mark_key",
    "tweencel.mark_breakdown",
    "tweencel.clear_marks",
    "tweencel.start_backend",
    "tweencel.stop_backend",
    "tweencel.connect",
    "tweencel.disconnect",
)


class TWEENCEL_MT_main(bpy.types.Menu):
    bl_idname = "TWEENCEL_MT_main"
    bl_label = "Tweencel"

    def draw(self, context: bpy.types.Context | None) -> None:
        layout: Any = self.layout
        for verb in VERBS:
            layout.operator(verb)


def _append(self: Any, context: bpy.types.Context) -> None:
    self.layout.separator()
    self.layout.menu("TWEENCEL_MT_main")


CLASSES = (TWEENCEL_MT_main,)


def register() -> None:
    for name in _WHERE:
        getattr(bpy.types, name).append(_append)


def unregister() -> None:
    for name in _WHERE:
        getattr(bpy.types, name).remove(_append)
