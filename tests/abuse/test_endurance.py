# SPDX-License-Identifier: GPL-3.0-or-later
"""The scenarios of benchmarks/endurance.py in small: all bars but those of speed."""

from __future__ import annotations

import sys

import pytest

from benchmarks.bouts import clock, crowd, cutting, deaf, full_disk, killing, soak
from benchmarks.bouts.finding import missed

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


def test_nothing_is_lost_or_made_twice_when_the_server_is_killed_again_and_again() -> None:
    assert missed(killing.run(8, 24)) == []


def test_an_upload_that_was_cut_goes_on_where_it_was() -> None:
    assert missed(cutting.run(10)) == []


def test_all_jobs_of_a_crowd_are_accepted_and_written_down() -> None:
    assert missed(crowd.run(200)) == []


def test_a_client_that_does_not_read_catches_up_and_nobody_waits_for_it() -> None:
    assert missed(deaf.run(5, 400)) == []


@pytest.mark.skipif(bool(full_disk.why_not()), reason=full_disk.why_not())
def test_a_full_disk_is_told_and_over_when_there_is_space() -> None:
    assert missed(full_disk.run(10, 7)) == []


@pytest.mark.skipif(bool(clock.why_not()), reason=clock.why_not())
def test_a_clock_that_jumps_by_days_changes_no_order_and_no_timeout() -> None:
    assert missed(clock.run(3)) == []


def test_small_jobs_without_end_leave_nothing_behind() -> None:
    assert missed(soak.run(300)) == []
