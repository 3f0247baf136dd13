# SPDX-License-Identifier: GPL-3.0-or-later
"""Each of our networks makes what the reference implementation made with the same weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, partial

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from backend.models.tooncrafter import keys
from backend.models.tooncrafter.decoder import Decoder
from backend.models.tooncrafter.encoder import Encoder
from backend.models.tooncrafter.towers import prepared
from tests.parity import tooncrafter as fixture
from tests.parity.tooncrafter import CLOSE, TINY, difference, filled, io, stored

pytestmark = fixture.needs_shared

FULLKEYS_UNET = fixture.Sizes(unet=fixture.UNetSize(base=32, head=4, context=16))
FULLKEYS_VAE = fixture.Sizes(vae=fixture.VaeSize(base=32))


@pytest.fixture(autouse=True)
def _without_gradients() -> Iterator[None]:
    with torch.inference_mode():
        yield


@contextmanager
def taps(network: nn.Module, places: dict[str, str]) -> Iterator[dict[str, Tensor]]:
    """What the named modules give, by their public names."""
    seen: dict[str, Tensor] = {}

    def keep(name: str, _module: nn.Module, _given: object, answer: Tensor) -> None:
        # What comes later may be added into it.
        seen[name] = answer.clone()

    hooks = [
        network.get_submodule(place).register_forward_hook(partial(keep, name))
        for name, place in places.items()
    ]
    yield seen
    for hook in hooks:
        hook.remove()


TINY_TAPS = {
    "time_embed": "time_embedding",
    "fps_embedding": "motion_embedding",
    "input_blocks.0": "entry",
    "init_attn": "entry_time",
    "input_blocks.1.0": "down.0.residual",
    "input_blocks.1.1": "down.0.space",
    "input_blocks.1.2": "down.0.time",
    "input_blocks.2": "down.1",
    "middle_block": "middle",
    "output_blocks.0": "up.0",
    "output_blocks.1": "up.1",
    "output_blocks.3": "up.3",
}
FULLKEYS_TAPS = {
    **{f"input_blocks.{i}": f"down.{i - 1}" for i in (5, 8, 11)},
    "middle_block": "middle",
    **{f"output_blocks.{i}": f"up.{i}" for i in (2, 5, 8, 11)},
}


@cache
def tiny_unet() -> nn.Module:
    return filled("unet", TINY, stored("unet_tiny"))


@pytest.mark.parametrize("case", "abcde")
def test_the_u_net_agrees(case: str) -> None:
    """a: its own image tokens for each frame; b: all tokens for all; c: no speed; d: seven frames;
    e: a signal so weak that a norm's epsilon shows."""
    given = io("unet_tiny.io")
    whose = case if case in "ade" else "a"
    context = given["b.context" if case == "b" else f"{whose}.context"]
    motion = None if case == "c" else given[f"{whose}.fs"]
    made = tiny_unet()(given[f"{whose}.x"], given[f"{whose}.timesteps"], context, motion)
    assert difference(made, given[f"{case}.out"]) < CLOSE


@pytest.mark.parametrize("name", TINY_TAPS)
def test_every_part_of_the_u_net_agrees(name: str) -> None:
    given = io("unet_tiny.io")
    with taps(tiny_unet(), {name: TINY_TAPS[name]}) as seen:
        tiny_unet()(given["a.x"], given["a.timesteps"], given["a.context"], given["a.fs"])
    made, wanted = seen[name], given[f"a.tap.{name}"]
    if wanted.dim() == 5:
        made = made.unflatten(0, (2, 4)).transpose(1, 2)
    assert difference(made, wanted) < CLOSE


def test_the_u_net_with_all_published_keys_agrees() -> None:
    given = io("unet_fullkeys.io")
    network = filled("unet", FULLKEYS_UNET)
    names = keys.public_names("unet", network, "")
    weights = {names[ours]: value for ours, value in network.state_dict().items()}
    assert len(weights) == 1516
    assert fixture.digest(weights) == fixture.manifest()["weights_sha256"]["unet_fullkeys"]
    with taps(network, FULLKEYS_TAPS) as seen:
        made = network(given["x"], given["timesteps"], given["context"], given["fs"])
    assert difference(made, given["out"]) < CLOSE
    off = {name: difference(seen[name], given[f"tap.{name}"]) for name in FULLKEYS_TAPS}
    assert max(off.values()) < CLOSE, off


@cache
def vae(name: str) -> tuple[Encoder, Decoder]:
    if name == "vae_tiny":
        weights, sizes = stored(name), TINY
    else:
        weights, sizes = None, FULLKEYS_VAE
    encoder, decoder = filled("encoder", sizes, weights), filled("decoder", sizes, weights)
    assert isinstance(encoder, Encoder)
    assert isinstance(decoder, Decoder)
    return encoder, decoder


def test_the_narrow_vae_has_all_published_keys() -> None:
    encoder, decoder = vae("vae_fullkeys")
    weights = {"post_quant_conv.weight": (4, 4, 1, 1), "post_quant_conv.bias": (4,)}
    found = {key: fixture.value_for(key, shape) for key, shape in weights.items()}
    for network, module in (("encoder", encoder), ("decoder", decoder)):
        names = keys.public_names(network, module, f"{network}.")
        found |= {names[ours]: value for ours, value in module.state_dict().items()}
    assert len(found) == 396
    assert fixture.digest(found) == fixture.manifest()["weights_sha256"]["vae_fullkeys"]


