# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a steady flow carries each place over one cycle, integrated once both ways.

A fixed number of moments is kept, whatever the cycle's length, and on the grid of the flow: both
are smooth. Between moments the way is a cubic with the flow's own velocities at its ends.
"""

from dataclasses import dataclass

import numpy as np

from .alpha import Array
from .sampling import looked_up, places_of

MOMENTS = 32
"""Moments kept for each direction, at most."""
_MOST_STEPS = 4096


@dataclass(frozen=True)
class Trajectories:
    """Displacements of a grid's places along their flow and against it.

    velocity: (H, W, 2) pixels per frame on a grid of cells of `cell` pixels.
    along, against: (K + 1, H, W, 2) pixels, at K + 1 moments evenly spread over `period` frames.
    """

    velocity: Array
    cell: int
    period: float
    along: Array
    against: Array

    def ahead(self, frames: float) -> Array:
        """The displacement (H, W, 2) in pixels after so many frames, 0..period."""
        return self._at(self.along, self.velocity, frames)

    def back(self, frames: float) -> Array:
        """Where each place was so many frames ago, as a displacement (H, W, 2) in pixels."""
        return self._at(self.against, -self.velocity, frames)

    def _at(self, moments: Array, velocity: Array, frames: float) -> Array:
        step = self.period / (len(moments) - 1)
        first = min(int(frames / step), len(moments) - 2)
        u = np.float32(frames / step - first)
        start, end = moments[first], moments[first + 1]
        leaves = _carried(velocity, start, self.cell) * np.float32(step)
        arrives = _carried(velocity, end, self.cell) * np.float32(step)
        turn = u * u * (3 - 2 * u)
        result = start + (end - start) * turn
        result += leaves * (u * (1 - u) ** 2)
        result -= arrives * (u * u * (1 - u))
        return result


def trace(velocity: Array, cell: int, period: float) -> Trajectories:
    """Follow a velocity (H, W, 2), pixels per frame, for `period` frames both ways."""
    count = int(min(MOMENTS, max(1, np.ceil(period))))
    step = period / count
    return Trajectories(
        velocity,
        cell,
        period,
        _integrated(velocity, cell, step, count),
        _integrated(-velocity, cell, step, count),
    )


def _integrated(velocity: Array, cell: int, step: float, count: int) -> Array:
    """Midpoint rule with bilinear velocities; no step is longer than a cell."""
    fastest = float(np.abs(velocity).max(initial=0))
    parts = int(np.clip(np.ceil(fastest * step / cell), 1, _MOST_STEPS // count))
    small = np.float32(step / parts)
    result = np.zeros((count + 1, *velocity.shape), np.float32)
    for moment in range(count):
        place = result[moment].copy()
        for _ in range(parts):
            middle = place + _carried(velocity, place, cell) * (small / 2)
            place += _carried(velocity, middle, cell) * small
        result[moment + 1] = place
    return result


def _carried(velocity: Array, displacement: Array, cell: int) -> Array:
    return shifted(velocity, displacement / np.float32(cell))


def shifted(grid: Array, shift: Array) -> Array:
    """The values (H, W[, C]) of a grid, bilinear, at each of its places plus `shift` (cells)."""
    height, width = grid.shape[:2]
    return looked_up(grid, shift + places_of(height, width))
