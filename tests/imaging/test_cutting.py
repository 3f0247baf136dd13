# SPDX-License-Identifier: GPL-3.0-or-later
"""Each place jumps where both runs look alike."""

import numpy as np

from backend.imaging.cutting import jumps


def test_each_place_jumps_where_the_runs_are_alike() -> None:
    random = np.random.default_rng(1)
    first = random.random((12, 16, 24, 3)).astype(np.float32)
    second = first + random.random(first.shape).astype(np.float32)
    second[5:7, :, :12], second[8:10, :, 12:] = first[5:7, :, :12], first[8:10, :, 12:]
    moments = jumps(first, second, np.ones((16, 24), np.bool_))
    assert (moments[:, :11] == 6).all()
    assert (moments[:, 13:] == 9).all()


def test_what_lies_outside_has_no_say() -> None:
    first = np.zeros((8, 10, 10, 3), np.float32)
    second = np.ones_like(first)
    second[3:5, :, :5] = 0
    second[5:7, :, 5:] = 0
    inside = np.zeros((10, 10), np.bool_)
    inside[:, :5] = True
    assert (jumps(first, second, inside)[:, :5] == 4).all()
