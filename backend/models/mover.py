# SPDX-License-Identifier: GPL-3.0-or-later
# torch annotates from_numpy only in part.
# pyright: reportUnknownMemberType=false
"""Where the pixels between two neighbouring frames come from, asked of RIFE; arrays in and out."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import load
from torch import Tensor
from torch.nn import functional

from backend.models.ifnet import MULTIPLE, IFNet

Array = npt.NDArray[np.float32]


class Ways(NamedTuple):
    """first, second: (H, W, 2), pixels right and down to where a place lies in each frame. share:
    (H, W), 0..1, of the second."""

    first: Array
    second: Array
    share: Array


class Mover:
    """The network, on the CPU: a canvas takes it half a second."""

    def __init__(self, weights: bytes) -> None:
        """weights: RIFE 4.25's safetensors file."""
        with torch.device("meta"):
            net = IFNet()
        stored = {name: value.float() for name, value in load(weights).items()}
        net.load_state_dict(stored, assign=True)
        self._net = net.eval().requires_grad_(False)

    @torch.inference_mode()
    def ways(self, first: Array, second: Array, share: float) -> Ways:
        """For the time `share` (0..1) between two opaque pictures (H, W, 3), 0..1."""
        height, width = first.shape[:2]
        views = torch.cat([_padded(first), _padded(second)])
        motion = self._net(views, self._net.encode(views), share)
        flows = motion.flows[:, :, :height, :width].permute(0, 2, 3, 1).numpy()
        return Ways(flows[0], flows[1], 1 - motion.mask[0, 0, :height, :width].numpy())


def _padded(picture: Array) -> Tensor:
    planes = torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1))).clamp(0, 1)[None]
    across, down = -picture.shape[1] % MULTIPLE, -picture.shape[0] % MULTIPLE
    return functional.pad(planes, (0, across, 0, down), mode="replicate")
