# SPDX-License-Identifier: GPL-3.0-or-later
"""From selected keys to an exposure sheet, and what is seen while frames are still coming."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blender_addon.shot import (
    Fit,
    GapWish,
    Key,
    Plan,
    Repeat,
    Shot,
    Wish,
    breakdowns_of,
    counts,
    gap_views,
    keys_of,
    plan,
    shown,
)
from protocol.errors import BadInput, NoRoom, NothingToMake, TooFewKeys, TweencelError
from protocol.timing import Curve, Spacing, frames_of


def shot(*frames: int, last_hold: int = 1) -> Shot:
    keys = tuple(Key(Path(f"k{frame}.png"), frame) for frame in frames)
    return Shot("hop", keys, last_hold)


def test_the_frames_between_the_keys_are_filled() -> None:
    assert counts(shot(1, 7, 12, 19), Wish()) == [5, 4, 6]
    assert counts(shot(1, 7, 12, 19), Wish(step=2)) == [2, 2, 3]


def test_one_gap_can_have_a_count_of_its_own() -> None:
    assert counts(shot(1, 9, 17), Wish(count=3, per_gap={1: GapWish(0)})) == [3, 0]


def test_keys_stay_on_their_frames() -> None:
    sheet = plan(shot(1, 7, 12, last_hold=4), Wish(count=2)).sheet
    assert [e.frame for e in sheet if e.drawing.is_key] == [1, 7, 12]
    assert sheet[-1].hold == 4


def test_later_keys_move_along_when_the_gaps_make_room() -> None:
    made = plan(shot(10, 12), Wish(fit=Fit.ROOM, step=2, count=3))
    assert [(e.frame, e.hold) for e in made.sheet] == [(10, 2), (12, 2), (14, 2), (16, 2), (18, 2)]
    assert (made.start, made.end, made.total) == (10, 20, 3)


def test_the_spacing_reaches_the_engine() -> None:
    even, slow = (plan(shot(1, 9), Wish(spacing=s)).gaps[0] for s in (Spacing.EVEN, "slow_in"))
    assert all(b > a for a, b in zip(even, slow, strict=True))


def test_a_single_key_is_refused() -> None:
    with pytest.raises(TooFewKeys, match="only one key"):
        plan(shot(1), Wish())


def test_keys_next_to_each_other_have_nothing_between_them() -> None:
    with pytest.raises(NothingToMake):
        plan(shot(1, 2), Wish())


def test_no_in_between_at_all_is_refused_with_what_to_do() -> None:
    with pytest.raises(NothingToMake) as caught:
        plan(shot(1, 9), Wish(count=0))
    assert "number of in-betweens" in caught.value.fix


def test_more_in_betweens_than_frames_are_refused() -> None:
    with pytest.raises(NoRoom, match="Gap 1 has 3 frames"):
        plan(shot(1, 5), Wish(count=4))


def test_two_keys_on_one_frame_are_refused() -> None:
    with pytest.raises(BadInput, match="begin on the same frame, 5"):
        plan(shot(5, 5), Wish(count=1))


def test_until_a_frame_lands_the_nearest_earlier_drawing_is_seen() -> None:
    sheet = plan(shot(1, 5, 7, last_hold=2), Wish(count=1)).sheet
    assert shown(sheet, ["A", "B", "C"], {}) == ["A", "A", "A", "A", "B", "B", "C", "C"]
    assert shown(sheet, ["A", "B", "C"], {1: "g1"})[4:] == ["B", "g1", "C", "C"]
    assert shown(sheet, ["A", "B", "C"], {0: "g0"})[:4] == ["A", "A", "g0", "g0"]


@given(
    gaps=st.lists(st.integers(2, 12), min_size=1, max_size=4),
    data=st.data(),
    hold=st.integers(1, 5),
)
def test_whatever_has_landed_every_frame_shows_a_file_that_exists(
    gaps: list[int], data: st.DataObject, hold: int
) -> None:
    frames = [1]
    for gap in gaps:
        frames.append(frames[-1] + gap)
    made = plan(shot(*frames, last_hold=hold), Wish())
    keys = [f"key{number}" for number in range(len(frames))]
    landed = data.draw(st.sets(st.integers(0, made.total - 1)))
    names = shown(made.sheet, keys, {index: f"frame{index}" for index in landed})
    assert len(names) == made.end - made.start
    assert set(names) == set(keys) | {f"frame{index}" for index in landed}
    for key, frame in zip(keys, frames, strict=True):
        assert names[frame - 1] == key


# Gaps of their own ------------------------------------------------------------------------------


def test_a_gap_can_be_cut_and_its_key_is_held_until_the_next() -> None:
    made = plan(shot(1, 9, 17), Wish(per_gap={0: GapWish(cut=True)}))
    assert [len(gap) for gap in made.gaps] == [0, 7]
    assert (made.sheet[0].hold, made.sheet[1].frame) == (8, 9)


def test_a_cut_keeps_its_length_where_other_keys_move_along() -> None:
    wish = Wish(fit=Fit.ROOM, step=2, count=1, per_gap={0: GapWish(cut=True)})
    assert [e.hold for e in plan(shot(1, 9, 17), wish).sheet] == [8, 2, 2, 2]


def test_one_gap_on_twos_with_a_held_key_among_gaps_on_ones() -> None:
    sheet = plan(shot(1, 11, 15), Wish(per_gap={0: GapWish(step=2, hold=4)})).sheet
    assert [e.hold for e in sheet] == [4, 2, 2, 2, 1, 1, 1, 1, 1]


def test_a_hold_that_reaches_past_the_next_key_names_the_gap_and_what_to_do() -> None:
    with pytest.raises(BadInput, match="Gap 2 holds its key for 9 frames") as refusal:
        plan(shot(1, 9, 13), Wish(per_gap={1: GapWish(hold=9)}))
    assert "at most 4 frames" in refusal.value.fix


def test_a_chart_that_runs_back_names_its_gap() -> None:
    flat = Curve(((0.0, 0.0), (0.5, 1.0), (1.0, 0.5)))
    with pytest.raises(BadInput, match=r"Gap 2: The spacing chart stands still or runs back"):
        plan(shot(1, 9, 17), Wish(per_gap={1: GapWish(chart=flat)}))


# Breakdowns -------------------------------------------------------------------------------------


def broken_down(*frames: int, breakdowns: tuple[int, ...]) -> Shot:
    keys = tuple(Key(Path(f"k{frame}.png"), frame, frame in breakdowns) for frame in frames)
    return Shot("hop", keys)


def test_a_breakdown_lies_in_a_gap_and_does_not_end_it() -> None:
    broken = broken_down(1, 5, 9, 17, breakdowns=(5,))
    assert counts(broken, Wish()) == [6, 7]
    assert [len(row) for row in plan(broken, Wish()).gaps] == [3, 3, 7]
    assert breakdowns_of(broken) == (1,)


def test_a_breakdown_stays_on_its_frame_and_the_chart_spans_the_whole_gap() -> None:
    made = plan(broken_down(1, 5, 9, breakdowns=(5,)), Wish(spacing=Spacing.SLOW_OUT))
    assert [e.frame for e in made.sheet if e.drawing.is_key] == [1, 5, 9]
    assert made.gaps[0] == pytest.approx([(n / 8) ** 2 / 0.25 for n in (1, 2, 3)])
    assert made.gaps[1] == pytest.approx([((n / 8) ** 2 - 0.25) / 0.75 for n in (5, 6, 7)])


def test_too_many_in_betweens_around_a_breakdown_are_counted_over_the_whole_gap() -> None:
    broken = broken_down(1, 5, 9, 17, breakdowns=(5,))
    with pytest.raises(NoRoom, match="Gap 1 has 6 frames between its keys, but 7"):
        plan(broken, Wish(count=7))


# Cycles -----------------------------------------------------------------------------------------


def test_a_cycle_leads_back_to_its_first_key_and_does_not_show_it_twice() -> None:
    made = plan(shot(1, 5, 9), Wish(repeat=Repeat.CYCLE, closing=4))
    assert [len(gap) for gap in made.gaps] == [3, 3, 3]
    assert made.cycle
    assert (made.start, made.end) == (1, 13)
    assert keys_of(shot(1, 5, 9), made)[-1] == shot(1).keys[0]


def test_the_way_back_is_as_long_as_its_in_betweens_need() -> None:
    assert plan(shot(1, 9), Wish(repeat=Repeat.CYCLE, count=3, step=2)).end == 17
    assert plan(shot(1, 9), Wish(repeat=Repeat.CYCLE)).end == 17
    own = Wish(repeat=Repeat.CYCLE, per_gap={1: GapWish(count=2, step=3)})
    assert plan(shot(1, 9), own).end == 18


def test_a_last_key_that_is_the_first_drawing_again_closes_the_cycle_itself() -> None:
    keys = (*shot(1, 5).keys, Key(Path("k1.png"), 9))
    made = plan(Shot("walk", keys), Wish(repeat=Repeat.CYCLE))
    assert [len(gap) for gap in made.gaps] == [3, 3]
    assert (made.cycle, made.end) == (False, 9)


def test_a_cycle_cut_at_its_end_holds_the_last_key() -> None:
    wish = Wish(repeat=Repeat.CYCLE, per_gap={1: GapWish(cut=True)})
    assert plan(shot(1, 9, last_hold=3), wish).end == 12


def test_ping_pong_comes_back_without_showing_either_end_twice() -> None:
    made = plan(shot(1, 5, last_hold=2), Wish(repeat=Repeat.PING_PONG))
    assert made.total == 3
    times = [(e.drawing.key, e.drawing.t) for e in made.sheet]
    assert times == [(0, 0), (0, 0.25), (0, 0.5), (0, 0.75), (1, 0), (0, 0.75), (0, 0.5), (0, 0.25)]
    assert [e.hold for e in made.sheet] == [1, 1, 1, 1, 2, 1, 1, 1]


def test_a_drawing_that_is_seen_twice_is_the_same_file_both_times() -> None:
    sheet = plan(shot(1, 4), Wish(repeat=Repeat.PING_PONG)).sheet
    assert shown(sheet, ["A", "B"], {0: "g0", 1: "g1"}) == ["A", "g0", "g1", "B", "g1", "g0"]
    assert shown(sheet, ["A", "B"], {0: "g0"}) == ["A", "g0", "g0", "B", "B", "g0"]


# Whatever is wished -----------------------------------------------------------------------------


@st.composite
def gap_wishes(draw: st.DrawFn) -> GapWish:
    return GapWish(
        count=draw(st.none() | st.integers(0, 6)),
        step=draw(st.integers(1, 4)),
        hold=draw(st.integers(0, 6)),
        chart=draw(st.sampled_from(Spacing)),
        cut=draw(st.booleans()),
    )


@st.composite
def shots_and_wishes(draw: st.DrawFn) -> tuple[Shot, Wish]:
    lengths = draw(st.lists(st.integers(1, 20), min_size=1, max_size=5))
    frames = [draw(st.integers(-50, 50))]
    for length in lengths:
        frames.append(frames[-1] + length)
    keys = tuple(Key(Path(f"k{frame}.png"), frame, draw(st.booleans())) for frame in frames)
    wish = Wish(
        fit=draw(st.sampled_from(Fit)),
        step=draw(st.integers(1, 3)),
        count=draw(st.none() | st.integers(0, 6)),
        spacing=draw(st.sampled_from(Spacing)),
        hold=draw(st.sampled_from((0, 0, 2, 3))),
        per_gap=draw(st.dictionaries(st.integers(0, 5), gap_wishes(), max_size=3)),
        repeat=draw(st.sampled_from(Repeat)),
        closing=draw(st.sampled_from((0, 0, 5, 12))),
    )
    return Shot("hop", keys, draw(st.integers(1, 4))), wish


def made_or_refused(taken: Shot, wish: Wish) -> Plan | TweencelError:
    try:
        return plan(taken, wish)
    except TweencelError as refusal:
        return refusal


@given(shots_and_wishes())
def test_whatever_is_wished_the_plan_is_whole_or_the_refusal_says_what_to_do(
    wished: tuple[Shot, Wish],
) -> None:
    taken, wish = wished
    made = made_or_refused(taken, wish)
    if isinstance(made, TweencelError):
        assert made.fix
        return
    keys = keys_of(taken, made)
    assert len(made.gaps) == len(keys) - 1
    for row in made.gaps:
        assert all(a < b for a, b in pairwise([0.0, *row, 1.0]))
    assert frames_of(made.sheet) == list(range(made.start, made.end))
    assert {e.drawing for e in made.sheet if not e.drawing.is_key} == {
        (key, t) for key, row in enumerate(made.gaps) for t in row
    }
    ends = {e.drawing.key for e in made.sheet if e.drawing.is_key}
    assert ends == set(range(len(keys) - (wish.repeat is Repeat.CYCLE)))
    if wish.fit is Fit.BETWEEN:
        first_seen = {e.drawing.key: e.frame for e in reversed(made.sheet) if e.drawing.is_key}
        assert all(taken.keys[key].frame == frame for key, frame in first_seen.items())


@given(shots_and_wishes())
def test_the_panel_shows_the_times_that_the_engine_gets(wished: tuple[Shot, Wish]) -> None:
    taken, wish = wished
    made = made_or_refused(taken, wish)
    if isinstance(made, TweencelError):
        return
    views = gap_views(taken, wish)
    assert [view.inbetweens for view in views] == counts(taken, wish)
    assert sum(view.inbetweens for view in views) == made.total
    numbers = [tick.number for view in views for tick in view.ticks[:-1]]
    assert numbers == list(range(1, len(numbers) + 1))
    rows = iter(made.gaps)
    for view in views:
        assert (view.ticks[0].at, view.ticks[-1].at) == (0.0, 1.0)
        assert all(a.at < b.at for a, b in pairwise(view.ticks)) or not view.inbetweens
        pins = [tick for tick in view.ticks if tick.kind != "between"]
        for lower, upper in pairwise(pins):
            inside = [t for t in view.ticks if lower.number < t.number < upper.number]
            times = [(t.at - lower.at) / (upper.at - lower.at) for t in inside]
            assert times == pytest.approx(list(next(rows)))


def test_a_gap_without_room_says_so_and_the_others_are_shown() -> None:
    first, second = gap_views(shot(1, 4, 12), Wish(count=5))
    assert isinstance(first.problem, NoRoom)
    assert not first.ticks
    assert (second.problem, len(second.ticks)) == (None, 7)
