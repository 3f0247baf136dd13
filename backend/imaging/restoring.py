# SPDX-License-Identifier: GPL-3.0-or-later
"""From a generated clip, small and a little off, to pictures as large and as true as its two keys.

The network's frames say what moves where. What it lost of the keys (detail finer than its canvas,
its coder's blur, a tint) is the difference between each key and the frame that shows it; that
difference moves along with the drawing. Where nothing can be followed the frame stays as generated.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from .alpha import Array, bleed, bounds, is_opaque, premultiply, unpremultiply
from .canvas import Canvas, resized
from .flows import Flow, flow
from .plates import Plate
from .sampling import floats, looked_up, places_of
from .tone import matched

Ways = Callable[[Array, Array, float], tuple[Array, Array, Array]]
"""For a time (0..1) between two opaque frames (h, w, 3): the ways (h, w, 2), in pixels, from each
place to where it lies in each frame, and the share (h, w) of the second frame."""
_ON_A_FRAME = 0.02
"""So near to a frame, a position is that frame."""


class Clip:
    """Frames between two keys. Pictures are straight RGBA (H, W, 4) of the keys' size."""

    def __init__(
        self,
        frames: Sequence[Array],
        keys: tuple[Array, Array],
        plate: Plate,
        laid: Canvas,
        *,
        ways: Ways | None = None,
        tone: bool = True,
        detail: bool = True,
    ) -> None:
        """frames: (h, w, 3) as large as a key is on the canvas; the first and last show the keys,
        over the plate. ways: who says what lies between frames; None: the nearer one is shown.
        tone, detail: whether what was lost of the keys is brought back."""
        self._ways = ways
        self._keys, self._plate = keys, plate
        shown = [plate.behind(key) for key in keys]
        small = [np.clip(laid.scaled(picture), 0, 1) for picture in shown]
        self.frames = matched(frames, *small) if tone else list(frames)
        self._last = len(frames) - 1
        self._size = keys[0].shape[:2]
        ends = zip(shown, (0, self._last), strict=True)
        # What the generated frame of each key lacks of it.
        self._lost = [key - self._enlarged(number) for key, number in ends] if detail else []
        self._opaque = all(is_opaque(key) for key in keys)
        self._within = bounds(keys)
        self._made: dict[int, Array] = {}

    def picture(self, position: float) -> Array:
        """At a position 0..frames - 1; between two frames both are moved and mixed."""
        before = min(int(position), self._last - 1)
        share = position - before
        if self._ways is None or not _ON_A_FRAME <= share <= 1 - _ON_A_FRAME:
            return self._straight(self._whole(before + round(share)))
        ways = self._ways(self.frames[before], self.frames[before + 1], share)
        first, second, weight = (resized(part, *self._size) for part in ways)
        scale = floats(np.array(self._size[::-1]) / self.frames[0].shape[1::-1])
        places = places_of(*self._size)
        moved = looked_up(self._whole(before), floats(places + first * scale))
        other = looked_up(self._whole(before + 1), floats(places + second * scale))
        return self._straight(floats(moved + (other - moved) * np.clip(weight, 0, 1)[..., None]))

    def _whole(self, number: int) -> Array:
        """Frame `number`, premultiplied and finished; the last two are remembered."""
        if number not in self._made:
            while len(self._made) > 1:
                del self._made[next(iter(self._made))]
            self._made[number] = self._finished(number)
        return self._made[number]

    def _finished(self, number: int) -> Array:
        if number in (0, self._last):
            return premultiply(self._keys[number > 0])
        shown = self._enlarged(number)
        t = number / self._last
        flows = [self._flow(number, end) for end in (0, self._last)]
        weights = [(1 - t) * flows[0].sure, t * flows[1].sure]
        known = np.maximum(flows[0].sure, flows[1].sure)
        if self._lost:
            shown += known[..., None] * _mixed(flows, weights, self._lost)
        if self._opaque:
            return self._plate.lifted(shown, np.ones(shown.shape[:2], np.float32))
        followed = _mixed(flows, weights, [key[..., 3] for key in self._keys])
        matte = known * followed + (1 - known) * self._plate.matte(shown)
        return self._plate.lifted(shown, np.clip(matte, 0, 1))

    def _enlarged(self, number: int) -> Array:
        return resized(self.frames[number], *self._size).copy()

    def _flow(self, start: int, end: int) -> Flow:
        found = flow(self.frames[start], self.frames[end])
        return found.at(*self._size)

    def _straight(self, premultiplied: Array) -> Array:
        if self._opaque:
            result = np.clip(premultiplied, *self._within)
            result[..., 3] = 1
            return result
        return bleed(unpremultiply(premultiplied, self._within))


def _mixed(flows: Sequence[Flow], weights: Sequence[Array], pictures: Sequence[Array]) -> Array:
    """Both pictures moved to where their places lie, and mixed by the weights (H, W)."""
    total = weights[0] + weights[1]
    share = np.divide(weights[1], total, out=np.full_like(total, 0.5), where=total > 1e-6)
    first, second = (f.fetch(p) for f, p in zip(flows, pictures, strict=True))
    return floats(first + (second - first) * (share if first.ndim == 2 else share[..., None]))
