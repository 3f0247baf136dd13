# SPDX-License-Identifier: GPL-3.0-or-later
"""Black holds the drawing to the bit, white lets the new picture through to the bit."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.imaging.held import hold, lifted, mask_of


def picture(seed: int, highest: float = 1) -> np.ndarray:
    made = np.random.default_rng(seed).random((6, 8, 4), np.float32)
    made[..., :3] *= highest
    return made


@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 7]))
@settings(max_examples=40, deadline=None)
def test_what_is_masked_wholly_or_not_at_all_keeps_its_bits(seed: int, highest: float) -> None:
    key, new = picture(seed, highest), picture(seed + 1, highest)
    mask = np.random.default_rng(seed).choice(np.float32([0, 0.5, 1]), (6, 8))
    made = hold(key, new, mask)
    np.testing.assert_array_equal(made[mask == 0], key[mask == 0])
    np.testing.assert_array_equal(made[mask == 1], new[mask == 1])


def test_between_paint_is_mixed_by_how_much_there_is_of_it() -> None:
    key, new = np.float32([[[1, 0, 0, 1]]]), np.float32([[[0, 1, 0, 0]]])
    made = hold(key, new, np.float32([[0.25]]))
    np.testing.assert_allclose(made, [[[1, 0, 0, 0.75]]], atol=1e-6)


def test_every_step_of_grey_is_its_own_worth_and_transparency_holds() -> None:
    grey = (np.arange(256) / 255).astype(np.float32)
    mask = np.ones((1, 256, 4), np.float32)
    mask[..., :3] = grey[:, None]
    np.testing.assert_array_equal(mask_of(mask)[0], grey)
    mask[..., 3] = 0
    assert not mask_of(mask).any()


def test_a_coloured_mask_counts_by_its_lightness() -> None:
    green = np.float32([[[0, 1, 0, 0.5]]])
    np.testing.assert_allclose(mask_of(green), [[0.3576]], atol=1e-4)


def test_a_lifted_layer_laid_over_what_was_held_is_the_picture_again() -> None:
    key, picture = opaque(1), opaque(2)
    cover = np.linspace(0, 1, picture.shape[1], dtype=np.float32)[None].repeat(len(picture), 0)
    layer = lifted(key, hold(key, picture, cover), cover)
    np.testing.assert_allclose(layer[..., 3], cover, atol=1e-6)
    assert not layer[:, 0].any()
    np.testing.assert_allclose(layer[:, 1:], np.dstack((picture[..., :3], cover))[:, 1:], atol=1e-5)
    share = layer[..., 3:]
    over = key[..., :3] * (1 - share) + layer[..., :3] * share
    np.testing.assert_allclose(over, hold(key, picture, cover)[..., :3], atol=1e-6)


def test_a_lifted_layer_has_no_more_paint_than_the_picture() -> None:
    key, picture = opaque(1), opaque(2)
    picture[..., 3] = 0.5
    cover = np.full(key.shape[:2], 0.5, np.float32)
    layer = lifted(key, hold(key, picture, cover), cover)
    np.testing.assert_allclose(layer[..., 3], 0.25, atol=1e-6)
    np.testing.assert_allclose(layer[..., :3], picture[..., :3], atol=1e-5)


def opaque(seed: int) -> np.ndarray:
    picture = np.ones((6, 9, 4), np.float32)
    picture[..., :3] = np.random.default_rng(seed).random((6, 9, 3), np.float32)
    return picture
