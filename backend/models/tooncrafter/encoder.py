# SPDX-License-Identifier: GPL-3.0-or-later
# torch annotates split, unflatten and from_numpy only in part.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
"""The picture encoder: from a picture to latents, and to the features that the decoder refers to.

Stable Diffusion's KL encoder (Rombach et al.: High-Resolution Image Synthesis with Latent Diffusion
Models, CVPR 2022). The same network at every level keeps what it saw, for the decoder.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from backend.models.tooncrafter.layers import GroupNorm, Residual, attend, by_pieces
from backend.models.tooncrafter.sizes import VaeSize

EPS = 1e-6
#: What latents are multiplied by between the encoder and the U-Net.
SCALE = 0.18215


class Encoded(NamedTuple):
    """mean, deviation (N, 4, h, w), float32: of the latents, before SCALE. features: what each
    level saw, (N, C, H / 2^level, W / 2^level) from fine to coarse, and last what the entry saw."""

    mean: Tensor
    deviation: Tensor
    features: list[Tensor]


class Encoder(nn.Module):
    """The network."""

    def __init__(self, size: VaeSize) -> None:
        super().__init__()
        widths = [size.base * multiple for multiple in (1, *size.multiples)]
        self.entry = nn.Conv2d(3, size.base, 3, padding=1)
        self.levels = nn.ModuleList(
            EncoderLevel(width, into, size.depth, shrinks=level < len(size.multiples) - 1)
            for level, (width, into) in enumerate(pairwise(widths))
        )
        self.middle = EncoderMiddle(widths[-1])
        self.exit_norm = GroupNorm(widths[-1], EPS)
        self.exit = nn.Conv2d(widths[-1], 8, 3, padding=1)
        self.quantise = nn.Conv2d(8, 8, 1)

    def forward(self, pictures: Tensor) -> Encoded:
        """Of pictures (N, 3, H, W), -1..1; H and W multiples of 8."""
        hidden = first = self.entry(pictures.to(self.entry.weight.dtype))
        features: list[Tensor] = []
        for level in cast("list[EncoderLevel]", list(self.levels)):
            for block in level.blocks:
                hidden = block(hidden)
            features.append(hidden)
            if level.shrink is not None:
                # The published network pads only below and to the right.
                hidden = level.shrink(functional.pad(hidden, (0, 1, 0, 1)))
        hidden = self.middle(hidden)
        moments = self.quantise(self.exit(functional.silu(self.exit_norm(hidden))))
        mean, spread = moments.float().chunk(2, dim=1)
        deviation = torch.exp(0.5 * spread.clamp(-30, 20))
        return Encoded(mean, deviation, [*features, first])


class EncoderLevel(nn.Module):
    """Residual blocks, and a halving unless it is the last level."""

    def __init__(self, width: int, into: int, depth: int, shrinks: bool) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            Residual(into if index else width, into, EPS) for index in range(depth)
        )
        self.shrink = nn.Conv2d(into, into, 3, stride=2) if shrinks else None


class EncoderMiddle(nn.Module):
    """Two residual blocks with attention between them."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.before = Residual(width, width, EPS)
        self.attention = PixelAttention(width)
        self.after = Residual(width, width, EPS)

    def forward(self, x: Tensor) -> Tensor:
        return self.after(self.attention(self.before(x)))


class PixelAttention(nn.Module):
    """One head, as wide as the channels, among the pixels of a frame."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = GroupNorm(width, EPS)
        self.query = nn.Conv2d(width, width, 1)
        self.key = nn.Conv2d(width, width, 1)
        self.value = nn.Conv2d(width, width, 1)
        self.out = nn.Conv2d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        return by_pieces(self._piece, x)

    def _piece(self, x: Tensor) -> Tensor:
        normed = self.norm(x)
        parts = (layer(normed) for layer in (self.query, self.key, self.value))
        query, key, value = (part.flatten(2).transpose(1, 2) for part in parts)
        answer = attend(query, key, value, heads=1)
        return x + self.out(answer.transpose(1, 2).unflatten(2, x.shape[2:]))
