# SPDX-License-Identifier: GPL-3.0-or-later
"""Looking pictures up between their pixels, making them coarser, finer and softer: float32 only."""

from typing import cast

import cv2
import numpy as np
import numpy.typing as npt

from .alpha import Array

_NOTHING = cast(Array, None)
"""Both coordinates are in one map; OpenCV's types do not know that the second may be missing."""


def floats(values: npt.ArrayLike) -> Array:
    """As float32; nothing is copied that is so already."""
    return np.asarray(values, np.float32)


def looked_up(picture: Array, places: Array, how: int = cv2.INTER_LINEAR) -> Array:
    """The values of a picture (H, W[, C]) at places (h, w, 2): column, row. Its border goes on."""
    return floats(cv2.remap(picture, places, _NOTHING, how, borderMode=cv2.BORDER_REPLICATE))


def places_of(height: int, width: int) -> Array:
    """(H, W, 2): the column and row of every pixel."""
    rows, columns = np.indices((height, width), np.float32)
    return np.stack((columns, rows), 2)


def coarser(picture: Array, height: int, width: int) -> Array:
    """Each new pixel is the mean of those it covers."""
    return floats(cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA))


def finer(picture: Array, height: int, width: int) -> Array:
    """Bilinear between the old pixels."""
    return floats(cv2.resize(picture, (width, height), interpolation=cv2.INTER_LINEAR))


def softer(picture: Array, sigma: float) -> Array:
    """Blurred by a Gaussian; its border goes on."""
    return floats(
        cv2.GaussianBlur(picture, (0, 0), max(sigma, 0.3), borderType=cv2.BORDER_REPLICATE)
    )


def padded(picture: Array, height: int, width: int) -> Array:
    """Continued to the right and down, as its border is, to a size that is not smaller."""
    down, across = height - picture.shape[0], width - picture.shape[1]
    if not down and not across:
        return picture
    return floats(cv2.copyMakeBorder(picture, 0, down, 0, across, cv2.BORDER_REPLICATE))
