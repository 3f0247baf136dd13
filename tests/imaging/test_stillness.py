# SPDX-License-Identifier: GPL-3.0-or-later
"""A loop from a still closes, keeps its detail, and moves only where it may."""

import tracemalloc

import numpy as np
import pytest

from backend.imaging import seam
from backend.imaging.alpha import Array
from backend.imaging.geodesic import Mask
from backend.imaging.looping import Window
from backend.imaging.motions import MOTIONS
from backend.imaging.sampling import floats
from backend.imaging.stillness import Loop, Moving
from protocol.jobs import Point
from tests.imaging.moving_stills import box, stroke, texture

SIZE = (120, 160)
MASK = box(*SIZE, 20, 30, 100, 130)
RIGHT = stroke(50, 60, 90, 60, 0.5)


def test_the_seam_cannot_be_told_and_the_detail_stays() -> None:
    still = texture(*SIZE)
    found = seam.measure(still, MASK > 0, Loop(still, [Moving(MASK, strokes=[RIGHT])], 40))
    assert found.seam <= 1.05
    assert found.detail >= 0.85
    assert found.static == 0


@pytest.mark.parametrize("motion", MOTIONS)
def test_the_first_frame_is_the_still(motion: str) -> None:
    still = texture(*SIZE)
    frame = Loop(still, [Moving(MASK, motion)], 24).frame(0)
    np.testing.assert_array_equal(frame, still)


def test_outside_the_mask_every_value_is_the_still_s_even_under_no_paint() -> None:
    still = texture(*SIZE)
    still[:50, :, 3] = np.linspace(0, 1, SIZE[1])
    for frame in Loop(still, [Moving(MASK, strokes=[RIGHT]), Moving(MASK, "sway")], 6):
        np.testing.assert_array_equal(frame[MASK == 0], still[MASK == 0])
        assert frame.min() >= 0
        assert frame.max() <= 1


def test_the_texture_goes_where_the_stroke_points() -> None:
    """In the second frame it is two pixels to the right (the look-up of the end weighs little)."""
    still = texture(*SIZE)
    fast = stroke(50, 60, 90, 60, 2.0)
    frame = Loop(still, [Moving(MASK, strokes=[fast])], 60).frame(1)
    inner = (slice(45, 75), slice(55, 105))
    errors = {
        shift: np.abs(frame[inner] - np.roll(still, shift, 1)[inner]).mean()
        for shift in range(-4, 5)
    }
    assert min(errors, key=lambda shift: errors[shift]) == 2


def test_half_grey_is_half_the_speed() -> None:
    still = texture(*SIZE)
    grey, slow = Moving(MASK * 0.5, strokes=[RIGHT]), Moving(MASK, strokes=[RIGHT], speed=0.5)
    made = [Loop(still, [one], 40).frame(9) for one in (grey, slow)]
    np.testing.assert_allclose(*made, atol=1e-4)
    assert np.abs(made[0] - still).max() > 0.1


def test_a_part_without_a_stroke_stays_and_one_with_does_not() -> None:
    still = texture(*SIZE)
    parts = box(*SIZE, 10, 10, 110, 70) + box(*SIZE, 10, 90, 110, 150)
    frame = Loop(still, [Moving(parts, strokes=[stroke(20, 60, 50, 60, 1)])], 30).frame(7)
    change = np.abs(frame - still).max(2)
    assert change[:, :70].max() > 0.05
    assert change[20:100, 100:140].max() < 0.02


def test_what_is_anchored_moves_less() -> None:
    still = texture(*SIZE)
    free = Moving(MASK, strokes=[RIGHT])
    held = Moving(MASK, strokes=[RIGHT], anchors=[[Point(80, 30), Point(80, 90)]])
    at = (slice(50, 70), slice(79, 82))
    moved = [np.abs(Loop(still, [one], 30).frame(5) - still)[at].mean() for one in (free, held)]
    assert moved[1] < 0.3 * moved[0]


def test_each_region_repeats_after_its_own_period() -> None:
    still = texture(*SIZE)
    left, right = box(*SIZE, 10, 10, 110, 70), box(*SIZE, 10, 90, 110, 150)
    loop = Loop(still, [Moving(left, "river", period=12), Moving(right, "river", period=18)], 36)
    np.testing.assert_array_equal(loop.frame(5)[:, :80], loop.frame(17)[:, :80])
    np.testing.assert_array_equal(loop.frame(5)[:, 80:], loop.frame(23)[:, 80:])
    assert np.abs(loop.frame(5) - loop.frame(17))[:, 80:].max() > 0.01


