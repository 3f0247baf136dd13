# SPDX-License-Identifier: GPL-3.0-or-later
"""One moving layer of a still, that looks the same again after its period.

A flowing layer is looked up twice: where its content came from since the cycle began, and where
it will be when the cycle ends. The first fades out while the second fades in, without losing
contrast on the way; at the end of the cycle the second is the still itself. A swinging layer goes
to and fro, and is looked up once. Pictures are premultiplied here.
Source: Eulerian fluid animation from a still, Holynski et al. (CVPR 2021), with look-ups in place
of splats; blends that keep the variance: Heitz, Neyret (HPG 2018).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from .alpha import Array
from .edges import depth_of, mirrored
from .geodesic import Mask
from .sampling import coarser, finer, floats, looked_up, padded, places_of, softer
from .strokes import Grid
from .trajectories import Trajectories, shifted, trace

INSET = 0.0015
"""The outermost share of a picture is often odd, and would be dragged along as a stripe."""

_LOW, _LEAST_LOW = 0.014, 6.0
"""What is larger than this share of the picture's long side, and so many pixels, is blended
plainly."""
_WEAK = 0.006
"""Share of the long side outside the mask at which a look-up counts half."""
_DOUBT = 0.005
"""Share of the long side inside the mask where trust begins to fall: what lies next to an edge
often has a halo of it, which would be dragged along as a ridge."""
_SHADE = 0.03
"""Share of the long side from the mask's edge within which large-scale shading stays where it is:
it belongs to what stands there, and would be dragged along as a ridge."""
_MOST_GAIN = 1.8
_SMALL = 400_000
"""Windows of up to so many pixels are looked up with eight taps a side: small pictures hold finer
detail, and there the time is short."""
_START = 0.15
"""Turns: where it moves most, a swing begins as the still and at its middle speed, so that its seam
is a step like the others."""
_MARGIN = 0.15
"""A layer is continued at most so far beyond its window; farther out it stays the same."""


@dataclass(frozen=True)
class Window:
    """The part of a picture that a layer covers, in whole cells of a grid; it may overhang.

    height, width: in cells. picture: its height and width in pixels.
    """

    grid: Grid
    height: int
    width: int
    picture: tuple[int, int]

    @property
    def rows(self) -> slice:
        """The picture's rows that lie in the window."""
        end = min(self.grid.top + self.height * self.grid.cell, self.picture[0])
        return slice(self.grid.top, end)

    @property
    def columns(self) -> slice:
        """The picture's columns that lie in the window."""
        end = min(self.grid.left + self.width * self.grid.cell, self.picture[1])
        return slice(self.grid.left, end)

    def sampled(self, field: Array) -> Array:
        """The values (height, width, C) at each cell of a field (h, w, C) of all of the picture."""
        down, across = (
            side / whole for side, whole in zip(field.shape, self.picture, strict=False)
        )
        middles = places_of(self.height, self.width) + np.float32(0.5)
        pixels = middles * self.grid.cell + np.array((self.grid.left, self.grid.top), np.float32)
        return looked_up(field, floats(pixels * np.array((across, down), np.float32) - 0.5))

    def cut(self, cells: Array) -> Array:
        """(h, w[, C]) for each cell to the pixels of the picture that lie in the window."""
        pixels = finer(cells, self.height * self.grid.cell, self.width * self.grid.cell)
        height = self.rows.stop - self.rows.start
        width = self.columns.stop - self.columns.start
        return pixels[:height, :width]


