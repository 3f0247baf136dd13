# SPDX-License-Identifier: GPL-3.0-or-later
"""What an artist can ask for: one record for each kind of job."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Annotated

import msgspec
from msgspec import Meta

from .errors import BadJob, NothingToMake, TooFewKeys
from .limits import Limits

Digest = Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z")]
"""sha256 of a file's bytes, hex."""
JobId = Annotated[str, Meta(pattern=r"\A[0-9a-f]{32}\Z")]
"""Made by the client, so that sending a job twice is still one job."""
Time = Annotated[float, Meta(gt=0.0, lt=1.0)]


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


@dataclass(frozen=True, slots=True)
class Slot:
    """One picture to make: the `index`-th of the job, at time `t` in the gap after key `gap`."""

    index: int
    gap: int
    t: float


class Inbetween(msgspec.Struct, frozen=True, tag="inbetween"):
    """In-betweens for the gaps between neighbouring keys.

    `keys` are digests of image files in the order of the shot. `gaps[i]` holds the times, rising
    inside (0, 1), that are to be made between keys i and i + 1; an empty gap stays as it is.
    """

    keys: tuple[Digest, ...]
    gaps: tuple[tuple[Time, ...], ...]

    def inputs(self) -> list[str]:
        """Digests of the files that the job needs, each once, in order of first use."""
        return list(dict.fromkeys(self.keys))

    def slots(self) -> list[Slot]:
        """The pictures to make, in order."""
        times = [(gap, t) for gap, row in enumerate(self.gaps) for t in row]
        return [Slot(index, gap, t) for index, (gap, t) in enumerate(times)]

    def check(self, limits: Limits) -> None:
        """Raise TooFewKeys, NothingToMake or BadJob if the job makes no sense or is too big."""
        if len(self.keys) < 2:
            raise TooFewKeys(f"The job has {len(self.keys)} key{'s' * (len(self.keys) != 1)}.")
        if len(self.gaps) != len(self.keys) - 1:
            raise BadJob(
                f"{len(self.keys)} keys have {len(self.keys) - 1} gaps, "
                f"but the job describes {len(self.gaps)}.",
                fix="Give one list of times for each gap.",
            )
        wanted = sum(map(len, self.gaps))
        if wanted == 0:
            raise NothingToMake("No in-between is asked for in any gap.")
        self._check_size(limits, wanted)
        for number, times in enumerate(self.gaps, start=1):
            if any(b <= a for a, b in pairwise(times)):
                raise BadJob(
                    f"The times of gap {number} do not rise.",
                    fix="Give each gap's times in rising order, none twice.",
                )

    def _check_size(self, limits: Limits, wanted: int) -> None:
        if wanted > limits.max_frames:
            raise BadJob(
                f"The job asks for {wanted} in-betweens; the backend takes {limits.max_frames}.",
                fix="Split the shot into several jobs.",
            )
        if len(self.keys) > limits.max_keys:
            raise BadJob(
                f"The job has {len(self.keys)} keys; the backend takes {limits.max_keys}.",
                fix="Split the shot into several jobs.",
            )


Task = Inbetween
"""Any job. It becomes a union when the second kind arrives."""
