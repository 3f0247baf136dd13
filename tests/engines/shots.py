# SPDX-License-Identifier: GPL-3.0-or-later
"""Small drawings for tests, and a short way to ask an engine for what lies between two of them."""

from collections.abc import Iterator, Sequence

import cv2
import numpy as np

from backend.engine import Context, Engine, Frame, Pixels, Progress
from protocol.jobs import Inbetween
from protocol.params import Value

SMOOTH = 8
"""Drawings are made so many times larger, then averaged: edges without steps."""


def run(
    engine: Engine,
    keys: Sequence[Pixels],
    gaps: Sequence[Sequence[float]],
    wanted: frozenset[int] | None = None,
    asked: list[int] | None = None,
    **params: Value,
) -> Iterator[Frame | Progress]:
    """What an engine yields. `asked` collects the numbers of the keys in the order of asking."""
    digests = [f"{number:064x}" for number in range(len(keys))]

    def pictures(digest: str) -> Pixels:
        if asked is not None:
            asked.append(digests.index(digest))
        return keys[digests.index(digest)]

    task = Inbetween(keys=tuple(digests), gaps=tuple(map(tuple, gaps)))
    return engine.run(task, Context(pictures, params, wanted=wanted))


def frames(engine: Engine, keys: Sequence[Pixels], gaps: Sequence[Sequence[float]]) -> list[Frame]:
    """All frames of a shot."""
    return [step for step in run(engine, keys, gaps) if isinstance(step, Frame)]


def between(
    engine: Engine, first: Pixels, second: Pixels, t: float = 0.5, **params: Value
) -> Pixels:
    """The one picture at time t."""
    steps = run(engine, (first, second), ((t,),), **params)
    (frame,) = [step for step in steps if isinstance(step, Frame)]
    return frame.pixels


def cel(
    x: float, size: tuple[int, int] = (96, 128), hidden: tuple[float, float, float] = (1, 0, 1)
) -> Pixels:
    """A white disc with a black outline and a black mark, its centre at column x, else transparent.

    Under alpha 0 lies the colour `hidden`, which must never be seen.
    """
    height, width = size
    big = np.zeros((height * SMOOTH, width * SMOOTH, 2), np.float32)
    centre = (round(x * SMOOTH), height * SMOOTH // 2)
    radius = height * SMOOTH // 4
    cv2.circle(big, centre, radius, (1, 1), -1)
    cv2.circle(big, centre, radius, (0, 1), 3 * SMOOTH)
    mark = radius // 3
    cv2.circle(big, (centre[0] + mark, centre[1] - mark), mark, (0, 1), -1)
    return _straight(big, hidden)


def _straight(big: Pixels, hidden: tuple[float, float, float]) -> Pixels:
    """From white-and-coverage at the large size to straight RGBA at the small one."""
    height, width = (side // SMOOTH for side in big.shape[:2])
    small = big.reshape(height, SMOOTH, width, SMOOTH, 2).mean(axis=(1, 3))
    result = np.empty((height, width, 4), np.float32)
    alpha = small[..., 1]
    white = np.divide(small[..., 0], alpha, out=np.zeros_like(alpha), where=alpha > 0)
    result[..., :3] = np.where(alpha[..., None] > 0, white[..., None], np.float32(hidden))
    result[..., 3] = alpha
    return result


def solid(size: tuple[int, int], colour: Sequence[float]) -> Pixels:
    """One colour (R, G, B, A) everywhere."""
    return np.full((*size, 4), colour, np.float32)


def patch(grey: float, left: int) -> Pixels:
    """An opaque square of 32 pixels in one grey on a transparent ground."""
    result = solid((80, 80), (0, 0, 0, 0))
    result[24:56, left : left + 32] = (grey, grey, grey, 1)
    return result


def noise(size: tuple[int, int], seed: int = 0) -> Pixels:
    """Random opaque colours."""
    result = np.random.default_rng(seed).random((*size, 4), np.float32)
    result[..., 3] = 1
    return result


def over(straight: Pixels, colour: Sequence[float]) -> Pixels:
    """The picture over a flat colour (R, G, B)."""
    alpha = straight[..., 3:]
    return straight[..., :3] * alpha + (1 - alpha) * np.float32(colour)
