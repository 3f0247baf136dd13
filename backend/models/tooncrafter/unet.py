# SPDX-License-Identifier: GPL-3.0-or-later
# torch annotates split, unflatten and from_numpy only in part.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
"""The 3D U-Net: from noisy latents, the keys' latents, a prompt and a picture to the velocity.

Time enters only through convolutions over neighbouring frames, attention along time without
positions, the keys' latents and each frame's own image tokens. Written for inference.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from backend.models.tooncrafter.layers import (
    Attention,
    FeedForward,
    GroupNorm,
    Grow,
    LayerNorm,
    Residual,
    TimeConvolution,
    attend,
    sinusoid,
)
from backend.models.tooncrafter.sizes import FRAME_TOKENS, TEXT_TOKENS, UNetSize

#: Motion speed that a model call without one gets.
DEFAULT_MOTION = 24


@dataclass(frozen=True)
class Seen:
    """What cross-attention looks at: text (b, 77, C), the same in every frame; image tokens
    (b, t, n, C), for each frame its own, or (b, 1, n, C), for all frames the same."""

    text: Tensor
    image: Tensor | None


def split_context(context: Tensor, frames: int) -> Seen:
    """Text and image tokens of a context (b, 77 + n, C).

    With 16 image tokens for each frame, a frame sees its own; with any other number it sees all.
    """
    text, image = context[:, :TEXT_TOKENS], context[:, TEXT_TOKENS:]
    if image.shape[1] == FRAME_TOKENS * frames:
        return Seen(text, image.unflatten(1, (frames, FRAME_TOKENS)))
    return Seen(text, image[:, None])


class UNet(nn.Module):
    """The network."""

    def __init__(self, size: UNetSize) -> None:
        super().__init__()
        self.base = size.base
        embedding = 4 * size.base
        self.time_embedding = Embedding(size.base, embedding)
        self.motion_embedding = Embedding(size.base, embedding)
        self.entry = nn.Conv2d(8, size.base, 3, padding=1)
        self.entry_time = TimeTransformer(size.base, 8, size.head, pointwise=True)
        self.down, widths = descent(size, timed=True)
        self.middle = Middle(widths[-1], size, embedding, timed=True)
        self.up = nn.ModuleList(_ascent(size, widths, embedding))
        self.exit_norm = GroupNorm(size.base, eps=1e-5)
        self.exit = nn.Conv2d(size.base, 4, 3, padding=1)

    def forward(
        self,
        x: Tensor,
        timesteps: Tensor,
        context: Tensor,
        motion: Tensor | None = None,
        residuals: Sequence[Tensor] | None = None,
    ) -> Tensor:
        """Velocity (b, 4, t, h, w), float32, of latents x (b, 8, t, h, w): 4 noisy, 4 of the keys.

        timesteps (b,): 0..999. context (b, 77 + n, C): see `split_context`. motion (b,): the
        speed 5..30; small is large motion. residuals: the sketch encoder's, one for each skip and
        one for the middle, ((b t), C, h, w) each.
        """
        frames = x.shape[2]
        dtype = self.entry.weight.dtype
        embedded = self._embed(timesteps, motion).repeat_interleave(frames, 0)
        seen = split_context(context.to(dtype), frames)
        added = list(residuals or ())
        hidden = self.entry(x.to(dtype).transpose(1, 2).flatten(0, 1))
        hidden = self.entry_time(hidden, frames)
        skips = [hidden]
        for stage in self.down:
            hidden = stage(hidden, embedded, seen, frames)
            skips.append(hidden)
        hidden = self.middle(hidden, embedded, seen, frames)
        if added:
            hidden = hidden + added.pop()
        for stage in self.up:
            skip = skips.pop()
            if added:
                skip = skip + added.pop()
            hidden = stage(torch.cat((hidden, skip), dim=1), embedded, seen, frames)
        answer = self.exit(functional.silu(self.exit_norm(hidden)))
        return answer.unflatten(0, (-1, frames)).transpose(1, 2).float()

    def _embed(self, timesteps: Tensor, motion: Tensor | None) -> Tensor:
        if motion is None:
            motion = torch.full_like(timesteps, DEFAULT_MOTION)
        return self.time_embedding(timesteps) + self.motion_embedding(motion)


class Embedding(nn.Module):
    """A number (N,) as a vector (N, E)."""

    def __init__(self, base: int, width: int) -> None:
        super().__init__()
        self.base = base
        self.first = nn.Linear(base, width)
        self.second = nn.Linear(width, width)

    def forward(self, values: Tensor) -> Tensor:
        waves = sinusoid(values, self.base).to(self.first.weight.dtype)
        return self.second(functional.silu(self.first(waves)))


class Stage(nn.Module):
    """One step down or up: a residual block, attention in space and time, a change of size."""

    def __init__(
        self,
        residual: nn.Module | None,
        space: nn.Module | None = None,
        time: nn.Module | None = None,
        resize: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.residual, self.space, self.time, self.resize = residual, space, time, resize

    def forward(self, x: Tensor, embedded: Tensor, seen: Seen, frames: int) -> Tensor:
        if self.residual is not None:
            x = self.residual(x, embedded, frames)
        if self.space is not None:
            x = self.space(x, seen, frames)
        if self.time is not None:
            x = self.time(x, frames)
        return x if self.resize is None else self.resize(x)


class Middle(nn.Module):
    """The bottom: residual, space, time, residual."""

    def __init__(self, width: int, size: UNetSize, embedding: int, timed: bool) -> None:
        super().__init__()
        self.before = TimedResidual(width, width, embedding, timed)
        self.space = SpaceTransformer(width, size, pictured=timed)
        self.time = TimeTransformer(width, width // size.head, size.head) if timed else None
        self.after = TimedResidual(width, width, embedding, timed)

    def forward(self, x: Tensor, embedded: Tensor, seen: Seen, frames: int) -> Tensor:
        x = self.space(self.before(x, embedded, frames), seen, frames)
        if self.time is not None:
            x = self.time(x, frames)
        return self.after(x, embedded, frames)


def descent(size: UNetSize, timed: bool) -> tuple[nn.ModuleList, list[int]]:
    """The stages on the way down, and the channels of every skip: the entry's, then the stages'."""
    stages: list[Stage] = []
    widths = [size.base]
    for level, multiple in enumerate(size.multiples):
        for _ in range(size.depth):
            width = multiple * size.base
            stages.append(_stage(widths[-1], width, 2**level, size, timed))
            widths.append(width)
        if level < len(size.multiples) - 1:
            shrink = nn.Conv2d(widths[-1], widths[-1], 3, stride=2, padding=1)
            stages.append(Stage(None, resize=shrink))
            widths.append(widths[-1])
    return nn.ModuleList(stages), widths


def _ascent(size: UNetSize, widths: list[int], embedding: int) -> Iterator[Stage]:
    skips, width = list(widths), widths[-1]
    for level, multiple in reversed(list(enumerate(size.multiples))):
        for index in range(size.depth + 1):
            wide, width = width + skips.pop(), multiple * size.base
            stage = _stage(wide, width, 2**level, size, timed=True)
            if level and index == size.depth:
                stage.resize = Grow(width)
            yield stage


def _stage(width: int, into: int, shrink: int, size: UNetSize, timed: bool) -> Stage:
    residual = TimedResidual(width, into, 4 * size.base, timed)
    if shrink not in size.attended:
        return Stage(residual)
    space = SpaceTransformer(into, size, pictured=timed)
    time = TimeTransformer(into, into // size.head, size.head) if timed else None
    return Stage(residual, space, time)


class TimedResidual(nn.Module):
    """A residual block of each frame, then four convolutions over time beside a straight path."""

    def __init__(self, width: int, into: int, embedding: int, timed: bool) -> None:
        super().__init__()
        self.frame = Residual(width, into, eps=1e-5, embedding=embedding)
        self.time = nn.ModuleList(TimeConvolution(into, into) for _ in range(4 if timed else 0))

    def forward(self, x: Tensor, embedded: Tensor, frames: int) -> Tensor:
        x = self.frame(x, embedded)
        if not self.time:
            return x
        hidden = x
        *inner, last = cast("list[TimeConvolution]", list(self.time))
        for convolution in inner:
            hidden = convolution(hidden, frames)
        return last.add_to(x, None, hidden, frames)


class PicturedAttention(Attention):
    """Cross-attention to text, plus the same queries' attention to image tokens."""

    def __init__(self, width: int, size: UNetSize) -> None:
        super().__init__(width, width // size.head, size.head, size.context)
        self.image_key = nn.Linear(size.context, width, bias=False)
        self.image_value = nn.Linear(size.context, width, bias=False)

    def look(self, x: Tensor, seen: Seen, frames: int) -> Tensor:
        assert seen.image is not None
        query = self.query(x)
        text, image = seen.text[:, None], seen.image
        answer = self._one(query, self.key(text), self.value(text), frames)
        answer += self._one(query, self.image_key(image), self.image_value(image), frames)
        return self.out(answer)

    def _one(self, query: Tensor, key: Tensor, value: Tensor, frames: int) -> Tensor:
        return attend(query, _each_frame(key, frames), _each_frame(value, frames), self.heads)


def _each_frame(tokens: Tensor, frames: int) -> Tensor:
    """(b, t or 1, n, C) -> ((b t), n, C)."""
    return tokens.expand(-1, frames, -1, -1).flatten(0, 1)


class Block(nn.Module):
    """Self-attention, a second attention, feed-forward; each beside a straight path."""

    def __init__(self, width: int, heads: int, second: Attention) -> None:
        super().__init__()
        self.norm_self = LayerNorm(width)
        self.attention_self = Attention(width, heads, width // heads)
        self.norm_second = LayerNorm(width)
        self.attention_second = second
        self.norm_feed = LayerNorm(width)
        self.feed = FeedForward(width)

    def forward(self, x: Tensor, seen: Seen | None = None, frames: int = 1) -> Tensor:
        x = x + self.attention_self(self.norm_self(x))
        x = x + self._second(self.norm_second(x), seen, frames)
        return x + self.feed(self.norm_feed(x))

    def _second(self, x: Tensor, seen: Seen | None, frames: int) -> Tensor:
        if seen is None:
            return self.attention_second(x)
        if isinstance(self.attention_second, PicturedAttention):
            return self.attention_second.look(x, seen, frames)
        return self.attention_second(x, _each_frame(seen.text[:, None], frames))


class SpaceTransformer(nn.Module):
    """Attention among the pixels of a frame, and from them to text and image tokens."""

    def __init__(self, width: int, size: UNetSize, pictured: bool) -> None:
        super().__init__()
        heads = width // size.head
        second = (
            PicturedAttention(width, size)
            if pictured
            else Attention(width, heads, size.head, size.context)
        )
        self.norm = GroupNorm(width, eps=1e-6)
        self.enter = nn.Linear(width, width)
        self.block = Block(width, heads, second)
        self.leave = nn.Linear(width, width)

    def forward(self, x: Tensor, seen: Seen, frames: int) -> Tensor:
        tokens = self.enter(self.norm(x).flatten(2).transpose(1, 2))
        tokens = self.leave(self.block(tokens, seen, frames))
        return x + tokens.transpose(1, 2).unflatten(2, x.shape[2:])


class TimeTransformer(nn.Module):
    """Attention among the frames at each pixel, twice; it knows no order of frames."""

    def __init__(self, width: int, heads: int, head: int, pointwise: bool = False) -> None:
        super().__init__()
        inner = heads * head
        self.norm = GroupNorm(width, eps=1e-6)
        # The first of these transformers was saved with convolutions of length one.
        self.enter = nn.Conv1d(width, inner, 1) if pointwise else nn.Linear(width, inner)
        self.block = Block(inner, heads, Attention(inner, heads, head))
        self.leave = nn.Conv1d(inner, width, 1) if pointwise else nn.Linear(inner, width)

    def forward(self, x: Tensor, frames: int) -> Tensor:
        clips = x.unflatten(0, (-1, frames))
        height, width = x.shape[2:]
        tokens = self.norm.clip(clips).permute(0, 3, 4, 1, 2).flatten(0, 2)
        tokens = _linear(self.leave, self.block(_linear(self.enter, tokens)))
        back = tokens.unflatten(0, (-1, height, width)).permute(0, 3, 4, 1, 2)
        return x + back.flatten(0, 1)


def _linear(layer: nn.Conv1d | nn.Linear, x: Tensor) -> Tensor:
    return functional.linear(x, layer.weight.flatten(1), layer.bias)
