# SPDX-License-Identifier: GPL-3.0-or-later
"""Sizes: make a picture as big as a network wants it, and give back the size it had."""

from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

Number = TypeVar("Number", bound=np.generic)


class Fit(NamedTuple):
    """How much was added around a picture of `height` x `width` pixels."""

    height: int
    width: int
    top: int
    left: int
    bottom: int
    right: int


def fit_to_multiple(height: int, width: int, multiple: int) -> Fit:
    """The padding that makes both sides multiples of `multiple`, half of it on each side."""
    down, across = -height % multiple, -width % multiple
    return Fit(height, width, down // 2, across // 2, down - down // 2, across - across // 2)


def pad(picture: npt.NDArray[Number], fit: Fit) -> npt.NDArray[Number]:
    """(H, W, C) with its border pixels repeated outwards as far as `fit` says."""
    around = ((fit.top, fit.bottom), (fit.left, fit.right), (0, 0))
    return np.pad(picture, around, mode="edge")


def crop(picture: npt.NDArray[Number], fit: Fit) -> npt.NDArray[Number]:
    """The part of a padded (H', W', C) picture that `pad` was given."""
    return picture[fit.top : fit.top + fit.height, fit.left : fit.left + fit.width]
