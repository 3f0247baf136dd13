# SPDX-License-Identifier: GPL-3.0-or-later
# torch annotates split and from_numpy only in part.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
"""From two keys to a clip, pictures in and out as arrays; every step can be told and left.

Pictures are (H, W, 3), float32, 0..1, with sides that are multiples of 64.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from backend.models.tooncrafter.pipeline import Setting, Sketches, Told, ToonCrafter
from backend.models.tooncrafter.prompt import tokens
from backend.models.tooncrafter.sampler import SeededNoise
from backend.models.tooncrafter.sizes import FRAMES
from protocol.errors import EngineFailed

Array = npt.NDArray[np.float32]
Telling = tuple[str, float]
"""A phase, and the share of it that is done."""
Answer = TypeVar("Answer")
Sign = TypeVar("Sign")


@dataclass(frozen=True)
class Manner:
    """How a clip is to be drawn.

    whole: see SketchEncoder. weight: how much sketches count, also those that are empty.
    """

    prompt: str = ""
    seed: int = 0
    setting: Setting = field(default_factory=Setting)
    whole: bool = False
    weight: float = 0.6
    lora: Path | None = None
    lora_strength: float = 1.0


@dataclass(frozen=True)
class Drawn:
    """A sketch for one frame: (H, W), 1 on a line and 0 beside it; strength 1 is as usual."""

    lines: Array
    strength: float = 1.0


class Artist:
    """Draws clips in one manner. The prompt is read once."""

    def __init__(self, model: ToonCrafter, manner: Manner) -> None:
        self._model, self._manner = model, manner
        self._prompt: tuple[Tensor, Tensor] | None = None
        model.use_lora(manner.lora, manner.lora_strength)

    def draw(
        self, first: Array, last: Array, seen: Array, sketches: Mapping[int, Drawn]
    ) -> Generator[Telling, None, list[Array]]:
        """Sixteen frames (H, W, 3), the first and last of which show the keys.

        seen: the first key as the image tower is to see it, of any size. sketches: by the number
        of their frame. Raises EngineFailed if numbers became too large for their precision.
        """
        told, noise = yield from self._told(first, last, seen)
        yield "drawing", 0.0
        steps = self._model.sample(told, self._manner.setting, noise, self._sketched(sketches))
        latents = yield from _telling(steps, lambda s: ("drawing", s.number / s.of))
        yield "decoding", 0.0
        shares = self._model.decode(latents, told.keys.references)
        video = yield from _telling(shares, lambda share: ("decoding", share))
        if not video.isfinite().all():
            raise EngineFailed(
                f"The network's numbers became too large for {_name(self._model.dtype)}.",
                fix="Set Precision to bfloat16 or float32.",
            )
        frames = ((video.clamp(-1, 1) + 1) / 2).permute(0, 2, 3, 1).contiguous()
        return list(frames.numpy())

    def _told(
        self, first: Array, last: Array, seen: Array
    ) -> Generator[Telling, None, tuple[Told, SeededNoise]]:
        model = self._model
        if self._prompt is None:
            yield "reading the prompt", 0.0
            asked = torch.tensor([tokens(self._manner.prompt), tokens("")])
            told, nothing = model.embed_text(asked).split(1)
            self._prompt = told, nothing
        yield "looking at the first key", 0.0
        picture, grey = model.embed_pictures([_tensor(seen), None]).split(1)
        yield "encoding the keys", 0.0
        noise = SeededNoise(self._manner.seed)
        keys = model.encode_keys(_tensor(first), _tensor(last), noise)
        return Told(*self._prompt, picture, grey, keys), noise

    def _sketched(self, sketches: Mapping[int, Drawn]) -> Sketches | None:
        """Frames without a sketch get an empty one: so the encoder was trained."""
        if not sketches:
            return None
        nothing = np.zeros_like(next(iter(sketches.values())).lines)
        rows = [sketches.get(number, Drawn(nothing)) for number in range(FRAMES)]
        return Sketches(
            lines=torch.from_numpy(np.stack([row.lines for row in rows])[:, None]),
            strengths=torch.tensor([self._manner.weight * row.strength for row in rows]),
            whole=self._manner.whole,
        )


def _tensor(picture: Array) -> Tensor:
    """(H, W, 3), 0..1, to (3, H, W), -1..1."""
    return torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1))) * 2 - 1


def _telling(
    steps: Generator[Sign, None, Answer], told: Callable[[Sign], Telling]
) -> Generator[Telling, None, Answer]:
    try:
        while True:
            try:
                sign = next(steps)
            except StopIteration as end:
                return end.value
            yield told(sign)
    finally:
        # Left half-way, the network in use must go back to where it waits.
        steps.close()


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
