# SPDX-License-Identifier: GPL-3.0-or-later
"""A clip that a network drew small, soft and dark comes back large, sharp and in the keys' colours.

The true animation is known: a textured disc moves over a textured ground. The generated clip is the
true one made as a network would: scaled to its canvas, blurred, tinted in the middle.
"""

from __future__ import annotations

import itertools

import cv2
import numpy as np
import pytest

from backend.imaging.alpha import Array
from backend.imaging.canvas import Canvas, canvas, resized
from backend.imaging.ink import lines
from backend.imaging.pacing import lengths_of, positions
from backend.imaging.plates import plate
from backend.imaging.restoring import Clip
from backend.imaging.tone import matched
from backend.models.mover import Mover
from backend.weights import shelf
from tests.engines.shots import over

HEIGHT, WIDTH = 180, 288
DARK = 4 / 255
GREEN = (0.0, 1.0, 0.0)


def eased(t: float) -> float:
    return t * t * (3 - 2 * t)


def scene(t: float, ground: bool) -> Array:
    """The disc at share t of its way, straight RGBA."""
    rows, columns = np.indices((HEIGHT, WIDTH), np.float32)
    x = 90 + 100 * t
    away = np.hypot(columns - x, rows - 90)
    picture = np.zeros((HEIGHT, WIDTH, 4), np.float32)
    texture = np.sin((columns - x) / 2.5) * np.sin((rows - 90) / 2.5)
    paint = np.float32((0.9, 0.5, 0.3)) + 0.1 * texture[..., None]
    picture[..., :3] = np.clip(40 - away, 0, 1)[..., None] * paint
    picture[..., 3] = np.clip((46 - away) / 3, 0, 1)
    if ground:
        wood = 0.7 + 0.1 * np.sin(rows / 3 + np.sin(columns / 20))
        picture[..., :3] = over(picture, (0, 0, 0)) + (1 - picture[..., 3:]) * wood[..., None]
        picture[..., 3] = 1
    return picture


@pytest.fixture(scope="module", params=[True, False], ids=["opaque", "cel"])
def true(request: pytest.FixtureRequest) -> list[Array]:
    return [scene(eased(number / 15), request.param) for number in range(16)]


def generated(true: list[Array], laid: Canvas) -> list[Array]:
    """As a network draws it."""
    ground = plate(true[0], true[-1])
    frames = []
    for number, picture in enumerate(true):
        small = cv2.GaussianBlur(laid.scaled(ground.behind(picture)), (0, 0), 0.8)
        frames.append(np.clip(small - DARK * np.sin(np.pi * (number + 1) / 17), 0, 1))
    return [frame.astype(np.float32) for frame in frames]


def clip(true: list[Array], **settings) -> Clip:
    laid = canvas(HEIGHT, WIDTH, 160 * 256, 64)
    keys = (true[0], true[-1])
    return Clip(generated(true, laid), keys, plate(*keys), laid, **settings)


def error(made: Array, wanted: Array) -> float:
    """Root mean square over green, in levels of 255."""
    return float(np.sqrt(((over(made, GREEN) - over(wanted, GREEN)) ** 2).mean()) * 255)


def test_the_tint_is_taken_back_along_the_whole_clip(true: list[Array]) -> None:
    made = clip(true)
    for number in range(16):
        off = over(made.picture(number), GREEN) - over(true[number], GREEN)
        assert np.abs(off.mean(axis=(0, 1))).max() < 0.4 / 255


def test_the_keys_detail_moves_along(true: list[Array]) -> None:
    sharp, soft = clip(true), clip(true, detail=False)
    for number in (3, 8, 12):
        lost = error(soft.picture(number), true[number])
        assert error(sharp.picture(number), true[number]) < 0.7 * lost


