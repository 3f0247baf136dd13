# SPDX-License-Identifier: GPL-3.0-or-later
# torch annotates split, unflatten and from_numpy only in part.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
"""The resampler: from the image tower's 257 tokens to the U-Net's 16 tokens for each of 16 frames.

After the Perceiver of Alayrac et al.: Flamingo, NeurIPS 2022, section 3.1.1.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from backend.models.tooncrafter.layers import LayerNorm, attend
from backend.models.tooncrafter.sizes import FRAME_TOKENS, FRAMES, ResamplerSize


class Resampler(nn.Module):
    """The network."""

    def __init__(self, size: ResamplerSize) -> None:
        super().__init__()
        self.latents = nn.Parameter(torch.zeros(1, FRAMES * FRAME_TOKENS, size.width))
        self.enter = nn.Linear(size.seen, size.width)
        self.layers = nn.ModuleList(ResamplerLayer(size) for _ in range(size.depth))
        self.leave = nn.Linear(size.width, size.context)
        self.norm = LayerNorm(size.context)

    def forward(self, tokens: Tensor) -> Tensor:
        """(N, 257, seen) -> (N, 256, context): the first 16 are the first frame's."""
        seen = self.enter(tokens.to(self.enter.weight.dtype))
        latents = self.latents.to(seen.dtype).expand(len(seen), -1, -1)
        for layer in self.layers:
            latents = layer(latents, seen)
        return self.norm(self.leave(latents))


class ResamplerLayer(nn.Module):
    """Latents look at the picture and at themselves, then a feed-forward."""

    def __init__(self, size: ResamplerSize) -> None:
        super().__init__()
        inner = size.heads * size.head
        self.heads = size.heads
        self.norm_seen = LayerNorm(size.width)
        self.norm_latents = LayerNorm(size.width)
        self.query = nn.Linear(size.width, inner, bias=False)
        self.key_value = nn.Linear(size.width, 2 * inner, bias=False)
        self.out = nn.Linear(inner, size.width, bias=False)
        self.norm_feed = LayerNorm(size.width)
        self.feed_in = nn.Linear(size.width, 4 * size.width, bias=False)
        self.feed_out = nn.Linear(4 * size.width, size.width, bias=False)

    def forward(self, latents: Tensor, seen: Tensor) -> Tensor:
        normed = self.norm_latents(latents)
        both = torch.cat((self.norm_seen(seen), normed), dim=1)
        key, value = self.key_value(both).chunk(2, dim=-1)
        latents = latents + self.out(attend(self.query(normed), key, value, self.heads))
        hidden = functional.gelu(self.feed_in(self.norm_feed(latents)))
        return latents + self.feed_out(hidden)
