# SPDX-License-Identifier: GPL-3.0-or-later
"""The edge of a moving layer: where it really is, what lies beyond it, how softly it ends."""

import cv2
import numpy as np
import numpy.typing as npt

from .alpha import Array
from .geodesic import FAR, Mask, nearest, numbered
from .sampling import floats

BAND = 0.012
"""Width of the edge in which a drawn mask is not trusted, as a share of the picture's long side."""
HALO = 0.004
"""Width of the rim, as a share of the long side, that carries a halo or colours from outside."""
FEATHER = 0.006
"""Width of the soft edge, as a share of the long side. It lies inside the mask."""

_FLOOR = 0.02**2
"""Variance that a colour has at least: noise of the picture."""
_EVIDENCE = 1.0
"""A pixel leaves the mask if it is e times likelier outside."""
_WINDOW = 4
"""Side of the coarse cells on which local colours are taken, in parts of the band."""


def snapped(picture: Array, inside: Mask, band: float) -> Mask:
    """The mask without those pixels of its edge that look like what lies outside, nearby.

    picture: premultiplied (H, W, C), 0..1. band: pixels, how far the edge may move inwards.
    Each pixel of the edge is compared with two Gaussian colour models of its surroundings, one
    of the layer's inner part and one of what lies outside. Only what hangs together with the
    outside is dropped: a dark patch in the water stays.
    """
    if inside.all() or not inside.any():
        return inside
    away = depth_of(inside)
    edge = inside & (away <= band)
    core = inside & (away > band)
    rows, columns = np.nonzero(edge)
    cell = max(1, round(band / _WINDOW))
    inner = _likelihood(picture, core, rows, columns, cell)
    outer = _likelihood(picture, ~inside, rows, columns, cell)
    kept = inside.copy()
    kept[rows, columns] = ~(outer > inner + _EVIDENCE)
    kept = cv2.medianBlur(kept.astype(np.uint8), 5).astype(np.bool_) & inside
    return ~_reaching(~kept, ~inside)


def rimless(inside: Mask, width: float) -> Mask:
    """The mask without a rim of `width` pixels; parts too thin for that stay as they are.

    The rim shows what lenses, sharpening and soft brushes mixed into it from outside: it belongs
    to what stands still. Where the mask meets the border of the picture it has no rim.
    """
    if inside.all() or not inside.any():
        return inside
    away = depth_of(inside)
    inner = inside & (away > width)
    numbers = numbered(inside)
    before = np.bincount(numbers.ravel())
    after = np.bincount(numbers[inner], minlength=len(before))
    thin = after < 0.4 * before
    return inner | (inside & thin[numbers])


def mirrored(layer: Array, inside: Mask) -> Array:
    """The layer (H, W, C) continued beyond its mask: each pixel there is its mirror image inside.

    Where the mirror image lies outside too, the nearest pixel inside is taken.
    """
    if inside.all() or not inside.any():
        return layer
    rows, columns, _ = nearest(inside)
    outside = ~inside
    height, width = inside.shape
    down, across = np.nonzero(outside)
    edge_down, edge_across = rows[outside], columns[outside]
    over_down = np.clip(2 * edge_down - down, 0, height - 1)
    over_across = np.clip(2 * edge_across - across, 0, width - 1)
    hit = inside[over_down, over_across]
    result = layer.copy()
    result[outside] = layer[
        np.where(hit, over_down, edge_down), np.where(hit, over_across, edge_across)
    ]
    return result


def feathered(inside: Mask, width: float) -> Array:
    """Opacity (H, W), 0..1: 0 outside, rising inside over `width` pixels.

    Where the mask meets the border of the picture it does not end.
    """
    if inside.all():
        return np.ones(inside.shape, np.float32)
    share = np.clip(depth_of(inside) / np.float32(max(width, 1.0)), 0, 1)
    return (share * share * (3 - 2 * share)).astype(np.float32)


def depth_of(inside: Mask) -> Array:
    """How far (H, W) each pixel is from what lies outside, in pixels."""
    framed = np.pad(inside, 1, mode="edge").astype(np.uint8)
    # With nothing outside OpenCV answers with the largest of all numbers.
    away = floats(cv2.distanceTransform(framed, cv2.DIST_L2, 5))[1:-1, 1:-1]
    return np.minimum(away, np.float32(FAR))


def _likelihood(
    picture: Array,
    where: Mask,
    rows: npt.NDArray[np.intp],
    columns: npt.NDArray[np.intp],
    cell: int,
) -> Array:
    """Log likelihood (N,) of pixels under the colours that lie `where`, nearby; -1e9 if none do."""
    height, width = where.shape
    size = (-(-width // cell), -(-height // cell))
    weight = where.astype(np.float32)[..., None]
    moments = [weight[..., 0], *cv2.split(picture * weight), *cv2.split(picture**2 * weight)]
    span = 4 * _WINDOW + 1
    near = [
        cv2.blur(cv2.resize(one, size, interpolation=cv2.INTER_AREA), (span, span))
        for one in moments
    ]
    at = (rows * size[1] // height, columns * size[0] // width)
    count = near[0][at]
    found = np.stack([one[at] for one in near[1:]], 1) / np.maximum(count, 1e-6)[:, None]
    mean, square = np.split(found, 2, axis=1)
    variance = np.maximum(square - mean**2, 0) + _FLOOR
    error = (picture[rows, columns] - mean) ** 2 / variance + np.log(variance)
    return np.where(count > 1e-3, -0.5 * error.sum(1), -1e9).astype(np.float32)


def _reaching(mask: Mask, seeds: Mask) -> Mask:
    """The parts of a mask that hold a seed."""
    _, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)
    wanted = np.zeros(labels.max() + 1, np.bool_)
    numbers = np.asarray(labels, np.intp)
    wanted[numbers[mask & seeds]] = True
    wanted[0] = False
    return wanted[numbers]