def test_at_both_ends_stand_the_keys_themselves(true: list[Array]) -> None:
    made = clip(true)
    for position, key in ((0, true[0]), (15, true[-1])):
        seen = key[..., 3] > 0
        np.testing.assert_allclose(made.picture(position)[seen], key[seen], atol=1e-6)


def test_from_a_key_to_the_next_frame_nothing_flashes(true: list[Array]) -> None:
    made = clip(true)
    light = [float(over(made.picture(n / 2), GREEN).mean()) for n in range(31)]
    assert max(abs(b - a) for a, b in itertools.pairwise(light)) < 0.5 / 255


def test_a_cel_s_matte_follows_the_drawing() -> None:
    true = [scene(eased(number / 15), False) for number in range(16)]
    made = clip(true)
    for number in (1, 7, 14):
        off = np.abs(made.picture(number)[..., 3] - true[number][..., 3])
        assert off.mean() < 0.5 / 255
        assert (made.picture(number)[:20, :, 3] == 0).all()


def test_between_two_frames_both_are_moved_and_nothing_is_doubled(true: list[Array]) -> None:
    mover = Mover(shelf.read("rife-4.25"))
    moved, nearest = clip(true, ways=mover.ways), clip(true)
    opaque = bool((true[0][..., 3] == 1).all())
    for position in (3.5, 7.4):
        low, share = int(position), position - int(position)
        way = eased(low / 15) * (1 - share) + eased((low + 1) / 15) * share
        wanted = scene(way, opaque)
        assert error(moved.picture(position), wanted) < 0.5 * error(
            nearest.picture(position), wanted
        )


def test_what_a_network_made_up_is_shown_as_it_drew_it() -> None:
    true = [scene(0.5, True)] * 16
    laid = canvas(HEIGHT, WIDTH, 160 * 256, 64)
    frames = generated(true, laid)
    frames[7] = frames[7].copy()
    frames[7][20:60, 20:60] = (0, 0, 1)
    made = Clip(frames, (true[0], true[0]), plate(true[0], true[0]), laid)
    scale = HEIGHT / laid.height
    middle = made.picture(7)[int(40 * scale), int(40 * scale)]
    np.testing.assert_allclose(middle, (0, 0, 1, 1), atol=0.08)


# What times mean ----------------------------------------------------------------------------------


def test_times_count_the_way_that_is_done(true: list[Array]) -> None:
    lengths = lengths_of(clip(true).frames)
    wanted = (0.1, 0.25, 0.5, 0.75, 0.9)
    fine = np.linspace(0, 1, 500)
    right = [15 * float(np.interp(t, [eased(u) for u in fine], fine)) for t in wanted]
    np.testing.assert_allclose(positions(wanted, 16, lengths), right, atol=0.35)


def test_without_lengths_a_time_is_a_frame_s_number() -> None:
    np.testing.assert_allclose(positions((0.2, 1 / 3, 0.99), 16), (3, 5, 14.85))


@pytest.mark.parametrize("measured", [True, False])
def test_a_promised_time_is_kept(measured: bool) -> None:
    lengths = np.array([1.0, 5.0, 1.0, 1.0, 9.0] * 3) if measured else None
    found = positions((0.1, 0.31, 0.8, 0.9), 16, lengths, {5: 0.31, 6: 0.8})
    assert found[1:3] == [5.0, 6.0]
    assert found == sorted(found)


# Canvas, sketches, plates, tone -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "wanted"),
    [
        ((320, 512), (320, 512)),
        ((1080, 1920), (320, 576)),
        ((1920, 1080), (576, 320)),
        ((1000, 1000), (384, 384)),
        ((7, 1), (960, 192)),
    ],
    ids=str,
)
def test_a_canvas_has_about_the_wanted_pixels_and_the_picture_s_shape(
    size: tuple[int, int], wanted: tuple[int, int]
) -> None:
    laid = canvas(*size, 320 * 512, 64)
    assert laid.size == wanted
    ratio = (laid.height / size[0]) / (laid.width / size[1])
    assert abs(ratio - 1) * min(laid.height, laid.width) <= 1


