# SPDX-License-Identifier: GPL-3.0-or-later
"""The words that all kinds of jobs share: files by digest, times, points, and the slots to fill."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import msgspec
from msgspec import Meta

Digest = Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z")]
"""sha256 of a file's bytes, hex."""
Time = Annotated[float, Meta(gt=0.0, lt=1.0)]
Share = Annotated[float, Meta(ge=0.0, le=1.0)]
Coordinate = Annotated[float, Meta(ge=-1e6, le=1e6)]


class Point(msgspec.Struct, frozen=True, array_like=True):
    """A place in a picture: pixels from its upper left corner, right and down."""

    x: Coordinate
    y: Coordinate


@dataclass(frozen=True, slots=True)
class Slot:
    """One picture to make: the `index`-th of the job.

    For in-betweens it lies at time `t` in the gap after key `gap`; in a loop `gap` is 0 and `t`
    the share of the loop that has passed.
    """

    index: int
    gap: int
    t: float
