# SPDX-License-Identifier: GPL-3.0-or-later
"""A white cel with a black line and a soft edge has no fringe, whatever it is laid over.

The cel is known at any place, so there is a true frame for any time. The line is outermost: over
black, light outside it is a fringe; over white, so is any dark beyond the edge; over green, any
colour that is neither the paint's nor the ground's. Measured in the rim, where the true frame's
alpha lies between 0 and 1 or has done so within three pixels:

* moved (RIFE): the mean error against the true frame over a ground is at most that of the true
  frame half a pixel off to a side, which is what a misplaced line costs without any fringe;
* mixed (crossfade): over any ground the frame is the mixture of both keys over it, within a step;
* every colour seen is a mixture of black, white and the ground, within a step of 8 bits.
"""

import cv2
import numpy as np
import pytest

from backend.engine import Engine, Pixels
from tests.engines.shots import between, over

GROUNDS = {"black": (0.0, 0.0, 0.0), "white": (1.0, 1.0, 1.0), "green": (0.0, 1.0, 0.0)}
STEP = 1 / 255
RADIUS = 30.0
START, END = 58.0, 66.0


def cel(x: float) -> Pixels:
    """The disc at column x: alpha falls over four pixels, the line is six wide; magenta beneath."""
    rows, columns = np.indices((96, 128), np.float32)
    away = np.hypot(columns - x, rows - 47.5)
    picture = np.zeros((96, 128, 4), np.float32)
    picture[..., :3] = np.clip(RADIUS - 6 - away + 0.5, 0, 1)[..., None]
    picture[..., 3] = np.clip((RADIUS + 2 - away) / 4, 0, 1)
    picture[picture[..., 3] == 0, :3] = (1, 0, 1)
    return picture


def rim(picture: Pixels) -> np.ndarray:
    soft = (picture[..., 3] > 0) & (picture[..., 3] < 1)
    return cv2.dilate(soft.astype(np.uint8), np.ones((7, 7), np.uint8)) > 0


@pytest.mark.parametrize("ground", GROUNDS)
@pytest.mark.parametrize("t", [0.25, 0.5, 0.75])
def test_a_moved_cel_s_rim_is_no_worse_than_an_eighth_of_a_pixel_aside(
    rife_engine: Engine, ground: str, t: float
) -> None:
    x, colour = START + t * (END - START), GROUNDS[ground]
    true = cel(x)
    made = between(rife_engine, cel(START), cel(END), t)

    def error(picture: Pixels) -> float:
        return float(np.abs(over(picture, colour) - over(true, colour))[rim(true)].mean())

    assert error(made) <= error(cel(x + 0.125))


@pytest.mark.parametrize("ground", GROUNDS)
def test_over_a_ground_only_paint_and_ground_are_seen(engine: Engine, ground: str) -> None:
    """Black and white paint: straight colours are grey, so red and blue are the same everywhere
    and green is never below them over green, nor apart from them over black and white."""
    seen = over(between(engine, cel(START), cel(END)), GROUNDS[ground])
    red, green, blue = np.moveaxis(seen, 2, 0)
    assert np.abs(red - blue).max() < STEP
    if ground == "green":
        assert (green - red).min() > -STEP
    else:
        assert np.abs(green - red).max() < STEP


@pytest.mark.parametrize("ground", GROUNDS)
def test_a_mixed_cel_over_a_ground_is_the_mixture_of_both_over_it(ground: str) -> None:
    from backend.engines import crossfade

    colour = GROUNDS[ground]
    made = between(crossfade.load("cpu"), cel(START), cel(END), 0.25)
    wanted = 0.75 * over(cel(START), colour) + 0.25 * over(cel(END), colour)
    np.testing.assert_allclose(over(made, colour), wanted, atol=STEP)


def test_outside_the_line_no_light_appears_over_black(engine: Engine) -> None:
    made = between(engine, cel(START), cel(END))
    line = [cel(x)[..., :3].max(axis=2) * (cel(x)[..., 3] > 0) for x in np.arange(START, END + 1)]
    outside = cv2.dilate(np.max(line, axis=0), np.ones((5, 5), np.uint8)) == 0
    assert over(made, (0, 0, 0))[outside].max() < 2 * STEP


def test_where_nothing_was_or_passes_alpha_is_exactly_nothing(engine: Engine) -> None:
    made = between(engine, cel(START), cel(END))
    passed = np.max([cel(x)[..., 3] for x in np.arange(START, END + 1)], axis=0)
    free = cv2.dilate(passed, np.ones((21, 21), np.uint8)) == 0
    assert free.any()
    assert (made[free][:, 3] == 0).all()


def test_the_measure_sees_a_fringe_of_the_colour_beneath() -> None:
    """Mixing straight colours, as is often done, is caught by it."""
    first, second = cel(START), cel(END)
    wrong = (first + second) / 2
    seen = over(wrong, GROUNDS["black"])
    assert np.abs(seen[..., 1] - seen[..., 0]).max() > 20 * STEP
