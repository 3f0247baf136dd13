# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a clip must be so that regions with periods of their own all close."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Closing:
    """A common length of a clip. For each region its cycles, its period in it (frames) and by how
    many percent that is longer than asked (negative: shorter, so it runs faster)."""

    length: int
    cycles: tuple[int, ...]
    periods: tuple[float, ...]
    retimes: tuple[float, ...]

    @property
    def worst(self) -> float:
        """The largest retime, percent, without its sign."""
        return max(map(abs, self.retimes), default=0.0)


def close(periods: Sequence[float], tolerance: float, longest: int = 100_000) -> Closing | None:
    """The shortest whole number of frames into which every period fits a whole number of times.

    periods: frames, > 0. tolerance: percent by which each may be stretched or shortened. None if no
    length up to `longest` will do.
    """
    for length in range(2, longest + 1):
        found = fitted(periods, length)
        if found.worst <= tolerance + 1e-9:
            return found
    return None


def fitted(periods: Sequence[float], length: int) -> Closing:
    """Every period stretched to go into `length` frames a whole number of times, at least once."""
    cycles = tuple(max(1, round(length / period)) for period in periods)
    actual = tuple(length / count for count in cycles)
    retimes = tuple(100.0 * (new / old - 1.0) for new, old in zip(actual, periods, strict=True))
    return Closing(length, cycles, actual, retimes)
