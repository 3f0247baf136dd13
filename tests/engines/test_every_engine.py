# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds for every engine that makes in-betweens."""

import numpy as np
import pytest

from backend.engine import Engine, Frame, Progress
from tests.engines.shots import between, cel, frames, noise, over, patch, run, solid

ODD_SIZES = [(1, 1), (1, 7), (9, 1), (3, 2), (37, 53), (64, 64), (65, 129)]
BACKGROUNDS = [(0.0, 0.0, 0.0), (1.0, 1.0, 1.0), (0.0, 1.0, 0.0)]


@pytest.mark.parametrize("size", ODD_SIZES, ids=str)
def test_any_size_comes_back_as_it_went_in(engine: Engine, size: tuple[int, int]) -> None:
    made = between(engine, noise(size, 1), noise(size, 2))
    assert made.shape == (*size, 4)
    assert made.dtype == np.float32
    assert made.flags.c_contiguous
    assert made.min() >= 0
    assert made.max() <= 1


def test_frames_come_in_the_order_of_their_slots(engine: Engine) -> None:
    keys = [cel(40), cel(60), cel(80)]
    made = frames(engine, keys, ((0.25, 0.75), (0.5,)))
    assert [frame.index for frame in made] == [0, 1, 2]


def test_an_empty_gap_is_left_out(engine: Engine) -> None:
    made = frames(engine, [cel(40), cel(50), cel(60)], ((), (0.5,)))
    assert [frame.index for frame in made] == [0]


def test_only_the_wanted_frames_are_made_and_they_are_the_same(engine: Engine) -> None:
    keys, gaps = [cel(40), cel(50), cel(60)], ((0.3, 0.6), (0.5,))
    whole = frames(engine, keys, gaps)
    rest = [
        step
        for step in run(engine, keys, gaps, wanted=frozenset({0, 2}))
        if isinstance(step, Frame)
    ]
    assert [frame.index for frame in rest] == [0, 2]
    for again, before in zip(rest, whole[::2], strict=True):
        np.testing.assert_array_equal(again.pixels, before.pixels)


def test_later_keys_are_not_read_before_their_gap(engine: Engine) -> None:
    asked: list[int] = []
    steps = run(engine, [cel(40), cel(50), cel(60)], ((0.5,), (0.5,)), asked=asked)
    while isinstance(next(steps), Progress):
        pass
    assert sorted(set(asked)) == [0, 1]


def test_the_same_input_gives_the_same_bytes(engine: Engine) -> None:
    first, second = between(engine, cel(40), cel(60)), between(engine, cel(40), cel(60))
    assert first.tobytes() == second.tobytes()


def test_opaque_keys_give_exactly_opaque_pictures(engine: Engine) -> None:
    made = between(engine, noise((40, 50), 1), noise((40, 50), 2), 0.3)
    assert (made[..., 3] == 1).all()


def test_fully_transparent_keys_give_nothing_at_all(engine: Engine) -> None:
    nothing, other = solid((30, 40), (1, 0, 1, 0)), solid((30, 40), (0, 1, 0, 0))
    assert not between(engine, nothing, other).any()


def test_where_no_paint_comes_near_nothing_is_painted(engine: Engine) -> None:
    made = between(engine, cel(40), cel(56))
    assert (made[:8, :, 3] == 0).all()
    assert (made[:, 100:, 3] == 0).all()


def test_the_colour_under_transparent_paint_is_never_seen(engine: Engine) -> None:
    made = between(engine, cel(48), cel(56))
    seen = made[made[..., 3] > 0.5 / 255]
    # The cel is black and white: any difference between channels came from under alpha 0.
    assert np.ptp(seen[:, :3], axis=1).max() < 1 / 255


def test_what_lies_under_transparent_paint_changes_nothing(engine: Engine) -> None:
    magenta = between(engine, cel(48, hidden=(1, 0, 1)), cel(56, hidden=(1, 0, 1)))
    black = between(engine, cel(48, hidden=(0, 0, 0)), cel(56, hidden=(0, 0, 0)))
    np.testing.assert_array_equal(magenta, black)


def test_just_beyond_the_paint_lies_the_paint_s_own_colour(engine: Engine) -> None:
    made = between(engine, patch(0.9, 20), patch(0.9, 24))
    edge = np.flatnonzero(made[40, :, 3])[-1] + 1
    beyond = made[40, edge : edge + 6]
    assert (beyond[:, 3] == 0).all()
    np.testing.assert_allclose(beyond[:, :3], 0.9, atol=0.01)


def test_a_gap_does_not_depend_on_the_gap_before_it(engine: Engine) -> None:
    keys = [patch(0, 20), patch(0.5, 22), patch(1, 24)]
    after_another = frames(engine, keys, ((0.5,), (0.5,)))[1].pixels
    np.testing.assert_array_equal(after_another, between(engine, *keys[1:]))


@pytest.mark.parametrize("background", BACKGROUNDS, ids=["black", "white", "green"])
def test_over_any_background_a_still_cel_looks_like_itself(
    engine: Engine, background: tuple[float, float, float]
) -> None:
    still = cel(64)
    made = between(engine, still, still.copy())
    np.testing.assert_allclose(over(made, background), over(still, background), atol=6 / 255)


def test_grey_stays_grey(engine: Engine) -> None:
    first, second = noise((40, 48), 1), noise((40, 48), 2)
    for key in (first, second):
        key[..., 1] = key[..., 2] = key[..., 0]
    made = between(engine, first, second)
    np.testing.assert_array_equal(made[..., 0], made[..., 1])
    np.testing.assert_array_equal(made[..., 0], made[..., 2])


def test_sixteen_bits_are_kept(engine: Engine) -> None:
    across, down = np.linspace(0, 0.5, 128), np.linspace(0.2, 0.3, 64)
    key = np.repeat((across + down[:, None])[..., None], 4, axis=2).astype(np.float32)
    key[..., 3] = 1
    made = between(engine, key, key.copy())
    assert len(np.unique((made[..., 0] * 65535).round())) > 2000
    np.testing.assert_allclose(made, key, atol=0.5 / 255)
