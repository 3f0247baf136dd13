# SPDX-License-Identifier: GPL-3.0-or-later
"""The motion network that is told directions: from a picture, a mask and hints to a flow.

Text2Cinemagraph (arXiv 2307.03190), section 3.2, after Mahapatra, Kulkarni: Controllable Animation
of Fluid Elements in Still Images, CVPR 2022. 15.6 million parameters.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from backend.models.cinemagraph.sizes import HintedSize
from backend.models.cinemagraph.spade import SLOPE, Spade, entered, resized

#: Picture, mask, hint.
CHANNELS = 6
#: It halves its input eight times.
MULTIPLE = 256

_DOWN = (1, 2, 4, 8, 8, 8, 8, 8)
_UP = (8, 8, 8, 8, 4, 2, 1)


class HintedMotion(nn.Module):
    """The network."""

    def __init__(self, size: HintedSize) -> None:
        super().__init__()
        down = [size.base * factor for factor in _DOWN]
        up = [size.base * factor for factor in _UP]
        self.downs = nn.ModuleList(
            nn.Conv2d(width, into, 4, stride=2, padding=1)
            for width, into in zip((CHANNELS, *down), down, strict=False)
        )
        self.down_norms = nn.ModuleList(Spade(width, CHANNELS) for width in down[1:-1])
        passed = [0, *reversed(down[:-1])]
        self.ups = nn.ModuleList(
            nn.Conv2d(width + skip, into, 3, padding=1)
            for width, skip, into in zip((down[-1], *up), passed, (*up, 2), strict=True)
        )
        self.up_norms = nn.ModuleList(Spade(width, CHANNELS) for width in up)

    def forward(self, given: Tensor) -> Tensor:
        """(N, 6, H, W), sides multiples of 256 -> (N, 2, H, W), x then y, not bounded.

        given: picture -1..1, mask 0 or 1, hint in the units of the flow.
        """
        passed = self._down(given)
        x = passed.pop()
        skip: Tensor | None = None
        for up, norm in zip(self.ups, self.up_norms, strict=False):
            # The last layer before this one left x at half the size.
            x = norm(up(entered(_grown(x), skip)), given)
            skip = _grown(passed.pop())
        return self.ups[-1](entered(_grown(x), skip))

    def _down(self, given: Tensor) -> list[Tensor]:
        passed = [self.downs[0](given)]
        for down, norm in zip(self.downs[1:-1], self.down_norms, strict=True):
            passed.append(norm(down(functional.leaky_relu(passed[-1], SLOPE)), given))
        passed.append(self.downs[-1](functional.leaky_relu(passed[-1], SLOPE)))
        return passed


def _grown(x: Tensor) -> Tensor:
    """Twice the size. The channel at the mask's place takes the nearest pixel in hidden layers
    too: so the parameters were trained."""
    return resized(x, 2 * x.shape[2], 2 * x.shape[3])
