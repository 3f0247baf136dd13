# SPDX-License-Identifier: GPL-3.0-or-later
# torch annotates split, unflatten and from_numpy only in part.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
"""How much noise there is at each of the 1000 timesteps, and which of them a run visits.

* Lin, Liu, Li, Yang: Common Diffusion Noise Schedules and Sample Steps are Flawed, WACV 2024: the
  last step is pure noise, the steps trail, the network predicts a velocity.
* Song, Meng, Ermon: Denoising Diffusion Implicit Models, ICLR 2021, equation 16: sigma.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

TIMESTEPS = 1000
_FIRST, _LAST = 0.00085, 0.012
#: Latents are made weaker as noise grows, down to this over the first 400 timesteps.
_SCALE, _SCALE_STEPS = 0.7, 400


@dataclass(frozen=True)
class Schedule:
    """One number a visited timestep, float32, in ascending order of time.

    timesteps: which. alphas, before: the share of signal there and at the step that follows it in
    the run. sigmas: new noise. scale, scale_before: the latents' strength. keep, noise: square
    roots of alphas and of 1 - alphas.
    """

    timesteps: Tensor
    alphas: Tensor
    before: Tensor
    sigmas: Tensor
    scale: Tensor
    scale_before: Tensor
    keep: Tensor
    noise: Tensor

    def __len__(self) -> int:
        return len(self.timesteps)


def betas() -> Tensor:
    """Noise added at each timestep, (1000,) float64; the last one is 1: it leaves no signal."""
    roots = torch.linspace(_FIRST**0.5, _LAST**0.5, TIMESTEPS, dtype=torch.float64)
    signal = (1 - roots**2).cumprod(0).sqrt()
    signal = (signal - signal[-1]) * (signal[0] / (signal[0] - signal[-1]))
    alphas = signal**2
    return 1 - torch.cat((alphas[:1], alphas[1:] / alphas[:-1]))


def alphas_cumprod() -> Tensor:
    """The share of signal at each timestep, (1000,) float64, exactly 0 at the last."""
    return (1 - betas()).cumprod(0)


def scales() -> Tensor:
    """The latents' strength at each timestep, (1000,) float32."""
    falling = torch.linspace(1, _SCALE, _SCALE_STEPS, dtype=torch.float64)
    return torch.cat((falling, torch.full((TIMESTEPS - _SCALE_STEPS,), _SCALE))).float()


def trailing(steps: int) -> Tensor:
    """`steps` timesteps, ascending, evenly down from the last.

    Raises ValueError unless 1 <= steps <= 1000.
    """
    if not 1 <= steps <= TIMESTEPS:
        raise ValueError(f"a run has 1 to {TIMESTEPS} steps, not {steps}")
    # numpy's own steps, whose rounding decides at 48 steps. Cut off, because above 60 it makes one
    # too many for some numbers, and that timestep would be -1.
    downwards = np.arange(TIMESTEPS, 0, -TIMESTEPS / steps)[:steps]
    return torch.from_numpy(downwards.round().astype(np.int64) - 1).flip(0)


def schedule(steps: int, eta: float) -> Schedule:
    """A run of so many steps; eta 0 adds no noise on the way, 1 as much as DDPM."""
    visited = trailing(steps)
    exact = alphas_cumprod()
    every = exact.float()
    alphas = every[visited]
    before = torch.cat((every[:1], every[visited[:-1]]))
    wide, narrow = before.double(), alphas.double()
    sigmas = eta * ((1 - wide) / (1 - narrow) * (1 - narrow / wide)).sqrt()
    strengths = scales()[visited]
    return Schedule(
        timesteps=visited,
        alphas=alphas,
        before=before,
        sigmas=sigmas.float(),
        scale=strengths,
        scale_before=torch.cat((strengths[:1], strengths[:-1])),
        keep=exact.sqrt().float()[visited],
        noise=(1 - exact).sqrt().float()[visited],
    )
