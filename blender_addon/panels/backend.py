# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: TID252
"""The panel of the connection."""

from __future__ import annotations

from typing import Any

import bpy

from .. import live
from ..preferences import TWEENCEL_AP_preferences, preferences_of
from ..session import Contact
from ..wording import contact_line, error_lines
from . import glance
from .sidebar import Sidebar, draw_lines, in_every_editor


class TWEENCEL_PT_backend(Sidebar, bpy.types.Panel):
    bl_idname = "TWEENCEL_PT_backend"
    bl_label = "Backend"

    def draw(self, context: bpy.types.Context) -> None:
        layout: Any = self.layout
        alive = live.get()
        draw_lines(layout, context, [contact_line(alive.session, alive.starting)])
        if alive.session.trouble:
            draw_lines(layout, context, error_lines(glance.tell(context, alive.session.trouble)))
        contact = alive.session.contact
        if contact in (Contact.OFF, Contact.CONNECTING) and not alive.starting:
            layout.operator("tweencel.start_backend", icon="PLAY")
        if contact is Contact.OFF:
            _draw_address(layout, context)
        else:
            layout.operator("tweencel.disconnect", icon="UNLINKED")
        if alive.local is not None and alive.local.alive:
            layout.operator("tweencel.stop_backend", icon="CANCEL")


def _draw_address(layout: Any, context: bpy.types.Context) -> None:
    row = layout.row(align=True)
    preferences = preferences_of(context)
    if isinstance(preferences, TWEENCEL_AP_preferences):
        row.prop(preferences, "endpoint", text="")
    row.operator("tweencel.connect", icon="LINKED")


CLASSES = in_every_editor(TWEENCEL_PT_backend)
