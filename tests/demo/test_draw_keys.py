# SPDX-License-Identifier: GPL-3.0-or-later
"""The committed demo drawings are what the script draws, and fit to be in-betweened."""

from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from demo.draw_keys import INK, KEY_FRAMES, SIZES, draw, folder_name, key_name, main

DRAWINGS = Path(__file__).parents[2] / "demo" / "drawings"
KEYS = [(size, frame) for size in SIZES for frame in KEY_FRAMES]
SMALL = SIZES[1]
Picture = NDArray[np.uint8]


def read(folder: Path, size: tuple[int, int], frame: int) -> Picture:
    stored = cv2.imread(str(folder / folder_name(size) / key_name(frame)), cv2.IMREAD_UNCHANGED)
    assert stored is not None
    return cv2.cvtColor(stored, cv2.COLOR_BGRA2RGBA)


def committed(size: tuple[int, int], frame: int) -> Picture:
    return read(DRAWINGS, size, frame)


def premultiplied(picture: Picture) -> NDArray[np.float64]:
    exact = picture.astype(np.float64)
    exact[..., :3] *= exact[..., 3:] / 255
    return exact


def luminance(colours: NDArray[np.float64]) -> NDArray[np.float64]:
    return colours @ np.array([0.299, 0.587, 0.114])


@pytest.fixture(scope="module")
def drawn_now(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drawn")
    assert main([str(folder)]) == 0
    return folder


@pytest.mark.parametrize(("size", "frame"), KEYS)
def test_a_committed_key_is_what_the_script_draws(
    drawn_now: Path, size: tuple[int, int], frame: int
) -> None:
    # Another libm may return a sine that differs in its last bit, which moves a rounded vertex by
    # 1/16 of a sample; another OpenCV may count a sample on the border of a shape as outside. One
    # sample is 1/16 of a pixel, so here and there a pixel of an edge may differ by a few steps.
    difference = np.abs(
        premultiplied(read(drawn_now, size, frame)) - premultiplied(committed(size, frame))
    ).max(axis=2)
    assert (difference > 2).mean() < 0.001
    assert difference.max() <= 64


def test_the_script_writes_the_committed_files_and_no_others(drawn_now: Path) -> None:
    expected = {f"{folder_name(size)}/{key_name(frame)}" for size, frame in KEYS}
    for folder in (drawn_now, DRAWINGS):
        assert {p.relative_to(folder).as_posix() for p in folder.rglob("*.png")} == expected


def test_fifteen_frames_are_missing_between_the_keys() -> None:
    assert sum(b - a - 1 for a, b in pairwise(KEY_FRAMES)) == 15


@pytest.mark.parametrize(("size", "frame"), KEYS)
def test_a_key_has_its_size_a_byte_per_channel_and_a_small_file(
    size: tuple[int, int], frame: int
) -> None:
    picture = committed(size, frame)
    assert (picture.shape, picture.dtype) == ((size[1], size[0], 4), np.uint8)
    path = DRAWINGS / folder_name(size) / key_name(frame)
    assert path.stat().st_size < 150_000


@pytest.mark.parametrize(("size", "frame"), KEYS)
def test_a_key_is_a_character_on_a_clear_sheet(size: tuple[int, int], frame: int) -> None:
    alpha = committed(size, frame)[..., 3]
    border = np.concatenate([alpha[0], alpha[-1], alpha[:, 0], alpha[:, -1]])
    assert not border.any()
    assert 0.05 < (alpha == 255).mean() < 0.3
    assert ((alpha > 0) & (alpha < 255)).any()


@pytest.mark.parametrize(("size", "frame"), KEYS)
def test_no_pixel_is_darker_than_the_ink(size: tuple[int, int], frame: int) -> None:
    """A colour left premultiplied, or averaged with clear black, would be: the dark fringe."""
    colours = committed(size, frame)[..., :3].astype(float)
    assert luminance(colours).min() >= luminance(np.array(INK, float)) - 1


@pytest.mark.parametrize(("size", "frame"), KEYS)
def test_a_thin_edge_has_the_true_colour_of_the_ink(size: tuple[int, int], frame: int) -> None:
    """The ink line runs round the whole silhouette, so whatever is less than half there is ink."""
    picture = committed(size, frame)
    thin = picture[picture[..., 3] < 128][:, :3].astype(int)
    assert np.abs(thin - INK).max() <= 1


def test_a_frame_between_two_keys_can_be_drawn_and_differs_from_both() -> None:
    between = premultiplied(draw(9.5, SMALL))
    for key in (7, 12):
        moved = np.abs(between - premultiplied(committed(SMALL, key))).max(axis=2) > 32
        assert moved.mean() > 0.01


def test_the_motion_is_even_enough_to_be_followed() -> None:
    """The outline of the fox moves 20 to 90 pixels of 1280 from key to key, measured as a whole."""
    centres = []
    for frame in KEY_FRAMES:
        y, x = np.nonzero(committed(SIZES[0], frame)[..., 3] == 255)
        centres.append((x.mean(), y.mean()))
    steps = np.hypot(*np.diff(centres, axis=0).T)
    assert (steps > 20).all()
    assert (steps < 90).all()


def test_the_same_frame_is_drawn_the_same_twice() -> None:
    assert np.array_equal(draw(3.25, SMALL), draw(3.25, SMALL))


@pytest.mark.parametrize("t", [0.99, 19.01, float("nan")])
def test_a_moment_outside_the_shot_is_refused(t: float) -> None:
    with pytest.raises(ValueError, match="outside the shot"):
        draw(t, SMALL)


def test_a_sheet_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="640x480 is not 16:9"):
        draw(1, (640, 480))
