# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: TID252
"""Have the backend download weights, once their licence was read and agreed to."""

from __future__ import annotations

import textwrap
from typing import Any

import bpy
from bpy.props import BoolProperty, StringProperty

from protocol.errors import NotAgreed

from .. import live
from ..wording import offer_rows
from .verb import Verb

_WIDTH = 420
_CHARACTERS = 62
"""That fit into the dialog's width."""


class TWEENCEL_OT_fetch_weights(Verb, bpy.types.Operator):
    bl_idname = "tweencel.fetch_weights"
    bl_label = "Download Weights"
    bl_description = "Show licence, size and source of these weights, then download them"
    bl_options = {"INTERNAL"}

    name: StringProperty(options={"SKIP_SAVE"})
    agree: BoolProperty(
        name="I have read the licence and agree to it",
        description="Without it nothing is downloaded",
        options={"SKIP_SAVE"},
    )

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> Any:
        if self.name not in live.get().session.supply.offers:
            return self.execute(context)  # which says why
        return context.window_manager.invoke_props_dialog(
            self, width=_WIDTH, title="Download Weights", confirm_text="Download"
        )

    def draw(self, context: bpy.types.Context) -> None:
        layout: Any = self.layout
        session = live.get().session
        offer = session.supply.offers.get(self.name)
        if offer is None:
            layout.label(text="The backend is gone.", icon="ERROR")
            return
        layout.label(text=offer.title)
        backend = session.endpoint.address if session.endpoint else ""
        for name, text in offer_rows(offer, backend):
            split = layout.split(factor=0.2)
            split.label(text=name)
            split.label(text=text)
        column = layout.column(align=True)
        for text in textwrap.wrap(offer.notice, _CHARACTERS):
            column.label(text=text)
        row = layout.row()
        row.operator("wm.url_open", text="Read the Licence", icon="URL").url = offer.licence_url
        row.operator("wm.url_open", text="Its Page", icon="URL").url = offer.page
        if not bpy.app.online_access:
            layout.label(text="Blender is set to stay offline: this will be refused.", icon="ERROR")
        layout.prop(self, "agree")

    def act(self, context: bpy.types.Context) -> str | None:
        supply = live.get().session.supply
        offer = supply.offers.get(self.name)
        if offer is not None and not self.agree:
            raise NotAgreed(f"The licence of {offer.title} was not agreed to.")
        live.get().fetch_weights(self.name)
        return None


CLASSES = (TWEENCEL_OT_fetch_weights,)
