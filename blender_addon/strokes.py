# SPDX-License-Identifier: GPL-3.0-or-later
"""Drawn directions as lines in pixels: Grease Pencil strokes, and open splines of a mask.

A line goes from where the stroke began to where it ended, (x, y) from the picture's upper left
corner. What a freeze layer holds gives *anchors* (lines that stay) and *areas* (what closed strokes
surround). Grease Pencil modifiers are left out: the strokes count as they were drawn.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import bpy
from bpy_extras.object_utils import world_to_camera_view
from mathutils.geometry import interpolate_bezier

from protocol.errors import BadInput

from .renders import kept

_MOST_POINTS = 200
_BEND = 12
"""Places on a curve from one point of a spline to the next."""
Size = tuple[int, int]
Line = tuple[tuple[float, float], ...]


class Drawn(NamedTuple):
    """`strokes` are lines with how thick they are: 1 is the mean of all."""

    strokes: tuple[tuple[Line, float], ...] = ()
    anchors: tuple[Line, ...] = ()
    areas: tuple[Line, ...] = ()


class _Stroke(NamedTuple):
    line: Line
    thickness: float
    closed: bool
    frozen: bool


def pencil_strokes(
    scene: bpy.types.Scene, thing: Any, layer: str, freeze: str, size: Size
) -> Drawn:
    """The strokes of a layer as the scene's camera sees them on the current frame.

    `size` is the picture's: width, height. An empty name is no layer. Raises BadInput.
    """
    if scene.camera is None:
        raise BadInput(f"{scene.name} has no camera.", fix="Add a camera (Shift+A).")
    found: list[_Stroke] = []
    with kept(scene.render, "resolution_x", "resolution_y", "pixel_aspect_x", "pixel_aspect_y"):
        scene.render.resolution_x, scene.render.resolution_y = size
        scene.render.pixel_aspect_x = scene.render.pixel_aspect_y = 1
        for name in filter(None, (layer, freeze)):
            found += _of_layer(scene, thing, name, size, frozen=name == freeze)
    return _sorted(found)


def spline_strokes(mask: Any, freeze: str, size: Size) -> Drawn:
    """The open splines of a mask; in its layer `freeze` all splines count as frozen.

    `size` is the picture's: width, height.
    """
    found = [
        _Stroke(_thinned(_bent(spline, size)), 1.0, spline.use_cyclic, layer.name == freeze)
        for layer in mask.layers
        if not layer.hide
        for spline in layer.splines
        if len(spline.points) > 1
    ]
    return _sorted(found)


def _sorted(found: Sequence[_Stroke]) -> Drawn:
    moving = [stroke for stroke in found if not stroke.frozen and not stroke.closed]
    frozen = [stroke for stroke in found if stroke.frozen]
    mean = sum(stroke.thickness for stroke in moving) / max(len(moving), 1)
    return Drawn(
        tuple((s.line, s.thickness / mean if mean else 1.0) for s in moving if len(s.line) > 1),
        tuple(stroke.line for stroke in frozen if not stroke.closed),
        tuple(stroke.line for stroke in frozen if stroke.closed),
    )


def _of_layer(scene: Any, thing: Any, name: str, size: Size, *, frozen: bool) -> Iterator[_Stroke]:
    layer = thing.data.layers.get(name)
    if layer is None:
        raise BadInput(
            f"{thing.name} has no layer {name}.", fix="Choose one of the object's layers."
        )
    key = layer.get_frame_at(scene.frame_current)
    place = thing.matrix_world @ layer.matrix_local
    for stroke in key.drawing.strokes if key is not None else ():
        points = list(stroke.points)
        seen = [world_to_camera_view(scene, scene.camera, place @ p.position) for p in points]
        line = tuple((at.x * size[0], (1 - at.y) * size[1]) for at in seen)
        thick = sum(point.radius for point in points) / max(len(points), 1)
        yield _Stroke(_thinned(line), thick, stroke.cyclic, frozen)


def _bent(spline: Any, size: Size) -> Line:
    """Blender's masks are square: the picture's long side is one unit, its centre at a half."""
    width, height = size
    long = max(size)
    points = list(spline.points)
    pairs = zip(points, points[1:] + (points[:1] if spline.use_cyclic else []), strict=False)
    line = [tuple(points[0].co)]
    for first, second in pairs:
        knots = (first.co, first.handle_right, second.handle_left, second.co)
        line += [(at[0], at[1]) for at in interpolate_bezier(*knots, _BEND)[1:]]
    return tuple(((u - 0.5) * long + width / 2, height / 2 - (v - 0.5) * long) for u, v in line)


def _thinned(line: Line) -> Line:
    """At most so many points, the first and the last among them."""
    last = len(line) - 1
    if last < _MOST_POINTS:
        return line
    return tuple(line[round(n * last / (_MOST_POINTS - 1))] for n in range(_MOST_POINTS))
