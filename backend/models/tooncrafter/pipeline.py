# SPDX-License-Identifier: GPL-3.0-or-later
# torch annotates split, unflatten and from_numpy only in part.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
"""ToonCrafter as one thing: keys and a prompt in, frames out, with no more in memory than needed.

Pictures are (3, H, W), float32, -1..1, with sides that are multiples of 64. What takes long is a
generator: each `yield` is a sign of life and a point where the run may be left.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from backend.models.tooncrafter import lora
from backend.models.tooncrafter.checkpoint import Checkpoint
from backend.models.tooncrafter.decoder import Decoder, References
from backend.models.tooncrafter.encoder import SCALE, Encoder
from backend.models.tooncrafter.needs import Keep
from backend.models.tooncrafter.resampler import Resampler
from backend.models.tooncrafter.sampler import Branch, Guidance, Noise, Step, sample
from backend.models.tooncrafter.schedule import schedule
from backend.models.tooncrafter.sizes import FRAMES, MULTIPLE, Sizes
from backend.models.tooncrafter.sketch import SketchEncoder
from backend.models.tooncrafter.towers import ImageTower, TextTower, prepared
from backend.models.tooncrafter.unet import UNet
from protocol.errors import EngineFailed

__all__ = ["Guidance", "Keep", "Keys", "Setting", "Sketches", "Step", "Told", "ToonCrafter", "load"]


@dataclass(frozen=True)
class Keys:
    """Two keys, encoded: latents (2, 4, h, w), float32, and what the decoder refers to."""

    latents: Tensor
    references: References


@dataclass(frozen=True)
class Told:
    """What the U-Net is told: tokens (1, 77, C) of the prompt and of no prompt, (1, 256, C) of the
    first key and of mid grey, and the keys' latents."""

    prompt: Tensor
    no_prompt: Tensor
    picture: Tensor
    no_picture: Tensor
    keys: Keys


@dataclass(frozen=True)
class Setting:
    """How to sample. motion: 5..30, the speed it was trained to be told; small is large motion."""

    steps: int = 50
    eta: float = 1.0
    motion: int = 10
    frames: int = FRAMES
    guidance: Guidance = field(default_factory=Guidance)


@dataclass(frozen=True)
class Sketches:
    """Line drawings for the frames: (t, 1, H, W), 1 on a line and 0 beside it, all 0 where there is
    none. strengths: (t,). whole: see SketchEncoder."""

    lines: Tensor
    strengths: Tensor
    whole: bool = False


def load(
    paths: Path | Sequence[Path],
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    *,
    keep: Keep = Keep.FILE,
    sizes: Sizes | None = None,
    check: bool = True,
) -> ToonCrafter:
    """Open weights: published checkpoints, repacks, or the folder that `convert` wrote.

    Values are read when a network is first used. dtype: float32, bfloat16 or float16; norms stay
    float32. Raises EngineFailed if the weights do not fit; the text names every key that does not.
    """
    checkpoint = Checkpoint([paths] if isinstance(paths, Path) else paths, sizes)
    if check:
        checkpoint.check()
    return ToonCrafter(checkpoint, torch.device(device), dtype, keep)


