# SPDX-License-Identifier: GPL-3.0-or-later
"""The schedule and whole runs agree with the reference; every number of steps gives numbers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch
from torch import Tensor

from backend.models.tooncrafter import keys, schedule
from backend.models.tooncrafter.decoder import finish
from backend.models.tooncrafter.pipeline import Keys, Setting, Told, ToonCrafter, load
from backend.models.tooncrafter.sampler import Branch, Guidance, Predict, SeededNoise, Step, sample
from backend.models.tooncrafter.unet import UNet
from tests.parity import tooncrafter as fixture
from tests.parity.tooncrafter import CLOSE, TINY, difference, filled, io

#: Of a whole run: guidance multiplies the rounding of each prediction by up to 7.5, and the next
#: step starts from there. With softmax written out as in the reference it is no less (8.6e-6).
GUIDED = 2e-5


@pytest.fixture(autouse=True)
def _without_gradients() -> Iterator[None]:
    with torch.inference_mode():
        yield


class Recorded:
    """The reference's own random numbers."""

    def __init__(self, encoding: Tensor, start: Tensor, steps: Tensor) -> None:
        self._encoding, self._latents = encoding, iter([start, *steps.split(1)])

    def encoding(self, frames: int, height: int, width: int) -> Tensor:
        assert self._encoding.shape == (frames, 4, height, width)
        return self._encoding

    def latents(self, frames: int, height: int, width: int) -> Tensor:
        return next(self._latents)


@cache
def tiny(folder: Path, dtype: torch.dtype = torch.float32) -> ToonCrafter:
    """The reference's tiny pipeline, saved as a checkpoint and loaded."""
    values: dict[str, Tensor] = {}
    for network in keys.NETWORKS:
        if network == "sketch":
            continue
        module, prefix = filled(network, TINY), keys.NETWORKS[network].prefixes[0]
        plain = keys.public_names(network, module, {"encoder": "encoder."}.get(network, ""))
        plain = {ours: name.removeprefix("encoder.") for ours, name in plain.items()}
        names = keys.public_names(network, module, prefix)
        recipe = {"image": "visual.", "encoder": "encoder.", "decoder": "decoder."}
        for ours, value in module.state_dict().items():
            shape = tuple(value.shape)
            name = recipe.get(network, "") + plain[ours]
            if network in ("text", "image"):
                name = "model." + name
            if plain[ours].startswith("quant_conv"):
                name = plain[ours]
            values[names[ours]] = fixture.value_for(name, shape)
    path = folder / "tiny.ckpt"
    torch.save({"state_dict": values}, path)
    return load(path, "cpu", dtype, sizes=TINY)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tooncrafter")


@pytest.fixture(scope="module")
def given() -> dict[str, Tensor]:
    return io("pipeline_tiny.io")


RUNS = {
    "eta1": Setting(steps=5, eta=1.0),
    "eta0": Setting(steps=5, eta=0.0),
    "nocfg": Setting(steps=5, eta=1.0, guidance=Guidance(scale=1.0)),
    "multicond": Setting(steps=5, eta=1.0, guidance=Guidance(picture=2.0)),
}


def told(model: ToonCrafter, given: dict[str, Tensor], run: str) -> tuple[Told, Recorded]:
    noise = Recorded(given["encoder_noise"], given["x_T"], given[f"{run}.step_noise"])
    prompt, nothing = model.embed_text(
        torch.stack((given["tokens_prompt"], given["tokens_empty"]))
    ).split(1)
    picture, grey = model.embed_pictures([given["frame_first"][0], None]).split(1)
    pair = torch.cat((given["frame_first"], given["frame_last"]))
    # Smaller than any real picture may be, so past the check of its sides.
    encoded = model._encode(pair, noise, 16)  # pyright: ignore[reportPrivateUsage]
    return Told(prompt, nothing, picture, grey, encoded), noise


def worked(model: ToonCrafter, given: dict[str, Tensor], run: str) -> tuple[Keys, list[Step]]:
    knows, noise = told(model, given, run)
    setting = replace(RUNS[run], motion=int(given["fs"]))
    return knows.keys, list(model.sample(knows, setting, noise))


