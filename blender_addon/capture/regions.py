# SPDX-License-Identifier: GPL-3.0-or-later
"""What moves in a loop: each region's mask as a file, and its directions in pixels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from protocol.errors import BadInput
from protocol.loops import Stroke
from protocol.slots import Point

from .. import masks, pixels, strokes  # noqa: TID252
from ..loop_orders import Moving  # noqa: TID252
from ..loop_props import loop_of  # noqa: TID252
from ..renders import Made  # noqa: TID252
from ..strokes import Drawn, Line, Size  # noqa: TID252
from . import pictures

_WHITE = 255


def marked(
    scene: bpy.types.Scene, size: Size, folder: Path, name: str, *, scale: float = 1.0
) -> list[Moving]:
    """Every region of the scene's loop, on its current frame; the folder must be there.

    `size` is the picture's: width, height, after it was made smaller by `scale`. Raises BadInput,
    MissingFile or SizeMismatch.
    """
    regions = loop_of(scene).regions
    if not regions:
        raise BadInput("No region may move.", fix="Add a region in the panel and choose its mask.")
    return [
        _marked(scene, region, size, folder, f"{name}_mask{number}", scale)
        for number, region in enumerate(regions, 1)
    ]


def _marked(
    scene: bpy.types.Scene, region: Any, size: Size, folder: Path, name: str, scale: float
) -> Moving:
    drawn = drawn_of(scene, region, size)
    made = _mask(scene, region, size, folder, name, scale)
    if drawn.areas:
        _cut_out(made.path, drawn.areas, size)
    return Moving(
        mask=made.path,
        motion=region.motion or "auto",
        strokes=tuple(
            Stroke(line=_points(line), speed=_pace(region, thick, scale))
            for line, thick in drawn.strokes
        ),
        anchors=tuple(map(_points, drawn.anchors)),
        speed=region.speed,
        period=float(region.period),
    )


def _pace(region: Any, thick: float, scale: float) -> float:
    """Pixels per frame."""
    pace = region.pace * scale * (thick if region.by_thickness else 1.0)
    return min(10_000.0, max(0.001, pace))


def drawn_of(scene: bpy.types.Scene, region: Any, size: Size) -> Drawn:
    """The directions that were drawn for a region. Raises BadInput."""
    match region.stroke_kind:
        case "PENCIL":
            thing = _chosen(region.stroke_object, "Grease Pencil object with strokes")
            layer, freeze = region.stroke_layer, region.freeze_layer
            if not layer and not freeze:
                raise BadInput("No layer with strokes is chosen.", fix="Choose one in the panel.")
            return strokes.pencil_strokes(scene, thing, layer, freeze, size)
        case "MASK":
            mask = _chosen(region.stroke_mask, "mask with open splines")
            return strokes.spline_strokes(mask, region.freeze_layer, size)
    return Drawn()


def _mask(
    scene: bpy.types.Scene, region: Any, size: Size, folder: Path, name: str, scale: float
) -> Made:
    frames = [scene.frame_current]
    soft: dict[str, Any] = {"feather": region.feather * scale, "invert": region.invert}
    match region.mask_kind:
        case "ALL":
            path = folder / f"{name}.png"
            _all(pixels.write_grey(path, np.full((size[1], size[0]), _WHITE, np.uint8)))
            return Made(frames[0], path)
        case "MASK":
            mask = _chosen(region.mask, "mask")
            making = masks.mask_frames(mask, frames, size, folder, name, **soft)
        case "PENCIL":
            thing = _chosen(region.mask_object, "Grease Pencil object for the mask")
            layer = _chosen(region.mask_layer, "layer for the mask")
            making = masks.layer_frames(scene, [thing], layer, frames, size, folder, name, **soft)
        case _:
            image = _chosen(region.mask_image, "image for the mask")
            alpha = region.mask_kind == "ALPHA"
            with pictures.resized(image, size, only=scale < 1) as fitting:
                making = masks.image_frames(
                    fitting, frames, size, folder, name, alpha=alpha, **soft
                )
                (made,) = masks.finished(making)
            return made
    (made,) = masks.finished(making)
    return made


def _cut_out(path: Path, areas: Sequence[Line], size: Size) -> None:
    """Make the mask black inside the areas."""
    image: Any = bpy.data.images.load(str(path))
    try:
        flat = np.empty(len(image.pixels), np.float32)
        image.pixels.foreach_get(flat)
        rows = flat.reshape(size[1], size[0], -1)[::-1, :, 0]
    finally:
        bpy.data.images.remove(image)
    grey = np.rint(rows * _WHITE).astype(np.uint8)
    for area in areas:
        grey[pixels.inside(area, size)] = 0
    _all(pixels.write_grey(path, grey))


def _all(steps: Any) -> None:
    for _ in steps:
        pass


def _points(line: Line) -> tuple[Point, ...]:
    return tuple(Point(round(x, 2), round(y, 2)) for x, y in line)


def _chosen(thing: Any, what: str) -> Any:
    if not thing:
        raise BadInput(f"No {what} is chosen.", fix="Choose one in the panel.")
    return thing