class ToonCrafter:
    """The networks and what is done with them, in this order: embed_text, embed_pictures,
    encode_keys, sample, decode."""

    def __init__(
        self, checkpoint: Checkpoint, device: torch.device, dtype: torch.dtype, keep: Keep
    ) -> None:
        self.checkpoint = checkpoint
        self.device, self.dtype, self.keep = device, dtype, keep
        self._waiting: dict[str, nn.Module] = {}
        self._lora: tuple[Path, float] | None = None

    @property
    def can_sketch(self) -> bool:
        return self.checkpoint.holds("sketch")

    def use_lora(self, folder: Path | None, strength: float = 1.0) -> None:
        """Add a LoRA to the U-Net from the next `sample` on; None takes it out."""
        wanted = (folder, strength) if folder else None
        if wanted != self._lora:
            self._waiting.pop("unet", None)
        self._lora = wanted

    def forget(self) -> None:
        """Free every network that waits."""
        self._waiting.clear()
        self._tidy()

    @torch.inference_mode()
    def embed_text(self, tokens: Tensor) -> Tensor:
        """(N, 77) tokens -> (N, 77, C), float32."""
        with self._network("text") as network:
            tower = cast("TextTower", network)
            return tower(tokens.to(self.device)).float()

    @torch.inference_mode()
    def embed_pictures(self, pictures: Sequence[Tensor | None]) -> Tensor:
        """N pictures of any size -> (N, 256, C), float32. None is no picture: mid grey.

        Only the first key is shown to the network; the second one speaks through its latents.
        """
        shown = [torch.zeros(3, 224, 224) if p is None else p for p in pictures]
        with self._network("image") as network:
            tower = cast("ImageTower", network)
            seen = [tower(prepared(picture[None].to(self.device))) for picture in shown]
        with self._network("resampler") as network:
            return cast("Resampler", network)(torch.cat(seen)).float()

    @torch.inference_mode()
    def encode_keys(self, first: Tensor, last: Tensor, noise: Noise, frames: int = FRAMES) -> Keys:
        """Both keys' latents and features. Raises EngineFailed if a side is no multiple of 64."""
        height, width = first.shape[1:]
        if first.shape != last.shape or height % MULTIPLE or width % MULTIPLE:
            raise EngineFailed(
                f"Keys of {_size(first)} and {_size(last)} pixels cannot be encoded.",
                fix=f"Give two keys of one size whose sides are multiples of {MULTIPLE}.",
            )
        return self._encode(torch.stack((first, last)), noise, frames)

    def _encode(self, pair: Tensor, noise: Noise, frames: int) -> Keys:
        with self._network("encoder") as network:
            mean, deviation, features = cast("Encoder", network)(pair.to(self.device))
        # The published code encodes every frame of the clip; only the ends are ever used.
        drawn = noise.encoding(frames, *mean.shape[2:])[[0, -1]].to(self.device)
        # Kept off the device: they are 472 MB at 320 x 512, and not wanted before the end.
        references = [feature[None].cpu() for feature in features]
        return Keys((mean + deviation * drawn) * SCALE, references)

    @torch.inference_mode()
    def sample(
        self, told: Told, setting: Setting, noise: Noise, sketches: Sketches | None = None
    ) -> Generator[Step, None, Tensor]:
        """Latents (1, 4, t, h, w), float32; yields after every step."""
        start = noise.latents(setting.frames, *told.keys.latents.shape[2:]).to(self.device)
        run = schedule(setting.steps, setting.eta)
        if sketches is None:
            with self._network("unet") as unet:
                predict = self._predictor(cast("UNet", unet), told, setting)
                return (yield from sample(predict, start, run, setting.guidance, noise))
        with self._network("sketch") as sketch, self._network("unet") as unet:
            control = _Control(cast("SketchEncoder", sketch), sketches, self.device)
            predict = self._predictor(cast("UNet", unet), told, setting, control)
            return (yield from sample(predict, start, run, setting.guidance, noise))

    def _predictor(
        self, unet: UNet, told: Told, setting: Setting, control: _Control | None = None
    ) -> Callable[[Tensor, int, Branch], Tensor]:
        contexts = {
            Branch.ALL: (told.prompt, told.picture),
            Branch.NOTHING: (told.no_prompt, told.no_picture),
            Branch.PICTURE: (told.no_prompt, told.picture),
        }
        ends = told.keys.latents.to(self.device)
        # The keys' latents stand at both ends of the clip, in every branch.
        beside = ends.new_zeros(1, 4, setting.frames, *ends.shape[2:])
        beside[0, :, 0], beside[0, :, -1] = ends[0], ends[1]
        motion = torch.tensor([setting.motion], device=self.device)

        def predict(latents: Tensor, timestep: int, branch: Branch) -> Tensor:
            context = torch.cat(contexts[branch], dim=1).to(self.device)
            when = torch.tensor([timestep], device=self.device)
            added = control(latents, when, context) if control else None
            return unet(torch.cat((latents, beside), dim=1), when, context, motion, added)

        return predict

    @torch.inference_mode()
    def decode(self, latents: Tensor, references: References) -> Generator[float, None, Tensor]:
        """Frames (t, 3, H, W), float32, about -1..1, on the CPU; yields the share that is done.

        Decodes twice, as the published code: the second time without the second frame and the last
        but one, and takes the two frames in the middle from there.
        """
        clip = latents.transpose(1, 2) / SCALE
        middle = clip.shape[1] // 2
        with self._network("decoder") as network:
            decoder = cast("Decoder", network)
            frames = yield from _share(decoder.steps(clip, references), 0.0)
            answer = frames[0].cpu()
            del frames
            if clip.shape[1] > 4:
                shorter = torch.cat((clip[:, :1], clip[:, 2:-2], clip[:, -1:]), dim=1)
                again = yield from _share(decoder.steps(shorter, references), 0.5)
                answer[middle - 1 : middle + 1] = again[0, middle - 2 : middle].cpu()
        yield 1.0
        return answer

    @contextmanager
    def _network(self, name: str) -> Generator[nn.Module, None, None]:
        network = self._waiting.pop(name, None)
        if network is None:
            network = self.checkpoint.load(name, self.device, self.dtype)
            if name == "unet" and self._lora:
                lora.merge(network, *self._lora)
        else:
            network.to(self.device)
        try:
            yield network
        finally:
            if self.keep is Keep.DEVICE:
                self._waiting[name] = network
            elif self.keep is Keep.HOST:
                self._waiting[name] = network.to("cpu")
            del network
            self._tidy()

    def _tidy(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.empty_cache()


class _Control:
    """The sketch encoder, asked about one set of drawings."""

    def __init__(self, network: SketchEncoder, sketches: Sketches, device: torch.device) -> None:
        self._network, self._whole = network, sketches.whole
        self._features = network.read(sketches.lines.to(device))
        self._strengths = sketches.strengths.to(self._features)[:, None, None, None]

    def __call__(self, latents: Tensor, timestep: Tensor, context: Tensor) -> list[Tensor]:
        noisy = latents.transpose(1, 2).flatten(0, 1)
        residuals = self._network(noisy, timestep, context, self._features, self._whole)
        return [residual.mul_(self._strengths) for residual in residuals]


def _share(steps: Generator[float, None, Tensor], before: float) -> Generator[float, None, Tensor]:
    """A decoding's progress as half of the whole."""
    while True:
        try:
            yield before + next(steps) / 2
        except StopIteration as end:
            return end.value


def _size(picture: Tensor) -> str:
    return f"{picture.shape[2]} x {picture.shape[1]}"
