# SPDX-License-Identifier: GPL-3.0-or-later
"""A run whose last frame meets the first: nothing is doubled, jumps or drifts, and what is held
stands still."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from backend import making
from backend.engine import Context, Engine, Frame, Pixels
from backend.engines import crossfade, rife
from backend.imaging import seam
from protocol.errors import BadJob, TooFewKeys
from protocol.jobs import LoopGap
from protocol.limits import Limits
from protocol.params import complete

SIDES = (64, 96)
COUNT, BETWEEN = 9, 3
MASK = "f" * 64
ENGINES = {"crossfade": crossfade, "rife": rife}


def frame(number: int, light: float = 1.0) -> Pixels:
    """A disc on its way round, of which the run shows three quarters."""
    rows, columns = np.indices(SIDES, np.float32)
    angle = 2 * np.pi * number / (COUNT + BETWEEN)
    away = np.hypot(rows - 32 - 14 * np.sin(angle), columns - 48 - 14 * np.cos(angle))
    picture = np.ones((*SIDES, 4), np.float32)
    picture[..., :3] = 0.3 + 0.2 * (columns / 96)[..., None]
    picture[..., :3] += 0.35 * np.clip(10 - away, 0, 1)[..., None]
    picture[..., :3] *= np.float32((light, 1, 1 / light))
    return picture


def run(drift: float = 0.0) -> dict[str, Pixels]:
    return {f"{n:064x}": frame(n, 1 + drift * n / (COUNT - 1)) for n in range(COUNT)}


def made(
    frames: dict[str, Pixels],
    engine: str = "crossfade",
    wanted: frozenset[int] | None = None,
    **more: bool | tuple[str, ...],
) -> dict[int, Pixels]:
    task = LoopGap(frames=tuple(frames), between=BETWEEN, **more)
    params = complete(ENGINES[engine].SPEC.params, {})
    context = Context(frames.__getitem__, params, wanted=wanted)
    steps = making.make(task, context, lambda: loaded(engine), lambda digest: mask())
    return {step.index: step.pixels for step in steps if isinstance(step, Frame)}


def loaded(name: str) -> Engine:
    return ENGINES[name].load("cpu")


def mask() -> np.ndarray:
    sheet = np.zeros(SIDES, np.float32)
    sheet[4:60, 20:76] = 1
    return sheet


@pytest.mark.parametrize("engine", ENGINES)
def test_the_gap_is_closed_and_no_frame_is_there_twice(engine: str) -> None:
    loop = made(run(), engine)
    assert list(loop) == list(range(COUNT + BETWEEN))
    for one, other in pairwise([*loop.values(), loop[0]]):
        assert np.abs(one - other).max() > 0.02
    everywhere = np.ones(SIDES, bool)
    seam_of = seam.measure(loop[0], everywhere, loop.values()).seam
    unclosed = seam.measure(loop[0], everywhere, list(run().values())).seam
    assert seam_of < 0.6 * unclosed
    if engine == "rife":
        assert seam_of < 1.2


def test_a_run_that_does_not_drift_keeps_its_pixels() -> None:
    loop = made(run())
    for number, pixels in enumerate(run().values()):
        np.testing.assert_array_equal(loop[number], pixels)


def test_a_drift_of_colour_is_taken_out_of_the_run_and_of_the_gap() -> None:
    loop, drifting = made(run(drift=0.08)), made(run(drift=0.08), even_light=False)
    corner = (slice(0, 8), slice(0, 8), slice(0, 3))
    for number, pixels in loop.items():
        assert np.abs(pixels[corner] - frame(0)[corner]).max() < 1 / 255
        if number < COUNT:
            assert np.abs(pixels - frame(number)).max() < 2 / 255
    assert np.abs(drifting[COUNT - 1][corner] - frame(0)[corner]).max() > 5 / 255


def test_what_moves_is_not_taken_for_drifting_light() -> None:
    """A light thing that grows steadily over a third of the picture."""
    growing = run()
    for number, pixels in enumerate(growing.values()):
        pixels[:, : 4 * number, :3] = 0.95
    loop = made(growing)
    for number, pixels in enumerate(growing.values()):
        np.testing.assert_array_equal(loop[number], pixels)


@pytest.mark.parametrize("drift", [0.0, 0.08])
def test_outside_the_mask_all_frames_are_the_first_to_the_bit(drift: float) -> None:
    loop = made(run(drift), masks=(MASK,))
    outside = mask() == 0
    for pixels in loop.values():
        np.testing.assert_array_equal(pixels[outside], frame(0)[outside])


def test_only_the_wanted_frames_are_made_and_they_are_the_same() -> None:
    whole, part = made(run(0.08)), made(run(0.08), wanted=frozenset({2, 10}))
    assert list(part) == [2, 10]
    for number, pixels in part.items():
        np.testing.assert_array_equal(pixels, whole[number])


def test_a_layer_is_clear_outside_the_mask() -> None:
    for pixels in made(run(), masks=(MASK,), layer=True).values():
        assert not pixels[mask() == 0].any()
        assert pixels[mask() == 1, 3].min() == 1


def test_a_run_that_ends_with_its_first_frame_is_refused() -> None:
    some = tuple(run())
    with pytest.raises(BadJob, match="once more"):
        LoopGap(frames=(*some, some[0]), between=2).check(Limits())
    with pytest.raises(TooFewKeys):
        LoopGap(frames=some[:1], between=2).check(Limits())
    with pytest.raises(BadJob):
        LoopGap(frames=some, between=9000).check(Limits(max_frames=100))
