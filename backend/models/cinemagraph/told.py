# SPDX-License-Identifier: GPL-3.0-or-later
"""The motion network that is told a text: from a picture, a mask and a prompt to a flow.

Text2Cinemagraph (arXiv 2307.03190), section 3.2: the motion network's U-Net with the
cross-attention of Stable Diffusion 1.4 (Rombach et al., CVPR 2022). 320 million parameters.
"""

from __future__ import annotations

from collections.abc import Generator

import torch
from torch import Tensor, nn
from torch.nn import functional

from backend.models.cinemagraph.sizes import ToldSize
from backend.models.cinemagraph.spade import SLOPE, Spade, entered, grown
from backend.models.cinemagraph.steps import finish
from backend.models.tooncrafter.layers import Attention, FeedForward, GroupNorm, LayerNorm

#: Picture, mask.
CHANNELS = 4
#: It halves its input six times.
MULTIPLE = 64

_DOWN = (1, 1, 2, 2, 2, 4, 4, 4)
_HALVES = (0, 1, 2, 3, 5, 7)
"""Layers on the way down that halve what they see."""
_UP = (4, 4, 2, 2, 2, 1, 1)
_GROWS = (0, 2, 4, 5, 6, 7)
"""Layers on the way up that see twice the size."""


class ToldMotion(nn.Module):
    """The network."""

    def __init__(self, size: ToldSize) -> None:
        super().__init__()
        down = [size.base * factor for factor in _DOWN]
        up = [size.base * factor for factor in _UP]
        self.downs = nn.ModuleList(
            nn.Conv2d(width, into, 3, padding=1)
            for width, into in zip((CHANNELS, *down), down, strict=False)
        )
        self.down_norms = nn.ModuleList(Spade(width, CHANNELS) for width in down[1:-1])
        passed = [0, *reversed(down[:-1])]
        self.ups = nn.ModuleList(
            nn.Conv2d(width + skip, into, 3, padding=1)
            for width, skip, into in zip((down[-1], *up), passed, (*up, 2), strict=True)
        )
        self.up_norms = nn.ModuleList(Spade(width, CHANNELS) for width in up)
        self.down_listeners = nn.ModuleList(Listener(width, size) for width in down[3:7])
        self.middle_listener = Listener(down[-1], size)
        self.up_listeners = nn.ModuleList(Listener(width, size) for width in up[:4])

    def forward(self, given: Tensor, text: Tensor) -> Tensor:
        """given (N, 4, H, W), sides multiples of 64; text (N, T, context) -> (N, 2, H, W), x then
        y, not bounded. given: picture -1..1, mask 0 or 1."""
        return finish(self.steps(given, text))

    def steps(self, given: Tensor, text: Tensor) -> Generator[None, None, Tensor]:
        """Like `forward`; yields after each layer."""
        passed = yield from self._down(given, text)
        x = passed.pop()
        skip: Tensor | None = None
        for level, (up, norm) in enumerate(zip(self.ups, self.up_norms, strict=False)):
            x = norm(up(_entered(x, skip, level)), given)
            if level < len(self.up_listeners):
                x = self.up_listeners[level](x, text)
            skip = passed.pop()
            yield
        return self.ups[-1](_entered(x, skip, len(self.ups) - 1))

    def _down(self, given: Tensor, text: Tensor) -> Generator[None, None, list[Tensor]]:
        passed = [functional.avg_pool2d(self.downs[0](given), 2)]
        for level, (down, norm) in enumerate(
            zip(self.downs[1:-1], self.down_norms, strict=True), start=1
        ):
            x = norm(_left(down, passed[-1], level), given)
            if level >= 3:
                x = self.down_listeners[level - 3](x, text)
            passed.append(x)
            yield
        last = _left(self.downs[-1], passed[-1], len(self.downs) - 1)
        return [*passed, self.middle_listener(last, text)]


def _left(down: nn.Module, x: Tensor, level: int) -> Tensor:
    x = down(functional.leaky_relu(x, SLOPE))
    return functional.avg_pool2d(x, 2) if level in _HALVES else x


def _entered(x: Tensor, skip: Tensor | None, level: int) -> Tensor:
    x = entered(x, skip)
    return grown(x) if level in _GROWS else x


class Listener(nn.Module):
    """Every place attends to the text, then thinks by itself; places do not look at each other."""

    def __init__(self, width: int, size: ToldSize) -> None:
        super().__init__()
        self.norm = GroupNorm(width, eps=1e-6)
        self.enter = nn.Conv2d(width, width, 1)
        self.norm_text = LayerNorm(width)
        self.attention = Attention(width, size.heads, width // size.heads, size.context)
        self.norm_feed = LayerNorm(width)
        self.feed = FeedForward(width)
        self.leave = nn.Conv2d(width, width, 1)

    def forward(self, x: Tensor, text: Tensor) -> Tensor:
        """x (N, width, h, w), text (N, T, context)."""
        tokens = self.enter(self.norm(x)).flatten(2).transpose(1, 2)
        tokens = torch.add(tokens, self.attention(self.norm_text(tokens), text))
        tokens = torch.add(tokens, self.feed(self.norm_feed(tokens)))
        return self.leave(tokens.transpose(1, 2).unflatten(2, x.shape[2:])).add_(x)
