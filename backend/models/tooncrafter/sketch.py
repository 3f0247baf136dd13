# SPDX-License-Identifier: GPL-3.0-or-later
# torch annotates split, unflatten and from_numpy only in part.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
"""The sketch encoder: from line drawings to what is added to the U-Net's skips.

A ControlNet that sees each frame by itself (Zhang, Rao, Agrawala: Adding Conditional Control to
Text-to-Image Diffusion Models, ICCV 2023). ToonCrafter's authors published its parameters without
code; the layout is the one that fits them.
"""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn
from torch.nn import functional

from backend.models.tooncrafter.sizes import TEXT_TOKENS, SketchSize
from backend.models.tooncrafter.unet import Embedding, Middle, Seen, Stage, descent

#: Channels of the convolutions that read the lines; every second one halves the size.
_LINES = (1, 16, 16, 32, 32, 96, 96, 256)


class SketchEncoder(nn.Module):
    """The network."""

    def __init__(self, size: SketchSize) -> None:
        super().__init__()
        embedding = 4 * size.base
        self.time_embedding = Embedding(size.base, embedding)
        self.entry = nn.Conv2d(4, size.base, 3, padding=1)
        self.lines = nn.ModuleList(
            nn.Conv2d(width, into, 3, stride=2 if index in (2, 4, 6) else 1, padding=1)
            for index, (width, into) in enumerate(
                zip(_LINES, (*_LINES[1:], size.base), strict=True)
            )
        )
        self.down, widths = descent(size, timed=False)
        self.middle = Middle(widths[-1], size, embedding, timed=False)
        self.exits = nn.ModuleList(nn.Conv2d(width, width, 1) for width in widths)
        self.middle_exit = nn.Conv2d(widths[-1], widths[-1], 1)

    def read(self, lines: Tensor) -> Tensor:
        """Features (N, C, h, w) of drawings (N, 1, 8 h, 8 w): 1 on a line, 0 beside it.

        They depend on no timestep: once for a whole run is enough.
        """
        features = lines.to(self.entry.weight.dtype)
        for index, layer in enumerate(self.lines):
            features = layer(functional.silu(features) if index else features)
        return features

    def forward(
        self, x: Tensor, timesteps: Tensor, context: Tensor, features: Tensor, whole: bool
    ) -> list[Tensor]:
        """Residuals for every skip and, last, for the middle, (N, C, h', w') each.

        x (N, 4, h, w): noisy latents of N frames. timesteps (1,) or (N,). context (1 or N, n, C):
        the U-Net's. features: what `read` gave. whole: look at all tokens of the context, and not
        only at the 77 of the text; both are in use and nobody published which one it was made for.
        """
        dtype = self.entry.weight.dtype
        seen = Seen((context if whole else context[:, :TEXT_TOKENS]).to(dtype), None)
        if len(seen.text) != len(x):
            seen = Seen(seen.text.repeat_interleave(len(x) // len(seen.text), 0), None)
        embedded = self.time_embedding(timesteps).expand(len(x), -1)
        hidden = self.entry(x.to(dtype)) + features
        residuals = [self.exits[0](hidden)]
        stages = zip(cast("list[Stage]", list(self.down)), list(self.exits)[1:], strict=True)
        for stage, leave in stages:
            hidden = stage(hidden, embedded, seen, 1)
            residuals.append(leave(hidden))
        hidden = self.middle(hidden, embedded, seen, 1)
        return [*residuals, self.middle_exit(hidden)]
