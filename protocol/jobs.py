# SPDX-License-Identifier: GPL-3.0-or-later
"""What an artist can ask for, and where it stands: one record for each kind of job.

Every kind has `inputs`, `pictures`, `name_of`, `slots` and `check`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from msgspec import Meta

from .inbetween import Guide, Inbetween
from .loops import AnyLoop, ClipLoop, LoopGap, Region, SeamPlot, StillLoop, Stroke
from .slots import Digest, Point, Slot, Time

__all__ = [
    "AnyLoop",
    "ClipLoop",
    "Digest",
    "Guide",
    "Inbetween",
    "JobId",
    "LoopGap",
    "Point",
    "Region",
    "SeamPlot",
    "Slot",
    "State",
    "StillLoop",
    "Stroke",
    "Task",
    "Time",
    "kind_of",
]

JobId = Annotated[str, Meta(pattern=r"\A[0-9a-f]{32}\Z")]
"""Made by the client, so that sending a job twice is still one job."""


class State(StrEnum):
    """Where a job stands."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        return self in (State.DONE, State.FAILED, State.CANCELLED)


Task = Inbetween | StillLoop | ClipLoop | LoopGap | SeamPlot
"""Any job."""


def kind_of(task: Task) -> str:
    """The tag by which an engine names the kinds of jobs it makes (EngineSpec.jobs)."""
    return str(type(task).__struct_config__.tag)
