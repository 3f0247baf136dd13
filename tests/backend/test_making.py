# SPDX-License-Identifier: GPL-3.0-or-later
"""Masks hold the drawing and even motion is even, whatever the engine does."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from backend import making
from backend.engine import Context, Engine, Frame, Pixels, Progress
from backend.engines import crossfade, rife
from protocol.jobs import Inbetween, Region, StillLoop
from tests.engines.shots import cel, noise

START, END = 34.0, 94.0
TIMES = (0.1, 0.25, 0.5, 0.75, 0.9)


class Bent:
    """Moves a drawing exactly, but in a time of its own: at t it has gone `bend(t)` of the way."""

    def __init__(self, bend: Callable[[float], float]) -> None:
        self.bend = bend
        self.asked: list[float] = []

    def run(self, task: Inbetween, context: Context) -> Iterator[Frame | Progress]:
        for slot in context.slots(task):
            self.asked.append(slot.t)
            yield Frame(slot.index, cel(START + (END - START) * self.bend(slot.t)))


def make(
    engine: Engine,
    task: Inbetween | StillLoop,
    keys: dict[str, Pixels],
    masks: dict[str, np.ndarray],
) -> dict[int, Pixels]:
    steps = making.make(task, Context(keys.__getitem__, {}), lambda: engine, masks.__getitem__)
    return {step.index: step.pixels for step in steps if isinstance(step, Frame)}


def shares(engine: Engine, even_motion: bool = True) -> list[float]:
    """How much of the way is done in each picture."""
    keys = {"a" * 64: cel(START), "b" * 64: cel(END)}
    task = Inbetween(keys=tuple(keys), gaps=(TIMES,), even_motion=even_motion)
    made = make(engine, task, keys, {})
    columns = np.arange(128)
    places = [(p[..., 3] * columns).sum() / p[..., 3].sum() for _, p in sorted(made.items())]
    return [(place - START) / (END - START) for place in places]


@pytest.mark.parametrize(
    "bend", [lambda t: t**3, lambda t: 1 - (1 - t) ** 2, lambda t: t * t * (3 - 2 * t)]
)
def test_a_bent_time_is_made_even_within_three_hundredths(bend: Callable[[float], float]) -> None:
    bent = shares(Bent(bend), even_motion=False)
    assert np.abs(np.subtract(bent, TIMES)).max() > 0.08
    np.testing.assert_allclose(shares(Bent(bend)), TIMES, atol=0.03)


def test_an_even_time_stays_even() -> None:
    engine = Bent(lambda t: t)
    np.testing.assert_allclose(shares(engine), TIMES, atol=0.015)
    np.testing.assert_allclose(engine.asked[-len(TIMES) :], TIMES, atol=0.02)


@pytest.mark.parametrize("name", ["rife", "crossfade"])
def test_engines_that_are_even_are_asked_for_nearly_the_same_times(name: str) -> None:
    keys = {"a" * 64: cel(50), "b" * 64: cel(70)}
    task = Inbetween(keys=tuple(keys), gaps=(TIMES,), even_motion=True)
    engine = {"rife": rife, "crossfade": crossfade}[name].load("cpu")
    steps = making.evenly(task, engine, Context(keys.__getitem__, {}))
    try:
        while True:
            assert next(steps).fraction <= 1
    except StopIteration as end:
        np.testing.assert_allclose(end.value.gaps[0], TIMES, atol=0.1)


def test_a_gap_s_times_do_not_depend_on_other_gaps() -> None:
    keys = {"a" * 64: cel(START), "b" * 64: cel(END), "c" * 64: cel(START)}
    two = Inbetween(keys=tuple(keys), gaps=((0.5,), (0.3, 0.5)), even_motion=True)
    engine = Bent(lambda t: t**2)
    both = make(engine, two, keys, {})
    alone = make(engine, two.alone(two.slots()[0]), keys, {})
    np.testing.assert_array_equal(both[0], alone[0])


def test_a_gap_in_which_nothing_moves_keeps_its_times() -> None:
    engine = Bent(lambda t: 0.0)
    keys = {"a" * 64: cel(START), "b" * 64: cel(START)}
    make(engine, Inbetween(keys=tuple(keys), gaps=(TIMES,), even_motion=True), keys, {})
    assert engine.asked[-len(TIMES) :] == list(TIMES)


def test_measuring_can_be_stopped_at_each_picture() -> None:
    engine = Bent(lambda t: t)
    keys = {"a" * 64: cel(START), "b" * 64: cel(END)}
    task = Inbetween(keys=tuple(keys), gaps=(TIMES,), even_motion=True)
    steps = making.make(task, Context(keys.__getitem__, {}), lambda: engine, {}.__getitem__)
    while not engine.asked:
        next(steps)
    assert len(engine.asked) == 1


@pytest.mark.parametrize("size", [(1, 1), (3, 40), (40, 3), (20, 600)], ids=str)
def test_pictures_of_any_size_can_be_measured(size: tuple[int, int]) -> None:
    keys = {"a" * 64: noise(size, 1), "b" * 64: noise(size, 2)}
    task = Inbetween(keys=tuple(keys), gaps=((0.3, 0.6),), even_motion=True)
    made = make(crossfade.load("cpu"), task, keys, {})
    assert [made[index].shape for index in (0, 1)] == [(*size, 4)] * 2


@pytest.mark.parametrize("name", ["rife", "crossfade"])
def test_under_a_mask_every_engine_holds_the_key_before_to_the_bit(name: str) -> None:
    engine = {"rife": rife, "crossfade": crossfade}[name].load("cpu")
    keys = {key * 64: cel(x) for key, x in zip("abc", (40, 60, 80), strict=True)}
    soft = np.linspace(-0.5, 1.5, 128, dtype=np.float32).clip(0, 1)[None].repeat(96, 0)
    task = Inbetween(keys=tuple(keys), gaps=((0.5,), (0.5,)), masks=("d" * 64,))
    made = make(engine, task, keys, {"d" * 64: soft})
    free = make(engine, Inbetween(keys=task.keys, gaps=task.gaps), keys, {})
    for index, key in enumerate("ab"):
        np.testing.assert_array_equal(made[index][soft == 0], keys[key * 64][soft == 0])
        np.testing.assert_array_equal(made[index][soft == 1], free[index][soft == 1])
        assert (made[index] != free[index]).any()


def test_an_engine_with_nothing_to_change_is_not_loaded() -> None:
    keys = {"a" * 64: cel(40), "b" * 64: cel(60)}
    task = Inbetween(keys=tuple(keys), gaps=((0.3, 0.6),), masks=("d" * 64,))
    black = np.zeros((96, 128), np.float32)

    def load() -> Engine:
        raise AssertionError("loaded")

    steps = making.make(task, Context(keys.__getitem__, {}), load, lambda _: black)
    made = [step for step in steps if isinstance(step, Frame)]
    assert [frame.index for frame in made] == [0, 1]
    assert all((frame.pixels == keys["a" * 64]).all() for frame in made)


def test_each_picture_has_its_own_mask_and_only_those_with_white_are_asked_for() -> None:
    engine = Bent(lambda t: t)
    keys = {"a" * 64: cel(START), "b" * 64: cel(END)}
    masks = {"c" * 64: np.zeros((96, 128), np.float32), "d" * 64: np.ones((96, 128), np.float32)}
    task = Inbetween(keys=tuple(keys), gaps=((0.3, 0.6),), masks=tuple(masks))
    made = make(engine, task, keys, masks)
    assert engine.asked == [0.6]
    np.testing.assert_array_equal(made[0], keys["a" * 64])
    np.testing.assert_array_equal(made[1], cel(START + (END - START) * 0.6))


class Knowing:
    """Paints one colour over the left half of its still, and may tell what it covers."""

    def __init__(self, tells: bool) -> None:
        self.tells = tells

    def run(self, task: StillLoop, context: Context) -> Iterator[Frame | Progress]:
        picture = context.pictures(task.still).copy()
        picture[:, :4] = picture[:, :4] * 0.5 + 0.5
        cover = np.zeros((6, 8), np.float32)
        cover[:, :4] = 0.5
        for slot in context.slots(task):
            yield Frame(slot.index, picture, cover=cover if self.tells else None)


@pytest.mark.parametrize(("tells", "alpha"), [(True, 0.5), (False, 1.0)])
def test_a_layer_is_what_moves_alone(tells: bool, alpha: float) -> None:
    still = np.full((6, 8, 4), 0.25, np.float32)
    still[..., 3] = 1
    mask = np.zeros((6, 8), np.float32)
    mask[:, :4] = 1
    task = StillLoop(still="a" * 64, regions=(Region(mask="b" * 64),), length=2, layer=True)
    made = make(Knowing(tells), task, {"a" * 64: still}, {"b" * 64: mask})
    for frame in made.values():
        assert not frame[:, 4:].any()
        np.testing.assert_allclose(frame[:, :4, 3], alpha, atol=1e-6)
        over = frame[..., :3] * frame[..., 3:] + still[..., :3] * (1 - frame[..., 3:])
        np.testing.assert_allclose(over[:, :4], 0.625, atol=1e-6)
