# SPDX-License-Identifier: GPL-3.0-or-later
"""Each of our networks makes what the reference implementation made with the same weights."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from backend.models.cinemagraph import keys, loop
from backend.models.cinemagraph.sizes import FULL, Sizes
from backend.models.cinemagraph.video import Decoder, Encoder, Seen
from tests.parity import cinemagraph as fixture
from tests.parity.cinemagraph import CLOSE, NET_CLOSE, TINY, io, loaded, off, weights_of

pytestmark = fixture.needs_shared


@pytest.fixture(autouse=True)
def _without_gradients() -> Iterator[None]:
    with torch.inference_mode():
        yield


@pytest.mark.parametrize(
    ("table", "networks"),
    [
        ("motion_direction_netG", ("hinted",)),
        ("motion_netG", ("told",)),
        ("video_netG", ("encoder", "decoder")),
    ],
)
def test_the_key_map_covers_the_published_files_exactly(
    table: str, networks: tuple[str, ...]
) -> None:
    known: dict[str, tuple[int, ...]] = {}
    for network in networks:
        known |= keys.stored(network, FULL)
    assert known == fixture.published(table)


def test_the_weights_are_the_reference_s() -> None:
    shapes = fixture.published("motion_netG")
    for name, first in io("formula_probe").items():
        public = name.replace("/", ".")
        made = torch.from_numpy(fixture.value_for(public, shapes[public]))
        assert off(made.flatten()[:16], first) == 0


def test_the_hinted_network_agrees_at_its_published_size(tmp_path: Path) -> None:
    given = io("motion_spade_native")
    network = loaded("hinted", weights_of(("hinted",), FULL), FULL, tmp_path)
    assert off(network(given["input"]).tanh(), given["out_tanh"]) < NET_CLOSE


def test_the_told_network_agrees(tmp_path: Path) -> None:
    given = io("motion_xattn_small")
    network = loaded("told", weights_of(("told",), TINY), TINY, tmp_path)
    assert off(network(given["input"], given["context"]).tanh(), given["out"]) < NET_CLOSE


@pytest.mark.slow
def test_the_told_network_agrees_at_its_published_size() -> None:
    given = io("motion_xattn_native")
    context = torch.from_numpy(fixture.noise("xm.ctx", (1, 77, 768))).float()
    # 1.3 GB: not by way of a file.
    network, weights = keys.meta("told", FULL), weights_of(("told",), FULL)
    names = [name for name, _ in network.named_parameters()]
    values = {name: weights[keys.public_name(name, "told")] for name in names}
    network.load_state_dict(values, assign=True)
    assert off(network(given["input"], context).tanh(), given["out"]) < NET_CLOSE


Video = tuple[Encoder, Decoder]


def video(weights: dict[str, Tensor], sizes: Sizes, folder: Path) -> Video:
    encoder, decoder = (loaded(n, weights, sizes, folder) for n in ("encoder", "decoder"))
    assert isinstance(encoder, Encoder)
    assert isinstance(decoder, Decoder)
    return encoder, decoder


@pytest.fixture(scope="module")
def tiny_video(tmp_path_factory: pytest.TempPathFactory) -> Video:
    stored = io("video_net_tiny")
    weights = {k.removeprefix("sd."): v for k, v in stored.items() if k.startswith("sd.")}
    return video(weights, TINY, tmp_path_factory.mktemp("tiny"))


def test_the_video_encoder_agrees(tiny_video: Video) -> None:
    given = io("video_net_tiny")
    seen = tiny_video[0](given["img"])
    assert off(seen.features, given["enc.features"]) < CLOSE
    assert off(seen.importance, given["enc.Z"]) < CLOSE


@pytest.mark.parametrize("frame", [0, 3, 7])
def test_moved_features_agree(tiny_video: Video, frame: int) -> None:
    given = io("video_net_tiny")
    moved = loop.Moved(tiny_video[0](given["img"]), given["motion"], 8).at(frame)
    assert off(moved, given[f"t{frame}.splatted"]) < CLOSE


@pytest.mark.parametrize("frame", [0, 3, 7])
def test_the_video_decoder_agrees(tiny_video: Video, frame: int) -> None:
    given = io("video_net_tiny")
    made = tiny_video[1](given[f"t{frame}.splatted"])
    assert off(made, given[f"t{frame}.decoder"]) < NET_CLOSE
    assert off(made.tanh(), given[f"t{frame}.out"]) < CLOSE


def test_every_block_of_the_video_decoder_agrees_with_its_mask(tiny_video: Video) -> None:
    given = io("video_net_tiny")
    x = given["t3.splatted"]
    there = (x != 0).float()
    for index in (0, 1):
        x, there = tiny_video[1].blocks[index](x, there)
        assert off(x, given[f"t3.block{index}"]) < CLOSE
        wanted = given[f"t3.block{index}_mask"]
        assert off(there.expand_as(wanted), wanted) == 0


def test_the_video_network_agrees_at_its_published_size(tmp_path: Path) -> None:
    given = io("video_net_native")
    weights = weights_of(("encoder", "decoder"), FULL)
    encoder, decoder = video(weights, FULL, tmp_path)
    moved = loop.Moved(encoder(given["img"]), given["motion"], 60)
    for frame in (0, 17, 59):
        assert off(decoder(moved.at(frame)).tanh(), given[f"t{frame}.out"]) < NET_CLOSE


@pytest.mark.parametrize("frame", range(8))
def test_a_picture_moved_as_features_agrees(frame: int) -> None:
    given = io("symmetric_loop")
    moved = loop.Moved(Seen(given["img"], given["Z"]), given["motion"], 8)
    made, weight = moved.sums(frame)
    assert off(made / weight.clamp(1e-8), given[f"frame{frame}"]) < CLOSE
    assert off(weight, given[f"norm{frame}"]) < CLOSE
