# SPDX-License-Identifier: GPL-3.0-or-later
"""What a network sees of a picture: a part of it, reduced, with sides that it can halve."""

from __future__ import annotations

from dataclasses import dataclass

import cv2

from .alpha import Array
from .looping import Window
from .sampling import coarser, floats, padded


@dataclass(frozen=True)
class View:
    """A window of a picture with its surroundings, at the network's scale.

    rows, columns: of the picture. height, width: the size to which they are reduced, before
    padding to multiples of `multiple`.
    """

    window: Window
    rows: slice
    columns: slice
    height: int
    width: int
    multiple: int

    @property
    def scale(self) -> tuple[float, float]:
        """Of a way across and down: the network's pixels for each of the picture's."""
        across = self.columns.stop - self.columns.start
        return self.width / across, self.height / (self.rows.stop - self.rows.start)

    def seen(self, picture: Array) -> Array:
        """(H, W[, C]), all of the picture, to (h, w[, C]) with padded sides."""
        return self._reduced(picture[self.rows, self.columns])

    def spread(self, part: Array) -> Array:
        """(h, w[, C]) for the pixels of the window, continued to all of the picture's view; then
        like `seen`."""
        window = self.window
        above, left = window.rows.start - self.rows.start, window.columns.start - self.columns.start
        below, right = self.rows.stop - window.rows.stop, self.columns.stop - window.columns.stop
        border = cv2.BORDER_REPLICATE
        full = floats(cv2.copyMakeBorder(part, above, below, left, right, border))
        return self._reduced(full)

    def _reduced(self, part: Array) -> Array:
        small = coarser(part, self.height, self.width)
        down, across = (-side % self.multiple for side in (self.height, self.width))
        return padded(small, self.height + down, self.width + across)

    def given_back(self, made: Array) -> Array:
        """What a network made (h, w, C), padded, to the pixels of the window."""
        height, width = self.rows.stop - self.rows.start, self.columns.stop - self.columns.start
        full = _enlarged(made[: self.height, : self.width], height, width)
        window = self.window
        top, left = window.rows.start - self.rows.start, window.columns.start - self.columns.start
        bottom, right = window.rows.stop - self.rows.start, window.columns.stop - self.columns.start
        return full[top:bottom, left:right]


def view_of(window: Window, long: int, reach: int, multiple: int) -> View:
    """The view in which the picture's long side has at most `long` pixels, and the window has
    `reach` of them around it, where the picture goes so far."""
    scale = min(1.0, long / max(window.picture))
    around = -(-reach // scale)
    height, width = window.picture
    rows = _grown(window.rows, int(around), height)
    columns = _grown(window.columns, int(around), width)
    small = [max(1, round((side.stop - side.start) * scale)) for side in (rows, columns)]
    return View(window, rows, columns, small[0], small[1], multiple)


def _grown(span: slice, around: int, end: int) -> slice:
    return slice(max(0, span.start - around), min(end, span.stop + around))


def _enlarged(picture: Array, height: int, width: int) -> Array:
    if picture.shape[:2] == (height, width):
        return picture
    return floats(cv2.resize(picture, (width, height), interpolation=cv2.INTER_CUBIC))
