# SPDX-License-Identifier: GPL-3.0-or-later
"""Where in a clip of evenly numbered frames the wanted times lie.

A generated clip moves as it likes: it may wait and then hurry. An artist's chart says how much of
the way is done at each time, so the way is measured between the frames. Times that were promised to
frames (by a sketch) are kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

from .alpha import Array
from .evenness import Numbers, even_times, reduced, ways


def lengths_of(frames: Sequence[Array]) -> Numbers:
    """How far it is from each frame (H, W, 3) to the next."""
    return ways([reduced(_opaque(frame)) for frame in frames])


def positions(
    wanted: Sequence[float],
    frames: int,
    lengths: Numbers | None = None,
    promised: Mapping[int, float] | None = None,
) -> list[float]:
    """For each wanted time (0..1, rising) a position in the clip, 0..frames - 1.

    lengths: of the ways between the frames; without them a frame's number is its time. promised:
    times, rising with the numbers of the frames that keep them.
    """
    knots = {0: 0.0, **(promised or {}), frames - 1: 1.0}
    found: list[float] = []
    for (start, begins), (end, ends) in pairwise(sorted(knots.items())):
        inside = [t for t in wanted if begins <= t < ends or (ends == 1.0 == t)]
        shares = [(t - begins) / (ends - begins) for t in inside]
        if lengths is not None:
            own = np.linspace(0, 1, end - start + 1).tolist()
            shares = even_times(own, lengths[start:end], shares)
        found += [start + share * (end - start) for share in shares]
    return found


def _opaque(frame: Array) -> Array:
    return np.concatenate((frame, np.ones_like(frame[..., :1])), axis=2)
