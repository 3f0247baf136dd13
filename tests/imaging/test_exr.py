# SPDX-License-Identifier: GPL-3.0-or-later
"""An EXR comes back in its depth, to the last bit of a half, brighter than white or not."""

import contextlib

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.imaging import exr
from backend.imaging.codecs import decode, encode
from protocol.errors import BadImage, ImageTooLarge
from protocol.limits import Limits
from tests.imaging.exr_writer import COMPRESSIONS, Planes, read_exr, write_exr

KINDS = {"L": "Y", "LA": "YA", "RGB": "RGB", "RGBA": "RGBA"}


def draw(keys: str = "RGBA", kind: type = np.float16, size: tuple[int, int] = (7, 11)) -> Planes:
    """Colours from -1 to 5, in halves and multiplied by their alpha."""
    chance = np.random.default_rng(len(keys))
    alpha = chance.random(size)
    alpha[:, 0] = 0
    alpha[:, 1:2] = 1
    planes = {key: (chance.random(size) * 6 - 1) * alpha for key in keys}
    if "A" in keys:
        planes["A"] = alpha
    return {key: plane.astype(kind) for key, plane in planes.items()}


@pytest.mark.parametrize("channels", KINDS)
def test_a_half_comes_back_to_the_last_bit(channels: str) -> None:
    planes = draw(KINDS[channels])
    picture = decode(write_exr(planes))
    assert (picture.format, picture.depth, picture.channels) == ("EXR", 16, channels)
    again = read_exr(encode(picture.pixels, 16, channels, "EXR"))
    assert again.keys() == planes.keys()
    for key, plane in planes.items():
        assert again[key].dtype == np.float16
        assert np.abs(_steps(again[key]) - _steps(plane)).max() <= (1 if channels[0] == "L" else 0)


def _steps(halves: np.ndarray) -> np.ndarray:
    """Halves as whole numbers that rise one by one."""
    bits = halves.view(np.int16).astype(int)
    return np.where(bits < 0, -(bits & 0x7FFF), bits)


@pytest.mark.parametrize("channels", KINDS)
def test_a_float_comes_back_within_a_few_of_its_steps(channels: str) -> None:
    planes = draw(KINDS[channels], np.float32)
    picture = decode(write_exr(planes))
    assert picture.depth == 32
    again = read_exr(encode(picture.pixels, 32, channels, "EXR"))
    for key, plane in planes.items():
        assert again[key].dtype == np.float32
        np.testing.assert_allclose(again[key], plane, rtol=2e-6, atol=1e-7)


def test_every_half_there_is_comes_back_where_it_is_opaque() -> None:
    every = np.arange(2**16, dtype=np.uint16).view(np.float16)
    every = every[np.isfinite(every)].reshape(1, -1)[:, :16000]
    planes = {key: every for key in "RGB"}
    again = read_exr(encode(decode(write_exr(planes)).pixels, 16, "RGB", "EXR"))
    np.testing.assert_array_equal(again["G"], every)


def test_engines_see_straight_colours_as_a_display_file_has_them() -> None:
    light = np.float32([[0.0, 0.0031308, 0.2140411, 1.0, 4.0, -0.2140411]])
    planes = {key: light * np.float32(0.5) for key in "RGB"}
    planes["A"] = np.full_like(light, 0.5)
    pixels = decode(write_exr(planes)).pixels
    np.testing.assert_allclose(
        pixels[0, :, 0], [0, 0.04045, 0.5, 1, 1.8248, -0.5], rtol=1e-4, atol=1e-6
    )
    assert (pixels[..., 3] == 0.5).all()


@given(st.lists(st.floats(-1000, 1000, width=32), min_size=1, max_size=20))
@settings(max_examples=100, deadline=None)
def test_the_curve_can_be_undone(numbers: list[float]) -> None:
    light = np.float32(numbers)
    np.testing.assert_allclose(exr.decoded(exr.encoded(light)), light, rtol=1e-5, atol=1e-7)


