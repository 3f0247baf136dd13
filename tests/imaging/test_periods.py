# SPDX-License-Identifier: GPL-3.0-or-later
"""Known periods are found, joins are what they are said to be, and scenes are not cut through."""

import numpy as np
import pytest

from backend.imaging.alpha import Array
from backend.imaging.periods import curve, fitted, period_of


def rows(period: int, count: int, drift: float = 0.0, noise: float = 0.0) -> Array:
    """Numbers that swing with a period, each with a phase of its own."""
    random = np.random.default_rng(7)
    turn = 2 * np.pi * np.arange(count)[:, None] / period
    phase, much = random.random((2, 400)) * 6, random.random(400) * 0.15
    values = 0.5 + much * (np.sin(turn + phase[0]) + 0.6 * np.sin(2 * turn + phase[1]))
    values = values * (1 + drift * np.arange(count)[:, None] / count)
    return (values + random.normal(0, noise, values.shape)).astype(np.float32)


def test_a_join_costs_the_difference_around_it() -> None:
    some = rows(60, 150, 0.06, 0.02)
    found = curve(some, 149)
    for period in (7, 41, 60, 100):
        start = int(found.starts[period])
        near = [n for n in range(start - 2, start + 3) if n >= 0 and n + period < 150]
        expected = np.mean([np.square(some[n] - some[n + period]).mean() for n in near])
        step = np.square(some[max(start, 1)] - some[max(start, 1) - 1]).mean()
        assert found.costs[period] == pytest.approx(np.sqrt(expected + 0.02 * step), rel=1e-3)


def test_long_runs_are_compared_in_blocks_as_short_ones_are() -> None:
    some = rows(300, 700, noise=0.01)
    found = curve(some, 600)
    direct = np.square(some[2:-302] - some[302:-2]).mean(axis=1)
    assert period_of(found).period == 300
    assert found.costs[300] == pytest.approx(np.sqrt(direct.min()), rel=0.1)


@pytest.mark.parametrize("period", [12, 37, 53, 60])
def test_a_period_is_found_under_drift_and_noise(period: int) -> None:
    found = curve(rows(period, 160, drift=0.06, noise=0.02), 160)
    assert period_of(found).period == period
    assert fitted(found, period).period == period
    assert fitted(found, 2 * period).cycles == 2


def test_a_period_is_stretched_by_a_tenth_at_most() -> None:
    found = curve(rows(60, 150), 150)
    for length in (55, 60, 66):
        join = fitted(found, length)
        assert (join.period, join.cycles) == (60, 1)
    for length in range(4, 140):
        join = fitted(found, length)
        assert abs(length / join.cycles / join.period - 1) <= 0.1 + 1e-9


def test_what_does_not_repeat_fills_the_length_once() -> None:
    wander = np.random.default_rng(3).normal(0, 1, (200, 50)).cumsum(axis=0)
    join = fitted(curve(wander.astype(np.float32), 200), 60)
    assert join.cycles == 1
    assert 55 <= join.period <= 66


def test_a_loop_does_not_run_over_a_cut_of_the_scene() -> None:
    first, second = rows(40, 70), rows(40, 70) + 2
    found = curve(np.concatenate((first, second)), 120)
    join = fitted(found, 50)
    assert join.start + join.period <= 70 or join.start >= 70


def test_only_the_start_that_is_asked_for_is_taken() -> None:
    found = curve(rows(30, 100, noise=0.02), 60, start=17)
    assert set(found.starts[np.isfinite(found.costs)]) == {17}


def test_too_short_a_run_has_no_join_for_a_length() -> None:
    assert fitted(curve(rows(5, 3), 6), 5) is None
