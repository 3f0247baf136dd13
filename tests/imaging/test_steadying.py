# SPDX-License-Identifier: GPL-3.0-or-later
"""A camera's shake is measured on what stands still, and taken out."""

import cv2
import numpy as np
import pytest

from backend.imaging.alpha import Array
from backend.imaging.steadying import Tripod, moved
from tests.imaging.moving_stills import texture

MOVING = np.zeros((200, 260), np.bool_)
MOVING[60:140, 80:180] = True


def shaken(turn: float, across: float, down: float) -> Array:
    """The still, seen by a turned and shifted camera, with something else in the moving part."""
    still = texture(200, 260)
    matrix = cv2.getRotationMatrix2D((130, 100), turn, 1)
    matrix[:, 2] += across, down
    frame = cv2.warpAffine(
        still, matrix, (260, 200), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    frame[MOVING] = texture(200, 260, seed=5)[MOVING]
    return np.clip(frame, 0, 1)


@pytest.mark.parametrize("shake", [(0, 2.5, -1.25), (0.6, -1.5, 2.0)], ids=str)
def test_a_shaken_frame_comes_back(shake: tuple[float, float, float]) -> None:
    plate, frame = texture(200, 260), shaken(*shake)
    steady = moved(frame, Tripod(plate, MOVING).move_of(frame))
    still = ~cv2.dilate(MOVING.astype(np.uint8), np.ones((21, 21))).astype(np.bool_)
    still[:12], still[-12:], still[:, :12], still[:, -12:] = False, False, False, False
    before = np.abs(frame - plate)[still].mean()
    assert np.abs(steady - plate)[still].mean() < 0.25 * before


def test_a_frame_that_did_not_move_is_left_as_it_is() -> None:
    plate = texture(200, 260)
    assert Tripod(plate, MOVING).move_of(plate.copy()) is None


def test_where_nothing_stands_still_nothing_is_moved() -> None:
    assert Tripod(texture(200, 260), np.ones_like(MOVING)).move_of(shaken(0, 3, 0)) is None