class Flow:
    """A layer that flows on for ever in one direction at each place."""

    starts_as_still = True

    def __init__(self, still: Array, inside: Mask, velocity: Array, window: Window, period: float):
        """`still`: premultiplied (H, W, C), all of the picture. inside: (H, W), what belongs to the
        layer. velocity: (h, w, 2) for each cell of the window, pixels per frame, also beyond the
        mask. period: frames.
        """
        grid = window.grid
        self._window = window
        self._margin = _margin(velocity, window, period)
        m = self._margin
        around = ((m, m), (m, m), (0, 0))
        self.trajectories: Trajectories = trace(
            np.pad(velocity, around, mode="edge"), grid.cell, period
        )
        self._source, held = _canvas(still, inside, window, m)
        self._low, self._energy, self._trust = _statistics(self._source, held, grid)
        self._sigma = _low(grid)
        self._shade = _shade(inside, window)
        self._base = places_of(window.rows.stop - grid.top, window.columns.stop - grid.left)
        self._base += m * grid.cell

    @property
    def bytes_held(self) -> int:
        """Memory that the layer keeps while it plays: it does not depend on the period."""
        kept = (self._source, self._low, self._energy, self._trust, self._shade, self._base)
        return sum(a.nbytes for a in (*kept, self.trajectories.along, self.trajectories.against))

    def at(self, frames: float) -> Array:
        """The layer (h, w, C) in its window so many frames after it was the still, 0..period."""
        share = frames / self.period
        ways = self.ways(frames)
        trusts = [self._carried(self._trust, way) for way in ways]
        first = (1 - share) * trusts[0]
        second = share * trusts[1]
        weight = floats(second / np.maximum(first + second, 1e-9))
        low = self._mixed(self._low, ways, weight)
        wanted = self._mixed(self._energy, ways, weight)
        mix = self._blended(ways, weight)
        return self._with_contrast(mix, low, wanted)

    @property
    def period(self) -> float:
        """Frames after which the layer repeats."""
        return self.trajectories.period

    def ways(self, frames: float) -> tuple[Array, Array]:
        """For each cell, where its content was when the cycle began and where it ends."""
        return self.trajectories.back(frames), self.trajectories.ahead(self.period - frames)

    def look_up(self, way: Array, how: int | None = None) -> Array:
        """The layer (h, w, C) in its window, each pixel from its way (pixels) off.

        how: one of OpenCV's interpolations; None takes the best that the size allows.
        """
        places = floats(self.in_pixels(way) + self._base)
        if how is None:
            small = places.size <= 2 * _SMALL
            how = cv2.INTER_LANCZOS4 if small else cv2.INTER_CUBIC
        return looked_up(self._source, places, how)

    def in_pixels(self, way: Array) -> Array:
        """A quantity of all cells, for the pixels of the window only."""
        return self._window.cut(self._inner(way))

    def _inner(self, cells: Array) -> Array:
        m = self._margin
        return cells[m : cells.shape[0] - m, m : cells.shape[1] - m]

    def _mixed(self, grid: Array, ways: tuple[Array, Array], weight: Array) -> Array:
        """A smooth quantity of the layer's cells, carried and blended as the layer is."""
        first, second = (self._carried(grid, way) for way in ways)
        share = weight if grid.ndim == 2 else weight[..., None]
        return self._inner(floats(first + (second - first) * share))

    def _carried(self, grid: Array, way: Array) -> Array:
        return shifted(grid, way / np.float32(self._window.grid.cell))

    def _blended(self, ways: tuple[Array, Array], weight: Array) -> Array:
        """The plain blend of both look-ups, bicubic, in the window."""
        first, second = (self.look_up(way) for way in ways)
        share = self.in_pixels(weight)
        return floats(cv2.blendLinear(first, second, 1 - share, share))

    def _with_contrast(self, mix: Array, low: Array, wanted: Array) -> Array:
        """The blend with its detail raised to the mean energy of both look-ups.

        Two unlike textures lose up to half of their variance in a blend, equal ones lose nothing:
        the loss is measured, place by place.
        """
        shade = low + (self._inner(self._low) - low) * self._shade
        smooth = self._window.cut(low)
        detail = floats(cv2.subtract(mix, smooth))
        found = _energy(detail, self._window.grid.cell, wanted.shape, self._sigma)
        gain = np.sqrt((wanted + 1e-7) / (found + 1e-7))
        gain = floats(np.clip(gain, 1, _MOST_GAIN))
        raised = self._window.cut(np.repeat(gain[..., None], mix.shape[2], axis=2))
        return floats(cv2.add(cv2.multiply(detail, raised), self._window.cut(floats(shade))))


