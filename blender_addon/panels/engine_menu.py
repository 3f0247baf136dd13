# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: TID252
"""The menu of what can make the in-betweens."""

from __future__ import annotations

from typing import Any

import bpy

from .. import live
from .weights import draw_downloads


class TWEENCEL_MT_engine(bpy.types.Menu):
    bl_idname = "TWEENCEL_MT_engine"
    bl_label = "Engine"

    def draw(self, context: bpy.types.Context | None) -> None:
        layout: Any = self.layout
        for engine in live.get().engines:
            row = layout.row()
            row.enabled = not engine.unavailable
            text = f"{engine.label}: {engine.unavailable}" if engine.unavailable else engine.label
            row.operator("tweencel.choose_engine", text=text).engine = engine.id
            draw_downloads(layout, engine)


CLASSES = (TWEENCEL_MT_engine,)
