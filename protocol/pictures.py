# SPDX-License-Identifier: GPL-3.0-or-later
"""What an image file says of itself in its first bytes; no pixel is ever decoded here.

Both sides look before they send or decode: a 109 kB PNG can declare a picture that fills memory.
Sources: PNG specification (W3C, third edition) section 11; JPEG: ITU-T T.81 annex B; EXR in
exr_header.py.
"""

from __future__ import annotations

import struct
from typing import BinaryIO, NamedTuple

from .errors import BadImage, ImageTooLarge, SizeMismatch
from .exr_header import MAGIC as _EXR
from .exr_header import read_header
from .limits import Limits

_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_CHANNELS = {0: "L", 2: "RGB", 3: "RGB", 4: "LA", 6: "RGBA"}
_OTHERS = {
    b"II*\x00": "TIFF",
    b"MM\x00*": "TIFF",
    b"GIF8": "GIF",
    b"BM": "BMP",
    b"8BPS": "PSD",
    b"RIFF": "WebP",
}


class PictureInfo(NamedTuple):
    """The declared size in pixels, bits per channel and channels of a picture.

    `format`: "PNG", "JPEG" or "EXR". `depth`: 8 or 16; of an EXR 16 (half) or 32 (float).
    """

    format: str
    width: int
    height: int
    depth: int
    channels: str
    stored: tuple[int, int] = (0, 0)
    """Of an EXR: width and height of what the file holds, which may lie beyond the picture."""

    @property
    def alpha(self) -> bool:
        return self.channels.endswith("A")


def probe(stream: BinaryIO, name: str = "The file") -> PictureInfo:
    """Read the header of a PNG, JPEG or EXR. `name` is how the reader knows the file.

    Raises BadImage for anything else, or for a header that contradicts itself.
    """
    start = stream.read(8)
    if start == _PNG:
        return _probe_png(stream, name)
    if start[:3] == b"\xff\xd8\xff":
        stream.seek(2)
        return _probe_jpeg(stream, name)
    if start[:4] == _EXR:
        return _probe_exr(stream, start, name)
    raise BadImage(_not_read(start, name))


def check_size(info: PictureInfo, limits: Limits, name: str = "The picture") -> None:
    """Raise ImageTooLarge if a picture of that size will not be decoded."""
    for width, height in ((info.width, info.height), info.stored):
        if max(width, height) > limits.max_side or width * height > limits.max_pixels:
            raise ImageTooLarge(
                f"{name} is {width} x {height} pixels.",
                fix=f"Use at most {limits.max_side} pixels on a side and "
                f"{limits.max_pixels // 1_000_000} megapixels in all.",
            )


def check_same_size(infos: list[tuple[str, PictureInfo]]) -> None:
    """Raise SizeMismatch unless all (name, picture) pairs have the first one's size."""
    first_name, first = infos[0]
    for name, info in infos[1:]:
        if (info.width, info.height) != (first.width, first.height):
            raise SizeMismatch(
                f"{first_name} is {first.width} x {first.height} pixels, "
                f"but {_within(name)} is {info.width} x {info.height}."
            )


def check_same_kind(infos: list[tuple[str, PictureInfo]]) -> None:
    """Raise BadImage if some of the (name, picture) pairs are EXR and others are not.

    An EXR holds light and a PNG what a screen shows: a mixture of both would be a guess.
    """
    first_name, first = infos[0]
    for name, info in infos[1:]:
        if (info.format == "EXR") != (first.format == "EXR"):
            raise BadImage(
                f"{first_name} is {first.format}, but {_within(name)} is {info.format}.",
                fix="Save all keys of a shot in one kind: all as EXR, or none.",
            )


def _not_read(start: bytes, name: str) -> str:
    for magic, kind in _OTHERS.items():
        if start.startswith(magic):
            return f"{name} is a {kind} file, which is not read yet."
    if not start:
        return f"{name} is empty."
    return f"{name} is not a picture, whatever its name says."


def _probe_exr(stream: BinaryIO, start: bytes, name: str) -> PictureInfo:
    header = read_header(stream, start, name)
    width, height = header.display.size
    return PictureInfo("EXR", width, height, header.depth, header.channels, header.data.size)


def _probe_png(stream: BinaryIO, name: str) -> PictureInfo:
    head = stream.read(8 + 13 + 4)
    if len(head) < 25 or head[:8] != b"\x00\x00\x00\x0dIHDR":
        raise BadImage(f"{name} is a broken PNG file: its header is missing.")
    width, height, depth, colour = struct.unpack(">IIBB", head[8:18])
    if not (0 < width < 2**31 and 0 < height < 2**31) or colour not in _PNG_CHANNELS:
        raise BadImage(f"{name} is a broken PNG file: its header makes no sense.")
    channels = _PNG_CHANNELS[colour]
    if not channels.endswith("A") and _png_has_transparency(stream):
        channels += "A"
    return PictureInfo("PNG", width, height, 16 if depth == 16 else 8, channels)


def _png_has_transparency(stream: BinaryIO) -> bool:
    """Whether a tRNS chunk stands before the pixels."""
    for _ in range(64):
        head = stream.read(8)
        if len(head) < 8 or head[4:] in (b"IDAT", b"IEND"):
            return False
        if head[4:] == b"tRNS":
            return True
        stream.seek(struct.unpack(">I", head[:4])[0] + 4, 1)
    return False


def _probe_jpeg(stream: BinaryIO, name: str) -> PictureInfo:
    for _ in range(256):
        head = stream.read(4)
        if len(head) < 4 or head[0] != 0xFF:
            break
        marker, length = head[1], struct.unpack(">H", head[2:])[0]
        if marker == 0xFF:
            stream.seek(-3, 1)
            continue
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return _jpeg_frame(stream.read(6), name)
        stream.seek(length - 2, 1)
    raise BadImage(f"{name} is a broken JPEG file: its size is not told.")


def _jpeg_frame(body: bytes, name: str) -> PictureInfo:
    if len(body) == 6:
        depth, height, width, parts = struct.unpack(">BHHB", body)
        if depth == 8 and width and height and parts in (1, 3):
            return PictureInfo("JPEG", width, height, 8, "L" if parts == 1 else "RGB")
    raise BadImage(f"{name} is a JPEG of a kind that is not read (CMYK, 12 bit, or broken).")


def _within(name: str) -> str:
    """A name as it stands inside a sentence: `The mask` is no name of a file."""
    return f"the {name[4:]}" if name.startswith("The ") else name
