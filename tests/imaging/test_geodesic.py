# SPDX-License-Identifier: GPL-3.0-or-later
"""Distances stay inside the mask."""

import heapq

import numpy as np
import pytest

from backend.imaging.geodesic import FAR, Mask, components, distances, nearest


@pytest.mark.parametrize("seed", range(6))
def test_sweeps_find_what_dijkstra_finds(seed: int) -> None:
    draw = np.random.default_rng(seed)
    inside = draw.random((24, 31)) > 0.35
    seeds = np.zeros((2, *inside.shape), np.bool_)
    for number in range(2):
        seeds[number][tuple(draw.choice(np.argwhere(inside)))] = True
    found = distances(inside, seeds)
    for number in range(2):
        wanted = _dijkstra(inside, seeds[number])
        np.testing.assert_allclose(found[number], wanted, atol=1e-4)


def test_a_wall_is_gone_around() -> None:
    inside = np.ones((11, 11), np.bool_)
    inside[:10, 5] = False
    seeds = np.zeros((1, 11, 11), np.bool_)
    seeds[0, 0, 4] = True
    assert distances(inside, seeds)[0, 0, 6] > 20


def test_every_pixel_outside_knows_its_nearest_inside() -> None:
    inside = np.zeros((9, 12), np.bool_)
    inside[4, 3:6] = True
    rows, columns, away = nearest(inside)
    assert (rows[4, 11], columns[4, 11]) == (4, 5)
    assert away[4, 11] == pytest.approx(6, abs=0.1)
    assert (rows[4, 4], columns[4, 4], away[4, 4]) == (4, 4, 0)


def test_parts_come_largest_first() -> None:
    inside = np.zeros((8, 8), np.bool_)
    inside[0, 0] = inside[4:7, 4:7] = True
    assert [int(part.sum()) for part in components(inside)] == [9, 1]


def _dijkstra(inside: Mask, seeds: Mask) -> np.ndarray:
    away = np.full(inside.shape, FAR)
    queue = [(0.0, *map(int, place)) for place in np.argwhere(seeds)]
    while queue:
        so_far, row, column = heapq.heappop(queue)
        if so_far >= away[row, column]:
            continue
        away[row, column] = so_far
        for r in range(max(0, row - 1), min(inside.shape[0], row + 2)):
            for c in range(max(0, column - 1), min(inside.shape[1], column + 2)):
                if inside[r, c]:
                    heapq.heappush(queue, (so_far + float(np.hypot(r - row, c - column)), r, c))
    return away
