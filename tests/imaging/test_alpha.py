# SPDX-License-Identifier: GPL-3.0-or-later
"""Colours keep their worth through premultiplication, and bleeding touches only what is unseen."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from backend.imaging.alpha import (
    Array,
    bleed,
    contrasting_grey,
    is_opaque,
    over,
    premultiply,
    unpremultiply,
)

SIXTEEN_BIT = st.integers(0, 65535).map(lambda step: np.float32(step / 65535))
PICTURES = st.tuples(st.integers(1, 9), st.integers(1, 9)).flatmap(
    lambda size: arrays(np.float32, (*size, 4), elements=SIXTEEN_BIT)
)


@given(PICTURES)
@settings(max_examples=60, deadline=None)
def test_painted_colours_survive_premultiplication(picture: Array) -> None:
    again = unpremultiply(premultiply(picture))
    painted = picture[..., 3] > 0
    np.testing.assert_allclose(again[painted], picture[painted], atol=1e-6)
    assert not again[~painted].any()


@given(PICTURES)
@settings(max_examples=60, deadline=None)
def test_what_is_unpremultiplied_is_always_a_picture(premultiplied: Array) -> None:
    straight = unpremultiply(premultiplied * 3 - 1)
    assert straight.min() >= 0
    assert straight.max() <= 1
    assert np.isfinite(straight).all()


@given(PICTURES, st.integers(1, 4))
@settings(max_examples=60, deadline=None)
def test_bleeding_changes_no_alpha_and_no_painted_colour(picture: Array, reach: int) -> None:
    bled = bleed(picture, reach)
    painted = picture[..., 3] > 0
    np.testing.assert_array_equal(bled[..., 3], picture[..., 3])
    np.testing.assert_array_equal(bled[painted], picture[painted])


def test_bleeding_carries_the_edge_s_colour_outwards_and_no_farther_than_its_reach() -> None:
    picture = np.zeros((1, 30, 4), np.float32)
    picture[0, :10] = (1, 0.5, 0, 1)
    bled = bleed(picture, reach=8)
    np.testing.assert_allclose(bled[0, 10:18, :3], np.tile((1, 0.5, 0), (8, 1)), atol=1e-5)
    assert not bled[0, 18:].any()


def test_a_picture_without_paint_bleeds_nothing() -> None:
    picture = np.zeros((4, 4, 4), np.float32)
    picture[..., :3] = 0.5
    np.testing.assert_array_equal(bleed(picture), picture)


def test_half_covering_paint_over_grey_is_half_of_both() -> None:
    picture = np.float32([[[1, 0, 0, 0.5]]])
    np.testing.assert_allclose(over(picture, 0.5), [[[0.75, 0.25, 0.25]]])


def test_opaque_means_every_pixel() -> None:
    picture = np.ones((3, 3, 4), np.float32)
    assert is_opaque(picture)
    picture[1, 1, 3] = 0.999
    assert not is_opaque(picture)


def test_dark_outlines_stand_on_white_and_light_ones_on_black() -> None:
    picture = np.zeros((20, 20, 4), np.float32)
    picture[4:16, 4:16, 3] = 1
    picture[8:12, 8:12, :3] = 1
    assert contrasting_grey((picture, picture)) == 1
    picture[..., :3] = 1 - picture[..., :3]
    assert contrasting_grey((picture, picture)) == 0


def test_without_an_outline_the_ground_is_white() -> None:
    assert contrasting_grey((np.zeros((5, 5, 4), np.float32),)) == 1
    assert contrasting_grey((np.ones((5, 5, 4), np.float32),)) == 1
