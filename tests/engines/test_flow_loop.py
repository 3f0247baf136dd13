# SPDX-License-Identifier: GPL-3.0-or-later
"""What the artist may ask of a loop from a still."""

import numpy as np
import pytest

from backend.engine import Context, Frame, Pixels, Progress
from backend.engines import flow_loop
from backend.imaging.held import lifted
from backend.imaging.motions import MOTIONS
from protocol.errors import BadJob, SizeMismatch
from protocol.jobs import Point, Region, StillLoop, Stroke
from protocol.params import Value, complete

STILL, MASK = "0" * 64, "1" * 64
SIDES = (48, 64)
STROKE = Stroke(line=(Point(20, 24), Point(40, 24)), speed=1.0)


def still() -> Pixels:
    picture = np.ones((*SIDES, 4), np.float32)
    picture[..., :3] = np.random.default_rng(3).random((*SIDES, 3), np.float32)
    return picture


def mask(sides: tuple[int, int] = SIDES) -> Pixels:
    picture = np.ones((*sides, 4), np.float32)
    picture[..., :3] = 0
    picture[8:40, 8:56, :3] = 1
    return picture


def frames(
    region: Region, length: int = 6, wanted: frozenset[int] | None = None, **params: Value
) -> dict[int, Pixels]:
    pictures = {STILL: still(), MASK: mask()}
    context = Context(pictures.__getitem__, complete(flow_loop.SPEC.params, params), wanted=wanted)
    task = StillLoop(still=STILL, regions=(region,), length=length)
    steps = list(flow_loop.load("cpu").run(task, context))
    assert isinstance(steps[0], Progress)
    return {step.index: step.pixels for step in steps if isinstance(step, Frame)}


def test_what_the_mask_leaves_black_is_the_still() -> None:
    black = mask()[..., 0] == 0
    for number, frame in frames(Region(mask=MASK, strokes=(STROKE,))).items():
        np.testing.assert_array_equal(frame[black], still()[black])
        assert (np.abs(frame - still()).max() > 0.1) == (number > 0)


def test_only_the_wanted_frames_are_made_and_they_are_the_same() -> None:
    region = Region(mask=MASK, strokes=(STROKE,))
    whole, part = frames(region), frames(region, wanted=frozenset({1, 4}))
    assert list(part) == [1, 4]
    for number, frame in part.items():
        np.testing.assert_array_equal(frame, whole[number])


def test_no_magnitude_is_no_motion() -> None:
    for frame in frames(Region(mask=MASK, strokes=(STROKE,)), magnitude=0.0).values():
        np.testing.assert_array_equal(frame, still())


def test_cycles_repeat_the_loop() -> None:
    made = frames(Region(mask=MASK, strokes=(STROKE,)), length=12, cycles=3)
    np.testing.assert_array_equal(made[1], made[5])
    assert np.abs(made[1] - made[2]).max() > 0.05


def test_a_far_flow_is_cut_into_more_cycles_by_itself() -> None:
    made = frames(Region(mask=MASK, strokes=(STROKE,)), length=60)
    repeats = [n for n in range(1, 31) if np.array_equal(made[1], made[1 + n])]
    assert repeats
    assert repeats[0] >= 12


@pytest.mark.parametrize("motion", MOTIONS)
def test_every_published_motion_can_be_asked_for(motion: str) -> None:
    made = frames(Region(mask=MASK, motion=motion), length=8)
    assert np.abs(made[2] - still()).max() > 0.001


def test_an_unknown_motion_is_named_and_the_known_ones_offered() -> None:
    with pytest.raises(BadJob, match="lava") as refusal:
        frames(Region(mask=MASK, motion="lava"))
    assert "waterfall" in refusal.value.fix


def test_a_mask_of_another_size_is_refused() -> None:
    pictures = {STILL: still(), MASK: mask((48, 72))}
    context = Context(pictures.__getitem__, complete(flow_loop.SPEC.params, {}))
    task = StillLoop(still=STILL, regions=(Region(mask=MASK),), length=4)
    with pytest.raises(SizeMismatch, match="72 x 48"):
        list(flow_loop.load("cpu").run(task, context))


def test_a_frame_tells_what_it_covers() -> None:
    """So that what moves can be lifted off the still, also where two regions overlap."""
    pictures = {STILL: still(), MASK: mask()}
    region = Region(mask=MASK, strokes=(STROKE,))
    task = StillLoop(still=STILL, regions=(region, region), length=6)
    context = Context(pictures.__getitem__, complete(flow_loop.SPEC.params, {}))
    made = [step for step in flow_loop.load("cpu").run(task, context) if isinstance(step, Frame)]
    for frame in made:
        assert frame.cover is not None
        assert not frame.cover[mask()[..., 0] == 0].any()
        layer = lifted(still(), frame.pixels, frame.cover)
        share = layer[..., 3:]
        over = layer[..., :3] * share + still()[..., :3] * (1 - share)
        np.testing.assert_allclose(over, frame.pixels[..., :3], atol=1e-5)
