# SPDX-License-Identifier: GPL-3.0-or-later
"""Working piece by piece saves memory and changes no number; networks go where they should."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from backend.models.tooncrafter import layers
from backend.models.tooncrafter.decoder import Decoder, finish
from backend.models.tooncrafter.pipeline import (
    Guidance,
    Keep,
    Setting,
    Sketches,
    Step,
    Told,
    ToonCrafter,
    load,
)
from backend.models.tooncrafter.sampler import SeededNoise
from protocol.errors import EngineFailed
from tests.parity.test_tooncrafter_weights import made
from tests.parity.tooncrafter import NARROW, difference, filled

EQUAL = 1e-6
#: Norms of a clip too large for one piece add up each frame's statistics: another order of sums.
REORDERED = 3e-6


@pytest.fixture(autouse=True)
def _without_gradients() -> Iterator[None]:
    with torch.inference_mode():
        yield


def references() -> list[Tensor]:
    torch.manual_seed(1)
    shapes = [(32, 32, 48), (64, 16, 24), (128, 8, 12), (128, 4, 6), (32, 32, 48)]
    return [torch.randn(1, 2, *shape) for shape in shapes]


@pytest.mark.parametrize(("name", "most"), [("SCORES", EQUAL), ("PIECE", REORDERED)])
def test_the_decoder_gives_the_same_in_small_pieces(
    name: str, most: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Attention scores: a few queries at a time. Everything else: a frame at a time."""
    decoder = filled("decoder", NARROW)
    assert isinstance(decoder, Decoder)
    keys = references()
    latents = torch.randn(1, 6, 4, 4, 6)
    whole = decoder(latents, keys)
    monkeypatch.setattr(layers, name, 40_000)
    assert difference(decoder(latents, keys), whole) < most


def test_attention_gives_the_same_whatever_the_portion(monkeypatch: pytest.MonkeyPatch) -> None:
    query, key, value = (torch.randn(2, length, 32) for length in (37, 50, 50))
    whole = layers.attend(query, key, value, heads=4)
    monkeypatch.setattr(layers, "SCORES", 2 * 4 * 50 * 4 * 5)
    assert difference(layers.attend(query, key, value, heads=4), whole) < EQUAL


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("narrow")
    torch.save({"state_dict": made()}, folder / "model.ckpt")
    torch.save(made(sketch=True), folder / "sketch_encoder.ckpt")
    return folder


def opened(folder: Path, keep: Keep = Keep.FILE) -> ToonCrafter:
    paths = [folder / "model.ckpt", folder / "sketch_encoder.ckpt"]
    return load(paths, keep=keep, sizes=NARROW)


def told(model: ToonCrafter, noise: SeededNoise) -> Told:
    tokens = torch.zeros(2, 77, dtype=torch.long)
    tokens[0, 1] = 5
    prompt, nothing = model.embed_text(tokens).split(1)
    keys = torch.rand(2, 3, 64, 64) * 2 - 1
    picture, grey = model.embed_pictures([keys[0], None]).split(1)
    return Told(prompt, nothing, picture, grey, model.encode_keys(keys[0], keys[1], noise))


SHORT = Setting(steps=1, guidance=Guidance(scale=1.0))


@pytest.mark.parametrize("keep", list(Keep))
def test_networks_wait_only_where_they_may(keep: Keep, folder: Path) -> None:
    model, noise = opened(folder, keep), SeededNoise(0)
    steps = list(model.sample(told(model, noise), SHORT, noise))
    assert steps[-1].latents.isfinite().all()
    waiting = set(model._waiting)  # pyright: ignore[reportPrivateUsage]
    used = {"text", "image", "resampler", "encoder", "unet"}
    assert waiting == (set() if keep is Keep.FILE else used)
    model.forget()
    assert not model._waiting  # pyright: ignore[reportPrivateUsage]


def test_a_run_can_be_left_between_steps(folder: Path) -> None:
    model, noise = opened(folder), SeededNoise(0)
    run = model.sample(told(model, noise), Setting(steps=50), noise)
    assert isinstance(next(run), Step)
    run.close()
    with pytest.raises(StopIteration):
        next(run)


def test_the_same_seed_gives_the_same_frames(folder: Path) -> None:
    def frames(seed: int) -> Tensor:
        torch.manual_seed(9)
        model, noise = opened(folder), SeededNoise(seed)
        knows = told(model, noise)
        latents = finish(model.sample(knows, SHORT, noise))
        return finish(model.decode(latents, knows.keys.references))

    first = frames(1)
    assert first.shape == (16, 3, 64, 64)
    assert first.equal(frames(1))
    assert not first.equal(frames(2))


@pytest.mark.parametrize("whole", [True, False])
def test_sketches_change_the_run_and_their_strength_counts(whole: bool, folder: Path) -> None:
    model = opened(folder)
    assert model.can_sketch
    lines = torch.zeros(16, 1, 64, 64)
    lines[7, :, 20:24] = 1

    def latents(strength: float | None) -> Tensor:
        torch.manual_seed(9)
        noise = SeededNoise(0)
        knows = told(model, noise)
        drawn = None
        if strength is not None:
            drawn = Sketches(lines, torch.full((16,), strength), whole)
        return finish(model.sample(knows, SHORT, noise, drawn))

    plain = latents(None)
    assert latents(0.0).equal(plain)
    assert difference(latents(0.6), plain) > 1e-4


def test_keys_of_a_size_that_does_not_halve_are_refused(folder: Path) -> None:
    model = opened(folder)
    with pytest.raises(EngineFailed, match="96 x 64"):
        model.encode_keys(torch.zeros(3, 64, 96), torch.zeros(3, 64, 96), SeededNoise(0))
