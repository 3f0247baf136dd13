# SPDX-License-Identifier: GPL-3.0-or-later
"""From a rough sketch, however it was made, to lines: 1 where there is ink, 0 where there is none.

Dark on light, light on dark or over transparency; thin or thick, pale or strong; of any size.
"""

from __future__ import annotations

import numpy as np

from .alpha import LUMA, Array
from .canvas import Canvas, resized
from .sampling import floats

_PAPER = 0.06
"""Grain of a scanned paper: ink differs from it by more."""
_STRONG = 99.0
"""The percentile of the ink that becomes 1: the strokes' middle, not a single dot."""


def lines(sketch: Array, canvas: Canvas) -> Array:
    """(H, W), 0..1, as large as the canvas, of a straight RGBA sketch of any size.

    A sketch with nothing on it, of one colour or wholly transparent, has no lines.
    """
    drawn = _strengthened(_ink(sketch))
    small = np.clip(
        resized(drawn[..., None], canvas.height, canvas.width).reshape(canvas.height, canvas.width),
        0,
        1,
    )
    fit = canvas.around
    # Around it there is nothing: a repeated border would draw its lines on.
    whole = np.pad(_strengthened(small), ((fit.top, fit.bottom), (fit.left, fit.right)))
    return whole.astype(np.float32)


def _ink(sketch: Array) -> Array:
    """How far each place is from the paper, (H, W)."""
    alpha = sketch[..., 3]
    lightness = np.clip(sketch[..., :3], 0, 1) @ LUMA
    if (alpha < 0.5).mean() > 0.5:
        # Lines over transparency: of whatever colour, unless white paper fills what was drawn.
        painted = lightness[alpha > 0.5]
        filled = painted.size and np.median(painted) > 0.9 and painted.min() < 0.5
        return floats(alpha * (1 - lightness)) if filled else alpha
    shown = lightness * alpha + (1 - alpha)
    return np.abs(shown - np.median(shown))


def _strengthened(ink: Array) -> Array:
    """The strokes' middle as 1, whether they were pale, or became so when they were made small."""
    seen = ink[ink > _PAPER]
    if not seen.size:
        return np.zeros_like(ink)
    strong = max(float(np.percentile(seen, _STRONG)), _PAPER)
    return np.where(ink > _PAPER, np.clip(ink / strong, 0, 1), 0).astype(np.float32)
