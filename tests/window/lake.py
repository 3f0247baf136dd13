# SPDX-License-Identifier: GPL-3.0-or-later
"""A drawn lake under hills, with masks of its water and its sky: what the loop's pictures show."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
import numpy as np

WIDTH, HEIGHT = 1280, 720
SHORE = 0.56
"""Where the water begins, as a share of the height from the top."""


def draw(path: Path) -> Path:
    """Write the picture as PNG."""
    random = np.random.default_rng(4)
    down, across = np.mgrid[0 : 1 : HEIGHT * 1j, 0 : 1 : WIDTH * 1j]
    picture = np.empty((HEIGHT, WIDTH, 3), np.float32)
    picture[:] = (0.55, 0.74, 0.90)
    picture += (0.35 * down)[..., None]
    clouds = _blurred(random.standard_normal((HEIGHT, WIDTH)), 90, 22) > 0.5
    picture[clouds & (down < 0.4)] = (1.0, 0.98, 0.95)
    for height, colour in ((0.30, (0.46, 0.56, 0.66)), (0.42, (0.28, 0.43, 0.40))):
        ridge = height + 0.06 * np.sin(across * 9 + height * 40) + 0.03 * np.sin(across * 31)
        picture[down > ridge] = colour
    water = down > SHORE
    waves = _blurred(random.standard_normal((HEIGHT, WIDTH)), 40, 3)
    picture[water] = (0.20, 0.42, 0.58)
    picture[water] += (0.10 * waves[water])[..., None]
    picture[water & (waves > 1.3)] = (0.82, 0.91, 0.96)
    _save(np.clip(picture, 0, 1), path)
    return path


def _blurred(noise: Any, wide: int, high: int) -> Any:
    for size, axis in ((wide, 1), (high, 0)):
        window = np.ones(size) / size
        noise = np.apply_along_axis(
            lambda line, w=window: np.convolve(line, w, "same"), axis, noise
        )
    return noise / noise.std()


def _save(picture: Any, path: Path) -> None:
    image: Any = bpy.data.images.new(path.stem, WIDTH, HEIGHT)
    rgba = np.ones((HEIGHT, WIDTH, 4), np.float32)
    rgba[..., :3] = picture[::-1]
    image.pixels.foreach_set(rgba.ravel())
    image.filepath_raw, image.file_format = str(path), "PNG"
    image.save()
    bpy.data.images.remove(image)


def mask(name: str, top: float, bottom: float) -> Any:
    """A Blender mask of all between two heights."""
    made: Any = bpy.data.masks.new(name)
    _spline(made, [(0, top), (1, top), (1, bottom), (0, bottom)], closed=True)
    return made


def direction(name: str, *lines: list[tuple[float, float]]) -> Any:
    """A Blender mask with open splines."""
    made: Any = bpy.data.masks.new(name)
    for line in lines:
        _spline(made, line, closed=False)
    return made


def _spline(owner: Any, line: list[tuple[float, float]], *, closed: bool) -> None:
    layer = owner.layers.get("main") or owner.layers.new(name="main")
    spline = layer.splines.new()
    spline.points.add(len(line) - 1)
    spline.use_cyclic = closed
    for point, (x, y) in zip(spline.points, line, strict=True):
        place = x, 0.5 + (0.5 - y) * HEIGHT / WIDTH  # masks are square
        point.handle_type = "VECTOR"
        point.co = point.handle_left = point.handle_right = place
