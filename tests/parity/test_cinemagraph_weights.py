# SPDX-License-Identifier: GPL-3.0-or-later
"""Checkpoints with every published name go in, in each form, and come out as the same networks."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from backend.models.cinemagraph import convert, keys
from backend.models.cinemagraph.checkpoint import Checkpoint
from backend.models.cinemagraph.sizes import FULL, Sizes, TextSize, dump, parse
from backend.models.cinemagraph.text import numbers
from protocol.errors import EngineFailed
from tests.parity import cinemagraph as fixture
from tests.parity.cinemagraph import (
    CPU,
    NARROW,
    TINY,
    io,
    loaded,
    noise,
    off,
    weights_of,
    write,
)

RECORDED = Path(__file__).parent / "cinemagraph_recorded" / "text.safetensors"
SMALL_TEXT = TextSize(width=16, heads=2, depth=3, vocabulary=64)
SMALL_TOKENS = [60, 1, 5, 63, *[62] * 73]
Weights = dict[str, Tensor]


def small_text() -> Weights:
    return weights_of(("text",), Sizes(text=SMALL_TEXT))


OURS = RECORDED.with_name("networks.safetensors")


def narrow_answers() -> Weights:
    """A few numbers of what each narrow network makes of noise."""
    nets = {name: keys.meta(name, NARROW) for name in ("hinted", "told", "encoder", "decoder")}
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        for name in nets:
            nets[name] = loaded(name, weights_of((name,), NARROW), NARROW, Path(folder))

        def given(name: str, *shape: int) -> Tensor:
            return torch.from_numpy(noise(name, shape)).float()

        features = given("features", 1, 64, 24, 32)
        features *= given("holes", 1, 1, 24, 32) > -0.5
        answers = {
            "hinted": nets["hinted"](given("hinted", 1, 6, 256, 256))[..., ::16, ::16],
            "told": nets["told"](given("told", 1, 4, 64, 128), given("text", 1, 77, 16))[..., ::8],
            "encoder": nets["encoder"](given("picture", 1, 3, 12, 16)).features[:, ::4],
            "decoder": nets["decoder"](features)[..., ::2, ::2],
        }
    return {name: answer.contiguous() for name, answer in answers.items()}


FILES = {
    "hinted": ("hinted",),
    "told": ("told",),
    "video": ("encoder", "decoder"),
    "text": ("text",),
}


@pytest.fixture(scope="module")
def weights() -> dict[str, Weights]:
    return {name: weights_of(networks, NARROW) for name, networks in FILES.items()}


def save(form: str, weights: Weights, folder: Path) -> Path:
    path = folder / "latest_net_G.pth"
    match form:
        case "bare":
            torch.save(weights, path)
        case "netG":
            named = {"motion_predictor." + name: value for name, value in weights.items()}
            torch.save({"netG": named, "iteration": 7}, path)
        case _:
            path = path.with_suffix(".safetensors")
            save_file(weights, path)
    return path


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("form", ["bare", "safetensors"])
def test_every_form_of_file_gives_the_stored_values(
    form: str, name: str, weights: dict[str, Weights], tmp_path: Path
) -> None:
    checkpoint = Checkpoint([save(form, weights[name], tmp_path)], NARROW)
    assert [n for n in keys.NETWORKS if checkpoint.holds(n)] == list(FILES[name])
    for network in FILES[name]:
        prefix = checkpoint.prefix(network)
        module = checkpoint.load(network, CPU, torch.float32)
        for ours, value in module.named_parameters():
            public = prefix + keys.public_name(ours, network)
            if not keys.is_spectral(ours, network):
                assert value.equal(weights[name][public]), ours


def test_3d_cinemagraphy_s_file_is_the_hinted_network_by_another_name(
    weights: dict[str, Weights], tmp_path: Path
) -> None:
    other = Checkpoint([save("netG", weights["hinted"], tmp_path)], NARROW)
    assert other.prefix("hinted") == "motion_predictor."
    plain = loaded("hinted", weights["hinted"], NARROW, tmp_path)
    again = other.load("hinted", CPU, torch.float32)
    assert all(v.equal(plain.state_dict()[k]) for k, v in again.state_dict().items())


def test_normed_weights_have_a_largest_singular_value_of_one(
    weights: dict[str, Weights], tmp_path: Path
) -> None:
    network = loaded("hinted", weights["hinted"], NARROW, tmp_path)
    for part in (network.get_submodule("downs.2"), network.get_submodule("ups.7")):
        weight = part.get_parameter("weight").flatten(1)
        assert float(torch.linalg.matrix_norm(weight, 2)) == pytest.approx(1, abs=0.05)


def test_one_checkpoint_of_several_files_holds_all_networks(
    weights: dict[str, Weights], tmp_path: Path
) -> None:
    paths = [write(tmp_path / f"{n}.safetensors", w, NARROW) for n, w in weights.items()]
    checkpoint = Checkpoint(paths)
    assert checkpoint.sizes == NARROW
    assert all(map(checkpoint.holds, keys.NETWORKS))


def test_whatever_is_missing_superfluous_or_misshapen_is_named(
    weights: dict[str, Weights], tmp_path: Path
) -> None:
    broken = dict(weights["video"])
    del broken["encoder.gblocks.2.ch_a.3.bn.stored_var"]
    del broken["projector.eblocks.4.conv_b.weight_u"]
    broken["projector.spare"] = torch.zeros(1)
    broken["encoder.gblocks.0.ch_a.2.bias"] = torch.zeros(5)
    with pytest.raises(EngineFailed) as failure:
        Checkpoint([save("bare", broken, tmp_path)], NARROW)
    text = failure.value.text
    assert "in 4 places" in text
    assert "encoder.gblocks.2.ch_a.3.bn.stored_var is missing" in text
    assert "projector.eblocks.4.conv_b.weight_u is missing" in text
    assert "projector.spare is unknown" in text
    assert "encoder.gblocks.0.ch_a.2.bias is 5 and should be 4" in text


def test_a_file_of_another_model_is_refused_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(EngineFailed, match="none of the networks"):
        Checkpoint([save("bare", {"some.weight": torch.zeros(1)}, tmp_path)])


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(EngineFailed, match=r"absent\.pth"):
        Checkpoint([tmp_path / "absent.pth"])


def test_a_file_that_holds_code_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "latest_net_G.pth"
    torch.save({"conv1.weight_orig": torch.zeros(1), "callback": Path("/")}, path)
    with pytest.raises(EngineFailed, match="holds code"):
        Checkpoint([path])


@pytest.mark.parametrize("name", ["net.pth", "net.safetensors"])
def test_a_cut_off_file_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(EngineFailed):
        Checkpoint([tmp_path / name])


def test_a_network_that_is_not_held_is_asked_for_by_its_name(
    weights: dict[str, Weights], tmp_path: Path
) -> None:
    checkpoint = Checkpoint([save("bare", weights["told"], tmp_path)], NARROW)
    with pytest.raises(EngineFailed, match="no text tower"):
        checkpoint.load("text", CPU, torch.float32)


def test_the_text_tower_is_found_in_a_file_of_more(
    weights: dict[str, Weights], tmp_path: Path
) -> None:
    inside = {f"cond_stage_model.transformer.{k}": v for k, v in weights["text"].items()}
    inside["model.diffusion_model.out.2.bias"] = torch.zeros(4)
    del inside["cond_stage_model.transformer.text_model.embeddings.position_ids"]
    found = Checkpoint([save("safetensors", inside, tmp_path)], NARROW)
    assert (
        found.load("text", CPU, torch.float32)
        .get_parameter("words.weight")
        .equal(weights["text"]["text_model.embeddings.token_embedding.weight"])
    )


def test_loaded_weights_outlive_their_file(weights: dict[str, Weights], tmp_path: Path) -> None:
    path = save("safetensors", weights["told"], tmp_path)
    module = Checkpoint([path], NARROW).load("told", CPU, torch.float32)
    path.write_bytes(bytes(path.stat().st_size))
    assert module.get_parameter("downs.0.weight").equal(weights["told"]["conv1.weight"])


def test_converted_files_load_as_the_same_networks(
    weights: dict[str, Weights], tmp_path: Path
) -> None:
    paths = [write(tmp_path / f"{n}.safetensors", w, NARROW) for n, w in weights.items()]
    source = Checkpoint(paths)
    files = list(convert.convert(source, tmp_path / "to"))
    assert [path.stem for path in files] == list(keys.NETWORKS)
    again = Checkpoint(files)
    assert again.sizes == NARROW
    for network in keys.NETWORKS:
        wanted, found = (c.load(network, CPU, torch.float32) for c in (source, again))
        assert all(v.equal(found.state_dict()[k]) for k, v in wanted.state_dict().items())


def test_what_float16_cannot_hold_is_not_converted(
    weights: dict[str, Weights], tmp_path: Path
) -> None:
    large = weights["told"] | {"conv1.weight": torch.full((16, 4, 3, 3), 1e6)}
    source = Checkpoint([save("bare", large, tmp_path)], NARROW)
    with pytest.raises(OverflowError, match=r"conv1\.weight"):
        list(convert.convert(source, tmp_path / "to", torch.float16))
    assert not list((tmp_path / "to").iterdir())


@pytest.mark.shared
@fixture.needs_shared[1]
def test_the_told_network_agrees_in_half_the_space(tmp_path: Path) -> None:
    """3e-3 is the recordings' tolerance for half precision."""
    path = write(tmp_path / "told.pth.safetensors", weights_of(("told",), TINY), TINY)
    [half] = convert.convert(Checkpoint([path]), tmp_path / "half", torch.float16)
    assert half.stat().st_size < 0.6 * path.stat().st_size
    given = io("motion_xattn_small")
    network = Checkpoint([half]).load("told", CPU, torch.float32)
    with torch.inference_mode():
        made = network(given["input"], given["context"]).tanh()
    assert off(made, given["out"]) < 3e-3


