# SPDX-License-Identifier: GPL-3.0-or-later
"""An engine that misbehaves on request, found as any plug-in is: by an entry point."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

import numpy as np

from backend.engine import Context, Engine, Frame, Progress
from protocol.engines import EngineSpec
from protocol.errors import BadParameter
from protocol.jobs import Task
from protocol.params import Choice, ChoiceParam, FloatParam

DEEDS = ("work", "raise", "refuse", "memory", "segfault", "kill", "exit", "hang", "short", "slow")

SPEC = EngineSpec(
    id="abusive",
    label="Abusive",
    summary="Does what it should not.",
    version="1",
    jobs=("inbetween",),
    params=(
        ChoiceParam(
            name="deed",
            label="Deed",
            default="work",
            choices=tuple(Choice(deed, deed) for deed in DEEDS),
        ),
        FloatParam(name="level", label="Level", default=0.5, minimum=0, maximum=1),
    ),
)


class Abusive:
    """Makes flat frames; after the first one it does the deed."""

    def __init__(self) -> None:
        self.pid = os.getpid()

    def run(self, task: Task, context: Context) -> Iterator[Frame | Progress]:
        shape = context.pictures(task.keys[0]).shape
        yield Progress("being good", 0.0)
        for slot in task.slots()[context.first :]:
            pixels = np.full(shape, float(context.params["level"]), np.float32)
            pixels[..., 3] = 1.0
            yield Frame(slot.index, pixels)
            if do(str(context.params["deed"])):
                return


def do(deed: str) -> bool:
    match deed:
        case "raise":
            raise ZeroDivisionError("a defect")
        case "refuse":
            raise BadParameter("The drawing is too sad.", fix="Draw a happier one.")
        case "memory":
            raise MemoryError
        case "segfault":
            os.kill(os.getpid(), signal.SIGSEGV)
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "exit":
            os._exit(3)
        case "hang":
            time.sleep(3600)
        case "slow":
            time.sleep(0.2)
    return deed == "short"


def load(device: str) -> Engine:
    return Abusive()
