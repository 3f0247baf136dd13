# SPDX-License-Identifier: GPL-3.0-or-later
"""What is read from picture headers, and what is refused before a pixel is decoded."""

from __future__ import annotations

import io
import struct
import zlib

import pytest

from protocol.errors import BadImage, ImageTooLarge, SizeMismatch
from protocol.limits import Limits
from protocol.pictures import PictureInfo, check_same_kind, check_same_size, check_size, probe
from tests.imaging.exr_header import attribute, channel, exr_header, tiles


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, depth: int = 8, colour: int = 6, extra: bytes = b"") -> bytes:
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + extra + chunk(b"IDAT", b"")


def jpeg(width: int, height: int, parts: int = 3, depth: int = 8) -> bytes:
    app = b"\xff\xe1" + struct.pack(">H", 40_002) + b"\0" * 40_000
    frame = b"\xff\xc2" + struct.pack(">HBHHB", 8 + 3 * parts, depth, height, width, parts)
    return b"\xff\xd8" + app + b"\xff" + frame + b"\0" * 3 * parts


@pytest.mark.parametrize(
    ("content", "info"),
    [
        (png(30, 20), PictureInfo("PNG", 30, 20, 8, "RGBA")),
        (png(30, 20, 16, 2), PictureInfo("PNG", 30, 20, 16, "RGB")),
        (png(30, 20, 1, 3), PictureInfo("PNG", 30, 20, 8, "RGB")),
        (png(30, 20, 8, 3, chunk(b"tRNS", b"\0")), PictureInfo("PNG", 30, 20, 8, "RGBA")),
        (png(30, 20, 8, 0, chunk(b"gAMA", b"1234")), PictureInfo("PNG", 30, 20, 8, "L")),
        (png(30, 20, 8, 4), PictureInfo("PNG", 30, 20, 8, "LA")),
        (jpeg(30, 20), PictureInfo("JPEG", 30, 20, 8, "RGB")),
        (jpeg(30, 20, 1), PictureInfo("JPEG", 30, 20, 8, "L")),
        (exr_header(), PictureInfo("EXR", 30, 20, 16, "RGBA", (30, 20))),
        (exr_header(data=(-5, 3, 40, 9)), PictureInfo("EXR", 30, 20, 16, "RGBA", (46, 7))),
        (exr_header(channels=channel("Y", 2)), PictureInfo("EXR", 30, 20, 32, "L", (30, 20))),
        (
            exr_header(flags=0x200, extra=attribute("p", "preview", b"!" * 99_999) + tiles(64)),
            PictureInfo("EXR", 30, 20, 16, "RGBA", (30, 20)),
        ),
    ],
)
def test_a_header_tells_size_depth_and_channels(content: bytes, info: PictureInfo) -> None:
    assert probe(io.BytesIO(content)) == info


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "empty"),
        (b"Dear diary, today I drew a fox.", "not a picture"),
        (b"\x89PNG\r\n\x1a\n", "broken"),
        (png(0, 20), "broken"),
        (png(3, 20, 8, 5), "broken"),
        (png(30, 20)[:20], "broken"),
        (jpeg(30, 20, 4), "CMYK"),
        (jpeg(30, 20, 3, 12), "12 bit"),
        (jpeg(30, 20)[:30_000], "broken"),
        (b"\x76\x2f\x31\x01\x02\0\0\0", "broken EXR"),
        (exr_header()[:120], "broken EXR"),
        (exr_header(0, 20), "broken EXR"),
        (exr_header(flags=0x800), "deep EXR"),
        (exr_header(flags=0x1000), "several parts"),
        (exr_header(channels=channel("Layer.R") + channel("Layer.G")), "without the channels"),
        (exr_header(channels=b"".join(map(channel, ("BY", "RY", "Y")))), "without the channels"),
        (exr_header(channels=b"".join(channel(c, kind=0) for c in "RGB")), "of a kind"),
        (exr_header(channels=b"".join(channel(c, across=2) for c in "RGB")), "of a kind"),
        (exr_header(channels=channel("R")[:-2]), "broken EXR"),
        (exr_header(compression=99), "compression"),
        (exr_header(flags=0x200, extra=tiles(1 << 20)), "tiles"),
        (exr_header(extra=attribute("preview", "preview", b"")[:-4] + b"\xff" * 4), "broken EXR"),
        (exr_header(extra=attribute("n", "int", b"1234") * 2000), "broken EXR"),
        (b"\x76\x2f\x31\x01\x02\0\0\0" + b"a" * 100_000, "broken EXR"),
        (b"II*\0\x08\0\0\0", "TIFF"),
    ],
)
def test_anything_else_is_refused_by_name_with_a_fix(content: bytes, word: str) -> None:
    with pytest.raises(BadImage, match=word) as refusal:
        probe(io.BytesIO(content), "walk_0001.png")
    assert refusal.value.text.startswith("walk_0001.png is ")
    assert "PNG" in refusal.value.fix


def test_a_huge_picture_is_refused_from_its_header_alone() -> None:
    info = probe(io.BytesIO(png(30_000, 30_000)))
    with pytest.raises(ImageTooLarge, match="30000 x 30000"):
        check_size(info, Limits())


def test_a_very_long_picture_is_refused() -> None:
    with pytest.raises(ImageTooLarge):
        check_size(probe(io.BytesIO(png(20_000, 1))), Limits())


def test_keys_of_different_sizes_are_refused_with_both_names() -> None:
    with pytest.raises(SizeMismatch, match=r"a\.png is 30 x 20.*b\.png is 31 x 20"):
        check_same_size(
            [("a.png", probe(io.BytesIO(png(30, 20)))), ("b.png", probe(io.BytesIO(png(31, 20))))]
        )


def test_data_beyond_the_picture_count_as_its_size() -> None:
    info = probe(io.BytesIO(exr_header(data=(-(2**31), 0, 2**31 - 1, 19))))
    with pytest.raises(ImageTooLarge, match="4294967296 x 20"):
        check_size(info, Limits())


def test_exr_and_png_in_one_shot_are_refused_with_both_names() -> None:
    first, second = probe(io.BytesIO(exr_header())), probe(io.BytesIO(png(30, 20)))
    check_same_kind([("a.exr", first), ("b.exr", first)])
    with pytest.raises(BadImage, match=r"a\.exr is EXR, but b\.png is PNG") as refusal:
        check_same_kind([("a.exr", first), ("b.png", second)])
    assert "one kind" in refusal.value.fix
