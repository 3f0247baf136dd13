# SPDX-License-Identifier: GPL-3.0-or-later
"""An engine that misbehaves on request, found as any plug-in is: by an entry point."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from backend.engine import Context, Engine, Frame, Progress
from protocol.engines import EngineSpec
from protocol.errors import BadParameter
from protocol.jobs import Task
from protocol.params import Choice, ChoiceParam, FloatParam, IntParam, TextParam

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
        IntParam(name="at", label="At", default=1, minimum=0, maximum=1000),
        TextParam(name="once", label="Once"),
    ),
)


class Abusive:
    """Makes flat frames; before frame `at` it does the deed, once if `once` names a marker file."""

    def __init__(self) -> None:
        self.pid = os.getpid()

    def run(self, task: Task, context: Context) -> Iterator[Frame | Progress]:
        shape = context.pictures(task.keys[0]).shape
        yield Progress("being good", 0.0)
        for slot in context.slots(task):
            pixels = np.full(shape, float(context.params["level"]), np.float32)
            pixels[..., 3] = 1.0
            if slot.index == context.params["at"] or context.params["deed"] == "slow":
                time.sleep(0.1)  # until the frames before it have left
                if is_due(str(context.params["once"])) and do(str(context.params["deed"])):
                    return
            yield Frame(slot.index, pixels)


def is_due(marker: str) -> bool:
    if not marker:
        return True
    if Path(marker).exists():
        return False
    Path(marker).touch()
    return True


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
