# SPDX-License-Identifier: GPL-3.0-or-later
"""A still with moving regions to the frames of a loop; outside the regions nothing changes.

Every frame is made when it is asked for: memory does not grow with the length of the loop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import cv2
import numpy as np

from protocol.jobs import Point, Stroke

from . import strokes as drawn
from .alpha import Array, bleed, bounds, is_opaque, premultiply, unpremultiply
from .edges import BAND, FEATHER, HALO, feathered, rimless, snapped
from .geodesic import Mask, nearest
from .looping import Flow, Swing, Window
from .motions import MOTIONS, distance_from_root, still_life
from .sampling import coarser, floats, padded, softer
from .strokes import Grid

CELLS = 192
"""Cells of the flow's grid along the long side of a picture."""
TRAVEL = 0.04
"""Structures moved farther than this share of the long side in a cycle look doubled."""
SHORTEST_CYCLE = 12.0
"""Frames: a shorter cycle is seen as flicker."""

_ANY = 2 / 255
"""Grey above this belongs to a mask."""
_TAPER = 0.02
"""A swinging layer comes to rest over this share of the long side, at the edge of its mask."""


class Mover(Protocol):
    """What moves in a layer. It covers a window of the picture."""

    starts_as_still: bool
    """Whether it is the still, value for value, when its period begins."""

    @property
    def bytes_held(self) -> int:
        """Memory kept while it plays."""
        ...

    def at(self, frames: float) -> Array:
        """The layer (h, w, C), premultiplied, so many frames after its period began."""
        ...


Flowing = Callable[[Array, Mask, Array, Window, float], Mover]
"""Makes a layer flow; it is given what looping.Flow is given."""


@dataclass(frozen=True)
class Moving:
    """A region of a still that moves.

    mask: (H, W), 0..1, how much each place moves. motion: a name from motions.MOTIONS, for what no
    stroke reaches. anchors: lines that stay where they are. speed: a factor on all of it.
    period: frames after which it repeats, 0 for the length of the loop. cycles: how many of them
    fit into that, 0 for as many as the travel of structures asks for.
    field: velocities (h, w, 2) in pixels of the picture per frame, of any size, for all of the
    picture; they stand in place of motion and strokes. flowing: what makes a flowing layer.
    """

    mask: Array
    motion: str = "auto"
    strokes: Sequence[Stroke] = ()
    anchors: Sequence[Sequence[Point]] = ()
    speed: float = 1.0
    period: float = 0.0
    cycles: int = 1
    snap: bool = True
    field: Array | None = None
    flowing: Flowing = Flow


@dataclass(frozen=True)
class Layer:
    """A region made ready: what moves, where it lies, how it is laid over the still."""

    moving: Mover
    window: Window
    cover: Array
    period: float


@dataclass
class Loop:
    """The frames of a loop from a still, straight RGBA (H, W, 4), 0..1."""

    still: Array
    regions: Sequence[Moving]
    length: int
    layers: list[Layer] = field(init=False)

    def __post_init__(self) -> None:
        self._opaque = is_opaque(self.still)
        self._within = bounds((self.still,))
        self._paint = self.still[..., :3] if self._opaque else premultiply(self.still)
        self._paint = np.ascontiguousarray(self._paint)
        made = [_layer(self._paint, region, self.length) for region in self.regions]
        self.layers = [layer for layer in made if layer is not None]

    def __iter__(self) -> Iterator[Array]:
        return (self.frame(number) for number in range(self.length))

    @property
    def bytes_held(self) -> int:
        """Memory kept while the loop plays, beside the still."""
        return sum(layer.moving.bytes_held + layer.cover.nbytes for layer in self.layers)

    @cached_property
    def cover(self) -> Array:
        """How much of what moves is mixed over the still (H, W), 0..1."""
        bare = np.ones(self.still.shape[:2], np.float32)
        for layer in self.layers:
            bare[layer.window.rows, layer.window.columns] *= 1 - layer.cover
        return 1 - bare

    def frame(self, number: int) -> Array:
        """One frame; what no region covers has exactly the values of the still."""
        result = self.still.copy()
        paint = self._paint
        for layer in self.layers:
            frames = number % layer.period
            if frames == 0 and layer.moving.starts_as_still:
                continue
            paint = self._laid(layer, frames, paint, result)
        return result

    def _laid(self, layer: Layer, frames: float, paint: Array, result: Array) -> Array:
        """Lay a layer over the premultiplied paint, and write what it covers into the result."""
        where = (layer.window.rows, layer.window.columns)
        moved = layer.moving.at(frames)
        under = np.ascontiguousarray(paint[where])
        mixed = floats(cv2.blendLinear(moved, under, layer.cover, 1 - layer.cover))
        covered = layer.cover > 0
        if len(self.layers) > 1:
            paint = paint.copy() if paint is self._paint else paint
            paint[where][covered] = mixed[covered]
        straight = self._straight(mixed)
        result[where][..., : straight.shape[2]][covered] = straight[covered]
        return paint

    def _straight(self, mixed: Array) -> Array:
        if self._opaque:
            return np.clip(mixed, *self._within)
        return bleed(unpremultiply(mixed, self._within))


