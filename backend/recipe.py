# SPDX-License-Identifier: GPL-3.0-or-later
"""What decides a frame's pixels, as one digest: two frames with the same recipe are the same frame.

It knows records only. A recipe leaves out the job, so a frame that was made for one job serves all.
"""

from __future__ import annotations

import hashlib

import msgspec

from protocol.engines import EngineSpec
from protocol.jobs import Inbetween, Slot
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
    keys: tuple[str, ...]
    t: float
    rest: tuple[tuple[str, ...], tuple[tuple[float, ...], ...], int] | None


def recipe(
    spec: EngineSpec,
    device: str,
    params: Values,
    seed: int,
    output: Output,
    task: Inbetween,
    slot: Slot,
) -> bytes:
    """The digest (32 bytes) of everything that the slot's pixels depend on.

    For an engine whose frames are not independent that is the whole job.
    """
    whole = None if spec.can.independent else (task.keys, task.gaps, slot.index)
    mixed = _Recipe(
        software=SOFTWARE,
        engine=spec.id,
        version=spec.version,
        weights=tuple(weights.sha256 for weights in spec.weights),
        device=device,
        params=params,
        seed=seed,
        output=output,
        keys=task.keys[slot.gap : slot.gap + 2],
        t=slot.t,
        rest=whole,
    )
    return hashlib.sha256(_encode(mixed)).digest()
