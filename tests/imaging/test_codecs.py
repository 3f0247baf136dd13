# SPDX-License-Identifier: GPL-3.0-or-later
"""No bit is lost between file and pixels, Pillow agrees, and what is no picture is refused."""

import contextlib
import io
import resource
import struct
import zlib

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from backend.imaging.codecs import decode, encode
from protocol.errors import BadImage, ImageTooLarge
from protocol.limits import Limits
from tests.imaging.png_writer import Samples, chunk, header, write_png

COUNTS = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4, "P": 1}
PALETTE = bytes(range(3)) + bytes(range(200, 248))  # 17 colours, of which 16 are used
SIZES = st.tuples(st.integers(1, 12), st.integers(1, 12))


def draw(kind: str, bits: int, size: tuple[int, int] = (7, 11), seed: int = 0) -> Samples:
    shape = (*size, COUNTS[kind])
    return np.random.default_rng(seed).integers(0, 2**bits, shape).astype(np.uint16)


def as_rgba(samples: Samples, kind: str, bits: int) -> npt.NDArray[np.float32]:
    """What decode must give, for kinds without a palette."""
    values = (samples / (2**bits - 1)).astype(np.float32)
    colour = values[..., :3] if kind.startswith("RGB") else np.repeat(values[..., :1], 3, axis=2)
    alpha = values[..., -1:] if kind.endswith("A") else np.ones_like(values[..., :1])
    return np.concatenate((colour, alpha), axis=2)


def by_pillow(content: bytes) -> npt.NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGBA"))


def jpeg(mode: str, quality: int = 90) -> bytes:
    stream = io.BytesIO()
    levels = draw("RGB", 8, (40, 50)).astype(np.uint8)
    Image.fromarray(levels).convert(mode).save(stream, "JPEG", quality=quality)
    return stream.getvalue()


@pytest.mark.parametrize("kind", ["L", "LA", "RGB", "RGBA"])
@pytest.mark.parametrize("bits", [8, 16])
@given(size=SIZES, seed=st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_a_file_that_is_read_and_written_keeps_every_bit(
    kind: str, bits: int, size: tuple[int, int], seed: int
) -> None:
    samples = draw(kind, bits, size, seed)
    picture = decode(write_png(samples, kind, bits))
    assert (picture.depth, picture.channels) == (bits, kind)
    np.testing.assert_allclose(picture.pixels, as_rgba(samples, kind, bits), rtol=0, atol=1e-7)
    again = decode(encode(picture.pixels, bits, kind))
    assert (again.depth, again.channels) == (bits, kind)
    np.testing.assert_array_equal(again.pixels, picture.pixels)
    np.testing.assert_array_equal(
        (again.pixels * (2**bits - 1)).round(), _steps(samples, kind, bits)
    )


def _steps(samples: Samples, kind: str, bits: int) -> npt.NDArray[np.float32]:
    return (as_rgba(samples, kind, bits) * (2**bits - 1)).round()


def test_colour_under_alpha_zero_is_kept() -> None:
    samples = draw("RGBA", 8)
    samples[..., 3] = 0
    again = decode(encode(decode(write_png(samples, "RGBA", 8)).pixels, 8, "RGBA"))
    np.testing.assert_array_equal((again.pixels * 255).round(), samples)


@pytest.mark.parametrize("kind", ["L", "LA", "RGB", "RGBA"])
@pytest.mark.parametrize("depth", [8, 16])
def test_other_programs_read_what_is_written(kind: str, depth: int) -> None:
    picture = decode(write_png(draw(kind, 8), kind, 8))
    content = encode(picture.pixels, depth, kind)
    Image.open(io.BytesIO(content)).verify()
    if (kind, depth) != ("L", 16):  # Pillow's own conversion from 16-bit grey clips
        np.testing.assert_array_equal(by_pillow(content), (picture.pixels * 255).round())


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("kind", ["L", "P"])
@pytest.mark.parametrize("interlaced", [False, True], ids=["plain", "interlaced"])
def test_few_bits_palettes_and_interlacing_are_read(bits: int, kind: str, interlaced: bool) -> None:
    samples = draw(kind, min(bits, 4))
    palette = PALETTE[: 3 * 2**bits] if kind == "P" else b""
    content = write_png(samples, kind, bits, palette=palette, interlaced=interlaced)
    picture = decode(content)
    assert (picture.depth, picture.channels) == (8, "RGB" if kind == "P" else "L")
    np.testing.assert_array_equal((picture.pixels * 255).round(), by_pillow(content))


@pytest.mark.parametrize("kind", ["LA", "RGB", "RGBA"])
@pytest.mark.parametrize("bits", [8, 16])
def test_interlaced_colours_are_read(kind: str, bits: int) -> None:
    samples = draw(kind, bits)
    picture = decode(write_png(samples, kind, bits, interlaced=True))
    np.testing.assert_allclose(picture.pixels, as_rgba(samples, kind, bits), rtol=0, atol=1e-7)


def test_a_palette_with_transparency_is_read() -> None:
    content = write_png(
        draw("P", 4), "P", 8, palette=PALETTE, transparency=bytes(range(0, 256, 16))
    )
    picture = decode(content)
    assert picture.channels == "RGBA"
    np.testing.assert_array_equal((picture.pixels * 255).round(), by_pillow(content))


@pytest.mark.parametrize(
    ("kind", "bits"), [("L", 1), ("L", 2), ("L", 4), ("L", 8), ("L", 16), ("RGB", 8), ("RGB", 16)]
)
def test_one_colour_that_stands_for_nothing_is_read_as_transparent(kind: str, bits: int) -> None:
    samples = draw(kind, bits)
    key = samples[3, 4]
    transparency = struct.pack(f">{len(key)}H", *key.tolist())
    # The word in the text must not be taken for the chunk.
    content = write_png(samples, kind, bits, transparency=transparency, text=b"Title\0tRNS\xff\xff")
    picture = decode(content)
    assert picture.channels == kind + "A"
    np.testing.assert_array_equal(picture.pixels[..., 3] == 0, (samples == key).all(axis=2))
    assert set(np.unique(picture.pixels[..., 3])) <= {0, 1}


@pytest.mark.parametrize(("mode", "channels"), [("RGB", "RGB"), ("L", "L")])
def test_jpeg_is_read(mode: str, channels: str) -> None:
    content = jpeg(mode)
    picture = decode(content)
    assert (picture.depth, picture.channels) == (8, channels)
    np.testing.assert_allclose(picture.pixels * 255, by_pillow(content), atol=4)


@pytest.mark.parametrize("depth", [8, 16])
def test_values_are_rounded_and_held_in_range(depth: int) -> None:
    top = 2**depth - 1
    values = np.float32([-0.5, 0, 0.4 / top, 0.6 / top, 1, 1.5])
    pixels = np.repeat(values[None, :, None], 4, axis=2)
    again = decode(encode(pixels, depth, "RGBA")).pixels
    assert (again[0, :, 0] * top).round().tolist() == [0, 0, 0, 1, top, top]


def test_colour_written_as_grey_is_its_lightness() -> None:
    pixels = np.float32([[[1, 0, 0, 1], [0, 1, 0, 1], [0, 0, 1, 1]]])
    assert (decode(encode(pixels, 8, "L")).pixels[0, :, 0] * 255).round().tolist() == [54, 182, 18]


def test_the_same_pixels_give_the_same_bytes() -> None:
    pixels = np.random.default_rng(0).random((50, 60, 4), np.float32)
    assert encode(pixels, 8, "RGBA") == encode(pixels.copy(), 8, "RGBA")


@pytest.mark.parametrize("kind", ["L", "LA", "RGB", "RGBA"])
@pytest.mark.parametrize("depth", [8, 16])
def test_how_pixels_lie_in_memory_makes_no_difference(kind: str, depth: int) -> None:
    pixels = np.random.default_rng(0).random((5, 6, 4), np.float32)
    planes = np.asfortranarray(pixels)
    view = np.pad(pixels, ((1, 1), (1, 1), (0, 0)))[1:-1, 1:-1]
    assert encode(planes, depth, kind) == encode(view, depth, kind) == encode(pixels, depth, kind)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"Dear diary, this is not a drawing.\n" * 20, "not a picture"),
        (b"", "empty"),
        (b"\x76\x2f\x31\x01" + bytes(200), "broken EXR"),
        (b"GIF89a" + bytes(50), "GIF"),
        (b"\x89PNG\r\n\x1a\n", "broken"),
        (b"\xff\xd8\xff\xe0", "broken"),
    ],
    ids=["text", "empty", "exr", "gif", "png-head", "jpeg-head"],
)
def test_what_is_no_readable_picture_is_refused_by_name(content: bytes, says: str) -> None:
    with pytest.raises(BadImage, match=f"walk_003.png.*{says}") as caught:
        decode(content, name="walk_003.png")
    assert "PNG" in caught.value.fix


