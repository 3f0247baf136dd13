# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures as a screen shows them: bytes, flattened where nothing may shine through."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from backend.imaging.alpha import Array

Bytes = npt.NDArray[np.uint8]


def shown(pixels: Array) -> Bytes:
    """The nearest bytes (H, W, 4) of straight RGBA; light beyond white is white."""
    steps = np.rint(np.clip(pixels, 0, 1) * np.float32(255))
    return steps.astype(np.uint8)


def flattened(pixels: Array, under: tuple[float, float, float]) -> Array:
    """The picture over a colour: opaque RGBA (H, W, 4)."""
    result = pixels.copy()
    share = pixels[..., 3:]
    result[..., :3] = pixels[..., :3] * share + np.array(under, np.float32) * (1 - share)
    result[..., 3] = 1
    return result
