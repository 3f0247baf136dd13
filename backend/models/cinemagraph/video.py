# SPDX-License-Identifier: GPL-3.0-or-later
# torch annotates interpolate only in part.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
"""The network that draws frames: a picture to features, and moved features to a picture.

Text2Cinemagraph (arXiv 2307.03190), section 3.3, after Holynski et al. (CVPR 2021), section 4.
Holes that moved features leave are closed by partial convolutions (Liu, Reda, Shih, Wang, Tao,
Catanzaro: Image Inpainting for Irregular Holes Using Partial Convolutions, ECCV 2018). The norms
have fixed statistics, so every pixel depends only on its surroundings. 4.1 million parameters.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from backend.models.cinemagraph.sizes import VideoSize
from backend.models.cinemagraph.steps import finish

FEATURES = 64
#: The decoder halves its input twice.
MULTIPLE = 4
#: So far, in pixels, each of them looks around; a tile needs so much of its surroundings.
ENCODER_REACH, DECODER_REACH = 16, 44

_RESIZE = (0, -1, -1, 0, 1, 1, 0, 0)
"""Blocks of the decoder that halve (-1) or double (1) the size."""
_LEAST = 1e-8


#: Of the encoder, and of the decoder.
BLOCKS = len(_RESIZE)


class Seen(NamedTuple):
    """features: (N, 64, H, W). importance: (N, 1, H, W): the higher covers the lower."""

    features: Tensor
    importance: Tensor


def seen(made: Tensor) -> Seen:
    """What the encoder's 65 channels (N, 65, H, W) are."""
    return Seen(made[:, :FEATURES], made[:, FEATURES:])


class Encoder(nn.Module):
    """Eight residual blocks at full size."""

    def __init__(self, size: VideoSize) -> None:
        super().__init__()
        half, full = size.base // 2, size.base
        widths = (3, half, half, half, full, full, full, full, FEATURES + 1)
        self.blocks = nn.ModuleList(EncoderBlock(*pair) for pair in pairwise(widths))

    def forward(self, pictures: Tensor) -> Seen:
        """pictures: (N, 3, H, W), -1..1."""
        return seen(finish(self.steps(pictures)))

    def steps(self, pictures: Tensor) -> Generator[None, None, Tensor]:
        """Features and importance (N, 65, H, W); yields after each of BLOCKS blocks."""
        x = pictures
        for block in self.blocks:
            x = block(x)
            yield
        return x


class FixedNorm(nn.Module):
    """Channels by the mean and variance that training left behind."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.mean = nn.Parameter(torch.zeros(width))
        self.variance = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return functional.batch_norm(x, self.mean, self.variance, eps=1e-5)


class EncoderBlock(nn.Module):
    """Two convolutions beside a straight path."""

    def __init__(self, width: int, into: int) -> None:
        super().__init__()
        self.norm_in = FixedNorm(width)
        self.conv_in = nn.Conv2d(width, into, 3, padding=1)
        self.norm_out = FixedNorm(into)
        self.conv_out = nn.Conv2d(into, into, 3, padding=1)
        self.skip = nn.Conv2d(width, into, 1) if width != into else None

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.conv_in(functional.relu_(self.norm_in(x)))
        hidden = self.conv_out(functional.relu_(self.norm_out(hidden)))
        return hidden.add_(x if self.skip is None else self.skip(x))


class Decoder(nn.Module):
    """Eight residual blocks that know which values are holes."""

    def __init__(self, size: VideoSize) -> None:
        super().__init__()
        widths: Sequence[int] = (
            FEATURES,
            *(size.base * factor for factor in (1, 2, 4, 4, 2, 2, 2)),
            3,
        )
        self.blocks = nn.ModuleList(
            DecoderBlock(*pair, resize)
            for pair, resize in zip(pairwise(widths), _RESIZE, strict=True)
        )

    def forward(self, features: Tensor) -> Tensor:
        """Moved features (N, 64, H, W), exactly 0 where there is a hole, sides multiples of 4 ->
        pictures (N, 3, H, W) before their tanh, -1..1."""
        return finish(self.steps(features))

    def steps(self, features: Tensor) -> Generator[None, None, Tensor]:
        """Like `forward`; yields after each of BLOCKS blocks."""
        x, there = features, (features != 0).to(features.dtype)
        for block in self.blocks:
            x, there = block(x, there)
            yield
        return x


class DecoderBlock(nn.Module):
    """Two partial convolutions beside a straight path, both resized alike."""

    def __init__(self, width: int, into: int, resize: int) -> None:
        super().__init__()
        self.resize = resize
        self.norm_in = FixedNorm(width)
        self.conv_in = nn.Conv2d(width, into, 3, padding=1)
        self.norm_out = FixedNorm(into)
        self.conv_out = nn.Conv2d(into, into, 3, padding=1)
        self.skip = nn.Conv2d(width, into, 1, bias=False) if resize or width != into else None

    def forward(self, x: Tensor, there: Tensor) -> tuple[Tensor, Tensor]:
        """x (N, width, H, W); there (N, width or 1, H, W): 0 in a hole, else 1."""
        hidden, covered = partly(self.conv_in, functional.relu_(self.norm_in(x)), there)
        hidden = functional.relu_(self.norm_out(hidden))
        hidden, covered = partly(self.conv_out, hidden, covered)
        straight = x if self.skip is None else self.skip(x)
        return self._resized(hidden).add_(self._resized(straight)), self._resized_mask(covered)

    def _resized(self, x: Tensor) -> Tensor:
        if self.resize < 0:
            return functional.avg_pool2d(x, 3, stride=2, padding=1)
        if self.resize > 0:
            return functional.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
        return x

    def _resized_mask(self, there: Tensor) -> Tensor:
        if self.resize < 0:
            return functional.max_pool2d(there, 3, stride=2, padding=1)
        if self.resize > 0:
            return functional.interpolate(there, scale_factor=2.0, mode="nearest")
        return there


def partly(conv: nn.Conv2d, x: Tensor, there: Tensor) -> tuple[Tensor, Tensor]:
    """A 3 x 3 convolution of what is there, raised for what is missing; and where anything was.

    x: (N, C, H, W); there: (N, C or 1, H, W), one channel standing for all of them.
    """
    share = conv.in_channels // there.shape[1]
    box = there.new_ones(1, there.shape[1], 3, 3)
    count = functional.conv2d(there, box, padding=1) * share
    any_there = count.clamp(0, 1)
    raised = 9 * conv.in_channels / (count + _LEAST) * any_there
    answer = functional.conv2d(x * there, conv.weight, padding=1).mul_(raised)
    if conv.bias is not None:
        answer += conv.bias[:, None, None]
    return answer.mul_(any_there), any_there
