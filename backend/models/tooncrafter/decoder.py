# SPDX-License-Identifier: GPL-3.0-or-later
# torch annotates split, unflatten and from_numpy only in part.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
"""The video decoder: from a clip's latents to frames, with detail taken from the two keys.

ToonCrafter, section 3.2: convolutions over time, cross-attention to the keys' features in the
coarse levels, and the keys' features added to the first and last frame in the fine ones. Its norms
look at the whole clip, so it cannot be tiled in time or space; it works piece by piece inside each
layer.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from backend.models.tooncrafter.encoder import EPS, PixelAttention
from backend.models.tooncrafter.layers import (
    Attention,
    GroupNorm,
    Grow,
    Residual,
    TimeConvolution,
    attend,
    by_pieces,
    convolve_time,
)
from backend.models.tooncrafter.sizes import VaeSize

#: What each level sees of the two keys: (b, 2, C, h, w), fine to coarse, then the entry's features.
References = list[Tensor]

Answer = TypeVar("Answer")


def finish(steps: Generator[object, None, Answer]) -> Answer:
    """The answer of a generator, run to its end."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


class Decoder(nn.Module):
    """The network."""

    def __init__(self, size: VaeSize) -> None:
        super().__init__()
        widths = [size.base * multiple for multiple in size.multiples]
        self.entry = nn.Conv2d(4, widths[-1], 3, padding=1)
        self.middle = DecoderMiddle(widths[-1])
        above = [*widths[1:], widths[-1]]
        self.levels = nn.ModuleList(
            DecoderLevel(width, into, size.depth + 1, grows=level > 0)
            for level, (width, into) in enumerate(zip(above, widths, strict=True))
        )
        self.references = nn.ModuleList(
            (
                *(_reference(level, width) for level, width in enumerate(widths)),
                KeyAddition(size.base),
            )
        )
        self.exit_norm = GroupNorm(size.base, EPS)
        self.exit = nn.Conv2d(size.base, 3, 3, padding=1)
        self.exit_time = nn.Conv3d(3, 3, (3, 1, 1), padding=(1, 0, 0))

    def forward(self, latents: Tensor, references: References | None) -> Tensor:
        """Like `steps`, in one go."""
        return finish(self.steps(latents, references))

    def steps(
        self, latents: Tensor, references: References | None
    ) -> Generator[float, None, Tensor]:
        """Frames (b, t, 3, H, W), float32, about -1..1, of latents (b, t, 4, h, w).

        The latents are already divided by SCALE. references: the keys' features; they may wait on
        another device and come over one at a time. Yields the share that is done, 0..1.
        """
        frames, dtype = latents.shape[1], self.entry.weight.dtype
        # A list holds the one reference to the activations, so that a level can let go of them.
        holder = [self.middle(self.entry(latents.to(dtype).flatten(0, 1)), frames)]
        shares = {3: 0.08, 2: 0.25, 1: 0.6, 0: 0.95}
        for index in reversed(range(len(self.levels))):
            level = cast("DecoderLevel", self.levels[index])
            for block in level.blocks:
                holder[0] = block(holder[0], frames)
            holder[0] = self._refer(index, holder[0], references, frames)
            if level.grow is not None:
                holder[0] = level.grow(holder[0])
            yield shares.get(index, 0.0)
        hidden = by_pieces(self._normed, holder.pop())
        hidden = self._refer(len(self.levels), hidden, references, frames)
        picture = by_pieces(self.exit, hidden).unflatten(0, (-1, frames))
        return convolve_time(self.exit_time, picture).float()

    def _normed(self, x: Tensor) -> Tensor:
        return functional.silu(self.exit_norm(x))

    def _refer(self, index: int, x: Tensor, references: References | None, frames: int) -> Tensor:
        if references is None:
            return x
        seen = references[index].to(x.device, x.dtype, non_blocking=True)
        return self.references[index](x, seen, frames)


class TimedResidual(nn.Module):
    """A residual block of each frame, mixed with one over time: frame + a (time - frame)."""

    def __init__(self, width: int, into: int) -> None:
        super().__init__()
        self.frame = Residual(width, into, EPS)
        self.time_in = TimeConvolution(into, into)
        self.time_out = TimeConvolution(into, into)
        self.mix = Mix()

    def forward(self, x: Tensor, frames: int) -> Tensor:
        x = self.frame(x)
        # The block over time has a straight path of its own, so only its other path is weighed.
        return self.time_out.add_to(x, self.mix(), self.time_in(x, frames), frames)


class Mix(nn.Module):
    """The learned share, 0..1, of the block over time."""

    def __init__(self) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.zeros(1))

    def forward(self) -> Tensor:
        return torch.sigmoid(self.factor)


class DecoderMiddle(nn.Module):
    """Two blocks with attention among the pixels of each frame between them."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.before = TimedResidual(width, width)
        self.attention = PixelAttention(width)
        self.after = TimedResidual(width, width)

    def forward(self, x: Tensor, frames: int) -> Tensor:
        return self.after(self.attention(self.before(x, frames)), frames)


class DecoderLevel(nn.Module):
    """The blocks of one size, and a doubling unless it is the finest."""

    def __init__(self, width: int, into: int, depth: int, grows: bool) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            TimedResidual(into if index else width, into) for index in range(depth)
        )
        self.grow = Grow(into) if grows else None


def _reference(level: int, width: int) -> nn.Module:
    return KeyAttention(width) if level >= 2 else KeyAddition(width)


class KeyAttention(nn.Module):
    """Every pixel of every frame looks at all pixels of both keys."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = GroupNorm(width, EPS)
        self.attention = Attention(width, 8, 64)

    def forward(self, x: Tensor, keys: Tensor, frames: int) -> Tensor:
        tokens = keys.permute(0, 1, 3, 4, 2).flatten(1, 3)
        key, value = self.attention.key(tokens), self.attention.value(tokens)
        for clip, (k, v) in zip(
            x.unflatten(0, (-1, frames)), zip(key, value, strict=True), strict=True
        ):
            for frame in clip:
                frame.add_(self._look(frame, k, v))
        return x

    def _look(self, frame: Tensor, key: Tensor, value: Tensor) -> Tensor:
        query = self.attention.query(self.norm(frame[None]).flatten(2).transpose(1, 2))
        answer = self.attention.out(attend(query, key[None], value[None], self.attention.heads))
        return answer.transpose(1, 2).unflatten(2, frame.shape[1:])[0]


class KeyAddition(nn.Module):
    """The first key is added to the first frame and the second key to the last."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 1)

    def forward(self, x: Tensor, keys: Tensor, frames: int) -> Tensor:
        clips = x.unflatten(0, (-1, frames))
        clips[:, 0] += self.conv(keys[:, 0])
        clips[:, -1] += self.conv(keys[:, 1])
        return x
