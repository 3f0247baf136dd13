# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs that make sense, and those that do not."""

from __future__ import annotations

import pytest

from protocol.errors import BadJob, NothingToMake, TooFewKeys
from protocol.jobs import Inbetween, Slot
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
