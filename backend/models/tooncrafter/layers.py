# SPDX-License-Identifier: GPL-3.0-or-later
# torch annotates split, unflatten and from_numpy only in part.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
"""The layers that ToonCrafter's networks share, made so that none needs a large workspace.

A video is (b t) c h w here: the frames of a clip follow each other along the first dimension.
Norms are computed in float32, whatever the network's dtype. Work on large activations goes piece by
piece; that changes nothing but the order of some sums.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

GROUPS = 32
#: The most that one piece of work should need beside its input and output, bytes, about.
PIECE = 128 * 2**20
#: The most that attention scores may take where a device keeps them all, bytes.
SCORES = 512 * 2**20


def by_pieces(work: Callable[..., Tensor], *inputs: Tensor) -> Tensor:
    """`work` on slices along the first dimension, put together again.

    All inputs have the same first dimension, and `work` must not mix along it.
    """
    first = inputs[0]
    rows = max(1, PIECE // max(1, first[0].numel() * 4))
    if rows >= len(first):
        return work(*inputs)
    answer: Tensor | None = None
    for start in range(0, len(first), rows):
        part = work(*(given[start : start + rows] for given in inputs))
        if answer is None:
            answer = part.new_empty(len(first), *part.shape[1:])
        answer[start : start + rows] = part
    assert answer is not None
    return answer


class FullPrecision(nn.Module):
    """Marks layers whose parameters stay float32 when a network is loaded in half precision."""


class LayerNorm(FullPrecision):
    """Over the last dimension, in float32."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        return functional.layer_norm(
            x.float(), self.weight.shape, self.weight, self.bias, eps=1e-5
        ).to(x.dtype)


