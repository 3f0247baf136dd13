# SPDX-License-Identifier: GPL-3.0-or-later
"""How the end of a run meets its beginning: whether it is there already, or how far it is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from backend.imaging.alpha import premultiply
from backend.imaging.codecs import decode
from backend.imaging.sampling import coarser

_MOST = 48
"""Steps: what is farther away is another scene."""
_PART = 3
"""No more than this part of a run is taken to be lacking."""
_ALIKE = 0.85
"""Differences are as large as each other from this share on."""
_LONG = 96
"""Pixels of the copies that are compared, on the long side."""


def is_same(one: Path, other: Path) -> bool:
    """Whether two files show the same picture."""
    if one == other:
        return True
    first, second = (decode(file.read_bytes(), name=file.name).pixels for file in (one, other))
    return np.array_equal(first, second)


def frames_between(files: Sequence[Path]) -> int:
    """How many in-betweens from the last to the first go on with the run's usual step.

    At least one. The last frame is as many steps from the first as the nearest frames of the run
    that differ as much: a difference by itself does not grow with the way once things no longer
    overlap. All frames are held, much reduced.
    """
    rows = np.array([_row(file) for file in files])
    jump = float(np.square(rows[-1] - rows[0]).mean())
    usual = [
        float(np.median(np.square(rows[steps:] - rows[:-steps]).mean(axis=1)))
        for steps in range(1, min(max(1, len(rows) // _PART), _MOST) + 1)
    ]
    alike = [steps for steps, square in enumerate(usual, 1) if square >= _ALIKE * jump]
    steps = alike[0] if alike else int(np.argmax(usual)) + 1
    return max(1, steps - 1)


def _row(file: Path) -> npt.NDArray[np.float32]:
    picture = premultiply(decode(file.read_bytes(), name=file.name).pixels)
    height, width = picture.shape[:2]
    shrink = min(1.0, _LONG / max(height, width))
    return coarser(picture, max(1, int(height * shrink)), max(1, int(width * shrink))).ravel()
