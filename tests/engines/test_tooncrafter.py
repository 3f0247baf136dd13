# SPDX-License-Identifier: GPL-3.0-or-later
"""ToonCrafter as an engine, with small random weights: any size, count and time, sketches, alpha.

What the pictures show is noise here; that they are what the networks made of the right input, in
the right place, is not.
"""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from backend import making, oneshot, registry, runs
from backend.config import Settings
from backend.engine import Context, Frame, Pixels, Progress
from backend.engines import tooncrafter
from backend.imaging.codecs import decode, encode
from backend.models.tooncrafter.checkpoint import Checkpoint
from backend.models.tooncrafter.tiers import Room
from backend.worker import Worker
from protocol.errors import BadParameter, EngineFailed, WeightsMissing
from protocol.jobs import Guide, Inbetween
from protocol.limits import Limits
from protocol.params import Value
from tests.engines.shots import cel, noise, solid
from tests.engines.small_tooncrafter import FAST, install
from tests.parity.test_tooncrafter_weights import PLACE, save_lora

DIGESTS = [f"{number:064x}" for number in range(20)]


@pytest.fixture(scope="session")
def shelf_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("weights")
    install(root)
    return root


@pytest.fixture
def installed(shelf_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TWEENCEL_WEIGHTS", str(shelf_folder))
    return shelf_folder


def opened(root: Path) -> Checkpoint:
    return Checkpoint([root / "tooncrafter", *root.glob("tooncrafter-sketch/*.ckpt")])


@pytest.fixture(scope="session")
def engine(shelf_folder: Path) -> tooncrafter.ToonCrafter:
    return tooncrafter.ToonCrafter(opened(shelf_folder), torch.device("cpu"))


def steps(
    engine: tooncrafter.ToonCrafter,
    keys: Sequence[Pixels],
    gaps: Sequence[Sequence[float]],
    *,
    guides: Sequence[tuple[int, float, Pixels, float]] = (),
    seed: int = 0,
    wanted: frozenset[int] | None = None,
    **params: Value,
) -> Iterator[Frame | Progress]:
    """What the engine yields; `guides` are gap, time, sketch and strength."""
    sketches = [
        Guide(gap=gap, t=t, sketch=DIGESTS[10 + number], strength=strength)
        for number, (gap, t, _, strength) in enumerate(guides)
    ]
    pictures = dict(zip(DIGESTS, keys, strict=False))
    pictures |= {DIGESTS[10 + number]: guide[2] for number, guide in enumerate(guides)}
    task = Inbetween(
        keys=tuple(DIGESTS[: len(keys)]), gaps=tuple(map(tuple, gaps)), guides=tuple(sketches)
    )
    settings: dict[str, Value] = {**FAST, **params}
    return engine.run(task, Context(pictures.__getitem__, settings, seed, wanted))


def made(*args, **kwargs) -> dict[int, Pixels]:
    return {s.index: s.pixels for s in steps(*args, **kwargs) if isinstance(s, Frame)}


def phases(*args, **kwargs) -> list[str]:
    return [s.phase for s in steps(*args, **kwargs) if isinstance(s, Progress)]


# Sizes, counts, times ---------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(1, 1), (37, 53), (90, 31), (64, 64), (200, 311)], ids=str)
def test_any_size_comes_back_as_it_went_in(
    engine: tooncrafter.ToonCrafter, size: tuple[int, int]
) -> None:
    (picture,) = made(engine, (noise(size, 1), noise(size, 2)), ((0.4,),)).values()
    assert picture.shape == (*size, 4)
    assert picture.dtype == np.float32
    assert picture.min() >= 0
    assert picture.max() <= 1
    assert (picture[..., 3] == 1).all()


@pytest.mark.parametrize("count", [1, 14, 15, 40])
def test_any_number_of_in_betweens_is_made_and_more_than_a_clip_holds_by_splitting(
    engine: tooncrafter.ToonCrafter, count: int
) -> None:
    times = [(number + 1) / (count + 1) for number in range(count)]
    keys = (noise((24, 24), 1), noise((24, 24), 2))
    found = list(steps(engine, keys, (times,)))
    pictures = [step.pixels for step in found if isinstance(step, Frame)]
    assert [step.index for step in found if isinstance(step, Frame)] == list(range(count))
    assert len({picture.tobytes() for picture in pictures}) == count
    clips = sum(isinstance(step, Progress) and step.phase.startswith("encoding") for step in found)
    assert clips == {1: 1, 14: 1, 15: 3, 40: 4}[count]


def test_at_its_own_pace_fourteen_in_betweens_are_the_frames_as_they_were_drawn(
    engine: tooncrafter.ToonCrafter,
) -> None:
    keys = (noise((24, 24), 1), noise((24, 24), 2))
    times = [number / 15 for number in range(1, 15)]
    whole = made(engine, keys, (times,), pace="own")
    moved = made(engine, keys, ([4.5 / 15],), pace="own")[0]
    nearest = made(engine, keys, ([4.4 / 15],), pace="own", between="nearest")[0]
    np.testing.assert_array_equal(nearest, whole[3])
    for frame in (whole[3], whole[4]):
        assert np.abs(moved - frame).max() > 1 / 255
    lowest, highest = np.minimum(whole[3], whole[4]), np.maximum(whole[3], whole[4])
    assert np.clip(moved, lowest, highest).mean() == pytest.approx(float(moved.mean()), abs=0.1)


def test_what_is_left_of_a_job_is_the_same_as_when_it_is_made_at_once(
    engine: tooncrafter.ToonCrafter,
) -> None:
    keys = (noise((24, 24), 1), noise((24, 24), 2))
    times = [number / 17 for number in range(1, 17)]
    whole = made(engine, keys, (times,))
    rest = made(engine, keys, (times,), wanted=frozenset({12}))
    assert list(rest) == [12]
    np.testing.assert_array_equal(rest[12], whole[12])


def test_a_gap_depends_on_its_own_keys_only(engine: tooncrafter.ToonCrafter) -> None:
    keys = [noise((24, 24), seed) for seed in (1, 2, 3)]
    after = made(engine, keys, ((0.5,), (0.5,)))[1]
    np.testing.assert_array_equal(after, made(engine, keys[1:], ((0.5,),))[0])


def test_a_held_key_is_returned_bit_by_bit_and_nothing_is_drawn(
    engine: tooncrafter.ToonCrafter,
) -> None:
    key = noise((20, 30), 5)
    task = Inbetween(keys=(DIGESTS[0], DIGESTS[0]), gaps=((0.25, 0.5),))
    found = list(engine.run(task, Context(lambda _: key, dict(FAST))))
    assert all(isinstance(step, Frame) and (step.pixels == key).all() for step in found)


# Settings ---------------------------------------------------------------------------------------


def test_a_seed_gives_the_same_bytes_and_another_one_others(
    engine: tooncrafter.ToonCrafter,
) -> None:
    keys = (noise((24, 24), 1), noise((24, 24), 2))
    first, again, other = (made(engine, keys, ((0.5,),), seed=seed)[0] for seed in (7, 7, 8))
    assert first.tobytes() == again.tobytes()
    assert first.tobytes() != other.tobytes()


@pytest.mark.parametrize(
    "change",
    [
        {"prompt": "rain"},
        {"steps": 2},
        {"fs": 25},
        {"guidance": 3.0},
        {"picture_guidance": 2.0},
        {"eta": 0.0, "steps": 2},
        {"size": 30},
        {"precision": "bfloat16"},
        {"detail": False},
    ],
    ids=str,
)
def test_each_setting_reaches_the_picture(
    engine: tooncrafter.ToonCrafter, change: dict[str, Value]
) -> None:
    keys = (noise((24, 24), 1), noise((24, 24), 2))
    before: dict[str, Value] = {"steps": change["steps"]} if "eta" in change else {}
    usual, changed = (made(engine, keys, ((0.5,),), **values)[0] for values in (before, change))
    assert (usual != changed).any()


def test_every_place_where_networks_may_wait_gives_the_same_picture(
    engine: tooncrafter.ToonCrafter,
) -> None:
    keys = (noise((24, 24), 1), noise((24, 24), 2))
    pictures = [
        made(engine, keys, ((0.5,),), memory=memory)[0] for memory in ("device", "host", "file")
    ]
    assert pictures[0].tobytes() == pictures[1].tobytes() == pictures[2].tobytes()


def test_with_too_little_memory_it_refuses_before_it_draws_and_says_what_to_do(
    shelf_folder: Path,
) -> None:
    narrow = tooncrafter.ToonCrafter(
        opened(shelf_folder),
        torch.device("cpu"),
        Room("cuda:0", 5_100_000_000, 8_000_000_000),
    )
    keys = (noise((24, 24), 1), noise((24, 24), 2))
    with pytest.raises(EngineFailed, match=r"needs \d+\.\d GB of memory on cuda:0") as caught:
        next(steps(narrow, keys, ((0.5,),), size=100))
    assert "5.1 GB are free" in caught.value.text
    assert caught.value.fix == ("Set Precision to Half, or make Working Size 90 % of what it is.")
    assert made(narrow, keys, ((0.5,),))[0].shape == (24, 24, 4)


@pytest.mark.parametrize("name", ["../../etc", "a/b", "..", "C:\\x"])
def test_a_lora_is_named_and_never_a_path(engine: tooncrafter.ToonCrafter, name: str) -> None:
    keys = (noise((24, 24), 1), noise((24, 24), 2))
    with pytest.raises(BadParameter, match="folder"):
        next(steps(engine, keys, ((0.5,),), lora=name))


def test_a_lora_that_is_not_there_is_named_in_the_refusal(
    engine: tooncrafter.ToonCrafter, installed: Path
) -> None:
    keys = (noise((24, 24), 1), noise((24, 24), 2))
    with pytest.raises(EngineFailed, match="LoRA in watercolour"):
        list(steps(engine, keys, ((0.5,),), lora="watercolour"))


def test_a_lora_changes_the_picture_by_its_strength_and_is_gone_afterwards(
    engine: tooncrafter.ToonCrafter, installed: Path
) -> None:
    (installed / "tooncrafter-loras").mkdir()
    torch.manual_seed(1)
    save_lora(installed / "tooncrafter-loras" / "ink", PLACE, {"lora_alpha": 8})
    keys = (noise((24, 24), 1), noise((24, 24), 2))
    before, full, weak, after = (
        made(engine, keys, ((0.5,),), **values)[0]
        for values in ({}, {"lora": "ink"}, {"lora": "ink", "lora_strength": 0.2}, {})
    )
    assert len({picture.tobytes() for picture in (before, full, weak)}) == 3
    np.testing.assert_array_equal(before, after)


# Alpha ------------------------------------------------------------------------------------------


def test_fully_transparent_keys_give_nothing_at_all(engine: tooncrafter.ToonCrafter) -> None:
    keys = (solid((30, 30), (1, 0, 1, 0)), solid((30, 30), (0, 1, 0, 0)))
    assert not made(engine, keys, ((0.5,),))[0].any()


def test_what_lies_under_transparent_paint_changes_nothing(
    engine: tooncrafter.ToonCrafter,
) -> None:
    magenta, black = (
        made(engine, [cel(x, (64, 64), hidden=hidden) for x in (20, 30)], ((0.5,),))[0]
        for hidden in ((1, 0, 1), (0, 0, 0))
    )
    np.testing.assert_array_equal(magenta, black)
    assert 0 < magenta[..., 3].mean() < 1


# Sketches ---------------------------------------------------------------------------------------


def drawing(paper: float, ink: float, alpha: bool = False) -> Pixels:
    """A cross on paper, or over transparency."""
    picture = solid((24, 24), (paper, paper, paper, 0 if alpha else 1))
    picture[11:14, 4:20] = picture[4:20, 11:14] = (ink, ink, ink, 1)
    return picture


def test_a_sketch_changes_the_clip_by_its_strength_and_by_what_it_sees(
    engine: tooncrafter.ToonCrafter,
) -> None:
    keys = (noise((24, 24), 1), noise((24, 24), 2))

    def guided(strength: float, **params: Value) -> Pixels:
        guides = [(0, 0.5, drawing(1, 0), strength)]
        return made(engine, keys, ((0.5,),), guides=guides, **params)[0]

    pictures = [
        made(engine, keys, ((0.5,),))[0],
        guided(1.0),
        guided(2.0),
        guided(1.0, sketch_context="whole"),
    ]
    assert len({picture.tobytes() for picture in pictures}) == 4
    np.testing.assert_array_equal(guided(0.0), pictures[0])


@pytest.mark.parametrize(
    "other", [drawing(0, 1), drawing(0.9, 0.3), drawing(1, 0, alpha=True)], ids=range(3)
)
def test_the_same_lines_guide_alike_on_whatever_paper(
    engine: tooncrafter.ToonCrafter, other: Pixels
) -> None:
    keys = (noise((24, 24), 1), noise((24, 24), 2))
    black_on_white, same = (
        made(engine, keys, ((0.5,),), guides=[(0, 0.5, sketch, 1.0)])[0]
        for sketch in (drawing(1, 0), other)
    )
    np.testing.assert_allclose(black_on_white, same, atol=2e-3)


def test_a_sketch_in_another_gap_leaves_this_one_alone(engine: tooncrafter.ToonCrafter) -> None:
    keys = [noise((24, 24), seed) for seed in (1, 2, 3)]
    guides = [(1, 0.3, drawing(1, 0), 1.0)]
    plain, guided = (
        made(engine, keys, ((0.5,), (0.5,)), guides=guide, pace="own") for guide in ((), guides)
    )
    np.testing.assert_array_equal(plain[0], guided[0])
    assert (plain[1] != guided[1]).any()


def test_a_sketch_without_the_sketch_encoder_is_refused_early(tmp_path: Path) -> None:
    install(tmp_path, sketch=False)
    bare = tooncrafter.ToonCrafter(opened(tmp_path), torch.device("cpu"))
    keys = (noise((24, 24), 1), noise((24, 24), 2))
    with pytest.raises(EngineFailed, match="sketch encoder") as caught:
        next(steps(bare, keys, ((0.5,),), guides=[(0, 0.5, drawing(1, 0), 1.0)]))
    assert "draw no sketches" in caught.value.fix


# As a part of the backend -----------------------------------------------------------------------


def test_left_half_way_it_works_again_and_the_same(engine: tooncrafter.ToonCrafter) -> None:
    keys = (noise((24, 24), 1), noise((24, 24), 2))
    running = steps(engine, keys, ((0.5,),), steps=5)
    while not (isinstance(step := next(running), Progress) and step.fraction == 0.4):
        pass
    assert step.phase == "drawing (gap 1)"
    running.close()  # type: ignore[attr-defined]
    first, again = (made(engine, keys, ((0.5,),))[0] for _ in range(2))
    np.testing.assert_array_equal(first, again)


def test_it_shares_the_way_out_itself_when_asked_for_even_motion(
    engine: tooncrafter.ToonCrafter,
) -> None:
    keys = dict(zip(DIGESTS, (noise((24, 24), 1), noise((24, 24), 2)), strict=False))
    task = Inbetween(keys=tuple(DIGESTS[:2]), gaps=((0.5,),), even_motion=True)
    context = Context(keys.__getitem__, {**FAST, "pace": "own"})
    found = list(making.make(task, context, lambda: engine, lambda _: np.ones((24, 24))))
    drawn = [s for s in found if isinstance(s, Progress) and s.phase.startswith("decoding")]
    assert sum(step.fraction == 0 for step in drawn) == 1


def test_a_worker_draws_along_a_sketch_and_stops_between_two_steps(
    installed: Path, tmp_path: Path
) -> None:
    ours, theirs = multiprocessing.Pipe()
    worker = threading.Thread(target=_serve, args=(theirs,), daemon=True)
    worker.start()
    inputs = {}
    pictures = (noise((24, 24), 1), noise((24, 24), 2), drawing(1, 0))
    for digest, picture in zip(DIGESTS, pictures, strict=False):
        path = tmp_path / f"{digest}.png"
        path.write_bytes(encode(picture, 8, "RGB"))
        inputs[digest] = str(path)
    guide = Guide(gap=0, t=0.4, sketch=DIGESTS[2])
    run = runs.Run(
        run=1,
        engine="tooncrafter",
        params={**FAST, "steps": 60, "guidance": 7.5},
        seed=0,
        task=Inbetween(keys=tuple(DIGESTS[:2]), gaps=((0.5,),), guides=(guide,)),
        wanted=(0,),
        inputs=inputs,
        output=runs.Output(8, "RGB"),
    )
    ours.send_bytes(runs.encode(run))
    told: list[runs.Report] = []
    while not told or not isinstance(told[-1], runs.Ended):
        told.append(runs.decode_report(ours.recv_bytes()))
        step = told[-1]
        if isinstance(step, runs.Step) and step.phase.startswith("drawing") and step.fraction > 0:
            ours.send_bytes(runs.encode(runs.Stop(1)))
    assert isinstance(told[-1], runs.Ended)
    assert told[-1].stopped
    shares = [s.fraction for s in told if isinstance(s, runs.Step) and "drawing" in s.phase]
    assert max(shares) < 0.5
    ours.close()
    worker.join(10)


def _serve(pipe) -> None:
    try:
        Worker(pipe, "cpu", Limits()).serve()
    except EOFError:
        pipe.close()


def test_a_shot_goes_from_files_to_files_through_a_worker_and_its_keys_stay_as_they_are(
    installed: Path, tmp_path: Path
) -> None:
    keys = tuple(tmp_path / f"{number}.png" for number in range(3))
    for number, path in enumerate(keys):
        path.write_bytes(encode(cel(20 + 5 * number, (51, 50)), 16, "RGBA"))
    gaps = oneshot.gaps_for(3, [2, 1], oneshot.Spacing.EVEN)
    plan = oneshot.Plan(keys, gaps, "tooncrafter", dict(FAST), 3, tmp_path / "out")
    files = oneshot.run(plan, Settings(device="cpu", threads=1), lambda event: None)
    assert len(files) == 6
    for number, place in enumerate((0, 3, 5)):
        assert files[place].read_bytes() == keys[number].read_bytes()
    for place in (1, 2, 4):
        picture = decode(files[place].read_bytes())
        assert (picture.depth, picture.channels) == (16, "RGBA")
        assert picture.pixels.shape == (51, 50, 4)


def test_without_weights_it_is_listed_as_lacking_them_and_a_job_is_refused_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TWEENCEL_WEIGHTS", str(tmp_path))
    assert "tweencel weights get tooncrafter" in registry.find("tooncrafter").spec.unavailable
    key = tmp_path / "key.png"
    key.write_bytes(encode(noise((8, 8)), 8, "RGB"))
    plan = oneshot.Plan((key, key), ((0.5,),), "tooncrafter", {}, 0, tmp_path / "out")
    with pytest.raises(WeightsMissing, match="ToonCrafter cannot run") as caught:
        oneshot.run(plan, Settings(device="cpu", threads=1), lambda event: None)
    assert "tweencel weights get" in caught.value.fix
    with pytest.raises(WeightsMissing):
        tooncrafter.load("cpu")


def test_once_weights_are_installed_their_digests_are_in_its_record(installed: Path) -> None:
    spec = registry.find("tooncrafter").spec
    assert not spec.unavailable
    found = {weights.name: weights for weights in spec.weights}
    assert len(found["tooncrafter"].sha256) == 64
    assert not found["tooncrafter-sketch"].missing
