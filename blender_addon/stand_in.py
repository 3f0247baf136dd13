# SPDX-License-Identifier: GPL-3.0-or-later
"""A picture of which only the size counts, for a moment. It knows no Blender."""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from protocol.pictures import probe

from .storage import reading, writing

_NAME = ".size.png"
_MOST = 512 * 512
"""Pixels, decoded within a millisecond; of a larger picture the proportions must do."""


@contextmanager
def stand_in(of: Path, folder: Path) -> Iterator[Path]:
    """A file in the folder that has the size of a PNG, JPEG or EXR, and that is soon decoded.

    Raises BadImage, MissingFile or DiskFull.
    """
    path = folder / _NAME
    with reading(of), of.open("rb") as file:
        info = probe(file, of.name)
    try:
        with writing(path):
            path.write_bytes(_blank(*_bounded(info.width, info.height)))
        yield path
    finally:
        path.unlink(missing_ok=True)


def _bounded(width: int, height: int) -> tuple[int, int]:
    shrink = max(1.0, math.sqrt(width * height / _MOST))
    return max(1, round(width / shrink)), max(1, round(height / shrink))


def _blank(width: int, height: int) -> bytes:
    """A black PNG of one bit a pixel."""
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes(1 + (width + 7) // 8) * height, 9)
    parts = _chunk(b"IHDR", header) + _chunk(b"IDAT", rows) + _chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
