# SPDX-License-Identifier: GPL-3.0-or-later
"""Spacing and exposure: counts, order, exact keys, and slow in and out said the right way round."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import NoRoom, TooFewKeys
from protocol.timing import Spacing, drawings, expose_between, expose_on, room_between, spaced

counts = st.integers(0, 40)
spacings = st.sampled_from(Spacing)


@given(counts, spacings)
def test_times_rise_inside_the_gap(count: int, spacing: Spacing) -> None:
    times = spaced(count, spacing)
    assert len(times) == count
    assert all(a < b for a, b in pairwise([0.0, *times, 1.0]))


def test_even_spacing_is_even() -> None:
    assert spaced(3) == (0.25, 0.5, 0.75)


def test_slow_out_stays_close_to_the_key_that_is_left() -> None:
    assert spaced(1, Spacing.SLOW_OUT) == (0.25,)


def test_slow_in_stays_close_to_the_key_that_is_reached() -> None:
    assert spaced(1, Spacing.SLOW_IN) == (0.75,)


@given(counts)
def test_slow_in_and_out_is_symmetric(count: int) -> None:
    times = spaced(count, Spacing.SLOW_IN_OUT)
    assert [1 - t for t in reversed(times)] == pytest.approx(list(times))


@st.composite
def shots(draw: st.DrawFn) -> tuple[list[int], list[tuple[float, ...]]]:
    lengths = draw(st.lists(st.integers(1, 30), min_size=1, max_size=6))
    frames = [draw(st.integers(-100, 100))]
    for length in lengths:
        frames.append(frames[-1] + length)
    return frames, [spaced(draw(st.integers(0, room))) for room in room_between(frames)]


@given(shots(), st.integers(1, 10))
def test_every_key_stands_on_its_frame_and_no_frame_is_empty(shot: tuple, hold: int) -> None:
    frames, gaps = shot
    sheet = expose_between(frames, gaps, hold)
    assert [line.drawing for line in sheet] == drawings(gaps)
    assert [line.frame for line in sheet if line.drawing.is_key] == frames
    assert all(line.hold >= 1 for line in sheet)
    assert all(a.frame + a.hold == b.frame for a, b in pairwise(sheet))
    assert sheet[-1].hold == hold


def test_in_betweens_that_fill_the_gap_are_on_ones() -> None:
    sheet = expose_between([1, 7, 12], [spaced(5), spaced(4)])
    assert [(line.frame, line.hold) for line in sheet] == [(frame, 1) for frame in range(1, 13)]


def test_half_as_many_in_betweens_are_on_twos() -> None:
    sheet = expose_between([1, 9], [spaced(3)], last_hold=2)
    assert [line.hold for line in sheet] == [2, 2, 2, 2, 2]


def test_too_many_in_betweens_for_a_gap_are_refused_with_its_room() -> None:
    with pytest.raises(NoRoom, match="Gap 2 has 3 frames") as refusal:
        expose_between([1, 10, 14], [spaced(2), spaced(4)])
    assert "at most 3" in refusal.value.fix


def test_one_key_has_no_exposure() -> None:
    with pytest.raises(TooFewKeys):
        expose_between([1], [])


@given(shots(), st.integers(1, 4))
def test_on_twos_every_drawing_is_held_alike(shot: tuple, step: int) -> None:
    _, gaps = shot
    sheet = expose_on(10, gaps, step)
    assert sheet[0].frame == 10
    assert {line.hold for line in sheet} == {step}
    assert len(sheet) == len(gaps) + 1 + sum(map(len, gaps))
