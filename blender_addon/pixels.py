# SPDX-License-Identifier: GPL-3.0-or-later
"""Grey pixels: read as Blender left them, softened, written as PNG. It knows no Blender.

A mask is (H, W) uint8, first row on top. What takes longer than a few milliseconds at 1920x1080 is
a generator: it yields between bands of rows.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

Grey = np.ndarray[Any, np.dtype[np.uint8]]
Steps = Generator[None, None, Grey]

_BAND = 96
"""Rows or columns at a time: 1 to 6 ms at 1920x1080."""
_PASSES = 3
_UP = 2
"""PNG filter: each byte minus the one above it (PNG specification, section 9.2)."""


def read_targa(path: Path) -> Grey:
    """The pixels of an uncompressed TARGA file as Blender writes it: (H, W) or (H, W, 4) RGBA."""
    raw = np.fromfile(path, np.uint8)
    width, height = (int(number) for number in raw[12:16].view("<u2"))
    channels = int(raw[16]) // 8
    start = 18 + int(raw[0])
    pixels = raw[start : start + width * height * channels].reshape(height, width, channels)[::-1]
    return pixels[..., 0] if channels == 1 else pixels[..., [2, 1, 0, 3][:channels]]


def feathered(grey: Grey, reach: float) -> Steps:
    """Soften the edge over about `reach` pixels to each side; returns the soft mask at the end.

    Three box means in each direction, nearly a Gaussian of standard deviation reach/sqrt(3)
    (W. M. Wells, Efficient synthesis of Gaussian filters by cascaded uniform filters, 1986).
    """
    radius = round(reach / _PASSES)
    if radius < 1:
        return grey
    soft = grey
    for _ in range(2):
        soft = yield from _box_means(soft, radius)
        soft = np.ascontiguousarray(soft.T)
        yield
    return soft


def _box_means(grey: Grey, radius: int) -> Steps:
    """Three means along each row; the outermost pixel goes on beyond the picture's edge."""
    made = np.empty_like(grey)
    for top in range(0, len(grey), _BAND):
        band: Any = grey[top : top + _BAND].astype(np.uint32) << 8
        for _ in range(_PASSES):
            band = _box_mean(band, radius)
        made[top : top + _BAND] = (band + 128) >> 8
        yield
    return made


def _box_mean(band: Any, radius: int) -> Any:
    window = 2 * radius + 1
    wide = np.pad(band, ((0, 0), (radius + 1, radius)), mode="edge")
    # Sums may wrap around; their differences are right as long as one window fits in 32 bits.
    sums = np.cumsum(wide, axis=1, dtype=np.uint32)
    return (sums[:, window:] - sums[:, :-window] + window // 2) // window


def luma(rgba: Any) -> Steps:
    """The brightness of 0..1 float pixels (H, W, 4) as 8 bits (Rec. 709 weights)."""
    made = np.empty(rgba.shape[:2], np.uint8)
    weights = np.array((0.2126, 0.7152, 0.0722), np.float32)
    for top in range(0, len(made), _BAND):
        value = rgba[top : top + _BAND, :, :3] @ weights
        made[top : top + _BAND] = np.rint(np.clip(value, 0, 1) * 255)
        yield
    return made


def eight_bit(values: Any) -> Steps:
    """0..1 floats (H, W) as 8 bits."""
    made = np.empty(values.shape, np.uint8)
    for top in range(0, len(made), _BAND):
        made[top : top + _BAND] = np.rint(np.clip(values[top : top + _BAND], 0, 1) * 255)
        yield
    return made


def inside(line: Sequence[tuple[float, float]], size: tuple[int, int]) -> Any:
    """Which pixels (H, W) have their centre inside a closed line: (x, y) from the upper left.

    Even-odd rule; `size` is width, height.
    """
    width, height = size
    across = np.arange(width) + 0.5
    filled = np.zeros((height, width), bool)
    for (x1, y1), (x2, y2) in zip(line, (*line[1:], line[0]), strict=True):
        low, high = sorted((y1, y2))
        rows = np.arange(max(0, math.ceil(low - 0.5)), min(height, math.ceil(high - 0.5)))
        if len(rows):
            cuts = x1 + (rows + 0.5 - y1) * (x2 - x1) / (y2 - y1)
            filled[rows] ^= across[None] > cuts[:, None]
    return filled


def write_grey(path: Path, grey: Grey) -> Iterator[None]:
    """Write an 8-bit grey PNG, whole or not at all; the same pixels give the same bytes."""
    height, width = grey.shape
    packer = zlib.compressobj(1)
    packed = []
    above = np.zeros(width, np.uint8)
    for top in range(0, height, _BAND):
        band = grey[top : top + _BAND]
        lines = np.empty((len(band), width + 1), np.uint8)
        lines[:, 0] = _UP
        lines[:, 1:] = band
        lines[0, 1:] -= above
        lines[1:, 1:] -= band[:-1]
        above = band[-1]
        packed.append(packer.compress(lines.tobytes()))
        yield
    packed.append(packer.flush())
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = _chunk(b"IHDR", header) + _chunk(b"IDAT", b"".join(packed)) + _chunk(b"IEND", b"")
    half = path.with_name(f".{path.name}.part")
    half.write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    half.replace(path)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
