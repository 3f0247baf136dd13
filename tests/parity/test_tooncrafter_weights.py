# SPDX-License-Identifier: GPL-3.0-or-later
"""Checkpoints with every published name go in, in each form, and come out as the same networks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from backend.models.tooncrafter import checkpoint, convert, keys, lora
from backend.models.tooncrafter.checkpoint import Checkpoint
from backend.models.tooncrafter.layers import FullPrecision
from backend.models.tooncrafter.pipeline import load
from backend.models.tooncrafter.sizes import FULL, Sizes, dump, parse
from protocol.errors import EngineFailed
from tests.parity import tooncrafter as fixture
from tests.parity.tooncrafter import NARROW

CPU = torch.device("cpu")
Weights = dict[str, Tensor]


def made(sketch: bool = False, sizes: Sizes = NARROW) -> Weights:
    """Narrow weights under every name of the published files."""
    torch.manual_seed(0)
    shapes: dict[str, tuple[int, ...]] = {}
    for network in keys.NETWORKS:
        if (network == "sketch") != sketch:
            continue
        module = keys.meta(network, sizes)
        names = keys.public_names(network, module, keys.NETWORKS[network].prefixes[0])
        shapes |= {names[ours]: tuple(p.shape) for ours, p in module.named_parameters()}
    if not sketch:
        plain = [(k, v) for k, v in keys.unused(sizes) if k not in shapes]
        shapes |= {
            name: shape
            for name, shape in plain
            if name.startswith(("cond_stage_model.", "embedder.", "first_stage_model."))
            and "embedder.model.transformer" not in name
            and "cond_stage_model.model.visual" not in name
        }
        shapes |= {name: shape for name, shape in plain if shape in ((1000,), (1400,))}
    return {name: 0.1 * torch.randn(shape) for name, shape in shapes.items()}


@pytest.fixture(scope="module")
def weights() -> Weights:
    return made()


def save(form: str, weights: Weights, folder: Path) -> Path:
    path = folder / "model.ckpt"
    match form:
        case "state_dict":
            torch.save({"state_dict": weights, "global_step": 7}, path)
        case "deepspeed":
            torch.save({"module": {"_forward_module." + k: v for k, v in weights.items()}}, path)
        case "bare":
            torch.save(weights, path)
        case _:
            path = path.with_suffix(".safetensors")
            save_file(weights, path)
    return path


def values(network: nn.Module) -> Weights:
    return dict(network.named_parameters())


@pytest.mark.parametrize("form", ["state_dict", "deepspeed", "bare", "safetensors"])
def test_every_form_of_checkpoint_gives_the_same_networks(
    form: str, weights: Weights, tmp_path: Path
) -> None:
    opened = Checkpoint([save(form, weights, tmp_path)], NARROW)
    opened.check()
    for network in keys.NETWORKS:
        if network == "sketch":
            continue
        module = opened.load(network, CPU, torch.float32)
        names = opened.names(network, module)
        for ours, value in values(module).items():
            assert value.equal(weights[names[ours]]), ours


@pytest.mark.shared
@fixture.needs_shared[1]
def test_the_key_map_covers_the_published_files_exactly() -> None:
    for table, count in (("STATE_DICT_KEYS.tsv", 2668), ("SKETCH_ENCODER_KEYS.tsv", 340)):
        published = fixture.published(table)
        assert len(published) == count
        known = dict(keys.unused(FULL))
        for network in keys.NETWORKS:
            if keys.prefix_of(network, published) is not None:
                module = keys.meta(network, FULL)
                prefix = keys.prefix_of(network, published) or ""
                names = keys.public_names(network, module, prefix)
                known |= {names[o]: tuple(p.shape) for o, p in module.named_parameters()}
        assert {name: known.get(name) for name in published} == published


def test_the_narrow_weights_have_as_many_names_as_the_published_ones(weights: Weights) -> None:
    assert len(weights) == 2668
    assert len(made(sketch=True)) == 340


def test_whatever_is_missing_superfluous_or_misshapen_is_named(
    weights: Weights, tmp_path: Path
) -> None:
    broken = dict(weights)
    del broken["model.diffusion_model.input_blocks.1.1.proj_in.weight"]
    del broken["first_stage_model.decoder.up.2.block.1.mix_factor"]
    broken["model.diffusion_model.spare"] = torch.zeros(1)
    broken["image_proj_model.latents"] = torch.zeros(1, 16, 16)
    with pytest.raises(EngineFailed) as failure:
        load(save("bare", broken, tmp_path), sizes=NARROW)
    text = failure.value.text
    assert "in 4 places" in text
    assert "model.diffusion_model.input_blocks.1.1.proj_in.weight is missing" in text
    assert "first_stage_model.decoder.up.2.block.1.mix_factor is missing" in text
    assert "model.diffusion_model.spare is unknown" in text
    assert "image_proj_model.latents is 1 x 16 x 16 and should be 1 x 256 x 16" in text


def test_another_model_is_refused_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(EngineFailed, match="not ToonCrafter"):
        load(save("bare", {"some.weight": torch.zeros(1)}, tmp_path))


def test_a_file_that_holds_code_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.ckpt"
    torch.save({"state_dict": {"betas": torch.zeros(1)}, "callback": Path("/")}, path)
    with pytest.raises(EngineFailed, match="holds code"):
        load(path)


@pytest.mark.parametrize("name", ["model.ckpt", "model.safetensors"])
def test_a_cut_off_file_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(EngineFailed):
        load(tmp_path / name)


def test_a_repack_without_towers_is_completed_by_open_clip(
    weights: Weights, tmp_path: Path
) -> None:
    towers = ("cond_stage_model.model.", "embedder.model.")
    rest = {k: v.half() for k, v in weights.items() if not k.startswith(towers)}
    clip = {k.split(".model.", 1)[1]: v for k, v in weights.items() if k.startswith(towers)}
    save_file(rest, tmp_path / "repack.safetensors")
    save_file(clip, tmp_path / "open_clip.safetensors")
    alone = load(tmp_path / "repack.safetensors", sizes=NARROW)
    with pytest.raises(EngineFailed, match="no text tower"):
        alone.embed_text(torch.zeros(1, 77, dtype=torch.long))
    both = load([tmp_path / "repack.safetensors", tmp_path / "open_clip.safetensors"], sizes=NARROW)
    assert both.embed_text(torch.zeros(1, 77, dtype=torch.long)).shape == (1, 77, 16)


def test_half_precision_leaves_the_norms_alone(weights: Weights, tmp_path: Path) -> None:
    opened = Checkpoint([save("bare", weights, tmp_path)], NARROW)
    module = opened.load("unet", CPU, torch.bfloat16)
    norms = {name for name, part in module.named_modules() if isinstance(part, FullPrecision)}
    assert norms
    for name, value in values(module).items():
        full = name.rpartition(".")[0] in norms
        assert value.dtype == (torch.float32 if full else torch.bfloat16), name


def test_converted_weights_load_as_they_were_and_damage_is_seen(
    weights: Weights, tmp_path: Path
) -> None:
    save_file(made(sketch=True), tmp_path / "sketch_encoder.safetensors")
    source = Checkpoint(
        [save("state_dict", weights, tmp_path), tmp_path / "sketch_encoder.safetensors"], NARROW
    )
    folder = tmp_path / "converted"
    written = list(convert.convert(source, folder, torch.float32))
    assert [w.network for w in written] == list(keys.NETWORKS)
    assert all(w.size == w.path.stat().st_size for w in written)
    again = Checkpoint([folder])
    again.check()
    assert again.sizes == NARROW
    for network in keys.NETWORKS:
        wanted, found = (c.load(network, CPU, torch.float32) for c in (source, again))
        assert all(v.equal(values(found)[k]) for k, v in values(wanted).items())
    assert not any(bad for _, bad in convert.damaged(folder))
    content = bytearray(written[0].path.read_bytes())
    content[-1] ^= 1
    written[0].path.write_bytes(content)
    assert dict(convert.damaged(folder)) == {w.path.name: w is written[0] for w in written}


def test_what_float16_cannot_hold_is_not_converted(weights: Weights, tmp_path: Path) -> None:
    large = weights | {"image_proj_model.proj_in.bias": torch.full((16,), 1e6)}
    source = Checkpoint([save("bare", large, tmp_path)], NARROW)
    with pytest.raises(OverflowError, match=r"image_proj_model\.proj_in\.bias"):
        list(convert.convert(source, tmp_path / "converted"))
    assert not (tmp_path / "converted" / convert.MANIFEST).exists()


def test_sizes_are_kept_as_text() -> None:
    assert parse(dump(NARROW)) == NARROW
    assert checkpoint.FULL == FULL


PLACE = "input_blocks.1.1.transformer_blocks.0.attn1.to_q"


def save_lora(folder: Path, place: str, config: dict[str, object]) -> tuple[Tensor, Tensor]:
    down, up = torch.randn(2, 32), torch.randn(32, 2)
    prefix = f"base_model.model.{place}"
    folder.mkdir(exist_ok=True)
    save_file(
        {f"{prefix}.lora_A.weight": down, f"{prefix}.lora_B.weight": up},
        folder / "adapter_model.safetensors",
    )
    (folder / "adapter_config.json").write_text(json.dumps({"r": 2, **config}))
    return down, up


@pytest.mark.parametrize(("rs", "gain"), [(False, 8 / 2), (True, 8 / 2**0.5)])
def test_a_lora_is_added_where_it_belongs_and_nowhere_else(
    rs: bool, gain: float, tmp_path: Path
) -> None:
    unet, plain = fixture.filled("unet", NARROW), fixture.filled("unet", NARROW)
    down, up = save_lora(tmp_path, PLACE, {"lora_alpha": 8, "use_rslora": rs})
    assert lora.merge(unet, tmp_path, strength=0.5) == 1
    changed = [k for k, v in values(unet).items() if not v.equal(values(plain)[k])]
    assert changed == ["down.0.space.block.attention_self.query.weight"]
    difference = values(unet)[changed[0]] - values(plain)[changed[0]]
    torch.testing.assert_close(difference, 0.5 * gain * up @ down, atol=1e-5, rtol=1e-5)


def test_a_lora_for_another_network_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    unet, plain = fixture.filled("unet", NARROW), fixture.filled("unet", NARROW)
    save_lora(tmp_path, "down_blocks.0.attentions.0.to_q", {"lora_alpha": 8})
    with pytest.raises(EngineFailed, match=r"down_blocks\.0\.attentions\.0\.to_q"):
        lora.merge(unet, tmp_path)
    assert all(v.equal(values(plain)[k]) for k, v in values(unet).items())


def test_a_folder_that_is_no_lora_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EngineFailed, match="cannot be read"):
        lora.merge(fixture.filled("unet", NARROW), tmp_path)


def test_loaded_weights_outlive_their_file(weights: Weights, tmp_path: Path) -> None:
    path = save("safetensors", weights, tmp_path)
    module = Checkpoint([path], NARROW).load("resampler", CPU, torch.float32)
    path.write_bytes(bytes(path.stat().st_size))
    names = keys.public_names("resampler", module, "image_proj_model.")
    assert all(v.equal(weights[names[k]]) for k, v in values(module).items())


def test_the_map_is_one_to_one() -> None:
    stored: list[str] = []
    for network in keys.NETWORKS:
        module = keys.meta(network, NARROW)
        stored += keys.public_names(network, module, keys.NETWORKS[network].prefixes[0]).values()
    assert len(stored) == len(set(stored))
