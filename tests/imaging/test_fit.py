# SPDX-License-Identifier: GPL-3.0-or-later
"""A picture that was padded and cropped is the picture it was."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.imaging.fit import crop, fit_to_multiple, pad

SIDES = st.integers(1, 130)
MULTIPLES = st.sampled_from([1, 2, 32, 64, 256])


@given(SIDES, SIDES, MULTIPLES)
@settings(max_examples=60, deadline=None)
def test_any_size_fits_and_comes_back(height: int, width: int, multiple: int) -> None:
    picture = np.arange(height * width * 2, dtype=np.float32).reshape(height, width, 2)
    fit = fit_to_multiple(height, width, multiple)
    padded = pad(picture, fit)
    assert padded.shape[0] % multiple == padded.shape[1] % multiple == 0
    assert padded.shape[0] - height < multiple
    assert padded.shape[1] - width < multiple
    np.testing.assert_array_equal(crop(padded, fit), picture)


def test_what_is_added_repeats_the_border() -> None:
    picture = np.float32([[[1], [2]], [[3], [4]]])
    padded = pad(picture, fit_to_multiple(2, 2, 4))
    assert padded[..., 0].tolist() == [[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 4, 4], [3, 3, 4, 4]]


@pytest.mark.parametrize("side", [64, 128])
def test_a_size_that_fits_stays_as_it_is(side: int) -> None:
    fit = fit_to_multiple(side, side, 64)
    assert (fit.top, fit.left, fit.bottom, fit.right) == (0, 0, 0, 0)
