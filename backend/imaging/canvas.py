# SPDX-License-Identifier: GPL-3.0-or-later
"""The size at which a network that likes one size sees a picture: scaled and padded, not stretched.

Networks trained on one size draw worse at others. So a picture is scaled, both ways alike, until it
fills a canvas of about that many pixels whose shape is nearest to its own; what is left at two
sides repeats the border.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import cv2

from .alpha import Array
from .fit import Fit, crop, pad
from .sampling import coarser, floats

_SLACK = 1.125
"""A canvas may have so much more than the wanted pixels, or the nearest shape would be far."""


@dataclass(frozen=True)
class Canvas:
    """Where a picture of one size lies on a canvas. height, width: of the picture on it."""

    height: int
    width: int
    around: Fit

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the whole canvas."""
        fit = self.around
        return self.height + fit.top + fit.bottom, self.width + fit.left + fit.right

    def scaled(self, picture: Array) -> Array:
        """A picture (H, W, C) as large as it is on the canvas, without what lies around it."""
        return resized(picture, self.height, self.width)

    def padded(self, scaled: Array) -> Array:
        """A scaled picture with its border repeated as far as the canvas goes."""
        return pad(scaled, self.around)

    def cropped(self, whole: Array) -> Array:
        """The picture without what lies around it."""
        return crop(whole, self.around)


@cache
def canvas(height: int, width: int, area: int, multiple: int) -> Canvas:
    """The canvas for such pictures: both sides multiples of `multiple`, about `area` pixels.

    Of those not much larger than `area` it is the one on which the picture becomes largest.
    """
    most = max(area * _SLACK, multiple**2)
    sides = range(multiple, int(most / multiple) + 1, multiple)
    fitting = [(h, w) for h in sides for w in sides if h * w <= most]
    return max(
        (_laid(height, width, h, w) for h, w in fitting),
        key=lambda laid: (laid.height * laid.width, -laid.size[0] * laid.size[1]),
    )


def _laid(height: int, width: int, down: int, across: int) -> Canvas:
    scale = min(down / height, across / width)
    inner = (min(down, max(1, round(height * scale))), min(across, max(1, round(width * scale))))
    free, aside = down - inner[0], across - inner[1]
    around = Fit(*inner, free // 2, aside // 2, free - free // 2, aside - aside // 2)
    return Canvas(*inner, around)


def resized(picture: Array, height: int, width: int) -> Array:
    """(H, W, C) at another size: the mean of what a pixel covers, or a smooth curve between pixels.

    A curve may swing a little beyond the values it passes through.
    """
    if picture.shape[:2] == (height, width):
        return picture
    if height <= picture.shape[0] and width <= picture.shape[1]:
        return coarser(picture, height, width)
    return floats(cv2.resize(picture, (width, height), interpolation=cv2.INTER_CUBIC))
