# SPDX-License-Identifier: GPL-3.0-or-later
"""Spacing and exposure: counts, order, exact keys, and slow in and out said the right way round."""

from __future__ import annotations

from itertools import accumulate, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import BadInput, NoRoom, TooFewKeys
from protocol.timing import (
    Chart,
    Curve,
    Spacing,
    closed,
    drawings,
    eased,
    expose_between,
    expose_on,
    frames_of,
    moments,
    room_between,
    shared_out,
    spaced,
    spaced_between,
    there_and_back,
)

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


# Charts that the artist drew --------------------------------------------------------------------

rises = st.lists(st.floats(0.01, 1.0), min_size=2, max_size=8)


@st.composite
def curves(draw: st.DrawFn) -> Curve:
    """Points that rise in both directions, from key to key."""
    steps = draw(rises)
    heights = draw(st.lists(st.floats(0.01, 1.0), min_size=len(steps), max_size=len(steps)))
    across, up = [0.0, *accumulate(steps)], [0.0, *accumulate(heights)]
    return Curve(tuple((x / across[-1], y / up[-1]) for x, y in zip(across, up, strict=True)))


charts = spacings | curves()


@given(counts, curves())
def test_the_times_of_a_drawn_chart_rise_inside_the_gap(count: int, chart: Curve) -> None:
    times = spaced(count, chart)
    assert len(times) == count
    assert all(a < b for a, b in pairwise([0.0, *times, 1.0]))


def test_a_drawn_chart_is_read_between_its_points() -> None:
    chart = Curve(((0.0, 0.0), (0.5, 0.8), (1.0, 1.0)))
    assert spaced(3, chart) == pytest.approx((0.4, 0.8, 0.9))


@pytest.mark.parametrize(
    "points",
    [
        ((0.0, 0.0), (0.5, 0.8), (0.8, 0.6), (1.0, 1.0)),
        ((0.0, 0.0), (0.3, 0.5), (0.8, 0.5), (1.0, 1.0)),
        ((0.0, 0.0), (0.5, 1.0), (1.0, 1.0)),
        ((0.0, 0.0), (0.5, 0.0), (1.0, 1.0)),
    ],
    ids=["runs back", "stands still", "is there too early", "does not set out"],
)
def test_a_chart_on_which_drawings_would_not_rise_is_refused(
    points: tuple[tuple[float, float], ...],
) -> None:
    with pytest.raises(BadInput, match="stands still or runs back between") as refusal:
        spaced(9, Curve(points))
    assert "Let the curve rise" in refusal.value.fix


# The direction of slow in and out ---------------------------------------------------------------


def steps(times: tuple[float, ...]) -> list[float]:
    return [b - a for a, b in pairwise([0.0, *times, 1.0])]


@given(st.integers(1, 40))
def test_slow_out_of_a_key_takes_ever_longer_steps(count: int) -> None:
    taken = steps(spaced(count, Spacing.SLOW_OUT))
    assert all(a < b for a, b in pairwise(taken))


@given(st.integers(1, 40))
def test_slow_into_a_key_takes_ever_shorter_steps(count: int) -> None:
    taken = steps(spaced(count, Spacing.SLOW_IN))
    assert all(a > b for a, b in pairwise(taken))


@given(st.integers(1, 40))
def test_slow_out_played_backwards_is_slow_in(count: int) -> None:
    backwards = [1 - t for t in reversed(spaced(count, Spacing.SLOW_OUT))]
    assert backwards == pytest.approx(list(spaced(count, Spacing.SLOW_IN)))


