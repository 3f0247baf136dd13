# SPDX-License-Identifier: GPL-3.0-or-later
"""Crossfade: the second key appears while the first one fades. Nothing moves, nothing is learned.

The reference that every other engine has to beat, and a quick look at timing.
"""

from collections.abc import Iterator

from backend.engine import Context, Engine, Frame, Pixels, Progress
from backend.imaging.alpha import bleed, bounds, premultiply, unpremultiply
from protocol.engines import Abilities, EngineSpec
from protocol.jobs import Inbetween

SPEC = EngineSpec(
    id="crossfade",
    label="Crossfade",
    summary="Fades from one key to the next. Nothing moves: a quick look at the timing.",
    version="1",
    jobs=("inbetween", "loop_gap"),
    can=Abilities(seeds=False),
)


def load(device: str) -> Engine[Inbetween]:
    """The engine; it computes on the CPU whatever the device."""
    return Crossfade()


class Crossfade:
    """Mixes neighbouring keys, premultiplied, so that a transparent key fades without a fringe."""

    def run(self, task: Inbetween, context: Context) -> Iterator[Frame | Progress]:
        for slot in context.slots(task):
            first = context.pictures(task.keys[slot.gap])
            second = context.pictures(task.keys[slot.gap + 1])
            yield Frame(slot.index, crossfade(first, second, slot.t))


def crossfade(first: Pixels, second: Pixels, t: float) -> Pixels:
    """The straight RGBA picture (H, W, 4) at time t (0..1) between two of the same size."""
    mixed = premultiply(first)
    mixed *= 1 - t
    mixed += premultiply(second) * t
    return bleed(unpremultiply(mixed, bounds((first, second))))
