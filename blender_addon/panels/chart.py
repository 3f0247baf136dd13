# SPDX-License-Identifier: GPL-3.0-or-later
"""Draws a gap's timing chart as a small picture: the line with its ticks, and the frames beside it.

It knows only the ticks that the planning room gives, which are the times that the engine gets.
Blender draws a picture on a panel into a square, so the chart is one. As in Blender's own curves
time goes to the right and the way from key to key goes up.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import bpy.utils.previews

from ..shot import Tick  # noqa: TID252

Colour = tuple[float, float, float, float]


class Palette(NamedTuple):
    """Colours that are read well where `ink` is: the theme's text, opaque RGBA in 0..1."""

    ink: Colour

    def of(self, kind: str) -> Colour:
        """The colour of a key, a breakdown or an in-between."""
        colours = _ON_DARK if sum(self.ink[:3]) > 1.5 else _ON_LIGHT
        return colours.get(kind, self.ink)

    def faint(self, alpha: float) -> Colour:
        """The ink, thinned: premultiplied, as Blender shows previews."""
        red, green, blue, _ = self.ink
        return red * alpha, green * alpha, blue * alpha, alpha


_ON_DARK = {"key": (0.96, 0.66, 0.20, 1.0), "breakdown": (0.35, 0.70, 0.92, 1.0)}
_ON_LIGHT = {"key": (0.75, 0.38, 0.00, 1.0), "breakdown": (0.05, 0.38, 0.68, 1.0)}
_DIGITS = (
    ("###", "# #", "# #", "# #", "###"),
    (" # ", "## ", " # ", " # ", "###"),
    ("###", "  #", "###", "#  ", "###"),
    ("###", "  #", " ##", "  #", "###"),
    ("# #", "# #", "###", "  #", "  #"),
    ("###", "#  ", "###", "  #", "###"),
    ("###", "#  ", "###", "# #", "###"),
    ("###", "  #", "  #", " # ", " # "),
    ("###", "# #", "###", "# #", "###"),
    ("###", "# #", "###", "  #", "###"),
)
_DIGIT_STEP, _DIGIT_HEIGHT = 4, 5
_KEPT = 128
"""How many pictures are kept for the next redraw."""


class Canvas:
    """A square of premultiplied RGBA floats, its first row at the bottom as Blender has it."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.pixels = array("f", bytes(16 * size * size))

    def rect(self, x: int, y: int, width: int, height: int, colour: Colour) -> None:
        """Fill a rectangle; what lies outside the canvas is left out."""
        left, right = max(0, x), min(self.size, x + width)
        if right <= left:
            return
        row = array("f", colour * (right - left))
        for line in range(max(0, y), min(self.size, y + height)):
            start = 4 * (line * self.size + left)
            self.pixels[start : start + len(row)] = row

    def number(self, right: int, middle: int, number: int, dot: int, colour: Colour) -> None:
        """Write a number that ends at `right`; a dot of its figures has `dot` pixels."""
        text = str(number)
        left = right - (len(text) * _DIGIT_STEP - 1) * dot
        top = middle + (_DIGIT_HEIGHT * dot) // 2
        for place, figure in enumerate(text):
            for down, row in enumerate(_DIGITS[int(figure)]):
                for across, mark in enumerate(row):
                    if mark == "#":
                        x = left + (place * _DIGIT_STEP + across) * dot
                        self.rect(x, top - (down + 1) * dot, dot, dot, colour)


class _Frame(NamedTuple):
    """Where things are on the picture, in pixels."""

    line: int
    left: int
    right: int
    bottom: int
    top: int
    dot: int

    def height(self, at: float) -> int:
        return self.bottom + round(at * (self.top - self.bottom))


def draw_chart(ticks: Sequence[Tick], size: int, palette: Palette) -> array[float]:
    """The chart as `size` x `size` premultiplied RGBA floats, the bottom row first."""
    canvas, dot = Canvas(size), max(1, round(size / 60))
    digits = len(str(ticks[-1].number))
    line = digits * _DIGIT_STEP * dot + 5 * dot
    margin = 4 * dot
    frame = _Frame(line, line + 6 * dot, size - dot, margin, size - 1 - margin, dot)
    _draw_frames(canvas, frame, ticks, palette)
    _draw_line(canvas, frame, ticks, palette)
    for tick in _numbered(frame, ticks):
        colour = palette.of(tick.kind)
        canvas.number(line - 4 * dot, frame.height(tick.at), tick.number, dot, colour)
    return canvas.pixels


def _draw_line(canvas: Canvas, frame: _Frame, ticks: Sequence[Tick], palette: Palette) -> None:
    """The animator's chart: a line from key to key with a tick for each drawing."""
    dot, ink = frame.dot, palette.faint(0.6)
    canvas.rect(frame.line, frame.bottom, dot, frame.top - frame.bottom, ink)
    for tick in sorted(ticks, key=lambda tick: tick.kind != "between"):
        reach = dot * (2 if tick.kind == "between" else 3)
        y = frame.height(tick.at) - dot // 2
        canvas.rect(frame.line - reach, y, 2 * reach + dot, dot, palette.of(tick.kind))


