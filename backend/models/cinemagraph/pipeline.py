# SPDX-License-Identifier: GPL-3.0-or-later
"""The networks from their files: asked how a picture flows, and to draw it flowing.

Pictures are tensors on the device here; nothing knows jobs, alpha or the screen's size.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from backend.models.cinemagraph.checkpoint import Checkpoint
from backend.models.cinemagraph.sizes import FULL, Sizes
from backend.models.cinemagraph.text import numbers
from backend.models.cinemagraph.told import ToldMotion
from backend.models.cinemagraph.video import Decoder, Encoder

#: The share of a picture's pixel in which text2cinemagraph's networks count; and what is larger
#: than a pixel per frame is cut to it.
_UNIT = 64
#: Pixels per frame, of 512, at the usual speed of a flow that is told by a text.
TOLD_SPEED = 0.5
_SIDE_3D = 768


class Networks:
    """Files of networks. A motion network is in memory only while it is asked."""

    def __init__(self, paths: Sequence[Path], device: torch.device, sizes: Sizes | None = None):
        """Raises EngineFailed if a file is missing, damaged or not what it should be."""
        self._checkpoint = Checkpoint(paths, sizes)
        self.device = device
        self._video: tuple[Encoder, Decoder] | None = None

    def holds(self, network: str) -> bool:
        return self._checkpoint.holds(network)

    @property
    def soft(self) -> bool:
        """Whether masks are shares of pixels rather than 0 or 1."""
        return self.holds("hinted") and self._bare()

    def side(self, network: str) -> int:
        """Pixels along the side of the square to which a motion network's picture is fitted."""
        foreign = network == "hinted" and self._bare()
        return (
            _SIDE_3D if foreign and self._checkpoint.sizes == FULL else self._checkpoint.sizes.side
        )

    def hinted(self, picture: Tensor, mask: Tensor, hint: Tensor) -> Tensor:
        """The flow (1, 2, S, S), pixels per frame, x then y, that fits hints, in the mask.

        picture: (1, 3, S, S), -1..1. mask: (1, 1, S, S), 0 or 1, or between if `soft`.
        hint: (1, 2, S, S), pixels per frame, 0 outside the mask.
        """
        network = self._load("hinted")
        if self._bare():
            return network(torch.cat((picture, mask, hint), dim=1)).float() * mask
        # Whole directions go in, and come out at up to a pixel per frame; speed is a factor.
        speed = hint.square().sum(1).max().sqrt().clamp(1e-12)
        flow = network(torch.cat((picture, mask, hint / speed), dim=1))
        return _cut(flow) * speed * mask

    def told(self, picture: Tensor, mask: Tensor, prompt: str) -> Generator[None, None, Tensor]:
        """The flow (1, 2, S, S), pixels per frame, x then y, that fits a text, in the mask.

        Yields between its parts: on a CPU it takes its time.
        """
        text = self._load("text")(numbers(prompt, self.device))
        yield
        network = cast("ToldMotion", self._load("told"))
        flow = yield from network.steps(torch.cat((picture, mask), dim=1), text)
        return _cut(flow) * TOLD_SPEED * (picture.shape[-1] / 512) * mask

    def video(self) -> tuple[Encoder, Decoder]:
        """The networks that draw; they stay in memory."""
        if self._video is None:
            encoder, decoder = self._load("encoder"), self._load("decoder")
            self._video = cast("Encoder", encoder), cast("Decoder", decoder)
        return self._video

    def _load(self, network: str) -> nn.Module:
        return self._checkpoint.load(network, self.device, torch.float32)

    def _bare(self) -> bool:
        """3D-Cinemagraphy's parameters: they count in pixels per frame, and nothing is cut."""
        return self._checkpoint.prefix("hinted") != ""


def _cut(flow: Tensor) -> Tensor:
    return (flow.float().tanh() * _UNIT).clamp(-1, 1)
