# SPDX-License-Identifier: GPL-3.0-or-later
"""A clip closes when every region's period goes into it a whole number of times."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.closing import close, fitted


def test_periods_that_fit_are_not_stretched() -> None:
    found = close([20, 30], tolerance=0.0)
    assert found is not None
    assert (found.length, found.cycles, found.worst) == (60, (3, 2), 0.0)


def test_coprime_periods_close_early_within_the_tolerance() -> None:
    exact, near = close([37, 53], 0.0), close([37, 53], 5.0)
    assert exact is not None
    assert near is not None
    assert exact.length == 37 * 53
    assert near.length < 200
    assert near.worst <= 5.0


def test_what_cannot_close_is_said_so() -> None:
    assert close([37, 53], 0.0, longest=1000) is None


@given(st.lists(st.floats(4, 60), min_size=1, max_size=3), st.floats(2.0, 20.0))
@settings(max_examples=50, deadline=None)
def test_no_shorter_length_closes_all(periods: list[float], tolerance: float) -> None:
    found = close(periods, tolerance, longest=4000)
    if found is None:
        return
    assert all(
        new * count == pytest.approx(found.length)
        for new, count in zip(found.periods, found.cycles, strict=True)
    )
    assert all(fitted(periods, n).worst > tolerance for n in range(2, found.length))
