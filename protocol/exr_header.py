# SPDX-License-Identifier: GPL-3.0-or-later
"""What an EXR file says of itself before its pixels: two windows, and channels by name.

Source: OpenEXR File Layout (openexr.com, version 2 of the format). A header is read attribute by
attribute within bounds; nothing that it declares is believed before it was compared with them.
"""

from __future__ import annotations

import struct
from typing import BinaryIO, NamedTuple

from .errors import BadImage

MAGIC = b"\x76\x2f\x31\x01"
_TILED, _LONG_NAMES, _DEEP, _PARTS = 0x200, 0x400, 0x800, 0x1000
_MOST_ATTRIBUTES = 1000
_MOST_BYTES = 64 * 1024
"""Of an attribute that is read; others (a preview) are stepped over."""
_LONGEST_NAME = 255
_LARGEST_TILE = 4096
_COMPRESSIONS = range(10)
_DEPTHS = {1: 16, 2: 32}
_READ = {
    "channels": "chlist",
    "compression": "compression",
    "dataWindow": "box2i",
    "displayWindow": "box2i",
    "tiles": "tiledesc",
}
_PLAIN = "Save it as a plain EXR: one part, channels R, G, B and A, half or float; or as PNG."


class Window(NamedTuple):
    """Columns and rows of pixels, the last ones included."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.right - self.left + 1, self.bottom - self.top + 1


class ExrHeader(NamedTuple):
    """The picture is the display window; what lies in it but not in the data window is empty.

    `depth` 16 (half) or 32 (float); `channels` "L", "LA", "RGB" or "RGBA".
    """

    display: Window
    data: Window
    depth: int
    channels: str


def read_header(stream: BinaryIO, start: bytes, name: str) -> ExrHeader:
    """Read on after the first eight bytes. Raises BadImage for what is not read, saying why."""
    flags = int.from_bytes(start[4:8], "little")
    if len(start) < 8 or flags & 0xFF != 2:
        raise _broken(name)
    if flags & _DEEP:
        raise BadImage(f"{name} is a deep EXR file, which is not read.", fix=_PLAIN)
    if flags & _PARTS:
        raise BadImage(f"{name} is an EXR file of several parts, which is not read.", fix=_PLAIN)
    told = _attributes(stream, name)
    if not {"channels", "compression", "dataWindow", "displayWindow"} <= told.keys():
        raise _broken(name)
    if told["compression"][0] not in _COMPRESSIONS:
        raise BadImage(f"{name} is an EXR file with a compression that is not read.", fix=_PLAIN)
    if flags & _TILED:
        _check_tiles(told.get("tiles", b""), name)
    display, data = (_window(told[key], name) for key in ("displayWindow", "dataWindow"))
    return ExrHeader(display, data, *_colours(_channels(told["channels"], name), name))


def _broken(name: str) -> BadImage:
    return BadImage(f"{name} is a broken EXR file: its header makes no sense.")


def _attributes(stream: BinaryIO, name: str) -> dict[str, bytes]:
    told: dict[str, bytes] = {}
    for _ in range(_MOST_ATTRIBUTES):
        key = _text(stream, name)
        if not key:
            return told
        kind, head = _text(stream, name), stream.read(4)
        size = int.from_bytes(head, "little", signed=True)
        if len(head) < 4 or size < 0:
            raise _broken(name)
        if _READ.get(key) != kind:
            stream.seek(size, 1)
            continue
        body = stream.read(size) if 0 < size <= _MOST_BYTES else b""
        if not body or len(body) < size:
            raise _broken(name)
        told[key] = body
    raise _broken(name)


def _text(stream: BinaryIO, name: str) -> str:
    """A name that ends with a zero byte; empty at the end of the header."""
    letters = bytearray()
    while len(letters) <= _LONGEST_NAME:
        letter = stream.read(1)
        if letter == b"\0":
            return letters.decode("utf-8", "replace")
        if not letter:
            break
        letters += letter
    raise _broken(name)


def _window(body: bytes, name: str) -> Window:
    if len(body) != 16:
        raise _broken(name)
    window = Window(*struct.unpack("<4i", body))
    if min(window.size) < 1:
        raise _broken(name)
    return window


def _check_tiles(body: bytes, name: str) -> None:
    if len(body) != 9:
        raise _broken(name)
    if not all(0 < side <= _LARGEST_TILE for side in struct.unpack("<II", body[:8])):
        raise BadImage(f"{name} is an EXR file with tiles of a size that is not read.", fix=_PLAIN)


def _channels(body: bytes, name: str) -> dict[str, tuple[int, int, int]]:
    """Type and sampling (across, down) of each channel by its name."""
    channels: dict[str, tuple[int, int, int]] = {}
    while body and body[0]:
        letters, _, body = body.partition(b"\0")
        if len(body) < 16:
            raise _broken(name)
        kind, _, across, down = struct.unpack("<iIii", body[:16])
        channels[letters.decode("utf-8", "replace")] = (kind, across, down)
        body = body[16:]
    return channels


def _colours(channels: dict[str, tuple[int, int, int]], name: str) -> tuple[int, str]:
    """Depth and channels of the picture; others (depth, layers) are left unread."""
    if {"R", "G", "B"} <= channels.keys():
        used, says = ["R", "G", "B"], "RGB"
    elif "Y" in channels and not {"RY", "BY"} & channels.keys():
        used, says = ["Y"], "L"
    else:
        raise BadImage(f"{name} is an EXR file without the channels R, G, B or Y.", fix=_PLAIN)
    if "A" in channels:
        used, says = [*used, "A"], says + "A"
    kinds = {channels[key] for key in used}
    if not kinds <= {(1, 1, 1), (2, 1, 1)}:
        raise BadImage(
            f"{name} is an EXR file with channels of a kind that is not read.", fix=_PLAIN
        )
    return max(_DEPTHS[kind] for kind, _, _ in kinds), says
