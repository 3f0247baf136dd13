# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs that make sense, and those that do not."""

from __future__ import annotations

import pytest

from protocol.errors import BadJob, NothingToMake, TooFewKeys
from protocol.jobs import Guide, Inbetween, Slot
from protocol.limits import Limits

A, B = "a" * 64, "b" * 64


def test_slots_are_numbered_through_all_gaps() -> None:
    job = Inbetween(keys=(A, B, A), gaps=((0.5,), (0.25, 0.75)))
    job.check(Limits())
    assert job.slots() == [Slot(0, 0, 0.5), Slot(1, 1, 0.25), Slot(2, 1, 0.75)]


def test_a_key_used_twice_is_one_input() -> None:
    assert Inbetween(keys=(A, B, A), gaps=((0.5,), ())).inputs() == [A, B]


@pytest.mark.parametrize(
    ("keys", "gaps", "failure"),
    [
        ((), (), TooFewKeys),
        ((A,), (), TooFewKeys),
        ((A, B), ((),), NothingToMake),
        ((A, B), ((0.5,), (0.5,)), BadJob),
        ((A, B, A), ((0.5,),), BadJob),
        ((A, B), ((0.5, 0.5),), BadJob),
        ((A, B), ((0.5, 0.25),), BadJob),
        ((A, B), (tuple(i / 10_002 for i in range(1, 10_002)),), BadJob),
        ((A, B) * 501, ((0.5,),) * 1001, BadJob),
    ],
)
def test_a_job_that_makes_no_sense_is_refused_with_a_fix(
    keys: tuple, gaps: tuple, failure: type
) -> None:
    with pytest.raises(failure) as refusal:
        Inbetween(keys=keys, gaps=gaps).check(Limits())
    assert refusal.value.fix


M, N = "c" * 64, "d" * 64


@pytest.mark.parametrize(
    ("extras", "words"),
    [
        ({"masks": (M, N, M)}, "3 masks for 2 in-betweens"),
        ({"breakdowns": (3,)}, "breakdown"),
        ({"guides": (Guide(gap=2, t=0.5, sketch=M),)}, "sketch"),
    ],
)
def test_extras_that_fit_nothing_are_refused_with_a_fix(extras: dict, words: str) -> None:
    with pytest.raises(BadJob, match=words) as refusal:
        Inbetween(keys=(A, B, A), gaps=((0.5,), (0.5,)), **extras).check(Limits())
    assert refusal.value.fix


def test_one_mask_serves_all_frames_and_several_serve_one_each() -> None:
    one = Inbetween(keys=(A, B, A), gaps=((0.5,), (0.5,)), masks=(M,))
    each = Inbetween(keys=(A, B, A), gaps=((0.5,), (0.5,)), masks=(M, N))
    assert [one.mask_of(slot) for slot in one.slots()] == [M, M]
    assert [each.mask_of(slot) for slot in each.slots()] == [M, N]
    assert each.inputs() == [A, B, M, N]
    assert [each.name_of(digest) for digest in each.inputs()][2:] == ["Mask 1", "Mask 2"]


def test_alone_a_frame_keeps_what_was_drawn_for_its_gap_and_nothing_else() -> None:
    guides = (Guide(gap=0, t=0.2, sketch=M), Guide(gap=1, t=0.6, sketch=N))
    job = Inbetween(
        keys=(A, B, A), gaps=((0.5,), (0.5,)), guides=guides, breakdowns=(1,), even_motion=True
    )
    alone = job.alone(job.slots()[1])
    alone.check(Limits())
    assert (alone.keys, alone.breakdowns, alone.even_motion) == ((B, A), (0,), True)
    assert alone.guides == (Guide(gap=0, t=0.6, sketch=N),)
