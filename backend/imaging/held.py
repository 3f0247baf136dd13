# SPDX-License-Identifier: GPL-3.0-or-later
"""Masks: where a picture may change, and where the drawing before it is held as it is; and back:
what lies over a held drawing, as a layer of its own."""

import numpy as np

from .alpha import LUMA, Array, bounds, premultiply, unpremultiply


def mask_of(picture: Array) -> Array:
    """How much may change, (H, W) in 0..1: the lightness of a straight RGBA times its alpha.

    White is exactly 1, black or transparent exactly 0.
    """
    red = picture[..., 0]
    grey = (red == picture[..., 1]) & (red == picture[..., 2])
    lightness = np.where(grey, red, picture[..., :3] @ LUMA) * picture[..., 3]
    return np.clip(lightness, 0, 1, dtype=np.float32)


def hold(key: Array, picture: Array, mask: Array) -> Array:
    """The picture where `mask` is 1, the key where it is 0, both to the bit; a mixture between.

    key, picture: straight RGBA (H, W, 4); mask: (H, W). It is mixed premultiplied.
    """
    share = mask[..., None]
    mixed = premultiply(key) * (1 - share)
    mixed += premultiply(picture) * share
    result = unpremultiply(mixed, bounds((key, picture)))
    np.copyto(result, key, where=share <= 0)
    np.copyto(result, picture, where=share >= 1)
    return result


def lifted(key: Array, picture: Array, cover: Array) -> Array:
    """What `hold` laid over the key with that cover, as a layer: straight RGBA (H, W, 4).

    key, picture: straight RGBA; cover: (H, W), 0..1. Its alpha is the cover, times what the paint
    has. Laid over an opaque key it gives the picture; what is not covered is (0, 0, 0, 0).
    """
    share = cover[..., None]
    under = premultiply(key)
    layer = premultiply(picture)
    layer -= under * (1 - share)
    np.copyto(layer, 0, where=share <= 0)
    # Light beyond 0..1, of an EXR, may be more than any of it was in the mixture.
    shown = bounds((key, picture)) == (0.0, 1.0)
    return unpremultiply(layer, (0.0, 1.0) if shown else (-np.inf, np.inf))
