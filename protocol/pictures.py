# SPDX-License-Identifier: GPL-3.0-or-later
"""What an image file says of itself in its first bytes; no pixel is ever decoded here.

Both sides look before they send or decode: a 109 kB PNG can declare a picture that fills memory.
Sources: PNG specification (W3C, third edition) section 11; JPEG: ITU-T T.81 annex B.
"""

from __future__ import annotations

import struct
from typing import BinaryIO, NamedTuple

from .errors import BadImage, ImageTooLarge, SizeMismatch
from .limits import Limits

_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_CHANNELS = {0: "L", 2: "RGB", 3: "RGB", 4: "LA", 6: "RGBA"}
_OTHERS = {
    b"\x76\x2f\x31\x01": "EXR",
    b"II*\x00": "TIFF",
    b"MM\x00*": "TIFF",
    b"GIF8": "GIF",
    b"BM": "BMP",
    b"8BPS": "PSD",
    b"RIFF": "WebP",
}


class PictureInfo(NamedTuple):
    """The declared size in pixels, bits per channel (8 or 16) and channels of a picture."""

    format: str
    width: int
    height: int
    depth: int
    channels: str

    @property
    def alpha(self) -> bool:
        return self.channels.endswith("A")


def probe(stream: BinaryIO, name: str = "The file") -> PictureInfo:
    """Read the header of a PNG or JPEG. `name` is how the reader knows the file.

    Raises BadImage for anything else, or for a header that contradicts itself.
    """
    start = stream.read(8)
    if start == _PNG:
        return _probe_png(stream, name)
    if start[:3] == b"\xff\xd8\xff":
        stream.seek(2)
        return _probe_jpeg(stream, name)
    raise BadImage(_not_read(start, name))


def check_size(info: PictureInfo, limits: Limits, name: str = "The picture") -> None:
    """Raise ImageTooLarge if a picture of that size will not be decoded."""
    if max(info.width, info.height) <= limits.max_side and (
        info.width * info.height <= limits.max_pixels
    ):
        return
    raise ImageTooLarge(
        f"{name} is {info.width} x {info.height} pixels.",
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
                f"but {name} is {info.width} x {info.height}."
            )


def _not_read(start: bytes, name: str) -> str:
    for magic, kind in _OTHERS.items():
        if start.startswith(magic):
            return f"{name} is a {kind} file, which is not read yet."
    if not start:
        return f"{name} is empty."
    return f"{name} is not a picture, whatever its name says."


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
