# SPDX-License-Identifier: GPL-3.0-or-later
"""Brightness and colour of generated frames, brought back to those of the keys they lie between.

A video network's frames differ from its keys by a tint of a few levels that changes along the clip.
How far off it is can be seen at both ends, and on the way wherever both keys show the same: a
ground, a held part. What moves is never taken for a tint.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .alpha import Array

_SAME = 3 / 255
"""A place that differs by no more between the keys stands still."""
_FEWEST = 0.02
"""Share of the picture that must stand still to tell a tint."""
_MOST = 16 / 255
"""Larger differences are no tint; they are what the drawing does."""


def matched(frames: Sequence[Array], first: Array, last: Array) -> list[Array]:
    """The frames (H, W, 3), the first and last of which show the keys, in the keys' tone.

    first, last: the keys at the frames' size.
    """
    ends = _tint(first, frames[0]), _tint(last, frames[-1])
    shares = np.linspace(0, 1, len(frames), dtype=np.float32)
    evenly = [
        frame + (1 - s) * ends[0] + s * ends[1] for frame, s in zip(frames, shares, strict=True)
    ]
    still = np.abs(first - last).max(axis=2) <= _SAME
    if still.mean() < _FEWEST:
        return evenly
    ground = (first[still] + last[still]) / 2
    return [frame + _usual(ground - frame[still]) for frame in evenly]


def _tint(key: Array, frame: Array) -> Array:
    """What to add to each channel."""
    return _usual((key - frame).reshape(-1, 3))


def _usual(differences: Array) -> Array:
    """The mean of those within reach, (3,): some places are covered, or drawn otherwise."""
    middle = np.median(differences, axis=0)
    near = np.abs(differences - middle) <= _MOST
    total = np.where(near, differences, 0).sum(axis=0) / np.maximum(near.sum(axis=0), 1)
    return np.clip(total, -_MOST, _MOST).astype(np.float32)
