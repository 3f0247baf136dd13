# SPDX-License-Identifier: GPL-3.0-or-later
"""IFNet of RIFE 4.25/4.26: from two pictures and a time to two flows and a mask.

Written for inference with the published parameters; it knows nothing about files or alpha.

References:
* Huang, Zhang, Heng, Shi, Zhou: Real-Time Intermediate Flow Estimation for Video Frame
  Interpolation, ECCV 2022 (arXiv 2011.06294), section 3.
* Practical-RIFE 4.25 (https://github.com/hzwer/Practical-RIFE, MIT): the five-block layout
  and the parameters, which the paper does not describe.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

#: Channels of the five blocks, coarse to fine, and how much smaller each one sees the picture.
WIDTHS = (192, 128, 96, 64, 32)
SHRINKS = (16, 8, 4, 2, 1)
#: A block halves its input twice more, so sides must be multiples of SHRINKS[0] * 4 / detail.
MULTIPLE = 64

_FEATURES = 4
_CARRIED = 8
_SLOPE = 0.2


class Motion(NamedTuple):
    """Where the wanted picture comes from, at full size and in float32.

    flows: (2, 2, H, W), pixels, x then y: sample the first key at p + flows[0, :, p] and the
        second at p + flows[1, :, p].
    mask: (1, 1, H, W), 0..1, weight of the first key.
    """

    flows: Tensor
    mask: Tensor


def warp(images: Tensor, flows: Tensor) -> Tensor:
    """Sample images (N, C, H, W) at p + flows (N, 2, H, W; pixels); outside, the border repeats.

    The answer is float32. Coordinates are so too, whatever the dtype of the images: half
    precision cannot even count the pixels of a wide picture.
    """
    height, width = images.shape[-2:]
    rows = torch.arange(height, device=flows.device, dtype=torch.float32)
    columns = torch.arange(width, device=flows.device, dtype=torch.float32)
    x = (columns + flows[:, 0]) * (2 / max(width - 1, 1)) - 1
    y = (rows[:, None] + flows[:, 1]) * (2 / max(height - 1, 1)) - 1
    # Held inside by hand: grid_sample refuses padding_mode="border" on some Apple GPUs.
    places = torch.stack((x, y), dim=-1).clamp_(-1, 1)
    return functional.grid_sample(images.float(), places, mode="bilinear", align_corners=True)


def mix(layers: Tensor, motion: Motion) -> Tensor:
    """The wanted picture (C, H, W) of any premultiplied layers (2, C, H, W) of the two keys."""
    first, second = warp(layers, motion.flows)
    return torch.lerp(second, first, motion.mask[0])


class IFNet(nn.Module):
    """The network. Pictures are (N, 3, H, W) in 0..1 with sides padded to `MULTIPLE / detail`."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = Encoder()
        first = 2 * 3 + 2 * _FEATURES + 1
        later = first + 1 + _CARRIED + 4
        self.blocks = nn.ModuleList(
            Block(later if level else first, width) for level, width in enumerate(WIDTHS)
        )

    def encode(self, images: Tensor) -> Tensor:
        """Features (N, 4, H, W) of pictures (N, 3, H, W); they depend on no time and no pair."""
        return self.encoder(images)

    def forward(self, images: Tensor, features: Tensor, t: float, detail: float = 1.0) -> Motion:
        """Motion at time t (0..1) between the two pictures of `images` (2, 3, H, W).

        features: what `encode` gave for the same two pictures.
        detail: below 1 (0.5, 0.25) looks at smaller pictures: larger motion, less detail, faster.
        """
        views = torch.cat((images, features), dim=1)
        seen, flow, state = views, None, None
        for block, shrink in zip(self.blocks, SHRINKS, strict=True):
            if flow is not None:
                seen = warp(views, _by_key(flow)).to(views.dtype)
            step = block(seen, t, state, flow, shrink / detail)
            flow, state = step if flow is None else (flow + step.flow, step.state)
        assert flow is not None
        assert state is not None
        return Motion(_by_key(flow), torch.sigmoid(state[:, :1].float()))


class Encoder(nn.Module):
    """Three convolutions at half size and one back to full size: 4 features per pixel."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 16, 3, stride=2, padding=1),
            nn.LeakyReLU(_SLOPE, inplace=True),
            nn.Conv2d(16, 16, 3, padding=1),
            nn.LeakyReLU(_SLOPE, inplace=True),
            nn.Conv2d(16, 16, 3, padding=1),
            nn.LeakyReLU(_SLOPE, inplace=True),
            nn.ConvTranspose2d(16, _FEATURES, 4, stride=2, padding=1),
        )

    def forward(self, images: Tensor) -> Tensor:
        return self.layers(images)


class Step(NamedTuple):
    """What a block answers: flow to add (1, 4, H, W; both keys), state (1, 9, H, W; mask logits,
    then what the next block wants to know)."""

    flow: Tensor
    state: Tensor


class Block(nn.Module):
    """One refinement of flow and mask, made on pictures `shrink` times smaller."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.down = nn.Sequential(
            nn.Conv2d(channels, width // 2, 3, stride=2, padding=1),
            nn.LeakyReLU(_SLOPE, inplace=True),
            nn.Conv2d(width // 2, width, 3, stride=2, padding=1),
            nn.LeakyReLU(_SLOPE, inplace=True),
        )
        self.residuals = nn.Sequential(*(Residual(width) for _ in range(8)))
        self.up = nn.Sequential(
            nn.ConvTranspose2d(width, 4 * (4 + 1 + _CARRIED), 4, stride=2, padding=1),
            nn.PixelShuffle(2),
        )

    def forward(
        self, seen: Tensor, t: float, state: Tensor | None, flow: Tensor | None, shrink: float
    ) -> Step:
        small = _resized(seen, 1 / shrink)
        size = small.shape[-2:]
        # Both keys' colours, then both keys' features: the order of the checkpoint.
        parts = [small[:, :3].reshape(1, -1, *size), small[:, 3:].reshape(1, -1, *size)]
        parts.append(small.new_full((1, 1, *size), t))
        if state is not None and flow is not None:
            parts.append(_resized(state, 1 / shrink))
            parts.append((_resized(flow, 1 / shrink) / shrink).to(small.dtype))
        answer = self.up(self.residuals(self.down(torch.cat(parts, dim=1))))
        answer = _resized(answer, shrink)
        # Flows are kept in float32: half precision rounds 100 px to the nearest 1/16 px.
        return Step(answer[:, :4].float() * shrink, answer[:, 4:])


class Residual(nn.Module):
    """A convolution, weighed by a learned gain for each channel, beside a straight path."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1)
        self.gain = nn.Parameter(torch.ones(1, width, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return functional.leaky_relu_(torch.addcmul(x, self.conv(x), self.gain), _SLOPE)


def _resized(image: Tensor, factor: float) -> Tensor:
    if factor == 1:
        return image
    return functional.interpolate(image, scale_factor=factor, mode="bilinear", align_corners=False)


def _by_key(flow: Tensor) -> Tensor:
    """(1, 4, H, W) -> (2, 2, H, W)."""
    return flow.reshape(2, 2, *flow.shape[-2:])