def test_every_picture_fits_on_its_canvas_and_comes_off_as_it_was_laid() -> None:
    chance = np.random.default_rng(1)
    for height, width in chance.integers(1, 3000, (60, 2)).tolist():
        laid = canvas(height, width, 320 * 512, 64)
        down, across = laid.size
        assert down % 64 == across % 64 == 0
        assert down * across <= 320 * 512 * 1.125
        picture = chance.random((laid.height, laid.width, 3), np.float32)
        np.testing.assert_array_equal(laid.cropped(laid.padded(picture)), picture)


def line(paper: float, ink: float, thick: int, size: int = 512, alpha: float = 1) -> Array:
    picture = np.full((size, size, 4), (paper, paper, paper, alpha), np.float32)
    at = size // 2
    picture[at - thick // 2 : at + thick - thick // 2, size // 4 : 3 * size // 4] = (*[ink] * 3, 1)
    return picture


@pytest.mark.parametrize(
    "sketch",
    [
        line(1, 0, 8),
        line(0, 1, 8),
        line(0.95, 0.7, 8),
        line(0, 0, 8, alpha=0),
        line(0, 1, 8, alpha=0),
        line(1, 0, 2, size=2048),
        line(1, 0, 1, size=64),
    ],
    ids=["ink", "chalk", "pale", "cel", "white cel", "thin and large", "small"],
)
def test_lines_are_one_on_the_line_and_nothing_beside_it(sketch: Array) -> None:
    drawn = lines(sketch, canvas(512, 512, 512 * 512, 64))
    assert drawn.shape == (512, 512)
    assert drawn[252:261, 200:300].max(axis=0).min() > 0.9
    assert not drawn[:230].any()
    assert not drawn[282:].any()


@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_an_empty_sketch_has_no_lines(alpha: float) -> None:
    empty = np.full((40, 60, 4), (1, 1, 1, alpha), np.float32)
    assert not lines(empty, canvas(40, 60, 64 * 64, 64)).any()


def test_around_a_sketch_there_is_nothing() -> None:
    laid = canvas(100, 300, 128 * 256, 64)
    whole = np.zeros((100, 300, 4), np.float32)
    whole[0, :, 3] = whole[-1, :, 3] = 1
    drawn = lines(whole, laid)
    assert laid.around.top > 0
    assert not drawn[: laid.around.top].any()
    assert not drawn[laid.size[0] - laid.around.bottom :].any()


def test_a_plate_is_far_from_all_paint() -> None:
    def painted(*colours: tuple[float, float, float]) -> Array:
        return np.float32([[(*colour, 1) for colour in colours]])

    assert plate(painted((0, 0, 0)), painted((0.9, 0.1, 0))).colour.tolist() == [1, 1, 1]
    light = plate(painted((1, 1, 1)), painted((0, 0, 0)))
    assert light.colour.tolist() == [0.75, 0.75, 0.75] or light.clearance > 0.35
    greys = [(v, v, v) for v in np.linspace(0, 1, 20)]
    assert np.ptp(plate(painted(*greys), painted(*greys)).colour) > 0.5


def test_a_real_change_of_light_is_no_tint() -> None:
    first, last = np.full((20, 30, 3), 0.2, np.float32), np.full((20, 30, 3), 0.8, np.float32)
    frames = [first + (last - first) * np.float32(n / 15) for n in range(16)]
    for made, wanted in zip(matched(frames, first, last), frames, strict=True):
        np.testing.assert_allclose(made, wanted, atol=1e-6)


def test_a_small_picture_becomes_large_without_steps() -> None:
    ramp = np.linspace(0, 1, 16, dtype=np.float32)[None, :, None].repeat(8, 0).repeat(3, 2)
    large = resized(ramp, 80, 160)
    assert (np.diff(large[40, 10:-10, 0]) > 0).all()
