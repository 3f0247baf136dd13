# SPDX-License-Identifier: GPL-3.0-or-later
"""Features of a still, moved so that they loop: forward from its start and backward from its end.

Symmetric splatting: Holynski et al. (CVPR 2021), section 4.2.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil, floor

import torch
from torch import Tensor

from backend.models.cinemagraph.euler import Course
from backend.models.cinemagraph.video import Seen
from backend.models.splat import splat

_LEAST = 1e-8


class Moved:
    """The features at every moment of a loop of `period` frames; both courses integrated once."""

    def __init__(self, seen: Seen, flow: Tensor, period: float) -> None:
        """seen: of one picture. flow: (1, 2, H, W), pixels per frame, x then y. period: frames."""
        self._period = period
        self._weight = (seen.importance - seen.importance.max()).exp()
        # The weight goes along as a last channel: one splat sums both.
        self._weighted = torch.cat((seen.features * self._weight, self._weight), dim=1)
        self._ahead = Course(flow, ceil(period))
        self._back = Course(-flow, ceil(period))

    @property
    def bytes_held(self) -> int:
        """Memory that is kept while the loop plays."""
        return self._weighted.nbytes + self._ahead.bytes_held + self._back.bytes_held

    def reaching(self, frame: float) -> Iterator[None]:
        """Integrate as far as `at` will need it; yields so that a long way can be left."""
        yield from self._ahead.reaching(frame)
        yield from self._back.reaching(self._period - frame)

    def at(self, frame: float) -> Tensor:
        """(1, C, H, W), 0 in a hole; frame: 0..period, and at both ends nothing has moved."""
        total, weight = self.sums(frame)
        return total / weight.clamp(_LEAST)

    def sums(self, frame: float) -> tuple[Tensor, Tensor]:
        """The weighted sum of all that lands in each cell (1, C, H, W), and of its weights."""
        done = frame / self._period
        landed = splat(self._weighted * (1 - done), _away(self._ahead, frame))
        landed += splat(self._weighted * done, _away(self._back, self._period - frame))
        return landed[:, :-1], landed[:, -1:]


def _away(course: Course, frames: float) -> Tensor:
    """Displacements after any number of frames, straight between two steps."""
    first, inner = floor(frames), frames - floor(frames)
    away, _ = course.after(first)
    if not inner:
        return away
    end, stays = course.after(first + 1)
    return torch.where(stays, torch.lerp(away, end, inner), end)