def test_what_is_no_number_or_endless_becomes_one() -> None:
    planes = {key: np.float16([[np.nan, np.inf, -np.inf, 1]]) for key in "RGB"}
    planes["A"] = np.float16([[1, 1, 1, np.nan]])
    pixels = decode(write_exr(planes)).pixels
    assert np.isfinite(pixels).all()
    again = read_exr(encode(pixels, 16, "RGBA", "EXR"))
    assert again["R"].tolist() == [[0, 65504, -65504, 0]]


def test_numbers_too_large_for_a_half_become_the_largest() -> None:
    pixels = np.full((1, 1, 4), 1e4, np.float32)
    pixels[..., 3] = 1
    assert read_exr(encode(pixels, 16, "RGBA", "EXR"))["R"].tolist() == [[65504]]


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_every_usual_compression_is_read(compression: str) -> None:
    smooth = np.outer(np.linspace(0.1, 1, 40), np.linspace(0.5, 1, 50)).astype(np.float16)
    pixels = decode(write_exr({key: smooth for key in "RGB"}, compression)).pixels
    np.testing.assert_allclose(pixels[..., 1], exr.encoded(smooth.astype(np.float32)), atol=0.02)


def test_tiles_are_read() -> None:
    import OpenEXR

    planes = draw("RGBA", size=(70, 90))
    tiles = OpenEXR.TileDescription()
    tiles.xSize = tiles.ySize = 32
    content = write_exr(planes, type=OpenEXR.tiledimage, tiles=tiles)
    np.testing.assert_array_equal(decode(content).pixels, decode(write_exr(planes)).pixels)


@pytest.mark.parametrize(
    ("left", "top"), [(3, 2), (-4, -3), (-4, 2), (60, 2)], ids=["inside", "above", "left", "beyond"]
)
def test_data_lie_where_their_window_says(left: int, top: int) -> None:
    planes = draw("RGBA", size=(7, 11))
    windows = {
        "dataWindow": (np.int32([left, top]), np.int32([left + 10, top + 6])),
        "displayWindow": (np.int32([0, 0]), np.int32([19, 14])),
    }
    made = decode(write_exr(planes, **windows)).pixels
    assert made.shape == (15, 20, 4)
    canvas = np.zeros((61, 141, 4), np.float32)
    canvas[20 + top : 27 + top, 20 + left : 31 + left] = decode(write_exr(planes)).pixels
    np.testing.assert_array_equal(made, canvas[20:35, 20:40])


def test_other_channels_are_left_alone() -> None:
    planes = draw("RGBA")
    more = {**planes, "Z": planes["R"].astype(np.float32), "crypto.R": planes["G"]}
    picture = decode(write_exr(more))
    assert (picture.depth, picture.channels) == (16, "RGBA")
    np.testing.assert_array_equal(picture.pixels, decode(write_exr(planes)).pixels)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (13, 1), (37, 53)], ids=str)
def test_any_size_is_read_and_written(size: tuple[int, int]) -> None:
    picture = decode(write_exr(draw("RGBA", size=size)))
    assert decode(encode(picture.pixels, 16, "RGBA", "EXR")).pixels.shape == (*size, 4)


def test_the_same_pixels_give_the_same_bytes() -> None:
    pixels = decode(write_exr(draw())).pixels
    planes = np.asfortranarray(pixels)
    assert encode(pixels, 16, "RGBA", "EXR") == encode(planes, 16, "RGBA", "EXR")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.8, 0.95, 0.999])
def test_a_cut_file_is_refused(share: float) -> None:
    whole = write_exr(draw(size=(60, 60)))
    with pytest.raises(BadImage, match="broken"):
        decode(whole[: int(len(whole) * share)])


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_a_wrong_byte_is_refused_or_read_never_a_crash(data: st.DataObject) -> None:
    content = bytearray(write_exr(draw(size=(20, 20))))
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(BadImage, ImageTooLarge):
        pixels = decode(bytes(content), Limits(max_side=1000, max_pixels=100_000)).pixels
        assert np.isfinite(pixels).all()


def test_png_and_exr_of_one_picture_agree() -> None:
    levels = np.arange(256, dtype=np.uint8)[None].repeat(3, 0)
    png = decode(cv2.imencode(".png", levels)[1].tobytes()).pixels
    again = decode(encode(png, 16, "RGB", "EXR")).pixels
    np.testing.assert_array_equal(np.rint(again * 255), np.rint(png * 255))
