# SPDX-License-Identifier: GPL-3.0-or-later
# torch annotates unflatten only in part.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
"""Forward warping: every pixel goes where its flow says and is shared out among four cells there.

What lands in one cell is summed, or averaged by weights. Written from the description in Niklaus,
Liu: Softmax Splatting for Video Frame Interpolation, CVPR 2020, section 3.1; no code was taken.
"""

from __future__ import annotations

import torch
from torch import Tensor


def splat(values: Tensor, flow: Tensor) -> Tensor:
    """The sum (N, C, H, W) of all that lands in each cell; a sum that lands inside is conserved.

    values: (N, C, H, W). flow: (N, 2, H, W), pixels, x then y. What lands outside is dropped, and
    so is what has no finite place to go.
    """
    batch, channels, height, width = values.shape
    places = _places(flow)
    corner = places.floor()
    inner = (places - corner).to(values.dtype)
    flat = values.flatten(2)
    result = values.new_zeros(batch, channels, height * width)
    for down in (0, 1):
        for across in (0, 1):
            column, row = corner[:, 0] + across, corner[:, 1] + down
            weight = _nearness(inner[:, 0], across) * _nearness(inner[:, 1], down)
            # False for what is not a number, too.
            hit = (column >= 0) & (column < width) & (row >= 0) & (row < height)
            cell = torch.where(hit, row * width + column, 0).long()
            share = torch.where(hit, weight, 0).flatten(1)[:, None]
            index = cell.flatten(1)[:, None].expand(-1, channels, -1)
            result.scatter_add_(2, index, flat * share)
    return result.unflatten(2, (height, width))


def average(values: Tensor, flow: Tensor, weights: Tensor | None = None) -> Tensor:
    """The weighted mean (N, C, H, W) of all that lands in each cell; 0 where nothing does.

    weights: (N, 1, H, W), not negative; None counts every pixel alike.
    """
    weights = torch.ones_like(values[:, :1]) if weights is None else weights
    landed = splat(torch.cat((values * weights, weights), dim=1), flow)
    total = landed[:, -1:]
    return landed[:, :-1] / torch.where(total == 0, 1, total)


def softmax(values: Tensor, flow: Tensor, importance: Tensor) -> Tensor:
    """The mean (N, C, H, W) where the more important (N, 1, H, W) covers the less, softly."""
    # The largest is taken off: it cancels, and exp cannot overflow.
    return average(values, flow, (importance - importance.amax((1, 2, 3), keepdim=True)).exp())


def _places(flow: Tensor) -> Tensor:
    """Where every pixel goes: (N, 2, H, W), column then row, in float32 whatever the flow's."""
    height, width = flow.shape[-2:]
    rows = torch.arange(height, device=flow.device, dtype=torch.float32)
    columns = torch.arange(width, device=flow.device, dtype=torch.float32)
    return torch.stack((flow[:, 0] + columns, flow[:, 1] + rows[:, None]), dim=1)


def _nearness(inner: Tensor, side: int) -> Tensor:
    return inner if side else 1 - inner
