# SPDX-License-Identifier: GPL-3.0-or-later
"""Between two frames things are on their way, and the ends are the frames."""

import numpy as np

from backend.imaging.alpha import Array
from backend.imaging.halfway import between
from tests.imaging.moving_stills import texture


def window(left: int) -> Array:
    return np.ascontiguousarray(texture(80, 120)[:, left : left + 96])


def test_a_shift_is_gone_half() -> None:
    middle = between(window(0), window(4), 0.5)
    wanted = window(2)
    inner = slice(12, -12)
    error = np.abs(middle - wanted)[inner, inner].mean()
    mixed = np.abs((window(0) + window(4)) / 2 - wanted)[inner, inner].mean()
    assert error < 0.25 * mixed


def test_no_way_and_the_whole_way_are_the_frames() -> None:
    one, other = window(0), window(3)
    np.testing.assert_allclose(between(one, other, 0.0), one, atol=1e-6)
    np.testing.assert_allclose(between(one, other, 1.0), other, atol=1e-6)


def test_opaque_frames_stay_opaque_and_small_ones_are_mixed() -> None:
    assert (between(window(0), window(3), 0.3)[..., 3] == 1).all()
    one, other = window(0)[:5, :7], window(3)[:5, :7]
    np.testing.assert_allclose(between(one, other, 0.5), (one + other) / 2, atol=1e-6)