class GroupNorm(FullPrecision):
    """32 groups of channels, over the pixels of a frame or of a whole clip, in float32."""

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """Each of x (N, C, ...) by itself."""
        return functional.group_norm(x.float(), GROUPS, self.weight, self.bias, self.eps).to(
            x.dtype
        )

    def over_time(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Scale and shift (b, 1, C, 1, 1), float32, that norm the clips x (b, t, C, H, W)."""
        variances, means = self._statistics(x)
        mean, variance = means.mean(1), variances.mean(1) + means.var(1, correction=0)
        channels = x.shape[2] // GROUPS
        scale = (variance + self.eps).rsqrt().repeat_interleave(channels, 1) * self.weight
        shift = self.bias - mean.repeat_interleave(channels, 1) * scale
        return scale[:, None, :, None, None], shift[:, None, :, None, None]

    def clip(self, x: Tensor) -> Tensor:
        """Each clip of x (b, t, C, H, W), over all its frames."""
        if x.numel() * 4 > PIECE:
            scale, shift = self.over_time(x)
            return torch.addcmul(shift, x.float(), scale).to(x.dtype)
        # The same sums in the same order as the published code's: a weak signal on a strong bias
        # shows the difference.
        return self(x.transpose(1, 2)).transpose(1, 2)

    def _statistics(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Variance and mean of each frame's groups (b, t, 32)."""
        pieces = x.split(max(1, PIECE // (x[:, 0].numel() * 4)), dim=1)
        found = [
            torch.var_mean(piece.unflatten(2, (GROUPS, -1)).flatten(3).float(), -1, correction=0)
            for piece in pieces
        ]
        return torch.cat([f[0] for f in found], 1), torch.cat([f[1] for f in found], 1)


class TimeConvolution(nn.Module):
    """GroupNorm over a clip, SiLU, and a convolution over three neighbouring frames."""

    def __init__(self, width: int, into: int) -> None:
        super().__init__()
        self.norm = GroupNorm(width, eps=1e-5)
        self.conv = nn.Conv3d(width, into, (3, 1, 1), padding=(1, 0, 0))

    def forward(self, x: Tensor, frames: int) -> Tensor:
        answer = x.new_empty(len(x), self.conv.out_channels, *x.shape[2:])
        self._each(x, frames, lambda place, part: place.copy_(part), answer)
        return answer

    def add_to(self, target: Tensor, gain: Tensor | None, x: Tensor, frames: int) -> Tensor:
        """target + gain * this(x), written into target."""

        def add(place: Tensor, part: Tensor) -> None:
            place.add_(part if gain is None else part * gain.to(part.dtype))

        self._each(x, frames, add, target)
        return target

    def _each(
        self, x: Tensor, frames: int, put: Callable[[Tensor, Tensor], Any], target: Tensor
    ) -> None:
        clips, places = x.unflatten(0, (-1, frames)), target.unflatten(0, (-1, frames))
        if clips.numel() * 4 <= PIECE:
            put(places, convolve_time(self.conv, functional.silu(self.norm.clip(clips))))
            return
        scale, shift = self.norm.over_time(clips)
        length = max(1, PIECE // (clips[:, 0].numel() * 4))
        for start in range(0, frames, length):
            stop = min(start + length, frames)
            seen = clips[:, max(start - 1, 0) : stop + 1]
            seen = functional.silu(torch.addcmul(shift, seen.float(), scale)).to(x.dtype)
            before, after = int(start == 0), int(stop == frames)
            put(places[:, start:stop], convolve_time(self.conv, seen, before, after))


def convolve_time(conv: nn.Conv3d, x: Tensor, before: int = 1, after: int = 1) -> Tensor:
    """A (3, 1, 1) convolution of clips x (b, t, C, H, W) with so many zero frames at the ends.

    As one 1 x 1 convolution of three frames laid side by side: no layout changes, full-width sums.
    """
    x = functional.pad(x, (0, 0) * 3 + (before, after))
    side_by_side = torch.stack((x[:, :-2], x[:, 1:-1], x[:, 2:]), dim=3)
    flat = side_by_side.flatten(2, 3).flatten(0, 1)
    weight = conv.weight.flatten(1)[..., None, None]
    return functional.conv2d(flat, weight, conv.bias).unflatten(0, (len(x), -1))


class Residual(nn.Module):
    """Two 3 x 3 convolutions beside a straight path; an embedding is added between them."""

    def __init__(self, width: int, into: int, eps: float, embedding: int = 0) -> None:
        super().__init__()
        self.norm_in = GroupNorm(width, eps)
        self.conv_in = nn.Conv2d(width, into, 3, padding=1)
        self.embedding = nn.Linear(embedding, into) if embedding else None
        self.norm_out = GroupNorm(into, eps)
        self.conv_out = nn.Conv2d(into, into, 3, padding=1)
        self.skip = nn.Conv2d(width, into, 1) if into != width else None

    def forward(self, x: Tensor, embedded: Tensor | None = None) -> Tensor:
        """x (N, C, H, W); embedded (N, E)."""
        if self.embedding is None or embedded is None:
            return by_pieces(self._piece, x)
        added = self.embedding(functional.silu(embedded))[:, :, None, None]
        return by_pieces(self._piece, x, added)

    def _piece(self, x: Tensor, added: Tensor | None = None) -> Tensor:
        hidden = self.conv_in(functional.silu(self.norm_in(x)))
        if added is not None:
            hidden += added
        hidden = self.conv_out(functional.silu(self.norm_out(hidden)))
        return hidden.add_(x if self.skip is None else self.skip(x))


class Grow(nn.Module):
    """Twice the size: nearest neighbours, then a 3 x 3 convolution."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return by_pieces(self._piece, x)

    def _piece(self, x: Tensor) -> Tensor:
        return self.conv(functional.interpolate(x, scale_factor=2.0, mode="nearest"))


def attend(query: Tensor, key: Tensor, value: Tensor, heads: int, causal: bool = False) -> Tensor:
    """softmax(q k^T / sqrt(d)) v of tokens (B, N, heads * d) over (B, M, heads * d).

    Queries are asked in portions, so that even a device that writes down all scores needs no more
    than SCORES bytes for them; a query's answer does not depend on the other queries.
    """
    q, k, v = (part.unflatten(-1, (heads, -1)).transpose(1, 2) for part in (query, key, value))
    if causal:
        answer = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        return answer.transpose(1, 2).flatten(2)
    at_once = max(1, SCORES // (len(q) * heads * k.shape[2] * 4))
    if at_once >= q.shape[2]:
        return functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
    answer = query.new_empty(len(query), query.shape[1], v.shape[-1] * heads)
    for start in range(0, q.shape[2], at_once):
        part = functional.scaled_dot_product_attention(q[:, :, start : start + at_once], k, v)
        answer[:, start : start + at_once] = part.transpose(1, 2).flatten(2)
    return answer


class Attention(nn.Module):
    """Queries from `width` channels, keys and values from `seen` channels."""

    def __init__(self, width: int, heads: int, head: int, seen: int | None = None) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, heads * head, bias=False)
        self.key = nn.Linear(seen or width, heads * head, bias=False)
        self.value = nn.Linear(seen or width, heads * head, bias=False)
        self.out = nn.Linear(heads * head, width)

    def forward(self, x: Tensor, seen: Tensor | None = None) -> Tensor:
        """x (B, N, width), seen (B, M, seen) or nothing: then x looks at itself."""
        seen = x if seen is None else seen
        return self.out(attend(self.query(x), self.key(seen), self.value(seen), self.heads))


class FeedForward(nn.Module):
    """Four times as wide in between, gated by GELU."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gated = nn.Linear(width, 8 * width)
        self.out = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        rows = max(1, PIECE // (8 * x.shape[-1] * 4))
        flat = x.flatten(0, -2)
        answer = torch.empty_like(flat)
        for part, place in zip(flat.split(rows), answer.split(rows), strict=True):
            hidden, gate = self.gated(part).chunk(2, dim=-1)
            place.copy_(self.out(hidden * functional.gelu(gate)))
        return answer.view(x.shape)


def sinusoid(values: Tensor, width: int) -> Tensor:
    """(N,) numbers as (N, width) waves, cosines first, float32."""
    half = width // 2
    steps = torch.arange(half, dtype=torch.float32, device=values.device)
    frequencies = torch.exp(-torch.log(torch.tensor(10000.0)) * steps / half)
    angles = values[:, None].float() * frequencies
    return torch.cat((angles.cos(), angles.sin()), dim=-1)
