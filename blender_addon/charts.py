# SPDX-License-Identifier: GPL-3.0-or-later
"""Spacing charts that the artist draws: Blender's own curves, kept in a node group that is hidden.

A curve has no property type of its own: only a node can hold one. The scene points to the group,
so it is saved with the file and copied with the scene's settings.
"""

from __future__ import annotations

from collections.abc import Sequence
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


def points_of(owner: Any) -> list[list[Any]]:
    """The points of the curve as plain data: [moment, position, handle]; empty if it has none."""
    node = node_of(owner)
    if node is None:
        return []
    points = node.mapping.curves[0].points
    return [[point.location[0], point.location[1], point.handle_type] for point in points]


def set_points(owner: Any, points: Sequence[Sequence[Any]]) -> None:
    """Draw the curve anew as `points_of` gave it; what is no curve is left aside."""
    if len(points) < 2 or not all(_is_point(point) for point in points):
        return
    draw_own(owner)
    mapping = node_of(owner).mapping
    line = mapping.curves[0].points
    while len(line) > 2:
        line.remove(line[1])
    while len(line) < len(points):
        line.new(0.5, 0.5)
    for target, (moment, position, handle) in zip(line, points, strict=True):
        target.location = moment, position
        target.handle_type = handle
    mapping.update()


def _is_point(point: Any) -> bool:
    match point:
        case [float() | int(), float() | int(), "AUTO" | "AUTO_CLAMPED" | "VECTOR"]:
            return True
    return False


def forget(owner: Any) -> None:
    """Remove the curve of a gap that is no more."""
    node = node_of(owner)
    if node is not None:
        owner.id_data.tweencel.charts.nodes.remove(node)
