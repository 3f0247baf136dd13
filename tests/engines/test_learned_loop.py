# SPDX-License-Identifier: GPL-3.0-or-later
"""What the artist may ask of a learned loop; the weights are narrow and random."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from backend import registry
from backend.engine import Context, Engine, Frame, Pixels, Progress
from backend.engines import learned_loop
from backend.imaging import seam
from protocol.errors import BadJob, BadParameter, SizeMismatch, WeightsMissing
from protocol.jobs import Point, Region, StillLoop, Stroke
from protocol.params import Value, complete
from tests.engines import narrow_cinemagraph as narrow
from tests.imaging.moving_stills import box, texture

STILL, MASK = "0" * 64, "1" * 64
SIDES = (96, 128)
STROKE = Stroke(line=(Point(40, 48), Point(90, 48)), speed=0.5)
FLOWS = Region(mask=MASK, strokes=(STROKE,))
NETWORK = {"drawn_by": "network", "detail": 128}
WAYS: list[dict[str, Value]] = [
    {},
    {"told_by": "strokes_3d"},
    {"told_by": "prompt", "prompt": "a river"},
    NETWORK,
    {"told_by": "prompt", "prompt": "a river", **NETWORK},
]
IDS = ["strokes", "strokes in 3d", "prompt", "strokes drawn", "prompt drawn"]


@pytest.fixture(scope="session")
def weights_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Narrow random weights of all networks, installed from the publishers' forms of files."""
    return narrow.installed(tmp_path_factory.mktemp("weights"))


