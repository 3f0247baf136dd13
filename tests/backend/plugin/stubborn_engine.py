# SPDX-License-Identifier: GPL-3.0-or-later
"""A plug-in engine that makes pictures at times of its own."""

from __future__ import annotations

from collections.abc import Iterator

from backend.engine import Context, Engine, Frame
from protocol.engines import Abilities, EngineSpec
from protocol.jobs import Inbetween

SPEC = EngineSpec(
    id="stubborn",
    label="Stubborn",
    summary="Shows the first key at whatever time.",
    version="1",
    jobs=("inbetween",),
    can=Abilities(any_t=False),
)


class Stubborn:
    def run(self, task: Inbetween, context: Context) -> Iterator[Frame]:
        for slot in context.slots(task):
            yield Frame(slot.index, context.pictures(task.keys[slot.gap]))


def load(device: str) -> Engine[Inbetween]:
    return Stubborn()
