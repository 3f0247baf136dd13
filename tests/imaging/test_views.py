# SPDX-License-Identifier: GPL-3.0-or-later
"""What a network sees of a picture lies where it was when it comes back."""

import numpy as np
import pytest

from backend.imaging.looping import Window
from backend.imaging.strokes import Grid
from backend.imaging.views import view_of
from tests.imaging.moving_stills import texture

SIZE = (90, 120)
WINDOW = Window(Grid(left=20, top=30, cell=4, long=120), 10, 15, SIZE)


def test_at_full_size_nothing_changes() -> None:
    picture = texture(*SIZE)
    view = view_of(WINDOW, long=500, reach=6, multiple=4)
    seen = view.seen(picture)
    assert [side % 4 for side in seen.shape[:2]] == [0, 0]
    back = view.given_back(seen)
    np.testing.assert_array_equal(back, picture[WINDOW.rows, WINDOW.columns])


@pytest.mark.parametrize("long", [24, 60, 77])
def test_a_ramp_comes_back_as_it_was_from_any_scale(long: int) -> None:
    rows, columns = np.indices(SIZE, np.float32)
    ramp = np.stack((rows, columns), 2)
    view = view_of(WINDOW, long, reach=8, multiple=4)
    assert view.scale == pytest.approx((long / 120, long / 120), rel=0.1)
    back = view.given_back(view.seen(ramp))
    np.testing.assert_allclose(back, ramp[WINDOW.rows, WINDOW.columns], atol=0.75 * 120 / long)


def test_there_is_as_much_around_the_window_as_the_picture_holds() -> None:
    view = view_of(WINDOW, long=60, reach=8, multiple=4)
    assert (view.rows, view.columns) == (slice(14, 86), slice(4, 96))
    everything = view_of(WINDOW, long=60, reach=80, multiple=4)
    assert (everything.rows, everything.columns) == (slice(0, 90), slice(0, 120))


def test_what_fills_the_window_goes_on_around_it() -> None:
    view = view_of(WINDOW, long=120, reach=8, multiple=4)
    part = texture(WINDOW.rows.stop - WINDOW.rows.start, WINDOW.columns.stop - 20)
    spread = view.spread(part)
    assert spread.shape == view.seen(texture(*SIZE)).shape
    np.testing.assert_array_equal(view.given_back(spread), part)
    np.testing.assert_array_equal(spread[0, 8], part[0, 0])


def test_a_picture_of_one_pixel_can_be_seen() -> None:
    window = Window(Grid(0, 0, 1, 1), 1, 1, (1, 1))
    view = view_of(window, long=512, reach=60, multiple=4)
    assert view.seen(texture(1, 1)).shape == (4, 4, 4)
    assert view.given_back(view.seen(texture(1, 1))).shape == (1, 1, 4)
