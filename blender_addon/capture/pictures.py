# SPDX-License-Identifier: GPL-3.0-or-later
"""Image files and image datablocks as files that a backend reads.

PNG, EXR and JPEG are taken as the files they are. TIFF, TARGA and BMP with 8 bits are written as
PNG by Blender, which is exact; with more bits, and for WebP with alpha, it is not (Blender reads
them premultiplied): those are refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from protocol.errors import BadImage, MissingFile

_CONVERTED = (".tif", ".tiff", ".tga", ".bmp", ".webp")
_PREMULTIPLIED = (".webp",)


def is_converted(path: Path) -> bool:
    """Whether a backend does not read this kind of file, but Blender can write it as PNG."""
    return path.suffix.lower() in _CONVERTED


def as_png(path: Path, folder: Path) -> Path:
    """Write the picture as PNG, bit by bit the same. Raises MissingFile or BadImage."""
    try:
        image = bpy.data.images.load(str(path))
    except RuntimeError:
        raise MissingFile(f"{path} is not there, or is no picture.") from None
    try:
        image.alpha_mode = "STRAIGHT"
        lossy = path.suffix.lower() in _PREMULTIPLIED and image.depth == 32
        if image.is_float or lossy:
            what = "more than 8 bits" if image.is_float else "alpha"
            raise BadImage(
                f"{path.name} is a {path.suffix[1:].upper()} file with {what}: Blender cannot "
                "write it as PNG without a loss.",
                fix="Export it from the drawing program as PNG or EXR.",
            )
        return _saved(image, folder / f"{path.stem}.png")
    finally:
        bpy.data.images.remove(image)


def smaller(path: Path, size: tuple[int, int], folder: Path) -> Path:
    """A copy of the picture with `size` (width, height), for a preview. Raises as as_png."""
    try:
        image = bpy.data.images.load(str(path))
    except RuntimeError:
        raise MissingFile(f"{path} is not there, or is no picture.") from None
    try:
        image.alpha_mode = "STRAIGHT"
        image.scale(*size)
        return _saved(image, folder / f"{path.stem}_small.png")
    finally:
        bpy.data.images.remove(image)


@contextmanager
def resized(image: Any, size: tuple[int, int], *, only: bool) -> Iterator[Any]:
    """The image as a copy of `size`; as it is if not `only` in that case.

    `Image.copy` would lose what was painted and not saved.
    """
    if not only or not image.size[0]:
        yield image
        return
    pixels = np.ones((image.size[0] * image.size[1], 4), np.float32)
    flat = np.empty(len(pixels) * image.channels, np.float32)
    image.pixels.foreach_get(flat)
    channels = flat.reshape(len(pixels), -1)
    pixels[:, : image.channels] = channels
    if image.channels < 3:
        pixels[:, :3] = channels[:, :1]
    copy: Any = bpy.data.images.new(image.name, *image.size, alpha=True)
    try:
        copy.pixels.foreach_set(pixels.ravel())
        copy.scale(*size)
        yield copy
    finally:
        bpy.data.images.remove(copy)


def is_file(image: Any) -> bool:
    """Whether the image is its file: neither painted on since, nor packed or generated."""
    return image.source == "FILE" and not image.is_dirty and image.packed_file is None


def from_datablock(image: Any, folder: Path, name: str) -> Path:
    """Write what the image shows now. Raises BadImage."""
    if image.packed_file is not None and not image.is_dirty:
        path = folder / (name + (Path(image.filepath).suffix or ".png"))
        path.write_bytes(image.packed_file.data)
        return path
    if image.is_float:
        raise BadImage(
            f"{image.name} has float pixels that are not saved.",
            fix="Save it as EXR (Image > Save) and generate again.",
        )
    return _saved(image, folder / f"{name}.png")


def _saved(image: Any, path: Path) -> Path:
    before = image.file_format
    image.file_format = "PNG"
    try:
        image.save(filepath=str(path), save_copy=True)
    except RuntimeError as problem:
        raise BadImage(f"{image.name} cannot be written: {problem}") from None
    finally:
        image.file_format = before
    return path
