# SPDX-License-Identifier: GPL-3.0-or-later
# torch annotates unflatten only in part.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
"""Where a steady flow carries every pixel, step by step, integrated once for all frames.

Euler's method on the pixels' grid, as the published networks were trained with (Holynski et al.,
CVPR 2021, equation 3); the nearest cell's flow is taken at each step.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil, sqrt

import torch
from torch import Tensor


class Course:
    """The displacements of all pixels after 0, 1, ..., `steps` steps.

    Every step is made once, forward; only each k-th state is kept, k about the square root of
    `steps`, and the states between two of them are made again when they are asked for. So memory
    grows with the root of the length, and no step is made more than twice if frames are asked for
    in order, up or down.
    """

    def __init__(self, flow: Tensor, steps: int) -> None:
        """flow: (1, 2, H, W), pixels per step, x then y."""
        self._flow = flow[0].float().flatten(1)
        self._height, self._width = flow.shape[2:]
        self._stride = max(1, ceil(sqrt(steps)))
        self._grid = _grid(self._height, self._width, flow.device)
        self._kept = [self._start()]
        self._block: tuple[int, list[_State]] = (0, [self._kept[0]])
        self.steps = steps
        self.made = 0
        """Steps made so far."""

    @property
    def bytes_held(self) -> int:
        """Memory for states."""
        states = {id(state): state for state in (*self._kept, *self._block[1])}
        return sum(place.nbytes + lost.nbytes for place, lost in states.values())

    def after(self, steps: int) -> tuple[Tensor, Tensor]:
        """(1, 2, H, W) displacement in pixels, and (1, 1, H, W) whether the pixel is still seen.

        A pixel that ever left the picture is lost: its displacement throws it off the picture.
        """
        if not 0 <= steps <= self.steps:
            raise ValueError(f"{steps} steps of {self.steps}")
        index, inner = divmod(steps, self._stride)
        place, lost = self._states(index, inner)
        away = (place - self._grid).masked_fill_(lost, max(self._height, self._width) + 1)
        shape = (self._height, self._width)
        return away.unflatten(1, shape)[None], ~lost.unflatten(0, shape)[None, None]

    def reaching(self, steps: float) -> Iterator[None]:
        """Make what `after` will need of earlier states; yields so that a long way can be left."""
        while len(self._kept) <= steps // self._stride:
            self._keep_next()
            yield

    def _keep_next(self) -> None:
        self._run_block(len(self._kept) - 1, self._stride)
        self._kept.append(self._block[1].pop())

    def _states(self, index: int, inner: int) -> _State:
        while len(self._kept) <= index:
            self._keep_next()
        if self._block[0] != index or len(self._block[1]) <= inner:
            self._run_block(index, min(self._stride - 1, self.steps - index * self._stride))
        return self._block[1][inner]

    def _run_block(self, index: int, count: int) -> None:
        """The states from a kept one on."""
        states = [self._kept[index]]
        if self._block[0] == index:
            states = self._block[1]
        while len(states) <= count:
            states.append(self._stepped(states[-1]))
        self._block = (index, states)

    def _start(self) -> _State:
        return self._grid, torch.zeros_like(self._grid[0], dtype=torch.bool)

    def _stepped(self, state: _State) -> _State:
        self.made += 1
        place, lost = state
        column, row = place.round().long()
        place = place + self._flow[:, row * self._width + column]
        x, y = place
        lost = lost | (x > self._width - 1) | (x < 0) | (y > self._height - 1) | (y < 0)
        return torch.where(lost, self._grid, place), lost


_State = tuple[Tensor, Tensor]
"""place (2, H * W): where each pixel is. lost (H * W,): whether it ever left the picture."""


def _grid(height: int, width: int, device: torch.device) -> Tensor:
    rows = torch.arange(height, device=device, dtype=torch.float32)
    columns = torch.arange(width, device=device, dtype=torch.float32)
    x = columns.expand(height, width)
    y = rows[:, None].expand(height, width)
    return torch.stack((x.flatten(), y.flatten()))
