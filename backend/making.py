# SPDX-License-Identifier: GPL-3.0-or-later
"""What every engine need not know: masks that hold a drawing, times that count motion, and layers
that are what moves in a loop alone.

It stands between the worker and an engine, and yields what an engine yields. Every yield of the
engine stays a point at which the job may be cancelled.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
from msgspec import structs

from protocol.jobs import AnyLoop, Inbetween, LoopGap, Slot, Task

from . import closure
from .closure import Load, Masks
from .engine import Context, Engine, Frame, Paced, Pixels, Progress
from .imaging import evenness, held
from .imaging.alpha import Array

_FIRST = tuple(i / 8 for i in range(1, 8))
"""The times at which an engine is first asked how far it has moved."""
_SECOND = tuple((i + 0.5) / 8 for i in range(8))
"""Shares of the way, as first measured, at which it is asked again: no step is long then."""


def make(task: Task, context: Context, load: Load, masks: Masks) -> Iterator[Frame | Progress]:
    """Make `context.slots(task)`. An engine that has nothing to do is not even loaded."""
    if not isinstance(task, Inbetween):
        if isinstance(task, LoopGap):
            steps = closure.closed(task, context, load, masks)
        else:
            yield Progress("loading the engine", 0.0)
            steps = load().run(task, context)
        if isinstance(task, AnyLoop) and task.layer:
            steps = _lifted(task, steps, context.pictures, masks)
        yield from steps
        return
    slots = {slot.index: slot for slot in context.slots(task)}
    moving: set[int] = set()
    for slot in slots.values():
        if task.masks and not masks(task.mask_of(slot)).any():
            yield Frame(slot.index, context.pictures(task.keys[slot.gap]))
        else:
            moving.add(slot.index)
    if not moving:
        return
    yield Progress("loading the engine", 0.0)
    engine = load()
    asked = replace(context, wanted=frozenset(moving))
    measured = task.even_motion and not isinstance(engine, Paced)
    paced = (yield from evenly(task, engine, asked)) if measured else task
    for step in engine.run(paced, asked):
        if task.masks and isinstance(step, Frame):
            yield _held(task, slots[step.index], step, context.pictures, masks)
        else:
            yield step


def _lifted(
    task: AnyLoop,
    steps: Iterator[Frame | Progress],
    pictures: Callable[[str], Pixels],
    masks: Masks,
) -> Iterator[Frame | Progress]:
    """What moves alone. An engine that does not say what it covers has covered all of the masks."""
    under = pictures(task.under)
    marked: Array | None = None
    for step in steps:
        if not isinstance(step, Frame):
            yield step
            continue
        cover = step.cover
        if cover is None:
            marked = _marked(task, under.shape[:2], masks) if marked is None else marked
            cover = marked
        yield Frame(step.index, held.lifted(under, step.pixels, cover), step.text)


def _marked(task: AnyLoop, shape: tuple[int, ...], masks: Masks) -> Array:
    marked = np.full(shape, not task.marks)
    for mark in task.marks:
        marked |= masks(mark) > 0
    return marked.astype(np.float32)


def _held(
    task: Inbetween, slot: Slot, frame: Frame, pictures: Callable[[str], Pixels], masks: Masks
) -> Frame:
    key = pictures(task.keys[slot.gap])
    return Frame(frame.index, held.hold(key, frame.pixels, masks(task.mask_of(slot))))


def evenly(
    task: Inbetween, engine: Engine[Any], context: Context
) -> Generator[Progress, None, Inbetween]:
    """The task with times at which the wanted shares of the motion are done.

    Each gap is measured by itself, on reduced pictures, so its frames do not depend on others.
    """
    gaps = list(task.gaps)
    asked = sorted({slot.gap for slot in context.slots(task)})
    for number, gap in enumerate(asked):
        yield Progress("measuring the motion", number / len(asked))
        gaps[gap] = yield from _evenly(task, gap, engine, context)
    return structs.replace(task, gaps=tuple(gaps), even_motion=False)


def _evenly(
    task: Inbetween, gap: int, engine: Engine[Any], context: Context
) -> Generator[Progress, None, tuple[float, ...]]:
    """The engine's times for one gap."""

    @lru_cache(maxsize=2)
    def small(digest: str) -> Pixels:
        return evenness.reduced(context.pictures(digest))

    alone = structs.replace(task.alone(Slot(0, gap, 0.5)), masks=(), even_motion=False)
    reduced = replace(context, pictures=small, wanted=None)
    known = {0.0: small(alone.keys[0]), 1.0: small(alone.keys[1])}
    known |= yield from _probed(alone, _FIRST, engine, reduced)
    again = _times(known, _SECOND)
    known |= yield from _probed(alone, again, engine, reduced)
    return _times(known, task.gaps[gap])


def _times(known: dict[float, Pixels], wanted: Sequence[float]) -> tuple[float, ...]:
    own = sorted(known)
    return evenness.even_times(own, evenness.ways([known[t] for t in own]), wanted)


def _probed(
    alone: Inbetween, times: tuple[float, ...], engine: Engine[Any], context: Context
) -> Generator[Progress, None, dict[float, Pixels]]:
    """The pictures that the engine makes at those times."""
    made: dict[float, Pixels] = {}
    for step in engine.run(structs.replace(alone, gaps=(times,)), context):
        if isinstance(step, Frame):
            made[times[step.index]] = step.pixels
            yield Progress("measuring the motion", len(made) / len(times))
        else:
            yield step
    return made