@pytest.mark.parametrize("name", ["vae_tiny", "vae_fullkeys"])
def test_the_picture_encoder_agrees(name: str) -> None:
    given = io(f"{name}.io")
    pictures = given["frames"].transpose(1, 2)
    batch, frames = pictures.shape[:2]
    mean, deviation, features = vae(name)[0](pictures.flatten(0, 1))
    assert difference(mean, given["moments"][:, :4]) < CLOSE
    assert difference(mean + deviation * given["noise"], given["z"]) < CLOSE
    for index, feature in enumerate(features):
        ends = feature.unflatten(0, (batch, frames))[:, [0, -1]].transpose(1, 2)
        assert difference(ends, given[f"ref.{index}"]) < CLOSE


def decoded(name: str, given: dict[str, Tensor], gain: float = 1, referred: bool = True) -> Tensor:
    references = [given[f"ref.{index}"].transpose(1, 2) * gain for index in range(5)]
    clips = (given["latents"] * gain).unflatten(0, (len(references[0]), -1))
    return vae(name)[1](clips, references if referred else None).flatten(0, 1)


@pytest.mark.parametrize("name", ["vae_tiny", "vae_fullkeys"])
def test_the_video_decoder_agrees(name: str) -> None:
    given = io(f"{name}.io")
    assert difference(decoded(name, given), given["decoded"]) < CLOSE
    assert difference(decoded(name, given, referred=False), given["decoded_noref"]) < CLOSE
    assert difference(decoded(name, given, gain=1e-3), given["decoded_small"]) < CLOSE


DECODER_TAPS = {
    "conv_in": "entry",
    "mid.block_1": "middle.before",
    "mid.attn_1": "middle.attention",
    "mid.block_2": "middle.after",
}


def test_every_part_of_the_video_decoder_agrees() -> None:
    given = io("vae_tiny.io")
    with taps(vae("vae_tiny")[1], DECODER_TAPS) as seen:
        decoded("vae_tiny", given)
    off = {name: difference(seen[name], given[f"tap.{name}"]) for name in DECODER_TAPS}
    assert max(off.values()) < CLOSE, off


def test_the_resampler_agrees() -> None:
    given = io("resampler_tiny.io")
    network = filled("resampler", TINY, stored("resampler_tiny"))
    assert difference(network(given["x"]), given["out"]) < CLOSE


def test_the_text_tower_agrees() -> None:
    given = io("clip_tiny.io")
    network = filled("text", TINY, stored("clip_text_tiny"))
    assert difference(network(given["tokens"]), given["text_out"]) < CLOSE


def big_image() -> Tensor:
    picture = np.random.RandomState(403).uniform(-1, 1, (1, 3, 320, 512))
    return torch.from_numpy(picture.astype(np.float32))


@pytest.mark.parametrize("name", ["image", "big_image"])
def test_the_image_tower_agrees_and_so_does_what_it_is_shown(name: str) -> None:
    given = io("clip_tiny.io")
    weights = stored("clip_image_tiny")
    weights = {key.removeprefix("visual."): value for key, value in weights.items()}
    network = filled("image", TINY, weights)
    shown = prepared(given["image"] if name == "image" else big_image())
    assert difference(shown[..., ::4, ::4], given[f"{name}_preprocessed_sub4"]) < CLOSE
    assert difference(network(shown), given[f"{name}_out"]) < CLOSE


def test_no_picture_is_mid_grey_of_any_size() -> None:
    given = io("clip_tiny.io")
    weights = stored("clip_image_tiny")
    weights = {key.removeprefix("visual."): value for key, value in weights.items()}
    network = filled("image", TINY, weights)
    for size in ((224, 224), (320, 512)):
        made = network(prepared(torch.zeros(1, 3, *size)))
        assert difference(made, given[f"zeros_out_{size[0]}".replace("320", "320x512")]) < CLOSE


@pytest.mark.parametrize("whole", [True, False], ids=["full", "text77"])
def test_the_sketch_encoder_agrees(whole: bool) -> None:
    given, name = io("sketch_tiny.io"), "full" if whole else "text77"
    network = filled("sketch", TINY, stored("sketch_tiny"))
    features = network.read(given["hint"])
    made = network(given["x"], given["timesteps"], given["context"], features, whole)
    for index, residual in enumerate(made):
        assert difference(residual, given[f"{name}.res.{index}"]) < CLOSE


@pytest.mark.parametrize("name", ["full", "text77", "nocontrol"])
def test_the_u_net_with_sketches_agrees(name: str) -> None:
    given = io("controlled_unet_tiny.io")
    sketch = filled("sketch", TINY, stored("sketch_tiny"))
    residuals = None
    if name != "nocontrol":
        noisy = given["x"].transpose(1, 2).flatten(0, 1)
        features = sketch.read(given["hint"].transpose(1, 2).flatten(0, 1))
        made = sketch(noisy, given["timesteps"], given["context"], features, name == "full")
        residuals = [0.6 * residual for residual in made]
    latents = torch.cat((given["x"], given["concat"]), dim=1)
    made = tiny_unet()(latents, given["timesteps"], given["context"], given["fs"], residuals)
    assert difference(made, given[f"{name}.out"]) < CLOSE
