# SPDX-License-Identifier: GPL-3.0-or-later
"""Small stills and masks for tests of loops."""

import cv2
import numpy as np

from backend.imaging.alpha import Array
from protocol.jobs import Point, Stroke


def texture(height: int, width: int, seed: int = 1) -> Array:
    """Opaque coloured noise of a few pixels' size."""
    noise = np.random.default_rng(seed).random((height, width, 3)).astype(np.float32)
    soft = cv2.GaussianBlur(noise, (0, 0), 1.5)
    soft = np.clip((soft - 0.5) * 3 + 0.5, 0, 1)
    return np.dstack((soft, np.ones((height, width), np.float32))).astype(np.float32)


def box(height: int, width: int, top: int, left: int, bottom: int, right: int) -> Array:
    """A mask, white inside the box."""
    mask = np.zeros((height, width), np.float32)
    mask[top:bottom, left:right] = 1
    return mask


def stroke(x0: float, y0: float, x1: float, y1: float, speed: float) -> Stroke:
    return Stroke(line=(Point(x0, y0), Point(x1, y1)), speed=speed)
