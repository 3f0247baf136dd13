# SPDX-License-Identifier: GPL-3.0-or-later
"""From selected keys to an exposure sheet, and what is seen while frames are still coming."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blender_addon.shot import Fit, Key, Shot, Wish, counts, plan, shown
from protocol.errors import BadInput, NoRoom, NothingToMake, TooFewKeys
from protocol.timing import Spacing


def shot(*frames: int, last_hold: int = 1) -> Shot:
    keys = tuple(Key(Path(f"k{frame}.png"), frame) for frame in frames)
    return Shot("hop", keys, last_hold)


def test_the_frames_between_the_keys_are_filled() -> None:
    assert counts(shot(1, 7, 12, 19), Wish()) == [5, 4, 6]
    assert counts(shot(1, 7, 12, 19), Wish(step=2)) == [2, 2, 3]


def test_one_gap_can_have_a_count_of_its_own() -> None:
    assert counts(shot(1, 9, 17), Wish(count=3, per_gap={1: 0})) == [3, 0]


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
