# SPDX-License-Identifier: GPL-3.0-or-later
"""A cel before a network that knows no transparency: laid over a plate, and cut out again.

The plate has a colour far from all paint. The matte comes from the keys' own alpha where that could
be followed, else from how much a place differs from the plate.
Source of the difference matte: Smith, Blinn: Blue Screen Matting, SIGGRAPH 1996.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .alpha import Array
from .sampling import floats

_PLATES = (
    (1.0, 1.0, 1.0),
    (0.75, 0.75, 0.75),
    (0.0, 0.0, 0.0),
    (0.0, 0.75, 0.25),
    (0.25, 0.25, 1.0),
    (1.0, 0.25, 0.75),
)
"""The first that is far enough: networks have seen more drawings on white than on green."""
_FAR = 0.35
_SAMPLES = 50_000
_GRAIN = 0.04
"""By so much a generated plate is uneven."""


@dataclass(frozen=True)
class Plate:
    """colour: (3,). clearance: how far from it nearly all paint is, in the channel that differs."""

    colour: Array
    clearance: float

    def behind(self, straight: Array) -> Array:
        """A straight RGBA picture over the plate, (H, W, 3)."""
        alpha = straight[..., 3:]
        return floats(straight[..., :3] * alpha + (1 - alpha) * self.colour)

    def matte(self, shown: Array) -> Array:
        """How much paint covers the plate, (H, W), of a picture (H, W, 3) over it."""
        away = np.abs(shown - self.colour).max(axis=2)
        full = max(self.clearance, 2 * _GRAIN)
        return np.clip((away - _GRAIN) / (full - _GRAIN), 0, 1, dtype=np.float32)

    def lifted(self, shown: Array, matte: Array) -> Array:
        """The premultiplied RGBA of a picture (H, W, 3) over the plate whose matte is known."""
        paint = shown - (1 - matte[..., None]) * self.colour
        return floats(np.concatenate((paint, matte[..., None]), axis=2))


def plate(first: Array, last: Array) -> Plate:
    """The plate for two straight RGBA pictures. Opaque ones are the same over any."""
    paint = np.concatenate([key[key[..., 3] > 0.5][:, :3] for key in (first, last)])
    paint = paint[:: max(1, len(paint) // _SAMPLES)] if len(paint) else np.zeros((1, 3), np.float32)
    found = [Plate(np.array(c, np.float32), _clearance(paint, c)) for c in _PLATES]
    return next((p for p in found if p.clearance >= _FAR), max(found, key=lambda p: p.clearance))


def _clearance(paint: Array, colour: tuple[float, float, float]) -> float:
    return float(np.percentile(np.abs(paint - np.array(colour, np.float32)).max(axis=1), 2))
