# SPDX-License-Identifier: GPL-3.0-or-later
# torch annotates interpolate only in part.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
"""The norm that both motion networks share: it is told at every place what the input shows there.

Park, Liu, Wang, Zhu: Semantic Image Synthesis with Spatially-Adaptive Normalization, CVPR 2019;
written from the paper.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

#: Where the mask lies among the channels of an input: picture 3, mask 1, hint 0 or 2.
MASK = 3
SLOPE = 0.2
_HIDDEN = 128


class Spade(nn.Module):
    """Each channel normed over the picture, then scaled and shifted, place by place."""

    def __init__(self, width: int, given: int) -> None:
        super().__init__()
        self.read = nn.Conv2d(given, _HIDDEN, 3, padding=1)
        self.scale = nn.Conv2d(_HIDDEN, width, 3, padding=1)
        self.shift = nn.Conv2d(_HIDDEN, width, 3, padding=1)

    def forward(self, x: Tensor, given: Tensor) -> Tensor:
        """x (N, width, h, w), told by the network's whole input (N, given, H, W)."""
        read = functional.relu_(self.read(resized(given, x.shape[2], x.shape[3]).to(x.dtype)))
        scale, shift = self.scale(read), self.shift(read)
        return functional.instance_norm(x).mul_(1 + scale).add_(shift)


def resized(given: Tensor, height: int, width: int) -> Tensor:
    """An input at another size: bilinear, but its mask takes the nearest pixel."""
    size = (height, width)
    smooth = functional.interpolate(given, size, mode="bilinear", align_corners=False)
    smooth[:, MASK] = functional.interpolate(given[:, MASK : MASK + 1], size, mode="nearest")[:, 0]
    return smooth


def grown(x: Tensor) -> Tensor:
    """Twice the size, bilinear."""
    return functional.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)


def entered(x: Tensor, skip: Tensor | None) -> Tensor:
    """What an upward layer reads: what came up, and what passed at that size on the way down."""
    return functional.relu(x if skip is None else torch.cat((x, skip), dim=1))
