# SPDX-License-Identifier: GPL-3.0-or-later
"""Which frames of an earlier version serve a new order, because nothing has changed for them.

It knows records, no files and no Blender.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from protocol.engines import EngineSpec
from protocol.jobs import Inbetween, Slot, Task

from .provenance import Frame, Version
from .work import Work

_encode = msgspec.msgpack.Encoder(order="deterministic").encode
Group = dict[int, Frame]
"""Frames that serve together or not at all, by the new order's slots."""


def unchanged(work: Work, task: Task, earlier: Version | None) -> list[Group]:
    """What an earlier version has of a job. `task` is all that was ordered, digests in it.

    The frames of an engine that makes each by itself serve singly, those of another by the gap.
    """
    if earlier is None or not isinstance(task, Inbetween):
        return []
    if not isinstance(earlier.task, Inbetween) or not _same_maker(work, earlier):
        return []
    single = work.order.engine.can.independent
    frames = {(frame.gap, frame.t): frame for frame in earlier.frames}
    known: dict[bytes, list[Frame | None]] = {}
    for slots in _groups(earlier.task, single=single):
        known[_recipe(earlier.task, slots)] = [frames.get((slot.gap, slot.t)) for slot in slots]
    return list(_served(task, known, single=single))


def digests_of(group: Group) -> dict[int, str]:
    """What the frames' bytes must still be."""
    return {slot: frame.sha256 for slot, frame in group.items()}


def _served(
    task: Inbetween, known: Mapping[bytes, list[Frame | None]], *, single: bool
) -> Iterator[Group]:
    for slots in _groups(task, single=single):
        frames = known.get(_recipe(task, slots), [])
        group = {slot.index: f for slot, f in zip(slots, frames, strict=False) if f and f.sha256}
        if group and len(group) == len(slots):
            yield group


def _groups(task: Inbetween, *, single: bool) -> list[list[Slot]]:
    slots = task.slots()
    if single:
        return [[slot] for slot in slots]
    return [[slot for slot in slots if slot.gap == gap] for gap in range(len(task.gaps))]


def _recipe(task: Inbetween, slots: list[Slot]) -> bytes:
    """All that the slots' pixels depend on, but the engine. They are of one gap."""
    if not slots:
        return b""
    alone = msgspec.structs.replace(
        task.alone(slots[0]),
        gaps=(tuple(slot.t for slot in slots),),
        masks=tuple(task.mask_of(slot) for slot in slots) if task.masks else (),
    )
    return _encode(alone)


def _same_maker(work: Work, earlier: Version) -> bool:
    engine: EngineSpec = work.order.engine
    weights = [weights.sha256 for weights in engine.weights]
    return (
        (engine.id, engine.version) == (earlier.engine.id, earlier.engine.version)
        and weights == [weights.sha256 for weights in earlier.engine.weights]
        and dict(work.job.params) == earlier.params
        and work.job.seed == earlier.seed
    )
