# SPDX-License-Identifier: GPL-3.0-or-later
"""What decides a frame's pixels, as one digest: two frames with the same recipe are the same frame.

It knows records only. A recipe leaves out the job, so a frame that was made for one job serves all.
"""

from __future__ import annotations

import hashlib

import msgspec

from protocol.engines import EngineSpec
from protocol.jobs import Inbetween, Slot, Task
from protocol.params import Values

from .config import SOFTWARE
from .runs import Output

_encode = msgspec.msgpack.Encoder(order="deterministic").encode


class _Recipe(msgspec.Struct, array_like=True):
    software: str
    engine: str
    version: str
    weights: tuple[str, ...]
    device: str
    params: Values
    seed: int
    output: Output
    task: Task
    index: int


def recipe(
    spec: EngineSpec,
    device: str,
    params: Values,
    seed: int,
    output: Output,
    task: Task,
    slot: Slot,
) -> bytes:
    """The digest (32 bytes) of everything that the slot's pixels depend on.

    For a loop, and for an engine whose frames are not independent, that is the whole job.
    """
    what, index = task, slot.index
    if isinstance(task, Inbetween) and spec.can.independent:
        what, index = task.alone(slot), 0
    mixed = _Recipe(
        software=SOFTWARE,
        engine=spec.id,
        version=spec.version,
        weights=tuple(weights.sha256 for weights in spec.weights),
        device=device,
        params=params,
        seed=seed,
        output=output,
        task=what,
        index=index,
    )
    return hashlib.sha256(_encode(mixed)).digest()
