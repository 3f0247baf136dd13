# SPDX-License-Identifier: GPL-3.0-or-later
# torch annotates unflatten only in part.
# pyright: reportUnknownMemberType=false
"""CLIP ViT-L/14's text tower: what the told motion network is told about a prompt.

Radford et al.: Learning Transferable Visual Models From Natural Language Supervision, ICML 2021
(https://github.com/openai/CLIP, MIT); Stable Diffusion 1 uses all its layers and its final norm.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from backend.models.cinemagraph.sizes import TOKENS, TextSize
from backend.models.tooncrafter.layers import Attention, LayerNorm, attend
from backend.models.tooncrafter.prompt import END, tokens


class TextBlock(nn.Module):
    """Attention to what came before, and feed-forward, each beside a straight path."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm_self = LayerNorm(width)
        self.attention = BiasedAttention(width, heads)
        self.norm_feed = LayerNorm(width)
        self.feed_in = nn.Linear(width, 4 * width)
        self.feed_out = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.norm_self(x))
        hidden = self.feed_in(self.norm_feed(x))
        # The sigmoid in place of the error function: so this tower was trained.
        return x + self.feed_out(hidden * torch.sigmoid(1.702 * hidden))


class BiasedAttention(Attention):
    """Causal self-attention whose queries, keys and values have biases."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__(width, heads, width // heads)
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)

    def forward(self, x: Tensor, seen: Tensor | None = None) -> Tensor:
        answer = attend(self.query(x), self.key(x), self.value(x), self.heads, causal=True)
        return self.out(answer)


class TextTower(nn.Module):
    """The network."""

    def __init__(self, size: TextSize) -> None:
        super().__init__()
        self.words = nn.Embedding(size.vocabulary, size.width)
        self.positions = nn.Embedding(TOKENS, size.width)
        self.blocks = nn.ModuleList(TextBlock(size.width, size.heads) for _ in range(size.depth))
        self.norm = LayerNorm(size.width)

    def forward(self, numbers: Tensor) -> Tensor:
        """(N, 77) whole numbers -> (N, 77, width)."""
        x = self.words(numbers) + self.positions.weight
        for block in self.blocks:
            x = block(x)
        return self.norm(x)


def numbers(prompt: str, device: torch.device) -> Tensor:
    """A prompt's tokens (1, 77); this tower fills up with the token that ends a prompt."""
    return torch.tensor([tokens(prompt, padding=END)], device=device)