class Swing:
    """A layer that goes to and fro: each place on its own line, some later than others."""

    starts_as_still = True

    def __init__(self, still: Array, reach: Array, turns: Array, window: Window, period: float):
        """reach: (h, w, 2) pixels to one side, for each cell of the window; it should end at 0
        where the layer ends. turns: (h, w), by which part of the period a place comes later.
        """
        self._window = window
        self._reach, self._turns, self._period = reach, turns, period
        self._still = still
        grid = window.grid
        base = places_of(window.rows.stop - grid.top, window.columns.stop - grid.left)
        self._base = base + np.array((grid.left, grid.top), np.float32)

    @property
    def bytes_held(self) -> int:
        """Memory that the layer keeps while it plays, beside the still."""
        return sum(a.nbytes for a in (self._reach, self._turns, self._base))

    def at(self, frames: float) -> Array:
        """The layer (h, w, C) in its window, 0..period."""
        start = np.float32(2 * np.pi) * (_START + self._turns.max() - self._turns)
        angle = start + np.float32(2 * np.pi * frames / self._period)
        side = np.sin(angle) - np.sin(start)
        places = floats(self._base - self._window.cut(self._reach * side[..., None]))
        return looked_up(self._still, places, cv2.INTER_CUBIC)


def _margin(velocity: Array, window: Window, period: float) -> int:
    """Cells around a window that its look-ups may reach."""
    way = float(np.abs(velocity).max(initial=0)) * period
    most = _MARGIN * window.grid.long
    return int(np.ceil(min(way, most) / window.grid.cell)) + 1


def _canvas(still: Array, inside: Mask, window: Window, margin: int) -> tuple[Array, Mask]:
    """The layer, continued to all of the window and `margin` cells around; and where it is true."""
    grid = window.grid
    height, width = inside.shape
    top, left = (start - margin * grid.cell for start in (grid.top, grid.left))
    bottom = top + (window.height + 2 * margin) * grid.cell
    right = left + (window.width + 2 * margin) * grid.cell
    held = np.zeros((bottom - top, right - left), np.bool_)
    source = np.zeros((*held.shape, still.shape[2]), np.float32)
    rows, columns = (max(0, top), min(height, bottom)), (max(0, left), min(width, right))
    here = (slice(rows[0] - top, rows[1] - top), slice(columns[0] - left, columns[1] - left))
    there = (slice(*rows), slice(*columns))
    source[here], held[here] = still[there], _inset(inside)[there]
    return mirrored(source, held), held


def _inset(inside: Mask) -> Mask:
    """Without the outermost pixels of the picture, if anything is left then."""
    result = np.zeros_like(inside)
    rim = max(1, round(INSET * max(inside.shape)))
    core = (slice(rim, -rim), slice(rim, -rim))
    result[core] = inside[core]
    return result if result.any() else inside


def _low(grid: Grid) -> float:
    """The standard deviation of the low-pass, in cells."""
    return max(grid.share(_LOW), _LEAST_LOW / grid.cell)


def _statistics(source: Array, held: Mask, grid: Grid) -> tuple[Array, Array, Array]:
    """Of a continued layer, for each cell: its low frequencies, the energy of the rest, and how
    far a look-up is to be trusted (1 inside, falling outside)."""
    size = (source.shape[0] // grid.cell, source.shape[1] // grid.cell)
    sigma = _low(grid)
    low = softer(coarser(source, *size), sigma)
    detail = source - finer(low, *source.shape[:2])
    energy = _energy(detail, grid.cell, low.shape, sigma)
    if held.all() or not held.any():
        return low, energy, np.ones(energy.shape, np.float32)
    safe = cv2.distanceTransform(held.astype(np.uint8), cv2.DIST_L2, 5) > _DOUBT * grid.long
    safe = safe if safe.any() else held
    away = floats(cv2.distanceTransform((~safe).astype(np.uint8), cv2.DIST_L2, 5))
    trust = 1 / (1 + (coarser(away, *size) / np.float32(_WEAK * grid.long)) ** 2)
    return low, energy, floats(trust)


def _shade(inside: Mask, window: Window) -> Array:
    """How much (h, w, 1), 0..1, the large-scale shading of each cell stays where it is."""
    cell = window.grid.cell
    depth = depth_of(inside)[window.rows, window.columns]
    depth = padded(depth, window.height * cell, window.width * cell)
    cells = coarser(depth, window.height, window.width) / np.float32(_SHADE * window.grid.long)
    return np.exp(-(np.minimum(cells, 10) ** 2))[..., None]


def _energy(detail: Array, cell: int, shape: tuple[int, ...], sigma: float) -> Array:
    """The mean square of a detail layer around each cell, summed over colours, (h, w)."""
    ones = np.ones((1, detail.shape[2]), np.float32)
    square = floats(cv2.transform(cv2.multiply(detail, detail), ones))
    height, width = shape[:2]
    cells = coarser(padded(square, height * cell, width * cell), height, width)
    return softer(cells, sigma)
