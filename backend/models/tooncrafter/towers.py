# SPDX-License-Identifier: GPL-3.0-or-later
# torch annotates split, unflatten and from_numpy only in part.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
"""OpenCLIP's two towers: tokens of a prompt, or a picture, to what the U-Net is told about them.

Radford et al.: Learning Transferable Visual Models From Natural Language Supervision, ICML 2021;
the parameters are those of OpenCLIP ViT-H/14. Neither tower is asked for its final projection.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from backend.models.tooncrafter.layers import LayerNorm, attend
from backend.models.tooncrafter.sizes import TEXT_TOKENS, ImageSize, TextSize

#: Pixels along one side of the picture that the image tower sees, and of one patch.
SIDE, PATCH = 224, 14
_MEAN = (0.48145466, 0.4578275, 0.40821073)
_DEVIATION = (0.26862954, 0.26130258, 0.27577711)


class TowerBlock(nn.Module):
    """Attention and feed-forward, each beside a straight path."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_self = LayerNorm(width)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.norm_feed = LayerNorm(width)
        self.feed_in = nn.Linear(width, 4 * width)
        self.feed_out = nn.Linear(4 * width, width)

    def forward(self, x: Tensor, causal: bool) -> Tensor:
        query, key, value = self.query_key_value(self.norm_self(x)).chunk(3, dim=-1)
        x = x + self.out(attend(query, key, value, self.heads, causal))
        return x + self.feed_out(functional.gelu(self.feed_in(self.norm_feed(x))))


class TextTower(nn.Module):
    """Every block but the last, then the final norm: the layer before the last, as trained on."""

    def __init__(self, size: TextSize) -> None:
        super().__init__()
        self.words = nn.Embedding(size.vocabulary, size.width)
        self.positions = nn.Parameter(torch.zeros(TEXT_TOKENS, size.width))
        self.blocks = nn.ModuleList(
            TowerBlock(size.width, size.heads) for _ in range(size.stored - 1)
        )
        self.norm = LayerNorm(size.width)

    def forward(self, tokens: Tensor) -> Tensor:
        """(N, 77) whole numbers -> (N, 77, width)."""
        x = self.words(tokens) + self.positions
        for block in self.blocks:
            x = block(x, causal=True)
        return self.norm(x)


class ImageTower(nn.Module):
    """All blocks, without the final norm."""

    def __init__(self, size: ImageSize) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, size.width, PATCH, stride=PATCH, bias=False)
        self.whole = nn.Parameter(torch.zeros(size.width))
        self.positions = nn.Parameter(torch.zeros((SIDE // PATCH) ** 2 + 1, size.width))
        self.norm = LayerNorm(size.width)
        self.blocks = nn.ModuleList(TowerBlock(size.width, size.heads) for _ in range(size.depth))

    def forward(self, pictures: Tensor) -> Tensor:
        """(N, 3, 224, 224) from `prepared` -> (N, 257, width): the whole, then its patches."""
        patches = self.patches(pictures.to(self.patches.weight.dtype)).flatten(2).transpose(1, 2)
        whole = self.whole.expand(len(patches), 1, -1)
        x = self.norm(torch.cat((whole, patches), dim=1) + self.positions)
        for block in self.blocks:
            x = block(x, causal=False)
        return x


def prepared(pictures: Tensor) -> Tensor:
    """Pictures (N, 3, H, W), -1..1, as the image tower wants them: (N, 3, 224, 224), float32.

    Both sides are resized by themselves, as in training; a side that shrinks is blurred first.
    """
    pictures = functional.interpolate(
        _blurred(pictures.float()), (SIDE, SIDE), mode="bicubic", align_corners=True
    )
    mean, deviation = (pictures.new_tensor(v)[:, None, None] for v in (_MEAN, _DEVIATION))
    return ((pictures + 1) / 2 - mean) / deviation


def _blurred(pictures: Tensor) -> Tensor:
    factors = [side / SIDE for side in pictures.shape[2:]]
    if max(factors) <= 1:
        return pictures
    down, across = (_gaussian(max((factor - 1) / 2, 0.001)) for factor in factors)
    edges = [len(across) // 2] * 2 + [len(down) // 2] * 2
    padded = functional.pad(pictures, edges, mode="reflect").flatten(0, 1)[:, None]
    blurred = functional.conv2d(padded, across.to(padded)[None, None, None])
    blurred = functional.conv2d(blurred, down.to(padded)[None, None, :, None])
    return blurred[:, 0].unflatten(0, pictures.shape[:2])


def _gaussian(sigma: float) -> Tensor:
    width = int(max(4 * sigma, 3)) | 1
    places = torch.arange(width, dtype=torch.float32) - width // 2
    weights = torch.exp(-(places**2) / (2 * sigma**2))
    return weights / weights.sum()
