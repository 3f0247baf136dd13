# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: TID252
"""What engines still lack, and what is being downloaded for them."""

from __future__ import annotations

from typing import Any

import bpy

from protocol.engines import EngineSpec
from protocol.messages import WeightsOffer

from .. import live
from ..wording import Line, WeightsView, download_size, weights_view
from .sidebar import Sidebar, draw_lines, in_every_editor


class TWEENCEL_PT_weights(Sidebar, bpy.types.Panel):
    bl_idname = "TWEENCEL_PT_weights"
    bl_label = "Weights"
    bl_options = {"DEFAULT_CLOSED"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return bool(_worth_showing())

    def draw(self, context: bpy.types.Context) -> None:
        for offer in _worth_showing():
            _draw(self.layout, context, offer)


def draw_wanted(layout: Any, context: bpy.types.Context, engine: EngineSpec) -> None:
    """What the chosen engine cannot do without, below it."""
    needed = {weights.name for weights in engine.weights if not weights.optional}
    offers = [o for o in live.get().session.supply.wanted_by(engine) if o.gives in needed]
    if len({offer.gives for offer in offers}) < len(offers):
        draw_lines(layout, context, [Line("One download of the same is enough", "INFO")])
    for offer in offers:
        _draw(layout, context, offer)


def draw_downloads(layout: Any, engine: EngineSpec) -> None:
    """In a menu, below an engine that cannot be chosen for want of weights."""
    if not engine.unavailable:
        return
    for offer in live.get().session.supply.wanted_by(engine):
        view = weights_view(live.get().session.supply, offer)
        if view.can_fetch:
            text = f"Download {offer.title} ({download_size(offer)})..."
            layout.operator("tweencel.fetch_weights", text=text, icon="IMPORT").name = offer.name
        elif view.can_stop:
            layout.label(text=f"{offer.title}: {view.status}", icon="SORTTIME")


def _worth_showing() -> list[WeightsOffer]:
    """What is under way, and what engines lack; each once."""
    session = live.get().session
    found = {offer.name: offer for offer in session.supply.under_way()}
    for engine in session.engines:
        found |= {offer.name: offer for offer in session.supply.wanted_by(engine)}
    return list(found.values())


def _draw(layout: Any, context: bpy.types.Context, offer: WeightsOffer) -> None:
    view = weights_view(live.get().session.supply, offer)
    box = layout.box()
    row = box.row()
    row.label(text=view.title)
    if view.can_stop:
        row.operator("tweencel.stop_weights", text="", icon="CANCEL").name = view.name
    _draw_standing(box, view)
    draw_lines(box, context, view.lines)


def _draw_standing(box: Any, view: WeightsView) -> None:
    if view.fraction is not None:
        box.progress(factor=view.fraction, text=view.status)
    elif view.can_fetch:
        text = f"Download ({view.status})..."
        box.operator("tweencel.fetch_weights", text=text, icon="IMPORT").name = view.name
    else:
        box.label(text=view.status)


CLASSES = in_every_editor(TWEENCEL_PT_weights)