def _draw_frames(canvas: Canvas, frame: _Frame, ticks: Sequence[Tick], palette: Palette) -> None:
    """Each drawing as a bar, as long as it is held."""
    dot, length = frame.dot, ticks[-1].frame + 1
    across = (frame.right - frame.left) / length
    box = (frame.left, frame.bottom, frame.right - frame.left, frame.top - frame.bottom + 1)
    canvas.rect(*box, palette.faint(0.07))
    for tick in ticks:
        begin = frame.left + round(tick.frame * across)
        end = frame.left + round((tick.frame + (tick.hold if tick != ticks[-1] else 1)) * across)
        y = frame.height(tick.at) - dot // 2
        gap = 1 if end - begin > 2 else 0
        # From the bar down to the ground: a stair that shows slow and fast at a glance.
        if y > frame.bottom:
            canvas.rect(
                begin, frame.bottom, end - begin - gap, y - frame.bottom, palette.faint(0.16)
            )
        canvas.rect(begin, y, end - begin - gap, dot, palette.of(tick.kind))


def _numbered(frame: _Frame, ticks: Sequence[Tick]) -> Iterator[Tick]:
    """The drawings whose numbers have room: the keys, the breakdowns, then the others."""
    taken: list[int] = []
    ranks = {"key": 0, "breakdown": 1, "between": 2}
    for tick in sorted(ticks, key=lambda tick: ranks[tick.kind]):
        y = frame.height(tick.at)
        if all(abs(y - other) >= (_DIGIT_HEIGHT + 2) * frame.dot for other in taken):
            taken.append(y)
            yield tick


class _Charts:
    """The pictures that were drawn, by what is on them."""

    def __init__(self) -> None:
        self.previews: Any = bpy.utils.previews.new()
        self.names: dict[object, str] = {}
        self.drawn = 0

    def icon(self, ticks: Sequence[Tick], size: int, palette: Palette) -> int:
        content = (tuple(ticks), size, palette)
        name = self.names.get(content)
        if name is None:
            name = self.names[content] = f"chart {self.drawn}"
            self.drawn += 1
            preview = self.previews.new(name)
            preview.image_size = (size, size)
            preview.image_pixels_float.foreach_set(draw_chart(ticks, size, palette))
            self._forget_oldest()
        return self.previews[name].icon_id

    def _forget_oldest(self) -> None:
        if len(self.names) > _KEPT:
            del self.previews[self.names.pop(next(iter(self.names)))]


_charts: _Charts | None = None


def icon_of(ticks: Sequence[Tick], size: int, palette: Palette) -> int:
    """The number of the icon that shows the chart; it is drawn when it is asked for first."""
    global _charts
    if _charts is None:
        _charts = _Charts()
    return _charts.icon(ticks, size, palette)


def unregister() -> None:
    """Give the pictures' memory back."""
    global _charts
    if _charts is not None:
        bpy.utils.previews.remove(_charts.previews)
    _charts = None