def cycle(region: Moving, length: int, fastest: float, long: float) -> float:
    """Frames of one cycle of a region whose fastest place moves `fastest` pixels per frame."""
    period = region.period or float(length)
    if region.cycles:
        return period / region.cycles
    count = round(fastest * period / (TRAVEL * long))
    return period / max(1, min(count, int(period / SHORTEST_CYCLE)))


def _layer(paint: Array, region: Moving, length: int) -> Layer | None:
    """A region made ready; None if nothing in it moves."""
    support = region.mask > _ANY
    if not support.any():
        return None
    window = _window(support)
    grid = window.grid
    where = (window.rows, window.columns)
    inside = _cells(support[where].astype(np.float32), window) > 0.35
    inside = inside if inside.any() else _cells(support[where].astype(np.float32), window) > 0
    much = _much(region.mask[where], support[where], window)
    velocity = _velocity(inside, region, window)
    velocity = floats(velocity * (much * region.speed)[..., None])
    fastest = float(np.hypot(velocity[..., 0], velocity[..., 1]).max())
    if fastest <= 0:
        return None
    period = cycle(region, length, fastest, grid.long)
    if region.field is None and MOTIONS[region.motion].swings:
        return _swinging(paint, support, inside, velocity, region, window, period)
    true = snapped(paint, support, max(1.0, BAND * grid.long)) if region.snap else support
    true = rimless(true, HALO * grid.long) if region.snap else true
    velocity = _continued(velocity, inside)
    cover = feathered(true, FEATHER * grid.long)[where]
    return Layer(region.flowing(paint, true, velocity, window, period), window, cover, period)


def _swinging(
    paint: Array,
    support: Mask,
    inside: Mask,
    velocity: Array,
    region: Moving,
    window: Window,
    period: float,
) -> Layer:
    """A swing whose fastest moment has the given velocity, at rest at its root and its edge."""
    grid = window.grid
    motion = MOTIONS[region.motion]
    held = drawn.anchored(inside, region.anchors, grid)
    far = distance_from_root(inside, region.motion, held)
    edge = _cells(feathered(support, _TAPER * grid.long)[window.rows, window.columns], window)
    reach = floats(velocity * (period / (2 * np.pi)) * (far**1.5 * edge)[..., None])
    turns = _continued(floats(far * motion.lag), inside)
    layer = Swing(paint, reach, turns, window, period)
    cover = feathered(support, 2.0)[window.rows, window.columns]
    return Layer(layer, window, cover, period)


def _velocity(inside: Mask, region: Moving, window: Window) -> Array:
    """Pixels per frame (h, w, 2), before grey and speed."""
    grid = window.grid
    if region.field is not None:
        asked = window.sampled(region.field)
        return floats(asked * drawn.hold(inside, region.anchors, grid)[..., None])
    asked, reached = drawn.flow(inside, region.strokes, grid)
    if region.motion != "auto" or not reached.any():
        asked = np.where(reached[..., None], asked, still_life(inside, region.motion, grid.long))
    return floats(asked * drawn.hold(inside, region.anchors, grid)[..., None])


def _window(support: Mask) -> Window:
    """The cells that a mask covers, and one more on each side if the picture goes on there."""
    height, width = support.shape
    long = max(height, width)
    cell = max(1, -(-long // CELLS))
    top, rows = _span(np.asarray(support.any(1), np.bool_), cell)
    left, columns = _span(np.asarray(support.any(0), np.bool_), cell)
    return Window(Grid(left, top, cell, long), rows, columns, (height, width))


def _span(used: Mask, cell: int) -> tuple[int, int]:
    """The first pixel and the number of cells."""
    at = np.flatnonzero(used)
    start, end = max(0, int(at[0]) - cell), min(len(used), int(at[-1]) + 1 + cell)
    return start, -(-(end - start) // cell)


def _cells(pixels: Array, window: Window) -> Array:
    """The mean of the pixels (h, w) in each cell of a window; what overhangs counts as the last."""
    cell = window.grid.cell
    full = padded(pixels, window.height * cell, window.width * cell)
    return coarser(full, window.height, window.width)


def _much(mask: Array, support: Mask, window: Window) -> Array:
    """The grey of a mask in each cell, of its covered part only: its edge is not slower."""
    covered = _cells(support.astype(np.float32), window)
    grey = _cells(np.where(support, mask, np.float32(0)), window)
    return floats(grey / np.maximum(covered, 1e-3))


def _continued(cells: Array, inside: Mask) -> Array:
    """(h, w[, C]), continued beyond the mask as at its nearest place, and freed of small steps."""
    rows, columns, _ = nearest(inside)
    return softer(cells[rows, columns], 1.0)
