# SPDX-License-Identifier: GPL-3.0-or-later
"""When each place jumps from one run of pictures to another so that nobody sees it.

A minimum cut through time and picture. Source: Kwatra, Schoedl, Essa, Turk, Bobick: Graphcut
Textures, SIGGRAPH 2003, section 6 (videos). The solver is PyMaxflow (Boykov, Kolmogorov 2004).
"""

import importlib

import numpy as np

from .alpha import Array
from .geodesic import Mask
from .sampling import floats

_STEPS = 1000
"""Differences are counted in whole steps, a thousand to the full range: the solver is faster."""
_NEVER = 100_000_000


def jumps(first: Array, second: Array, inside: Mask) -> Array:
    """How many pictures of `first` each place shows before it goes on with `second`.

    first, second: (T, h, w, C), 0..1, both runs at the same times. inside: (h, w), where it counts.
    Gives whole numbers 0..T, (h, w).
    """
    difference = np.abs(first - second).mean(axis=3, dtype=np.float64)
    # A cut through equal pictures is not free: it shall not wander for nothing.
    difference = np.rint(np.where(inside, np.minimum(difference, 10), 0) * _STEPS) + 1
    count = len(difference)
    maxflow = importlib.import_module("maxflow")
    graph = maxflow.Graph[int]()
    nodes = graph.add_grid_nodes(difference.shape)
    after = np.zeros_like(difference)
    after[:-1] = difference[:-1] + difference[1:]
    graph.add_grid_edges(nodes, weights=after, structure=_towards(2, 1, 1))
    # Nobody goes back to the first run.
    never = np.full_like(difference, _NEVER)
    graph.add_grid_edges(nodes, weights=never, structure=_towards(0, 1, 1))
    for axis, towards in ((1, _towards(1, 2, 1)), (2, _towards(1, 1, 2))):
        beside = difference + np.roll(difference, -1, axis)
        graph.add_grid_edges(nodes, weights=beside, structure=towards, symmetric=True)
    from_first, to_second = np.zeros_like(difference), np.zeros_like(difference)
    from_first[0] = 2 * difference[0]
    to_second[count - 1] += 2 * difference[count - 1]
    graph.add_grid_tedges(nodes, from_first, to_second)
    graph.maxflow()
    return floats((~graph.get_grid_segments(nodes)).sum(axis=0))


def _towards(*neighbour: int) -> Array:
    structure = np.zeros((3, 3, 3), np.float32)
    structure[neighbour] = 1
    return structure
