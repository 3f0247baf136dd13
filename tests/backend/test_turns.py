# SPDX-License-Identifier: GPL-3.0-or-later
"""Turns: nobody waits behind another's heap of jobs."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from backend.turns import Turns


def test_one_job_waits_for_one_job_of_each_other_owner() -> None:
    turns = Turns()
    for number in range(100):
        turns.add("heap", f"h{number}")
    turns.add("one", "o")
    assert turns.order()[:3] == ["h0", "o", "h1"]
    assert [turns.take() for _ in range(3)] == ["h0", "o", "h1"]


def test_a_job_that_had_its_turn_comes_first_again() -> None:
    turns = Turns()
    for owner, job in [("a", "a1"), ("b", "b1"), ("b", "b2")]:
        turns.add(owner, job)
    turns.add("b", turns.order()[1] + "again", first=True)
    assert turns.order() == ["b1again", "a1", "b1", "b2"]


def test_a_removed_job_waits_no_more() -> None:
    turns = Turns()
    turns.add("a", "a1")
    turns.add("a", "a2")
    turns.remove("a1")
    assert "a1" not in turns
    assert turns.order() == ["a2"]
    turns.remove("a2")
    assert turns.take() is None


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=30))
def test_the_order_that_is_told_is_the_order_that_is_kept(steps: list[tuple[str, bool]]) -> None:
    turns = Turns()
    for number, (owner, first) in enumerate(steps):
        turns.add(owner, f"{owner}{number}", first=first)
    told = turns.order()
    assert len(told) == len(turns) == len(steps)
    assert [turns.take() for _ in steps] == told
    assert len(turns) == 0
