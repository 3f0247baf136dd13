# SPDX-License-Identifier: GPL-3.0-or-later
"""EXR files to arrays and back: light in linear steps, colour multiplied by alpha.

Engines get it as all pictures: straight, encoded with the sRGB curve, which goes on beyond 1 and,
mirrored, below 0. What is brighter than white stays so.
"""

import io
from typing import Any, cast

import Imath  # pyright: ignore[reportMissingTypeStubs]
import numpy as np
import OpenEXR

from protocol.errors import BadImage
from protocol.exr_header import ExrHeader, Window, read_header

from .alpha import LUMA, Array

# Modules without types.
_exr = cast(Any, OpenEXR)
_FLOAT = cast(Any, Imath).PixelType(cast(Any, Imath).PixelType.FLOAT)
_HALF_MAX = 65504.0
_TYPES: dict[int, type[np.floating[Any]]] = {16: np.float16, 32: np.float32}


def read(content: bytes, name: str) -> Array:
    """The straight, display-encoded RGBA (H, W, 4) of the display window; alpha in 0..1.

    What is no number becomes 0, what is infinite the largest half. Colour without any alpha (an
    added glow) has no straight form and is dropped. Raises BadImage.
    """
    stream = io.BytesIO(content)
    header = read_header(stream, stream.read(8), name)
    width, height = header.display.size
    light = np.zeros((height, width, 4), np.float32)
    if "A" not in header.channels:
        light[..., 3] = 1
    part, source = _overlap(header.display, header.data)
    for target, plane in zip(_targets(header), _planes(content, header, name), strict=True):
        light[(*part, target)] = plane[source]
    np.nan_to_num(light, copy=False, nan=0.0, posinf=_HALF_MAX, neginf=-_HALF_MAX)
    np.clip(light[..., 3], 0, 1, out=light[..., 3])
    if "L" in header.channels:
        light[..., 1] = light[..., 2] = light[..., 0]
    return _straight(light)


def write(pixels: Array, depth: int, channels: str) -> bytes:
    """An EXR file (ZIP) of straight, display-encoded RGBA (H, W, 4); the same every time.

    `depth` 16 (half) or 32 (float); `channels` "L", "LA", "RGB" or "RGBA".
    """
    light = decoded(pixels[..., :3])
    if channels.endswith("A"):
        light *= pixels[..., 3:]
    if channels.startswith("L"):
        planes = {"Y": light @ LUMA}
    else:
        planes = {key: light[..., at] for at, key in enumerate("RGB")}
    if channels.endswith("A"):
        planes["A"] = pixels[..., 3]
    kind = _TYPES[depth]
    limit = np.float32(np.finfo(kind).max)
    layers = {
        key: np.ascontiguousarray(np.clip(plane, -limit, limit), kind)
        for key, plane in planes.items()
    }
    stream = io.BytesIO()
    header = {"compression": _exr.ZIP_COMPRESSION, "type": _exr.scanlineimage}
    _exr.File(header, layers, num_threads=0).write(stream)
    return stream.getvalue()


def encoded(light: Array) -> Array:
    """Linear light to display values: the sRGB curve (IEC 61966-2-1), mirrored below 0."""
    size = np.abs(light)
    curve = np.float32(1.055) * np.power(size, np.float32(1 / 2.4)) - np.float32(0.055)
    return np.copysign(np.where(size <= 0.0031308, size * np.float32(12.92), curve), light)


def decoded(values: Array) -> Array:
    """Display values to linear light: the inverse of `encoded`."""
    size = np.abs(values)
    curve = np.power((size + np.float32(0.055)) / np.float32(1.055), np.float32(2.4))
    return np.copysign(np.where(size <= 0.04045, size / np.float32(12.92), curve), values)


def _targets(header: ExrHeader) -> list[int]:
    colour = [0] if "L" in header.channels else [0, 1, 2]
    return [*colour, 3] if header.channels.endswith("A") else colour


def _planes(content: bytes, header: ExrHeader, name: str) -> list[Array]:
    """The channels of the picture, (H', W') of the data window, and no others.

    The older reader of the library is used on purpose: it reads the channels that are named, and
    fails where data are lacking. The newer one (3.5) reads all and returns noise in both cases.
    """
    keys = ["Y"] if "L" in header.channels else ["R", "G", "B"]
    keys += ["A"] if header.channels.endswith("A") else []
    width, height = header.data.size
    try:
        file = _exr.InputFile(io.BytesIO(content))
        planes = cast(list[bytes], [file.channel(key, _FLOAT) for key in keys])
        return [np.frombuffer(plane, np.float32).reshape(height, width) for plane in planes]
    except (OSError, RuntimeError, ValueError, TypeError, KeyError) as problem:
        raise BadImage(f"{name} is broken: its EXR data is damaged or ends too early.") from problem


def _overlap(display: Window, data: Window) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Where the data window lies within the picture, and which part of the data that is."""
    left, top = max(display.left, data.left), max(display.top, data.top)
    right, bottom = min(display.right, data.right) + 1, min(display.bottom, data.bottom) + 1

    def cut(window: Window) -> tuple[slice, slice]:
        if right <= left or bottom <= top:
            return slice(0, 0), slice(0, 0)
        rows = slice(top - window.top, bottom - window.top)
        return rows, slice(left - window.left, right - window.left)

    return cut(display), cut(data)


def _straight(light: Array) -> Array:
    alpha = light[..., 3:]
    result = np.zeros_like(light)
    np.divide(light[..., :3], alpha, out=result[..., :3], where=alpha > 0)
    result[..., :3] = encoded(result[..., :3])
    result[..., 3:] = alpha
    return result