@fixture.needs_shared[0]
@fixture.needs_shared[1]
class TestAgainstTheReference:
    """The recordings of whole runs."""

    @pytest.mark.parametrize("steps", [4, 5, 10, 25, 30, 50])
    def test_the_schedule_agrees(self, steps: int) -> None:
        wanted, made = io("schedule"), schedule.schedule(steps, 1.0)
        assert made.timesteps.equal(wanted[f"S{steps}.timesteps"])
        pairs = {
            "alphas": made.alphas,
            "alphas_prev": made.before,
            "sigmas_eta1": made.sigmas,
            "scale": made.scale,
            "scale_prev": made.scale_before,
        }
        for name, table in pairs.items():
            assert difference(table, wanted[f"S{steps}.{name}"]) < 1e-6, name

    def test_the_noise_agrees_and_the_last_step_is_pure_noise(self) -> None:
        wanted = io("schedule")
        assert difference(schedule.betas(), wanted["betas"]) < 1e-6
        assert difference(schedule.alphas_cumprod(), wanted["alphas_cumprod"]) < 1e-6
        assert schedule.alphas_cumprod()[-1] == 0
        assert difference(schedule.scales(), wanted["scale_arr"][:1000]) < 1e-6

    def test_the_conditions_agree(self, folder: Path, given: dict[str, Tensor]) -> None:
        knows, _ = told(tiny(folder), given, "eta1")
        ends = given["z"][:, :, [0, -1]].transpose(1, 2)[0]
        pairs = {
            "text_emb": knows.prompt,
            "text_emb_empty": knows.no_prompt,
            "image_emb": knows.picture,
            "image_emb_zero": knows.no_picture,
        }
        off = {name: difference(made, given[name]) for name, made in pairs.items()}
        off["z"] = difference(knows.keys.latents, ends)
        assert max(off.values()) < CLOSE, off

    @pytest.mark.parametrize("run", RUNS)
    def test_the_first_predictions_agree(
        self, run: str, folder: Path, given: dict[str, Tensor]
    ) -> None:
        model = tiny(folder)
        knows, _ = told(model, given, run)
        branches = [Branch.ALL, Branch.NOTHING, Branch.PICTURE][: len(given[f"{run}.v_step0"])]
        with predictor(model, knows, given, run) as predict:
            made = torch.cat([predict(given["x_T"], 999, branch) for branch in branches])
        assert difference(made, given[f"{run}.v_step0"]) < CLOSE

    @pytest.mark.parametrize("run", RUNS)
    def test_every_step_agrees_from_where_the_reference_stood(
        self, run: str, folder: Path, given: dict[str, Tensor]
    ) -> None:
        model = tiny(folder)
        knows, _ = told(model, given, run)
        whole, setting = schedule.schedule(5, RUNS[run].eta), RUNS[run]
        stood = torch.cat((given["x_T"], given[f"{run}.x_prev"]))
        off: list[float] = []
        with predictor(model, knows, given, run) as predict:
            for number in range(5):
                index = 4 - number
                alone = schedule.Schedule(*(t[index : index + 1] for t in vars(whole).values()))
                fresh = given[f"{run}.step_noise"][number][None]
                noise = Recorded(given["encoder_noise"], fresh, fresh[:0])
                made = sample(predict, stood[number][None], alone, setting.guidance, noise)
                step = next(made)
                off.append(difference(step.latents[0], stood[number + 1]))
                off.append(difference(step.expected[0], given[f"{run}.pred_x0"][number]))
        assert max(off) < CLOSE, off

    @pytest.mark.parametrize("run", RUNS)
    def test_a_whole_run_agrees(self, run: str, folder: Path, given: dict[str, Tensor]) -> None:
        model = tiny(folder)
        encoded, steps = worked(model, given, run)
        assert [step.timestep for step in steps] == given[f"{run}.t"].tolist()
        off = [difference(s.latents[0], given[f"{run}.x_prev"][i]) for i, s in enumerate(steps)]
        off += [difference(s.expected[0], given[f"{run}.pred_x0"][i]) for i, s in enumerate(steps)]
        assert max(off) < (CLOSE if run == "nocfg" else GUIDED), off
        video = finish(model.decode(steps[-1].latents, encoded.references))
        means = video.mean(dim=(1, 2, 3))
        assert difference(means, given[f"{run}.video_mean_per_frame"]) < GUIDED
        spread = video.std(dim=(1, 2, 3))
        assert difference(spread, given[f"{run}.video_std_per_frame"]) < GUIDED

    def test_the_frames_agree_and_the_middle_is_decoded_twice(
        self, folder: Path, given: dict[str, Tensor]
    ) -> None:
        model = tiny(folder)
        knows, _ = told(model, given, "eta1")
        latents = given["eta1.x_prev"][-1][None]
        video = finish(model.decode(latents, knows.keys.references)).transpose(0, 1)
        wanted = given["eta1.video_frames_0_1_6_7_8_14_15"]
        assert difference(video[:, [0, 1, 6, 7, 8, 14, 15]], wanted) < CLOSE
        once = given["eta1.decode16_frames_7_8"]
        assert difference(video[:, 7:9], once) > 1e-3

    # Measured: bfloat16 0.0213, float16 0.0037 of the largest value.
    @pytest.mark.parametrize(
        ("dtype", "most"), [(torch.bfloat16, 0.05), (torch.float16, 0.01)], ids=["bf16", "fp16"]
    )
    def test_half_precision_costs_what_was_measured(
        self,
        dtype: torch.dtype,
        most: float,
        folder: Path,
        given: dict[str, Tensor],
    ) -> None:
        knows, _ = told(tiny(folder), given, "eta1")
        with predictor(tiny(folder, dtype), knows, given, "eta1") as predict:
            made = predict(given["x_T"], 999, Branch.ALL)
        assert made.dtype == torch.float32
        off = difference(made, given["eta1.v_step0"][:1])
        assert CLOSE < off < most


