# SPDX-License-Identifier: GPL-3.0-or-later
"""How a camera that should stand still shook: measured on what stands still, and taken out.

Source: Evangelidis, Psarakis: Parametric Image Alignment Using Enhanced Correlation Coefficient
Maximization, PAMI 2008, as OpenCV has it.
"""

from __future__ import annotations

import cv2
import numpy as np

from .alpha import LUMA, Array, premultiply
from .geodesic import Mask
from .sampling import coarser, floats

_LONG = 320
"""Pixels of the copies that are measured, on the long side."""
_LEAST = 0.02
"""Pixels: less is no shake, and the picture is left as it is."""
_ENOUGH = 0.05
"""Share of the picture that must stand still to be measured."""
_PATIENCE = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 40, 1e-5)


class Tripod:
    """Measures frames against a plate (H, W, 4), outside what may move (H, W)."""

    def __init__(self, plate: Array, moving: Mask) -> None:
        height, width = plate.shape[:2]
        self._shrink = min(1.0, _LONG / max(height, width))
        self._sides = max(1, round(height * self._shrink)), max(1, round(width * self._shrink))
        still = coarser(floats(~moving), *self._sides) > 0.99
        self._still = still.astype(np.uint8)
        self._usable = bool(still.mean() > _ENOUGH) and min(self._sides) >= 8
        self._plate = self._grey(plate)
        self._guess = np.eye(2, 3, dtype=np.float32)

    def move_of(self, frame: Array) -> Array | None:
        """Where each place of the plate lies in the frame: an affine matrix (2, 3) of a turn and a
        shift in pixels. None if it did not move, or nothing can be measured."""
        if not self._usable:
            return None
        try:
            _, found = cv2.findTransformECC(
                self._plate,
                self._grey(frame),
                self._guess.copy(),
                cv2.MOTION_EUCLIDEAN,
                _PATIENCE,
                self._still,
                3,
            )
        except cv2.error:  # nothing in common: a cut, or a flat picture
            return None
        self._guess = floats(found)
        return self._full(self._guess)

    def _full(self, small: Array) -> Array | None:
        """The matrix for pixels of the full size, whose centres lie at whole numbers."""
        height, width = (side / self._shrink for side in self._sides)
        centre = 0.5 / self._shrink - 0.5
        move = small.astype(np.float64)
        move[:, 2] = move[:, 2] / self._shrink + centre - move[:, :2] @ (centre, centre)
        corners = np.array(((0, 0, 1), (width, 0, 1), (0, height, 1), (width, height, 1))).T
        if np.abs(move @ corners - corners[:2]).max() < _LEAST:
            return None
        return floats(move)

    def _grey(self, picture: Array) -> Array:
        return coarser(floats(premultiply(picture)[..., :3] @ LUMA), *self._sides)


def moved(picture: Array, move: Array | None) -> Array:
    """A frame brought to where its plate is; its border goes on. No colour is invented."""
    if move is None:
        return picture
    height, width = picture.shape[:2]
    how = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    result = floats(
        cv2.warpAffine(picture, move, (width, height), flags=how, borderMode=cv2.BORDER_REPLICATE)
    )
    return np.clip(result, picture.min((0, 1)), picture.max((0, 1)), out=result)