@pytest.mark.parametrize("motion", MOTIONS)
@pytest.mark.parametrize("size", [(1, 1), (3, 40), (37, 53), (90, 61)], ids=str)
def test_every_motion_makes_a_picture_of_any_size(motion: str, size: tuple[int, int]) -> None:
    still = texture(*size)
    for mask in (np.ones(size, np.float32), box(*size, 0, 0, size[0] // 2 + 1, size[1] // 2 + 1)):
        for frame in Loop(still, [Moving(mask, motion)], 5):
            assert frame.shape == still.shape
            assert np.isfinite(frame).all()


def test_a_swing_closes_without_a_blend() -> None:
    still = texture(*SIZE)
    found = seam.measure(still, MASK > 0, Loop(still, [Moving(MASK, "sway", speed=4)], 40))
    assert found.seam <= 1.05
    assert found.detail >= 0.85
    assert found.static == 0


def test_a_mask_with_nothing_in_it_moves_nothing() -> None:
    still = texture(*SIZE)
    loop = Loop(still, [Moving(np.zeros(SIZE, np.float32))], 4)
    for frame in loop:
        np.testing.assert_array_equal(frame, still)


def test_memory_does_not_grow_with_the_length() -> None:
    still = texture(*SIZE)
    held = [Loop(still, [Moving(MASK)], length).bytes_held for length in (60, 6000, 60_000)]
    assert held[0] <= held[1] == held[2] < 200 * still.nbytes


def test_frames_are_made_one_by_one() -> None:
    still = texture(*SIZE)
    loop = Loop(still, [Moving(MASK, strokes=[RIGHT])], 200)
    tracemalloc.start()
    try:
        for _ in loop:
            pass
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 20 * still.nbytes


def test_a_given_field_is_followed_whatever_its_own_size() -> None:
    still = texture(*SIZE)
    wanted = Loop(still, [Moving(MASK, strokes=[RIGHT])], 40).frame(9)
    for sides in ((12, 16), (64, 64)):
        field = np.broadcast_to(np.array((0.5, 0), np.float32), (*sides, 2))
        made = Loop(still, [Moving(MASK, "hair", field=floats(field))], 40).frame(9)
        np.testing.assert_allclose(made, wanted, atol=1e-3)


def test_a_given_field_is_sampled_where_each_cell_lies() -> None:
    """Half of it stands: there nothing moves."""
    still = texture(*SIZE)
    field = np.zeros((8, 8, 2), np.float32)
    field[:, 4:] = (1, 0)
    change = np.abs(Loop(still, [Moving(MASK, field=field)], 40).frame(9) - still).max(2)
    assert change[30:90, 35:60].max() < 0.02
    assert change[30:90, 100:125].max() > 0.1


def test_a_given_field_is_held_by_anchors() -> None:
    still = texture(*SIZE)
    field = np.ones((8, 8, 2), np.float32)
    held = Moving(MASK, anchors=[[Point(80, 30), Point(80, 90)]], field=field)
    at = (slice(50, 70), slice(79, 82))
    free = Moving(MASK, field=field)
    moved = [np.abs(Loop(still, [one], 30).frame(5) - still)[at].mean() for one in (free, held)]
    assert moved[1] < 0.3 * moved[0]


class Plain:
    """Lays one colour into its window."""

    starts_as_still = False
    bytes_held = 0

    def __init__(self, still: Array, inside: Mask, velocity: Array, window: Window, period: float):
        assert still.shape[:2] == inside.shape
        assert velocity.shape[:2] == (window.height, window.width)
        self._window, self.period = window, period

    def at(self, frames: float) -> Array:
        assert 0 <= frames < self.period
        rows, columns = self._window.rows, self._window.columns
        height, width = rows.stop - rows.start, columns.stop - columns.start
        return np.full((height, width, 3), 0.25, np.float32)


def test_another_way_to_flow_keeps_to_the_mask_in_every_frame() -> None:
    still = texture(*SIZE)
    for frame in Loop(still, [Moving(MASK, strokes=[RIGHT], flowing=Plain)], 4):
        np.testing.assert_array_equal(frame[MASK == 0], still[MASK == 0])
        np.testing.assert_allclose(frame[50:70, 60:100, :3], 0.25, atol=1e-5)
