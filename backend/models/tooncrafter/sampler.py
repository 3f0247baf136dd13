# SPDX-License-Identifier: GPL-3.0-or-later
# torch annotates split, unflatten and from_numpy only in part.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
"""From noise to latents: DDIM steps, guided by what the network says with and without conditions.

It knows no network: it is given a function that predicts velocities.

* Ho, Salimans: Classifier-Free Diffusion Guidance, 2022 (arXiv 2207.12598).
* Lin, Liu, Li, Yang: Common Diffusion Noise Schedules and Sample Steps are Flawed, WACV 2024,
  section 3.4: guidance rescale.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from backend.models.tooncrafter.schedule import Schedule


class Branch(Enum):
    """What the network is told."""

    ALL = "prompt and picture"
    NOTHING = "neither"
    PICTURE = "picture, no prompt"


#: The velocity of latents (1, 4, t, h, w) at a timestep, told what the branch says; float32.
Predict = Callable[[Tensor, int, Branch], Tensor]


@dataclass(frozen=True)
class Guidance:
    """scale: how far to go from the unconditional prediction; 1 asks once and goes nowhere.
    picture: with a number, the picture is weighed apart, and the network asked a third time.
    rescale: how much of the guided prediction's contrast is set back, 0..1."""

    scale: float = 7.5
    picture: float | None = None
    rescale: float = 0.7


class Noise(Protocol):
    """Where random numbers come from, in the order in which a run needs them."""

    def encoding(self, frames: int, height: int, width: int) -> Tensor:
        """(frames, 4, h, w), for the latents of the keys."""
        ...

    def latents(self, frames: int, height: int, width: int) -> Tensor:
        """(1, 4, frames, h, w), for the start, and again at every step."""
        ...


class SeededNoise:
    """Drawn on the CPU, whatever the device: the same seed gives the same numbers everywhere."""

    def __init__(self, seed: int) -> None:
        self._source = torch.Generator().manual_seed(seed)

    def encoding(self, frames: int, height: int, width: int) -> Tensor:
        return torch.randn(frames, 4, height, width, generator=self._source)

    def latents(self, frames: int, height: int, width: int) -> Tensor:
        return torch.randn(1, 4, frames, height, width, generator=self._source)


class Step(NamedTuple):
    """One finished step: its number from 1, of how many, the timestep it left, the latents now,
    and what they are expected to become, (1, 4, t, h, w) both."""

    number: int
    of: int
    timestep: int
    latents: Tensor
    expected: Tensor


def sample(
    predict: Predict, start: Tensor, schedule: Schedule, guidance: Guidance, noise: Noise
) -> Generator[Step, None, Tensor]:
    """Latents (1, 4, t, h, w), float32, from pure noise of that shape; yields after every step."""
    latents = start
    for number, index in enumerate(reversed(range(len(schedule))), 1):
        timestep = int(schedule.timesteps[index])
        velocity = _guided(predict, latents, timestep, guidance)
        fresh = noise.latents(*latents.shape[2:]).to(latents.device)
        latents, expected = _step(latents, velocity, fresh, schedule, index)
        yield Step(number, len(schedule), timestep, latents, expected)
    return latents


def _guided(predict: Predict, latents: Tensor, timestep: int, guidance: Guidance) -> Tensor:
    """One branch after the other: together they would need the activations of all."""
    told = predict(latents, timestep, Branch.ALL)
    if guidance.scale == 1 and guidance.picture is None:
        return told
    untold = predict(latents, timestep, Branch.NOTHING)
    if guidance.picture is None:
        guided = untold + guidance.scale * (told - untold)
    else:
        shown = predict(latents, timestep, Branch.PICTURE)
        guided = untold + guidance.picture * (shown - untold) + guidance.scale * (told - shown)
    if guidance.rescale == 0:
        return guided
    contrast = _deviation(told) / _deviation(guided)
    return guidance.rescale * (guided * contrast) + (1 - guidance.rescale) * guided


def _deviation(x: Tensor) -> Tensor:
    return x.std(dim=list(range(1, x.dim())), keepdim=True)


def _step(
    x: Tensor, velocity: Tensor, fresh: Tensor, schedule: Schedule, index: int
) -> tuple[Tensor, Tensor]:
    keep, noise = (table[index].to(x.device) for table in (schedule.keep, schedule.noise))
    expected = keep * x - noise * velocity
    direction = keep * velocity + noise * x
    # Not taken up in `direction`: the published sampler does not either.
    expected = expected * (schedule.scale_before[index] / schedule.scale[index]).to(x.device)
    before, sigma = schedule.before[index], schedule.sigmas[index]
    # Where no signal is left, 1 - before and sigma^2 are the same but for rounding. Without the
    # clamp the root of -6e-8 turned whole videos into NaN, at 20 and 25 steps for example.
    rest = (1 - before - sigma**2).clamp_min(0).sqrt()
    moved = before.sqrt().to(x.device) * expected + rest.to(x.device) * direction
    return moved + sigma.to(x.device) * fresh, expected
