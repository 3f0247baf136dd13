# SPDX-License-Identifier: GPL-3.0-or-later
"""Loops to look at: a contact sheet of nine frames, and a GIF that repeats for ever."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np

from backend.footage import animations
from backend.footage.shown import flattened, shown
from backend.imaging import codecs
from backend.imaging.alpha import Array
from backend.imaging.sampling import coarser

_WIDTH = 480
_PAPER = (1.0, 1.0, 1.0)


def write(folder: Path, name: str, frames: Sequence[Array], fps: int = 25) -> None:
    """`name.png` and `name.gif` of straight RGBA frames (H, W, 4)."""
    folder.mkdir(parents=True, exist_ok=True)
    small = [_small(frame) for frame in frames]
    at = [number * len(small) // 9 for number in range(9)]
    sheet = np.vstack([np.hstack([small[n] for n in at[row : row + 3]]) for row in (0, 3, 6)])
    (folder / f"{name}.png").write_bytes(codecs.encode(sheet, 8, "RGB"))
    pictures = (shown(picture) for picture in small)
    animations.write(pictures, folder / f"{name}.gif", Fraction(fps), 0, alpha=False)


def _small(frame: Array) -> Array:
    height, width = frame.shape[:2]
    opaque = flattened(frame, _PAPER)
    if width <= _WIDTH:
        return opaque
    return coarser(opaque, round(_WIDTH * height / width), _WIDTH)
