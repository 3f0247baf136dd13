# SPDX-License-Identifier: GPL-3.0-or-later
"""Masks as 8-bit grey PNG files of the keys' size: white may change, black is held.

The shapes are Blender's own evaluation: a mask strip in the sequencer, a render of the Grease
Pencil layer. The functions are generators that return what they made; between two steps nothing is
left changed. A step is a render of one mask or takes a few milliseconds.

`feather` softens the edge over about so many pixels to each side, beyond what the mask itself has.
`invert` holds what is white instead.
"""

from __future__ import annotations

import tempfile
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from protocol.errors import BadInput, SizeMismatch

from . import pixels
from .renders import Form, Made, frame_name, grease_pencil_frames, standard_view, still

_RAW_GREY = Form("TARGA_RAW", "8", "BW")
_RAW = Form("TARGA_RAW", "8", "RGBA")
_PNG = Form()
Size = tuple[int, int]
Making = Generator[None, None, list[Made]]


def mask_frames(
    mask: Any,
    frames: Sequence[int],
    size: Size,
    folder: Path,
    name: str,
    *,
    feather: float = 0,
    invert: bool = False,
) -> Making:
    """A mask datablock at frames: splines, feather, layers, animation, parents as Blender has them.

    `size` is (width, height) in pixels. Raises BadInput or MissingFile.
    """
    made = []
    for frame in dict.fromkeys(frames):
        with _scratch() as raw:
            _render_mask(mask, frame, size, raw)
            grey = pixels.read_targa(raw)
        yield
        made.append((yield from _finish(grey, frame, folder, name, feather, invert)))
    return made


def layer_frames(
    scene: bpy.types.Scene,
    objects: Sequence[Any],
    layer: str,
    frames: Sequence[int],
    size: Size,
    folder: Path,
    name: str,
    *,
    feather: float = 0,
    invert: bool = False,
) -> Making:
    """What a Grease Pencil layer covers, through the scene's camera: its alpha.

    Raises BadInput or MissingFile.
    """
    made = []
    for frame in dict.fromkeys(frames):
        with _scratch() as raw:
            drawn = grease_pencil_frames(
                scene, objects, [frame], raw.parent, "layer", layers=[layer], form=_RAW, size=size
            )
            grey = np.ascontiguousarray(pixels.read_targa(next(drawn).path)[..., 3])
        yield
        made.append((yield from _finish(grey, frame, folder, name, feather, invert)))
    return made


def image_frames(
    image: Any,
    frames: Sequence[int],
    size: Size,
    folder: Path,
    name: str,
    *,
    alpha: bool = False,
    feather: float = 0,
    invert: bool = False,
) -> Making:
    """A painted image as it is now in Blender, saved or not: its brightness, or its alpha.

    The same for each of the frames. Raises SizeMismatch, or BadInput if it has no pixels.
    """
    grey = yield from _image_pixels(image, size, alpha)
    grey = yield from pixels.feathered(grey, feather)
    made = []
    for frame in dict.fromkeys(frames):
        made.append((yield from _finish(grey, frame, folder, name, 0, invert)))
    return made


def finished(making: Making) -> list[Made]:
    """Take all steps at once."""
    while True:
        try:
            next(making)
        except StopIteration as done:
            return done.value


def _finish(
    grey: pixels.Grey, frame: int, folder: Path, name: str, feather: float, invert: bool
) -> Generator[None, None, Made]:
    soft = yield from pixels.feathered(grey, feather)
    path = folder / frame_name(name, frame, _PNG)
    yield from pixels.write_grey(path, np.bitwise_not(soft) if invert else soft)
    return Made(frame, path)


def _render_mask(mask: Any, frame: int, size: Size, raw: Path) -> None:
    """The mask strip holds its mask's first and last frame outside their range; a copy of the mask
    has a range of its own. The copy also spares the mask a wrong count of users."""
    copy = mask.copy()
    scene = bpy.data.scenes.new("Tweencel mask")
    try:
        copy.frame_start, copy.frame_end = frame, frame + 1
        scene.render.resolution_x, scene.render.resolution_y = size
        scene.render.resolution_percentage = 100
        strips = scene.sequence_editor_create().strips
        strips.new_mask(name=mask.name, mask=copy, channel=1, frame_start=frame)
        scene.frame_current = frame
        with standard_view(scene):
            still(scene, raw, _RAW_GREY, sequencer=True)
    finally:
        bpy.data.scenes.remove(scene)
        bpy.data.masks.remove(copy)


@contextmanager
def _scratch() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="tweencel_") as folder:
        yield Path(folder, "mask.tga")


def _image_pixels(image: Any, size: Size, alpha: bool) -> pixels.Steps:
    width, height = image.size
    if not width or not height:
        raise BadInput(
            f"{image.name} has no pixels.", fix="Reload it, or choose one picture, not a sequence."
        )
    if (width, height) != tuple(size):
        raise SizeMismatch(
            f"The mask {image.name} has {width} x {height} pixels, the keys {size[0]} x {size[1]}.",
            fix="Resize the mask (Image > Resize) to the size of the keys.",
        )
    if alpha and image.channels < 4:
        raise BadInput(f"{image.name} has no alpha.", fix="Take its brightness as the mask.")
    flat = np.empty(width * height * image.channels, np.float32)
    image.pixels.foreach_get(flat)
    yield
    rows = flat.reshape(height, width, image.channels)[::-1]
    if alpha or image.channels < 3:
        return (yield from pixels.eight_bit(rows[..., 3 if alpha else 0]))
    return (yield from pixels.luma(rows))
