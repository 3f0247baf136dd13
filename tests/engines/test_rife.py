# SPDX-License-Identifier: GPL-3.0-or-later
"""What RIFE does beyond what every engine must: it moves things, and each setting matters."""

import numpy as np
import pytest

from backend.engine import Context, Engine, Frame, Pixels
from backend.engines import rife
from protocol.errors import EngineFailed
from protocol.jobs import Inbetween
from protocol.params import complete
from tests.engines.shots import between, cel, frames, noise, over, solid

BACKGROUNDS = [(0.0, 0.0, 0.0), (1.0, 1.0, 1.0), (0.0, 1.0, 0.0)]


def column(picture: Pixels) -> float:
    """Where the middle of the paint lies, in pixels from the left."""
    alpha = picture[..., 3]
    return float((alpha * np.arange(alpha.shape[1])).sum() / alpha.sum())


def test_a_drawing_moves_evenly_with_time(rife_engine: Engine) -> None:
    start, end = cel(48), cel(64)
    times = (0.125, 0.25, 0.5, 0.75, 0.875)
    places = [column(frame.pixels) for frame in frames(rife_engine, (start, end), (times,))]
    wanted = [column(start) + t * (column(end) - column(start)) for t in times]
    assert (np.diff(places) > 0.5).all()
    np.testing.assert_allclose(places, wanted, atol=1.5)


@pytest.mark.parametrize("background", BACKGROUNDS, ids=["black", "white", "green"])
def test_a_moved_cel_has_no_fringe(
    rife_engine: Engine, background: tuple[float, float, float]
) -> None:
    made = between(rife_engine, cel(60), cel(64))
    error = np.abs(over(made, background) - over(cel(62), background))
    rim = cel(62)[..., 3] > 0
    # A fringe of one pixel in the colour under alpha 0 would add over 0.05 to the mean.
    assert error[rim].mean() < 0.02
    assert error[~rim].mean() < 0.002


def test_a_held_key_is_returned_bit_by_bit() -> None:
    key = noise((20, 30), 5)
    task = Inbetween(keys=("0" * 64, "0" * 64), gaps=((0.25, 0.5),))
    steps = rife.load("cpu").run(task, Context(lambda _: key, {}))
    made = [step for step in steps if isinstance(step, Frame)]
    assert [frame.index for frame in made] == [0, 1]
    assert all((frame.pixels == key).all() for frame in made)


def test_light_drawings_are_followed_as_well_as_dark_ones(rife_engine: Engine) -> None:
    def light(x: float) -> Pixels:
        drawing = cel(x)
        drawing[..., :3] = np.where(drawing[..., 3:] > 0, 1 - drawing[..., :3], 0)
        return drawing

    made = between(rife_engine, light(56), light(64))
    assert np.abs(over(made, (0, 0, 0)) - over(light(60), (0, 0, 0))).mean() < 0.01


@pytest.mark.parametrize("motion", ["fine", "large", "huge"])
def test_each_choice_of_motion_makes_another_picture(rife_engine: Engine, motion: str) -> None:
    first, second = cel(40), cel(72)
    normal = between(rife_engine, first, second, motion="normal")
    other = between(rife_engine, first, second, motion=motion)
    assert np.abs(normal - other).max() > 1 / 255


@pytest.mark.parametrize(("width", "same_as"), [(2048, "normal"), (2049, "large")])
def test_automatic_motion_goes_by_the_size_of_the_picture(
    rife_engine: Engine, width: int, same_as: str
) -> None:
    first, second = noise((4, width), 1), noise((4, width), 2)
    automatic = between(rife_engine, first, second, motion="auto")
    np.testing.assert_array_equal(automatic, between(rife_engine, first, second, motion=same_as))


def test_crisp_overlap_keeps_flat_colours_clean(rife_engine: Engine) -> None:
    red, blue = solid((64, 64), (1, 0, 0, 1)), solid((64, 64), (0, 0, 1, 1))
    first, second = red.copy(), blue.copy()
    first[16:48, 16:48] = second[20:52, 8:40] = (1, 1, 0, 1)

    def impurity(overlap: str) -> float:
        made = between(rife_engine, first, second, overlap=overlap)
        far = [
            np.abs(made[..., :3] - np.float32(c)).max(axis=2)
            for c in (red[0, 0, :3], blue[0, 0, :3], (1, 1, 0))
        ]
        return float(np.min(far, axis=0).mean())

    assert impurity("crisp") < 0.7 * impurity("blend")


def test_a_key_between_two_gaps_is_encoded_once() -> None:
    engine = rife.load("cpu")
    assert isinstance(engine, rife.Rife)
    seen: list[int] = []
    engine._net.encoder.register_forward_hook(lambda *_: seen.append(1))
    frames(engine, (cel(40), cel(48), cel(56)), ((0.25, 0.5, 0.75), (0.5,)))
    assert len(seen) == 3


def test_an_unknown_device_is_refused_with_what_to_do() -> None:
    with pytest.raises(EngineFailed, match="hal9000") as caught:
        rife.load("hal9000")
    assert "cpu" in caught.value.fix


def test_the_published_defaults_are_what_the_engine_does_unasked(rife_engine: Engine) -> None:
    first, second = cel(40), cel(60)
    defaults = complete(rife.SPEC.params, {})
    np.testing.assert_array_equal(
        between(rife_engine, first, second), between(rife_engine, first, second, **defaults)
    )