@given(st.integers(3, 40))
def test_slow_in_and_out_is_fastest_in_the_middle(count: int) -> None:
    taken = steps(spaced(count, Spacing.SLOW_IN_OUT))
    assert taken[0] < taken[len(taken) // 2]
    assert taken[-1] < taken[len(taken) // 2]


# Breakdowns -------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 12), min_size=1, max_size=4), charts)
def test_times_around_breakdowns_map_back_to_the_chart_of_the_whole_gap(
    parts: list[int], chart: Chart
) -> None:
    total = sum(parts) + len(parts)
    ends = [0, *accumulate(part + 1 for part in parts)]
    pins = [end / total for end in ends]
    rows = [moments(*pair, n) for pair, n in zip(pairwise(pins), parts, strict=True)]
    back = []
    for (first, second), row in zip(pairwise(pins), spaced_between(rows, pins, chart), strict=True):
        lower, upper = eased(first, chart), eased(second, chart)
        assert all(a < b for a, b in pairwise([0.0, *row, 1.0]))
        back.extend(lower + t * (upper - lower) for t in row)
    undivided = spaced(total - 1, chart)
    expected = [t for n, t in enumerate(undivided, start=1) if n not in ends]
    assert back == pytest.approx(expected, abs=1e-9)


def test_in_betweens_before_a_breakdown_are_slow_out_of_the_key_and_after_it_faster() -> None:
    before, after = spaced_between([(0.25,), (0.75,)], [0.0, 0.5, 1.0], Spacing.SLOW_OUT)
    assert before == (0.25,)
    assert after == pytest.approx(((0.5625 - 0.25) / 0.75,))


@given(
    st.integers(0, 30),
    st.lists(st.tuples(st.integers(1, 20), st.integers(0, 19)), min_size=1, max_size=4),
)
def test_in_betweens_are_shared_out_and_no_part_gets_more_than_its_room(
    count: int, parts: list[tuple[int, int]]
) -> None:
    lengths, rooms = [length for length, _ in parts], [room for _, room in parts]
    shares = shared_out(count, lengths, rooms)
    assert sum(shares) == min(count, sum(rooms))
    assert all(share <= room for share, room in zip(shares, rooms, strict=True))


def test_the_longer_part_of_a_gap_gets_more_in_betweens() -> None:
    assert shared_out(3, [10, 5]) == [2, 1]


# Holds ------------------------------------------------------------------------------------------


def test_a_held_key_stays_and_the_in_betweens_share_what_is_left() -> None:
    sheet = expose_between([1, 11], [spaced(3)], holds=[4])
    assert [(line.frame, line.hold) for line in sheet] == [(1, 4), (5, 2), (7, 2), (9, 2), (11, 1)]


def test_a_hold_takes_room_from_the_gap() -> None:
    assert room_between([1, 11, 21], [4, 0]) == [6, 9]
    with pytest.raises(NoRoom, match="Gap 1 has 6 frames"):
        expose_between([1, 11], [spaced(7)], holds=[4])


def test_gaps_on_ones_and_on_twos_stand_in_one_sheet() -> None:
    sheet = expose_on(1, [spaced(2), spaced(2)], [1, 2], holds=[0, 6])
    assert [line.hold for line in sheet] == [1, 1, 1, 6, 2, 2, 2]


@given(shots(), st.data())
def test_with_holds_every_key_stands_on_its_frame_and_every_frame_is_covered_once(
    shot: tuple, data: st.DataObject
) -> None:
    frames, _ = shot
    holds = [data.draw(st.integers(0, b - a)) for a, b in pairwise(frames)]
    gaps = [spaced(data.draw(st.integers(0, room))) for room in room_between(frames, holds)]
    sheet = expose_between(frames, gaps, 1, holds)
    assert [line.frame for line in sheet if line.drawing.is_key] == frames
    assert frames_of(sheet) == list(range(frames[0], frames[-1] + 1))
    for hold, gap, line in zip(
        holds, gaps, [line for line in sheet if line.drawing.is_key], strict=False
    ):
        assert not hold or not gap or line.hold == hold


# Repeats ----------------------------------------------------------------------------------------


@given(shots(), st.integers(1, 4))
def test_there_and_back_is_the_same_both_ways_and_doubles_neither_end(
    shot: tuple, hold: int
) -> None:
    frames, gaps = shot
    sheet = there_and_back(expose_between(frames, gaps, hold))
    shown = [(line.drawing, line.hold) for line in sheet]
    assert shown[1:] == shown[1:][::-1]
    assert frames_of(sheet) == list(range(frames[0], frames[0] + len(frames_of(sheet))))
    around = [drawing for drawing, _ in shown]
    assert all(a != b for a, b in pairwise([*around, around[0]]))


@given(shots())
def test_a_cycle_shows_no_drawing_twice_and_ends_before_its_first_key_comes_again(
    shot: tuple,
) -> None:
    frames, gaps = shot
    sheet = closed(expose_between(frames, gaps))
    assert len({line.drawing for line in sheet}) == len(sheet)
    assert frames_of(sheet) == list(range(frames[0], frames[-1]))
