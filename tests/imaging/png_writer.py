# SPDX-License-Identifier: GPL-3.0-or-later
"""A plain PNG writer for tests: every colour type and depth, palettes, tRNS, Adam7, bad bytes.

It shares nothing with the codec under test. Source: PNG specification (W3C, third edition).
"""

import struct
import zlib

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.uint16]

COLOUR_TYPES = {"L": 0, "RGB": 2, "P": 3, "LA": 4, "RGBA": 6}
SIGNATURE = b"\x89PNG\r\n\x1a\n"
# x and y of the first pixel, x and y step of each pass (section 8.2).
_ADAM7 = (
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
)


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def header(width: int, height: int, bits: int, kind: str, interlaced: bool = False) -> bytes:
    fields = struct.pack(">IIBBBBB", width, height, bits, COLOUR_TYPES[kind], 0, 0, interlaced)
    return SIGNATURE + chunk(b"IHDR", fields)


def write_png(
    samples: Samples,
    kind: str,
    bits: int,
    *,
    palette: bytes = b"",
    transparency: bytes = b"",
    interlaced: bool = False,
    text: bytes = b"",
) -> bytes:
    """A PNG of samples (H, W, C) as they are to be stored, C as `kind` wants it."""
    height, width = samples.shape[:2]
    passes = _ADAM7 if interlaced else ((0, 0, 1, 1),)
    parts = (samples[y::down, x::across] for x, y, across, down in passes)
    data = b"".join(_rows(part, bits) for part in parts)
    result = header(width, height, bits, kind, interlaced)
    result += chunk(b"tEXt", text) if text else b""
    result += chunk(b"PLTE", palette) if palette else b""
    result += chunk(b"tRNS", transparency) if transparency else b""
    return result + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


def _rows(part: Samples, bits: int) -> bytes:
    if part.size == 0:
        return b""
    return b"".join(b"\0" + _packed(row.reshape(-1), bits) for row in part)


def _packed(row: Samples, bits: int) -> bytes:
    if bits == 16:
        return row.astype(">u2").tobytes()
    if bits == 8:
        return row.astype(np.uint8).tobytes()
    planes = (row[:, None] >> np.arange(bits - 1, -1, -1)) & 1
    return np.packbits(planes.astype(np.uint8).reshape(-1)).tobytes()