@pytest.mark.parametrize(
    "whole", [write_png(draw("RGBA", 8), "RGBA", 8), jpeg("RGB")], ids=["png", "jpeg"]
)
def test_a_file_that_is_cut_anywhere_is_refused(whole: bytes) -> None:
    assert decode(whole).depth == 8
    for cut in range(len(whole)):
        with pytest.raises(BadImage):
            decode(whole[:cut])


def test_a_cut_jpeg_with_a_whole_thumbnail_is_refused() -> None:
    whole, thumbnail = jpeg("RGB"), jpeg("RGB", 10)
    segment = b"\xff\xe1" + struct.pack(">H", 2 + len(thumbnail)) + thumbnail
    assert decode(whole[:2] + segment + whole[2:]).pixels.shape == (40, 50, 4)
    with pytest.raises(BadImage, match="too early"):
        decode(whole[:2] + segment + whole[2:-40])


@given(st.data())
@settings(max_examples=80, deadline=None)
def test_a_png_with_a_wrong_byte_is_refused_or_read_never_a_crash(data: st.DataObject) -> None:
    content = bytearray(write_png(draw("RGBA", 8), "RGBA", 8))
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    small = Limits(max_side=1000, max_pixels=100_000)  # a wrong byte may make it huge, and slow
    with contextlib.suppress(BadImage, ImageTooLarge):
        decode(bytes(content), small)


def test_too_many_pixels_are_refused_before_any_memory_is_taken() -> None:
    bomb = header(30_000, 30_000, 8, "RGBA") + chunk(b"IDAT", zlib.compress(bytes(1000)))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ImageTooLarge, match="30000 x 30000"):
        decode(bomb + chunk(b"IEND", b""))
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 50_000  # kB on Linux; the picture would take 3.6 GB


def test_the_limits_are_the_caller_s() -> None:
    content = write_png(draw("L", 8), "L", 8)
    with pytest.raises(ImageTooLarge):
        decode(content, limits=Limits(max_side=10))
