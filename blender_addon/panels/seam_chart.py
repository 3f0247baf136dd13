# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: TID252
"""Draws what a loop of each length would cost as a small picture: low is good.

It knows only the numbers. Blender draws a picture on a panel into a square, so the chart is one;
its upper half is left to the numbers of the lengths that are marked.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any

import bpy.utils.previews

from ..seams import Seam
from .chart import Canvas, Palette

_SIZE = 256


def draw_seam(seam: Seam, chosen: int, marked: Sequence[int], palette: Palette) -> array[float]:
    """The chart as premultiplied RGBA floats, the bottom row first: a bar for each length, those
    that are `marked` with their numbers, the chosen one in the colour of keys."""
    canvas, dot = Canvas(_SIZE), 4
    low, high = 6 * dot, _SIZE - 8 * dot
    known = [cost for cost in seam.costs if cost is not None]
    most = max(known, default=0.0) or 1.0
    across = _SIZE / len(seam.lengths)
    canvas.rect(0, low, _SIZE, high - low, palette.faint(0.07))
    taken: list[int] = []
    for number, (length, cost) in enumerate(zip(seam.lengths, seam.costs, strict=True)):
        if cost is None:
            continue
        left, right = round(number * across), round((number + 1) * across)
        top = low + max(1, round(cost / most * (high - low)))
        is_marked = length in marked or length == chosen
        kind = "key" if length == chosen else "breakdown"
        colour = palette.of(kind) if is_marked else palette.faint(0.35)
        gap = 1 if right - left > 3 else 0
        canvas.rect(left, low, max(1, right - left - gap), top - low, colour)
        middle = (left + right) // 2
        if is_marked and all(abs(middle - other) > 14 * dot for other in taken):
            taken.append(middle)
            end = min(_SIZE, max(len(str(length)) * 4 * dot, middle + len(str(length)) * 2 * dot))
            canvas.number(end, low - 3 * dot, length, dot, colour)
    return canvas.pixels


class _Picture:
    """The one chart that is shown."""

    def __init__(self) -> None:
        self.previews: Any = bpy.utils.previews.new()
        self.content: object = None
        self.drawn = 0

    def icon(self, seam: Seam, chosen: int, marked: Sequence[int], palette: Palette) -> int:
        content = (seam, chosen, tuple(marked), palette)
        if content != self.content:
            self.previews.clear()
            self.content, self.drawn = content, self.drawn + 1
            preview = self.previews.new(f"seam {self.drawn}")
            preview.image_size = (_SIZE, _SIZE)
            preview.image_pixels_float.foreach_set(draw_seam(seam, chosen, marked, palette))
        return self.previews[f"seam {self.drawn}"].icon_id


_picture: _Picture | None = None


def icon_of(seam: Seam, chosen: int, marked: Sequence[int], palette: Palette) -> int:
    """The number of the icon that shows the chart."""
    global _picture
    if _picture is None:
        _picture = _Picture()
    return _picture.icon(seam, chosen, marked, palette)


def unregister() -> None:
    """Give the picture's memory back."""
    global _picture
    if _picture is not None:
        bpy.utils.previews.remove(_picture.previews)
    _picture = None
