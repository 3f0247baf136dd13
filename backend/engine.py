# SPDX-License-Identifier: GPL-3.0-or-later
"""What an engine is. It knows arrays and jobs; it must not know torch, sockets or files.

An engine is one module in backend/engines/ with two names:

    SPEC: EngineSpec                      readable without importing torch
    def load(device: str) -> Engine[...]  imports what it needs, puts the weights on the device
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from protocol.engines import EngineSpec
from protocol.jobs import Slot, Task
from protocol.params import Values

Pixels = npt.NDArray[np.float32]
"""(H, W, 4) straight RGBA, encoded as in a display file (sRGB), alpha linear, 0..1.

The colours of a PNG or JPEG are 0..1. Those of an EXR may lie beyond (the curve goes on, mirrored
below 0): clip what a network sees, never what is moved or mixed. Always finite numbers.
"""


@dataclass(frozen=True, slots=True)
class Frame:
    """A finished picture. `index` is that of its Slot; pixels have the size of the keys.

    `text`: ASCII that a PNG carries in its text chunk "tweencel"; other files drop it.
    `cover`: in a loop, how much of what moves was mixed over what is held, (H, W) 0..1: what a
    layer's alpha is made of.
    """

    index: int
    pixels: Pixels
    text: str = ""
    cover: npt.NDArray[np.float32] | None = None


class Progress(NamedTuple):
    """A sign of life between frames. `fraction` of the phase, 0..1."""

    phase: str
    fraction: float


@dataclass(frozen=True)
class Context:
    """What an engine may use while it runs.

    `pictures` gives the pixels of an input by its digest, decoded when it is asked for: hold no
    more of them than needed. `wanted` are the indices of the slots to make, None for all: the
    others were made before.
    """

    pictures: Callable[[str], Pixels]
    params: Values
    seed: int = 0
    wanted: frozenset[int] | None = None

    def slots(self, task: Task) -> list[Slot]:
        """The task's slots that are to be made, in order."""
        return [s for s in task.slots() if self.wanted is None or s.index in self.wanted]


Asked = TypeVar("Asked", contravariant=True)
"""The kind of job that an engine makes, or a union of kinds."""


class Engine(Protocol[Asked]):
    """A loaded engine. It stays warm between jobs and keeps nothing of them."""

    def run(self, task: Asked, context: Context) -> Iterator[Frame | Progress]:
        """Make `context.slots(task)`, in order.

        Every yield is a point at which the job may be cancelled: the generator is then closed.
        Raises TweencelError for what the artist can mend.
        """
        ...


class Paced:
    """A mark for engines that space their pictures by measured motion themselves.

    They get a task with `even_motion` as it is; for all others the times are worked out before.
    """


@dataclass(frozen=True)
class EngineEntry:
    """An engine that was found: its record, and how to load it."""

    spec: EngineSpec
    load: Callable[[str], Engine[Any]]
    origin: str = ""


Registry = Mapping[str, EngineEntry]