def test_the_text_tower_makes_what_another_implementation_made(tmp_path: Path) -> None:
    network = loaded("text", small_text(), Sizes(text=SMALL_TEXT), tmp_path)
    with torch.inference_mode():
        made = network(torch.tensor([SMALL_TOKENS]))
    assert off(made, load_file(RECORDED)["out"]) < 1e-5


def test_narrow_networks_make_what_they_made_when_they_agreed_with_the_reference() -> None:
    wanted = load_file(OURS)
    made = narrow_answers()
    assert made.keys() == wanted.keys()
    for name, answer in made.items():
        assert float(wanted[name].std()) > 0.02
        torch.testing.assert_close(answer, wanted[name], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("networks", "count"), [(("hinted",), 142), (("told",), 281), (("encoder", "decoder"), 452)]
)
def test_there_are_as_many_names_as_in_the_published_files(
    networks: tuple[str, ...], count: int
) -> None:
    for sizes in (FULL, NARROW):
        assert sum(len(keys.stored(network, sizes)) for network in networks) == count


def test_a_prompt_is_filled_up_with_its_end() -> None:
    made = numbers("a calm river", CPU)[0].tolist()
    assert len(made) == 77
    assert made[0] == 49406
    assert made[4:] == [49407] * 73


def test_sizes_are_kept_as_text() -> None:
    assert parse(dump(NARROW)) == NARROW


def test_the_map_is_one_to_one() -> None:
    for network in keys.NETWORKS:
        names = [name for name, _ in keys.meta(network, NARROW).named_parameters()]
        assert len({keys.public_name(name, network) for name in names}) == len(names)
