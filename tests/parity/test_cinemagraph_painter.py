# SPDX-License-Identifier: GPL-3.0-or-later
"""Drawing in tiles saves memory and changes no number; units are those of each publisher."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from backend.models.cinemagraph import painter
from backend.models.cinemagraph.painter import Painter, tiled
from backend.models.cinemagraph.pipeline import Networks
from backend.models.cinemagraph.steps import finish
from backend.models.cinemagraph.video import (
    DECODER_REACH,
    ENCODER_REACH,
    Decoder,
    Encoder,
)
from protocol.errors import EngineFailed
from tests.parity.cinemagraph import CPU, NARROW, off, weights_of, write

EQUAL = 2e-6
FILES = {
    "hinted": ("hinted",),
    "told": ("told",),
    "video": ("encoder", "decoder"),
    "text": ("text",),
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("narrow")
    return [
        write(folder / f"{name}.safetensors", weights_of(networks, NARROW), NARROW)
        for name, networks in FILES.items()
    ]


@pytest.fixture(scope="module")
def networks(files: list[Path]) -> Networks:
    return Networks(files, CPU)


@pytest.fixture(scope="module")
def video(networks: Networks) -> tuple[Encoder, Decoder]:
    return networks.video()


def test_tiles_of_the_encoder_are_the_whole(video: tuple[Encoder, Decoder]) -> None:
    picture = torch.rand(1, 3, 72, 100) * 2 - 1
    whole = finish(video[0].steps(picture))
    made = finish(tiled(video[0].steps, picture, 65, ENCODER_REACH, tile=32))
    assert off(made, whole) < EQUAL


def test_tiles_of_the_decoder_are_the_whole_holes_included(video: tuple[Encoder, Decoder]) -> None:
    torch.manual_seed(0)
    features = torch.randn(1, 64, 168, 152) * (torch.rand(1, 1, 168, 152) > 0.6)
    whole = video[1](features)
    made = finish(tiled(video[1].steps, features, 3, DECODER_REACH, tile=48))
    assert off(made, whole) < EQUAL


def test_less_around_a_tile_would_be_seen(video: tuple[Encoder, Decoder]) -> None:
    torch.manual_seed(0)
    features = torch.randn(1, 64, 96, 96)
    made = finish(tiled(video[1].steps, features, 3, 8, tile=48))
    assert off(made, video[1](features)) > 10 * EQUAL


def flow(height: int, width: int) -> Tensor:
    return torch.tensor((0.6, -0.3))[None, :, None, None].repeat(1, 1, height, width)


def test_a_painter_computes_nothing_before_it_is_asked_and_tells_how_far_it_is(
    video: tuple[Encoder, Decoder], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(painter, "TILE", 32)
    made = Painter(video, torch.rand(1, 3, 32, 60) * 2 - 1, flow(32, 60), 7.5)
    before = made.bytes_held
    shares = list(made.steps(2.25))
    # Twice two tiles of eight blocks, and the way back from the end.
    assert len([share for share in shares if share > 0]) == 2 * 8 * 2
    assert 0 < len([share for share in shares if share == 0]) <= 6
    assert max(shares) <= 1
    assert made.bytes_held > before
    assert len(list(made.steps(3.0))) < len(shares)  # the picture is encoded once


@pytest.mark.parametrize("period", [6.0, 7.5])
def test_a_painted_loop_closes(video: tuple[Encoder, Decoder], period: float) -> None:
    made = Painter(video, torch.rand(1, 3, 32, 40) * 2 - 1, flow(32, 40), period)
    first, last = finish(made.steps(0.0)), finish(made.steps(period))
    assert off(first, last) < 1e-5
    assert off(first, finish(made.steps(period / 2))) > 1e-3


def test_frames_between_two_steps_lie_between_them(video: tuple[Encoder, Decoder]) -> None:
    made = Painter(video, torch.rand(1, 3, 32, 40) * 2 - 1, flow(32, 40), 8)
    one, half, two = (finish(made.steps(t)) for t in (2.0, 2.001, 3.0))
    assert off(one, half) < 0.05 * off(one, two)


def given(side: int) -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    picture, mask = torch.rand(1, 3, side, side) * 2 - 1, torch.zeros(1, 1, side, side)
    mask[..., 40:200, 60:220] = 1
    return picture, mask


def test_a_hinted_flow_keeps_to_the_mask_and_speed_is_a_factor(networks: Networks) -> None:
    picture, mask = given(networks.side("hinted"))
    hint = torch.tensor((0.8, 0.6))[None, :, None, None] * mask
    slow, fast = networks.hinted(picture, mask, hint), networks.hinted(picture, mask, hint * 3)
    assert not slow[:, :, mask[0, 0] == 0].any()
    assert slow.abs().max() <= 1
    assert off(fast, 3 * slow) < 1e-4


def test_3d_cinemagraphy_s_network_answers_in_pixels(files: list[Path], tmp_path: Path) -> None:
    weights = weights_of(("hinted",), NARROW)
    renamed = {f"motion_predictor.{name}": value for name, value in weights.items()}
    theirs = Networks([write(tmp_path / "sceneflow.safetensors", renamed, NARROW)], CPU)
    picture, mask = given(256)
    hint = 0.02 * mask.repeat(1, 2, 1, 1)
    made = theirs.hinted(picture, mask, hint)
    plain = theirs._load("hinted")(torch.cat((picture, mask, hint), dim=1))
    assert off(made, plain * mask) == 0


def test_another_prompt_gives_another_flow(networks: Networks) -> None:
    picture, mask = given(networks.side("told"))
    river, fall = (
        finish(networks.told(picture, mask, p)) for p in ("a river", "a great waterfall")
    )
    assert not river[:, :, mask[0, 0] == 0].any()
    assert off(river, fall) > 1e-4


def test_a_network_without_a_file_is_asked_for(files: list[Path]) -> None:
    alone = Networks(files[:1], CPU)
    assert alone.holds("hinted")
    with pytest.raises(EngineFailed, match="no text tower"):
        finish(alone.told(*given(256), "a river"))
