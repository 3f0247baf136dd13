# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a picture stands in the scene: at the 3D cursor, facing the camera, or filling its view."""

from __future__ import annotations

import math
from typing import Any

from mathutils import Matrix, Vector

UPRIGHT, FACING, FILLING = "UPRIGHT", "FACING", "FILLING"
_USUAL = 5.0
"""Metres from the camera, where the cursor is not in front of it."""


def stand(scene: Any, thing: Any, how: str, size: tuple[int, int], turn: Matrix) -> None:
    """Put a thing that shows a picture into place.

    It must be linked to the scene. Its picture is one unit high; `turn` lays the picture, which
    stands on the ground and is seen from the front, into the thing's own axes. `size` in pixels
    gives the proportions.
    """
    thing.location = scene.cursor.location
    if how == UPRIGHT or scene.camera is None:
        thing.matrix_basis = thing.matrix_basis @ _upright() @ turn
        return
    if how == FACING:
        turned = scene.camera.matrix_world.to_quaternion().to_matrix().to_4x4()
        thing.matrix_basis = Matrix.Translation(scene.cursor.location) @ turned @ turn
        return
    thing.parent = scene.camera  # it goes along with a camera that moves
    thing.matrix_basis = _filling(scene, size) @ turn


def _upright() -> Matrix:
    """From a picture that lies in the camera's plane to one that stands on the ground."""
    return Matrix.Rotation(math.pi / 2, 4, "X")


def _filling(scene: Any, size: tuple[int, int]) -> Matrix:
    """In the camera's own space: as far away as the cursor, as large as the view there."""
    camera = scene.camera
    away = -(camera.matrix_world.inverted() @ scene.cursor.location).z
    if away <= camera.data.clip_start:
        away = _USUAL
    corners = camera.data.view_frame(scene=scene)
    grow = 1.0 if camera.data.type == "ORTHO" else away / -corners[0].z
    low = Vector([min(corner[axis] for corner in corners) * grow for axis in (0, 1)])
    high = Vector([max(corner[axis] for corner in corners) * grow for axis in (0, 1)])
    centre = (low + high) / 2
    height = min(high.y - low.y, (high.x - low.x) * size[1] / size[0])
    return Matrix.Translation((centre.x, centre.y, -away)) @ Matrix.Scale(height, 4)
