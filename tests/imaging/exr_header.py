# SPDX-License-Identifier: GPL-3.0-or-later
"""The header of an EXR file, byte by byte, true or false."""

import struct


def attribute(key: str, kind: str, body: bytes) -> bytes:
    head = key.encode() + b"\0" + kind.encode() + b"\0"
    return head + struct.pack("<i", len(body)) + body


def channel(key: str, kind: int = 1, across: int = 1, down: int = 1) -> bytes:
    return key.encode() + b"\0" + struct.pack("<iIii", kind, 0, across, down)


def exr_header(
    width: int = 30,
    height: int = 20,
    channels: bytes = b"".join(map(channel, "ABGR")),
    flags: int = 0,
    data: tuple[int, int, int, int] | None = None,
    compression: int = 3,
    extra: bytes = b"",
) -> bytes:
    """Only the header; `data` is the data window, that of the picture unless told."""
    window = (0, 0, width - 1, height - 1)
    return (
        b"\x76\x2f\x31\x01"
        + struct.pack("<I", 2 | flags)
        + attribute("channels", "chlist", channels + b"\0")
        + attribute("compression", "compression", bytes([compression]))
        + attribute("dataWindow", "box2i", struct.pack("<4i", *(data or window)))
        + attribute("displayWindow", "box2i", struct.pack("<4i", *window))
        + extra
        + b"\0"
    )


def tiles(side: int) -> bytes:
    return attribute("tiles", "tiledesc", struct.pack("<IIB", side, side, 0))