@pytest.fixture
def engine(weights_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Engine[StillLoop]:
    monkeypatch.setenv("TWEENCEL_WEIGHTS", str(weights_folder))
    return learned_loop.load("cpu")


def mask(sides: tuple[int, int] = SIDES) -> Pixels:
    white = box(*sides, 20, 24, 76, 104)
    return np.dstack((white, white, white, np.ones_like(white)))


def frames(
    engine: Engine[StillLoop],
    region: Region = FLOWS,
    length: int = 6,
    wanted: frozenset[int] | None = None,
    still: Pixels | None = None,
    **params: Value,
) -> dict[int, Pixels]:
    still = texture(*SIDES) if still is None else still
    pictures = {STILL: still, MASK: mask(still.shape[:2])}
    values = complete(learned_loop.SPEC.params, params)
    context = Context(pictures.__getitem__, values, wanted=wanted)
    task = StillLoop(still=STILL, regions=(region,), length=length)
    steps = engine.run(task, context)
    assert isinstance(next(steps), Progress)
    return {step.index: step.pixels for step in steps if isinstance(step, Frame)}


@pytest.mark.parametrize("params", WAYS, ids=IDS)
def test_what_the_mask_leaves_black_is_the_still(
    engine: Engine[StillLoop], params: dict[str, Value]
) -> None:
    still, black = texture(*SIDES), mask()[..., 0] == 0
    made = frames(engine, **params)
    assert list(made) == list(range(6))
    for frame in made.values():
        np.testing.assert_array_equal(frame[black], still[black])
        assert frame.dtype == np.float32
        assert 0 <= frame.min() <= frame.max() <= 1
    assert np.abs(made[3] - still).max() > 0.02


@pytest.mark.parametrize("params", [{}, NETWORK], ids=["still", "network"])
def test_frames_say_how_much_of_them_moves(
    engine: Engine[StillLoop], params: dict[str, Value]
) -> None:
    pictures = {STILL: texture(*SIDES), MASK: mask()}
    context = Context(pictures.__getitem__, complete(learned_loop.SPEC.params, params))
    task = StillLoop(still=STILL, regions=(FLOWS,), length=2)
    for step in engine.run(task, context):
        if isinstance(step, Frame):
            assert step.cover is not None
            assert not step.cover[mask()[..., 0] == 0].any()
            assert step.cover.max() == 1


@pytest.mark.parametrize("params", WAYS, ids=IDS)
def test_the_seam_cannot_be_told(engine: Engine[StillLoop], params: dict[str, Value]) -> None:
    # The narrow network sees a quarter of the published pixels, and so moves half as far.
    magnitude = 4.0 if "prompt" in params else 1.0
    made = frames(engine, length=24, magnitude=magnitude, **params)
    found = seam.measure(texture(*SIDES), mask()[..., 0] > 0, made.values())
    assert found.static == 0
    # Where a random field hardly moves, and where splats are sharpest because nothing has moved
    # yet, the steps beside the seam are larger too: it must be like them.
    assert found.seam <= 1.02 * found.roughness
    if params.get("told_by") != "strokes_3d" and "drawn_by" not in params:
        assert found.seam <= 1.05
        assert found.detail >= 0.85


@pytest.mark.parametrize("params", [{}, NETWORK], ids=["still", "network"])
def test_only_the_wanted_frames_are_made_and_they_are_the_same(
    engine: Engine[StillLoop], params: dict[str, Value]
) -> None:
    whole, part = frames(engine, **params), frames(engine, wanted=frozenset({1, 4}), **params)
    assert list(part) == [1, 4]
    for number, frame in part.items():
        np.testing.assert_allclose(frame, whole[number], atol=1e-6)


@pytest.mark.parametrize("params", [{}, NETWORK], ids=["still", "network"])
@pytest.mark.parametrize("size", [(1, 1), (3, 40), (37, 53), (200, 90)], ids=str)
def test_any_size_comes_back_as_it_went_in(
    engine: Engine[StillLoop], size: tuple[int, int], params: dict[str, Value]
) -> None:
    white = np.ones((*size, 4), np.float32)
    values = complete(learned_loop.SPEC.params, params)
    context = Context({STILL: texture(*size), MASK: white}.__getitem__, values)
    task = StillLoop(still=STILL, regions=(Region(mask=MASK, motion="clouds"),), length=3)
    made = [s for s in engine.run(task, context) if isinstance(s, Frame)]
    assert [frame.pixels.shape for frame in made] == [(*size, 4)] * 3
    assert all(np.isfinite(frame.pixels).all() for frame in made)


@pytest.mark.parametrize("params", [{}, NETWORK], ids=["still", "network"])
def test_transparency_moves_and_stays_outside_the_mask(
    engine: Engine[StillLoop], params: dict[str, Value]
) -> None:
    still = texture(*SIDES)
    still[..., 3] = np.clip(np.linspace(-0.5, 1.5, SIDES[1]), 0, 1)
    black = mask()[..., 0] == 0
    for frame in frames(engine, still=still, **params).values():
        np.testing.assert_array_equal(frame[black], still[black])
        assert (frame[..., 3] < 1).any()
        assert 0 <= frame.min() <= frame.max() <= 1


def test_drawing_tells_how_far_it_is_between_frames(engine: Engine[StillLoop]) -> None:
    """Each of them is a point at which the job can be cancelled."""
    pictures = {STILL: texture(*SIDES), MASK: mask()}
    values = complete(learned_loop.SPEC.params, NETWORK)
    context = Context(pictures.__getitem__, values)
    task = StillLoop(still=STILL, regions=(FLOWS,), length=2)
    steps = list(engine.run(task, context))
    between = [step for step in steps if isinstance(step, Progress) and step.phase == "drawing"]
    assert len(between) == 8 + 2 * 8


def test_asking_by_a_prompt_can_be_left_between_its_layers(engine: Engine[StillLoop]) -> None:
    values = complete(learned_loop.SPEC.params, {"told_by": "prompt", "prompt": "a river"})
    context = Context({STILL: texture(*SIDES), MASK: mask()}.__getitem__, values)
    steps = engine.run(StillLoop(still=STILL, regions=(FLOWS,), length=2), context)
    phases = [step.phase for step in steps if isinstance(step, Progress)]
    assert phases.count("asking how it flows") == 1 + 1 + 6 + 7


def test_strokes_turn_the_flow(engine: Engine[StillLoop]) -> None:
    back = Stroke(line=(Point(90, 48), Point(40, 48)), speed=0.5)
    one, other = (frames(engine, Region(mask=MASK, strokes=(s,)))[2] for s in (STROKE, back))
    assert np.abs(one - other).max() > 0.02


def test_another_prompt_is_another_loop(engine: Engine[StillLoop]) -> None:
    one, other = (
        frames(engine, told_by="prompt", prompt=p, magnitude=8.0)[2]
        for p in ("a river", "a great waterfall")
    )
    assert np.abs(one - other).max() > 1e-4


@pytest.mark.parametrize(
    ("told_by", "answer", "speed", "wanted"),
    [
        # Text2Cinemagraph's answers are cut to whole directions, and have the stroke's speed.
        ("strokes", (0.5, 0.0), 2.0, (2, 0)),
        ("strokes", (-0.5, 0.0), 3.0, (-3, 0)),
        # 3D-Cinemagraphy's are pixels of its own picture, a square here of 256.
        ("strokes_3d", (4.0, 8.0), 0.1, (2, 3)),
    ],
)
def test_an_answer_moves_the_picture_as_far_as_it_says(
    told_by: str,
    answer: tuple[float, float],
    speed: float,
    wanted: tuple[int, int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(
        "TWEENCEL_WEIGHTS", str(narrow.installed(tmp_path / "w", narrow.answering(*answer)))
    )
    along = Stroke(line=STROKE.line, speed=speed)
    region = Region(mask=MASK, strokes=(along,))
    still = texture(*SIDES)
    made = frames(learned_loop.load("cpu"), region, length=60, told_by=told_by, cycles=1)[1]
    inner = (slice(34, 62), slice(40, 88))
    errors = {
        (x, y): np.abs(made[inner] - np.roll(still, (y, x), (0, 1))[inner]).mean()
        for x in range(-4, 5)
        for y in range(-4, 5)
    }
    assert min(errors, key=lambda shift: errors[shift]) == wanted


def test_no_magnitude_is_no_motion(engine: Engine[StillLoop]) -> None:
    for frame in frames(engine, magnitude=0.0).values():
        np.testing.assert_array_equal(frame, texture(*SIDES))


def test_a_mask_with_nothing_in_it_asks_no_network(engine: Engine[StillLoop]) -> None:
    pictures = {STILL: texture(*SIDES), MASK: np.zeros((*SIDES, 4), np.float32)}
    context = Context(pictures.__getitem__, complete(learned_loop.SPEC.params, {}))
    task = StillLoop(still=STILL, regions=(FLOWS,), length=2)
    for step in engine.run(task, context):
        if isinstance(step, Frame):
            np.testing.assert_array_equal(step.pixels, pictures[STILL])


def test_what_swings_is_left_to_flow_loop(engine: Engine[StillLoop]) -> None:
    with pytest.raises(BadJob, match="hair") as refusal:
        frames(engine, Region(mask=MASK, motion="hair"))
    assert "Flow Loop" in refusal.value.fix


def test_a_prompt_must_be_written_to_be_told(engine: Engine[StillLoop]) -> None:
    with pytest.raises(BadParameter, match="there is none"):
        frames(engine, told_by="prompt", prompt=" ")


def test_a_thin_mask_is_not_lost_in_the_network_s_picture(engine: Engine[StillLoop]) -> None:
    white = np.zeros((40, 3000, 4), np.float32)
    white[..., 3] = 1
    white[10:30, 1500:1504, :3] = 1
    still = texture(40, 3000)
    for told_by in ("strokes", "strokes_3d"):
        values = complete(learned_loop.SPEC.params, {"told_by": told_by, "snap": False})
        context = Context({STILL: still, MASK: white}.__getitem__, values)
        along = Stroke(line=(Point(1502, 11), Point(1502, 29)), speed=1.0)
        task = StillLoop(still=STILL, regions=(Region(mask=MASK, strokes=(along,)),), length=12)
        made = [s.pixels for s in engine.run(task, context) if isinstance(s, Frame)]
        # Its soft edge leaves little of it, but a mask that was lost would leave nothing.
        assert np.abs(made[3] - still).max() > 1e-3


def test_a_mask_of_another_size_is_refused(engine: Engine[StillLoop]) -> None:
    pictures = {STILL: texture(*SIDES), MASK: mask((48, 72))}
    context = Context(pictures.__getitem__, complete(learned_loop.SPEC.params, {}))
    task = StillLoop(still=STILL, regions=(Region(mask=MASK),), length=4)
    with pytest.raises(SizeMismatch, match="72 x 48"):
        list(engine.run(task, context))


@pytest.mark.parametrize(
    ("name", "params"),
    [
        (learned_loop.TEXT, {"told_by": "prompt", "prompt": "a river"}),
        (learned_loop.OTHER, {"told_by": "strokes_3d"}),
    ],
)
def test_weights_that_a_choice_needs_are_asked_for_by_name(
    name: str,
    params: dict[str, Value],
    weights_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shutil.copytree(weights_folder / learned_loop.NETWORKS, tmp_path / learned_loop.NETWORKS)
    monkeypatch.setenv("TWEENCEL_WEIGHTS", str(tmp_path))
    engine = learned_loop.load("cpu")
    assert frames(engine)
    with pytest.raises(WeightsMissing, match=name):
        frames(engine, **params)


def test_without_its_weights_the_engine_is_listed_with_the_reason(
    tmp_path: Path, weights_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TWEENCEL_WEIGHTS", str(tmp_path))
    assert learned_loop.NETWORKS in registry.find("learned_loop").spec.unavailable
    monkeypatch.setenv("TWEENCEL_WEIGHTS", str(weights_folder))
    assert registry.find("learned_loop").spec.unavailable == ""
