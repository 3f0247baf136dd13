# SPDX-License-Identifier: GPL-3.0-or-later
"""Motion strokes to a velocity for every place that they reach inside a mask.

Places are cells of a grid; a velocity is (x right, y down) in pixels of the picture per frame.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from protocol.jobs import Point, Stroke

from .alpha import Array
from .geodesic import FAR, Mask, distances, nearest
from .sampling import floats

REACH = 0.15
"""Standard deviation of a stroke's influence, as a share of the grid's long side."""

_PIECE = 0.05
"""A stroke counts as pieces of this share of the long side: a bent one bends the flow."""
_MOST_PIECES = 192
_MOST_HINTS = 24
_ANCHOR = 0.05
_STRAY = 0.06
"""What lies farther than this outside the mask is not meant for it."""


@dataclass(frozen=True)
class Grid:
    """Square cells of `cell` pixels; cell (0, 0) begins at pixel (left, top) of the picture.

    `long` is the long side of the whole picture in pixels: sizes are shares of it.
    """

    left: int
    top: int
    cell: int
    long: int

    def of(self, points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Pixels (N, 2) as cells, with the middle of the first cell at 0."""
        return (points - (self.left, self.top) + 0.5) / self.cell - 0.5

    def share(self, part: float) -> float:
        """A share of the picture's long side, in cells."""
        return part * self.long / self.cell


def flow(inside: Mask, strokes: Sequence[Stroke], grid: Grid) -> tuple[Array, Mask]:
    """The velocities (H, W, 2) that strokes ask for, and where any stroke can be reached.

    Each place takes the mean of all pieces of strokes, weighted by a Gaussian of the way to them
    inside the mask, so that arms of the mask do not mix; beyond their reach the nearest one counts.
    Source: exponential dense flow of Mahapatra, Kulkarni (CVPR 2022), with geodesic distances.
    """
    pieces = _pieces(inside, strokes, grid)
    result = np.zeros((*inside.shape, 2), np.float32)
    if not pieces:
        return result, np.zeros_like(inside)
    away = distances(inside, np.stack([seeds for seeds, _ in pieces]))
    closest = away.min(0)
    spread = np.float32(grid.share(REACH))
    weights = np.exp((closest**2 - away**2) / spread**2)
    velocities = np.array([velocity for _, velocity in pieces], np.float32)
    reached = closest < FAR
    mean = np.tensordot(weights, velocities, (0, 0)) / weights.sum(0)[..., None]
    result[reached] = mean[reached]
    return result, reached


def hints(strokes: Sequence[Stroke], long: int) -> tuple[Array, Array]:
    """Places (K, 2), x then y, and velocities (K, 2), pixels per frame, along the strokes.

    long: the picture's long side in pixels. Mere dots give none.
    """
    lines = [(_array(stroke.line), stroke.speed) for stroke in strokes]
    step = max(_PIECE * long, sum(_length(points) for points, _ in lines) / _MOST_HINTS)
    pieces = [(part, speed) for points, speed in lines for part in _cut(points, step)]
    places = [part.mean(0) for part, _ in pieces]
    ways = [(part[-1] - part[0], speed) for part, speed in pieces]
    velocities = [way / max(float(np.hypot(*way)), 1e-9) * speed for way, speed in ways]
    empty = np.zeros((0, 2), np.float32)
    return floats(places or empty), floats(velocities or empty)


def hold(inside: Mask, anchors: Sequence[Sequence[Point]], grid: Grid) -> Array:
    """How much of its motion (H, W), 0..1, each place keeps beside the lines that stay."""
    seeds = [drawn for line in anchors if (drawn := _drawn(inside, _array(line), grid)).any()]
    if not seeds:
        return np.ones(inside.shape, np.float32)
    away = distances(inside, np.logical_or.reduce(seeds)[None])[0]
    return 1 - np.exp(-((away / np.float32(grid.share(_ANCHOR))) ** 2))


def anchored(inside: Mask, anchors: Sequence[Sequence[Point]], grid: Grid) -> Mask:
    """The cells inside (H, W) that the lines that stay run through, or lie nearest to."""
    seeds = [_drawn(inside, _array(line), grid) for line in anchors]
    return np.logical_or.reduce([np.zeros_like(inside), *seeds])


def _pieces(
    inside: Mask, strokes: Sequence[Stroke], grid: Grid
) -> list[tuple[Mask, npt.NDArray[np.float64]]]:
    lines = [(_array(stroke.line), stroke.speed) for stroke in strokes]
    length = sum(_length(points) for points, _ in lines)
    step = max(_PIECE * grid.long, length / _MOST_PIECES)
    result: list[tuple[Mask, npt.NDArray[np.float64]]] = []
    for points, speed in lines:
        for part in _cut(points, step):
            way = part[-1] - part[0]
            seeds = _drawn(inside, part, grid)
            if seeds.any() and np.hypot(*way) > 0:
                result.append((seeds, way / np.hypot(*way) * speed))
    return result


def _array(line: Sequence[Point]) -> npt.NDArray[np.float64]:
    return np.array([(point.x, point.y) for point in line], np.float64)


def _length(points: npt.NDArray[np.float64]) -> float:
    return float(np.hypot(*np.diff(points, axis=0).T).sum())


def _cut(points: npt.NDArray[np.float64], step: float) -> list[npt.NDArray[np.float64]]:
    """A polyline as pieces of equal length, at most about `step` long; none of a mere dot."""
    sides = np.hypot(*np.diff(points, axis=0).T)
    along = np.concatenate(((0.0,), np.cumsum(sides)))
    if along[-1] == 0:
        return []
    count = max(1, round(along[-1] / step))
    at = np.arange(4 * count + 1) * (along[-1] / (4 * count))
    fine = np.empty((len(at), 2), np.float64)
    for axis in (0, 1):
        fine[:, axis] = np.interp(at, along, points[:, axis])
    return [fine[4 * number : 4 * number + 5] for number in range(count)]


def _drawn(inside: Mask, points: npt.NDArray[np.float64], grid: Grid) -> Mask:
    """The cells of a line, those outside moved to the nearest inside unless far away."""
    seeds = np.zeros(inside.shape, np.bool_)
    if not inside.any():
        return seeds
    # A line is cut where it leaves the grid: OpenCV draws only numbers that fit into 16 bits.
    places = np.clip(np.rint(grid.of(points)), -16000, 16000).astype(np.int32)
    size = np.array((inside.shape[1], inside.shape[0]))
    stray = max(grid.share(_STRAY), 2.0)
    drawn = np.zeros(inside.shape, np.uint8)
    cv2.polylines(drawn, [places[:, None]], False, 1)
    on = np.argwhere(drawn)
    if not len(on):
        near = np.clip(places, 0, size - 1)
        on = near[np.hypot(*(places - near).T) <= stray][:, ::-1]
    rows, columns, away = nearest(inside)
    on = on[away[on[:, 0], on[:, 1]] <= stray]
    seeds[rows[on[:, 0], on[:, 1]], columns[on[:, 0], on[:, 1]]] = True
    return seeds
