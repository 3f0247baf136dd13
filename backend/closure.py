# SPDX-License-Identifier: GPL-3.0-or-later
"""A run whose last frame meets the first: what every in-between engine need not know of loops.

The engine is asked for the way from the last frame to the first, and for nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from protocol.jobs import Inbetween, LoopGap

from .engine import Context, Engine, Frame, Pixels, Progress
from .imaging import drift, held
from .imaging.alpha import Array

Load = Callable[[], Engine[Any]]
Masks = Callable[[str], Array]
"""The mask (H, W) of a digest."""
_LAST, _FIRST = "0" * 64, "1" * 64
"""How the engine calls its two keys."""


def closed(task: LoopGap, context: Context, load: Load, masks: Masks) -> Iterator[Frame | Progress]:
    """Make `context.slots(task)`. The engine is loaded if the gap is asked for."""
    cover = _cover(task, masks)
    gains = (yield from _gains(task, context, cover)) if task.even_light else None

    def lit(number: int) -> Pixels:
        pixels = context.pictures(task.frames[number])
        return pixels if gains is None else drift.lit(pixels, gains[number])

    def laid(index: int, pixels: Pixels) -> Frame:
        if cover is not None:
            pixels = held.hold(context.pictures(task.frames[0]), pixels, cover)
        return Frame(index, pixels, cover=cover)

    asked = [slot.index for slot in context.slots(task)]
    count = len(task.frames)
    for index in asked:
        if index < count:
            yield laid(index, lit(index))
    inside = frozenset(index - count for index in asked if index >= count)
    if not inside:
        return
    yield Progress("loading the engine", 0.0)
    times = tuple(step / (task.between + 1) for step in range(1, task.between + 1))
    keys = {_LAST: lit(count - 1), _FIRST: lit(0)}
    gap = Inbetween(keys=(_LAST, _FIRST), gaps=(times,))
    for step in load().run(gap, replace(context, pictures=keys.__getitem__, wanted=inside)):
        yield laid(step.index + count, step.pixels) if isinstance(step, Frame) else step


def _cover(task: LoopGap, masks: Masks) -> Array | None:
    """Where any mask is white (H, W); None if there are no masks."""
    if not task.masks:
        return None
    cover = masks(task.masks[0])
    for mask in task.masks[1:]:
        cover = np.maximum(cover, masks(mask))
    return cover


def _gains(
    task: LoopGap, context: Context, cover: Array | None
) -> Generator[Progress, None, drift.Numbers | None]:
    lights: list[Array] = []
    for number, digest in enumerate(task.frames):
        yield Progress("measuring the light", number / len(task.frames))
        lights.append(drift.places(context.pictures(digest), cover))
    return drift.gains(lights)
