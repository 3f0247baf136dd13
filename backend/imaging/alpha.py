# SPDX-License-Identifier: GPL-3.0-or-later
"""Transparency: straight and premultiplied colour, and what lies under transparent paint.

Pictures are float32 (H, W, 4), 0..1, but colours from an EXR may lie beyond. Mixing or moving
straight colours drags whatever lies under alpha 0 (often black) into the edge: premultiply, mix,
unpremultiply.
Source of the algebra: Porter, Duff: Compositing Digital Images, SIGGRAPH 1984.
"""

import cv2
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]

LUMA = np.array((0.2126, 0.7152, 0.0722), np.float32)
"""Weights of R, G, B in the lightness of a colour (Rec. ITU-R BT.709)."""

_NO_PAINT = np.float32(0.5 / 65535)
"""Less than half a step of 16 bit is no paint at all; its colour would be noise."""


def premultiply(straight: Array) -> Array:
    """Straight RGBA to premultiplied RGBA."""
    result = straight.copy()
    result[..., :3] *= straight[..., 3:]
    return result


def bounds(pictures: tuple[Array, ...]) -> tuple[float, float]:
    """The range of the colours: 0..1, or as much more as the pictures hold (EXR)."""
    lowest = min(float(picture[..., :3].min()) for picture in pictures)
    highest = max(float(picture[..., :3].max()) for picture in pictures)
    return min(0.0, lowest), max(1.0, highest)


def unpremultiply(premultiplied: Array, within: tuple[float, float] = (0.0, 1.0)) -> Array:
    """Premultiplied RGBA to straight RGBA, alpha clipped to 0..1 and colour to `within`.

    No paint becomes (0, 0, 0, 0). A mixture of pictures lies within their `bounds`.
    """
    alpha = premultiplied[..., 3:]
    painted = alpha >= _NO_PAINT
    result = np.zeros_like(premultiplied)
    np.divide(premultiplied[..., :3], alpha, out=result[..., :3], where=painted)
    np.copyto(result[..., 3:], alpha, where=painted)
    np.clip(result[..., :3], *within, out=result[..., :3])
    np.clip(result[..., 3], 0, 1, out=result[..., 3])
    return result


def over(straight: Array, grey: float) -> Array:
    """The picture over an opaque grey, (H, W, 3)."""
    alpha = straight[..., 3:]
    result = straight[..., :3] * alpha
    result += (1 - alpha) * grey
    return result


def is_opaque(straight: Array) -> bool:
    """Whether no pixel lets anything through."""
    return bool((straight[..., 3] >= 1).all())


def bleed(straight: Array, reach: int = 8) -> Array:
    """Carry the colours at the edge of the paint outwards, under the transparent part.

    Alpha, and every colour with any alpha, stay as they are; transparent pixels at most `reach`
    pixels from paint get its mean colour around them. A program that scales straight pictures
    then meets the paint's own colour beyond its edge instead of black: no dark fringe.
    """
    bare = straight[..., 3] <= 0
    if not bare.any() or bare.all():
        return straight
    around = cv2.blur(premultiply(straight), (2 * reach + 1, 2 * reach + 1))
    # Running sums leave dust where there is nothing: it must not count as paint.
    near = bare & (around[..., 3] > 1e-6)
    result = straight.copy()
    result[near, :3] = np.clip(around[near, :3] / around[near, 3:], *bounds((straight,)))
    return result


def contrasting_grey(pictures: tuple[Array, ...]) -> float:
    """White, or black if the rims of the paint are light: over it, every outline can be seen."""
    rims = [_rim(picture) for picture in pictures]
    lightness = np.concatenate([rim @ LUMA for rim in rims])
    return 0.0 if lightness.size and lightness.mean() > 0.5 else 1.0


def _rim(straight: Array) -> Array:
    """Colours (N, 3) of the paint within two pixels of a transparent place."""
    paint = (straight[..., 3] > 0.5).astype(np.uint8)
    inner = cv2.erode(paint, np.ones((5, 5), np.uint8), borderType=cv2.BORDER_REPLICATE)
    return straight[(paint > inner), :3]
