# SPDX-License-Identifier: GPL-3.0-or-later
"""Distances inside a mask: how far it is from a place to another without leaving the mask."""

import cv2
import numpy as np
import numpy.typing as npt

from .alpha import Array

Mask = npt.NDArray[np.bool_]

FAR = 1e6
"""A distance above this means: cannot be reached."""

_DIAGONAL = float(np.sqrt(2.0))
_MOST_SWEEPS = 64


def distances(inside: Mask, seeds: Mask) -> Array:
    """Lengths (S, H, W) in pixels of the shortest paths inside a mask (H, W) from S seed sets.

    Paths go to the eight neighbours (chamfer metric 1, sqrt 2; Borgefors 1986), by whole rows down
    and up until nothing changes. FAR, or more, where no path leads.
    """
    result = np.where(seeds & inside, 0.0, FAR).astype(np.float64)
    rows = _runs(inside)
    for _ in range(_MOST_SWEEPS):
        before = result.copy()
        _sweep(result, rows, inside, range(len(rows)), -1)
        _sweep(result, rows, inside, range(len(rows) - 1, -1, -1), 1)
        if np.array_equal(before, result):
            break
    return result.astype(np.float32)


def nearest(inside: Mask) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], Array]:
    """For each pixel (H, W) the row and column of the nearest one inside, and how far that is.

    The mask must have a pixel inside. Inside, each pixel is its own nearest.
    """
    outside = (~inside).astype(np.uint8)
    away, labels = cv2.distanceTransformWithLabels(
        outside, cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    rows, columns = np.nonzero(inside)
    at = np.zeros((labels.max() + 1, 2), np.intp)
    numbers = np.asarray(labels, np.intp)
    at[numbers[rows, columns]] = np.stack((rows, columns), 1)
    found = at[numbers]
    return found[..., 0], found[..., 1], away.astype(np.float32)


def numbered(inside: Mask) -> npt.NDArray[np.intp]:
    """A number (H, W) for each part of a mask that hangs together (8 neighbours); 0 outside."""
    return np.asarray(cv2.connectedComponents(inside.astype(np.uint8), connectivity=8)[1], np.intp)


def components(inside: Mask, most: int = 24) -> list[Mask]:
    """The parts of a mask that hang together, the largest first; the last holds all that are left
    if there are more than `most`."""
    numbers = numbered(inside)
    areas = [int(area) for area in np.bincount(numbers.ravel())]
    order = sorted(range(1, len(areas)), key=lambda number: -areas[number])
    kinds = [[number] for number in order[: most - 1]]
    if rest := order[most - 1 :]:
        kinds.append(rest)
    return [np.isin(numbers, kind) for kind in kinds]


def _runs(inside: Mask) -> npt.NDArray[np.float64]:
    """Column + a large step for each wall to the left: only equal steps are in the same run."""
    walls = np.cumsum(~inside, axis=1, dtype=np.float64)
    columns = np.arange(inside.shape[1], dtype=np.float64)
    return np.asarray(walls * (10 * FAR) + columns, np.float64)


def _sweep(
    result: npt.NDArray[np.float64],
    runs: npt.NDArray[np.float64],
    inside: Mask,
    order: range,
    came_from: int,
) -> None:
    for row in order:
        here = result[:, row]
        if 0 <= row + came_from < len(runs):
            before = result[:, row + came_from]
            np.minimum(here, before + 1, out=here)
            np.minimum(here[:, 1:], before[:, :-1] + _DIAGONAL, out=here[:, 1:])
            np.minimum(here[:, :-1], before[:, 1:] + _DIAGONAL, out=here[:, :-1])
        here[:, ~inside[row]] = FAR
        _along(here, runs[row])
        here[:, ~inside[row]] = FAR


def _along(here: npt.NDArray[np.float64], run: npt.NDArray[np.float64]) -> None:
    """Within each run of a row, the least of d + the columns between: both ways."""
    right = np.minimum.accumulate(here - run, axis=1) + run
    left = np.minimum.accumulate((here + run)[:, ::-1], axis=1)[:, ::-1] - run
    np.minimum(here, right, out=here)
    np.minimum(here, left, out=here)
