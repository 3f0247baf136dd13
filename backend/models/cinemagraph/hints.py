# SPDX-License-Identifier: GPL-3.0-or-later
"""A few hints of direction to a hint for every pixel of a mask, as the networks were trained with.

Mahapatra, Kulkarni: Controllable Animation of Fluid Elements in Still Images (CVPR 2022), section
3.1, exponential dense flow.
"""

from __future__ import annotations

import torch
from torch import Tensor

_LEAST = 1e-30


def dense(places: Tensor, velocities: Tensor, mask: Tensor, spread: float) -> Tensor:
    """The mean (1, 2, H, W) of all hints, weighted by a Gaussian of the way to them, in the mask.

    places: (K, 2) pixels, x then y. velocities: (K, 2). mask: (1, 1, H, W). spread: pixels; the
    networks were trained with the height divided by the number of hints.
    """
    height, width = mask.shape[-2:]
    rows = torch.arange(height, device=mask.device, dtype=torch.float32)[:, None]
    columns = torch.arange(width, device=mask.device, dtype=torch.float32)
    away = torch.stack([(columns - x) ** 2 + (rows - y) ** 2 for x, y in places.float()])
    # The nearest hint's weight is taken out of all: it cancels, and far away not all become 0.
    weights = ((away.amin(0) - away) / spread**2).exp()
    mean = torch.einsum("khw,kc->chw", weights, velocities.float()) / weights.sum(0).clamp(_LEAST)
    return mean[None] * mask
