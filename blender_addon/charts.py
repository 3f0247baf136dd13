# SPDX-License-Identifier: GPL-3.0-or-later
"""Spacing charts that the artist draws: Blender's own curves, kept in a node group that is hidden.

A curve has no property type of its own: only a node can hold one. The scene points to the group,
so it is saved with the file and copied with the scene's settings.
"""

from __future__ import annotations

from typing import Any

import bpy

from protocol.timing import Curve

_GROUP = ".Tweencel Charts"  # a name with a dot is not listed
_SAMPLES = 64


def draw_own(owner: Any) -> None:
    """Give the settings of a shot or of a gap a curve of their own, if they have none.

    It rises evenly until the artist changes it. Not while a panel is drawn: Blender forbids it.
    """
    settings: Any = owner.id_data.tweencel
    if node_of(owner) is not None:
        return
    if settings.charts is None:
        settings.charts = bpy.data.node_groups.new(_GROUP, "ShaderNodeTree")
    group: Any = settings.charts
    node = group.nodes.new("ShaderNodeFloatCurve")
    node.name = owner.curve or node.name
    owner.curve = node.name


def node_of(owner: Any) -> Any:
    """The node that holds the curve, for `template_curve_mapping`; None if there is none."""
    charts = owner.id_data.tweencel.charts
    return charts.nodes.get(owner.curve) if charts is not None and owner.curve else None


def curve_of(owner: Any) -> Curve | None:
    """The curve as protocol.timing takes it; None if none was drawn."""
    node = node_of(owner)
    if node is None:
        return None
    mapping = node.mapping
    mapping.initialize()
    line = mapping.curves[0]
    moments = [number / _SAMPLES for number in range(_SAMPLES + 1)]
    return Curve(tuple((moment, mapping.evaluate(line, moment)) for moment in moments))


def forget(owner: Any) -> None:
    """Remove the curve of a gap that is no more."""
    node = node_of(owner)
    if node is not None:
        owner.id_data.tweencel.charts.nodes.remove(node)