@contextmanager
def predictor(
    model: ToonCrafter, knows: Told, given: dict[str, Tensor], run: str
) -> Iterator[Predict]:
    setting = replace(RUNS[run], motion=int(given["fs"]))
    with model._network("unet") as unet:  # pyright: ignore[reportPrivateUsage]
        assert isinstance(unet, UNet)
        yield model._predictor(unet, knows, setting)  # pyright: ignore[reportPrivateUsage]


def straight(latents: Tensor, timestep: int, branch: Branch) -> Tensor:
    """A network that answers differently when told less."""
    return latents * (0.5 if branch is Branch.ALL else 0.4) + 0.01 * timestep / 1000


@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_every_number_of_steps_gives_numbers(eta: float) -> None:
    for steps in range(1, 61):
        noise = SeededNoise(steps)
        start = noise.latents(4, 2, 2)
        run = schedule.schedule(steps, eta)
        made = finish(sample(straight, start, run, Guidance(), noise))
        assert made.isfinite().all(), steps


def test_without_the_clamp_25_steps_would_give_none() -> None:
    run = schedule.schedule(25, 1.0)
    assert (1 - run.before - run.sigmas**2).min() < 0


def test_a_run_visits_as_many_timesteps_as_asked_and_none_twice() -> None:
    for steps in (*range(1, 130), 1000):
        visited = schedule.trailing(steps).tolist()
        assert len(set(visited)) == steps
        assert visited[0] >= 0
        assert visited[-1] == 999
    with pytest.raises(ValueError, match="steps"):
        schedule.trailing(0)


def test_the_same_seed_gives_the_same_noise_and_another_seed_another() -> None:
    first, again, other = SeededNoise(1), SeededNoise(1), SeededNoise(2)
    a, b, c = (noise.latents(3, 2, 2) for noise in (first, again, other))
    assert a.equal(b)
    assert not a.equal(c)
    assert not first.latents(3, 2, 2).equal(a)
