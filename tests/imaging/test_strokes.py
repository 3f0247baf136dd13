# SPDX-License-Identifier: GPL-3.0-or-later
"""Strokes as a few hints for a network."""

import numpy as np

from backend.imaging import strokes
from protocol.jobs import Point, Stroke
from tests.imaging.moving_stills import stroke


def test_a_straight_stroke_hints_its_own_velocity_along_its_way() -> None:
    places, velocities = strokes.hints([stroke(10, 20, 60, 20, 0.5)], long=200)
    assert len(places) == 5
    np.testing.assert_allclose(places[:, 1], 20)
    np.testing.assert_allclose(np.diff(places[:, 0]), 10, atol=1e-4)
    np.testing.assert_allclose(velocities, np.tile((0.5, 0), (5, 1)), atol=1e-6)


def test_a_bent_stroke_turns_on_the_way() -> None:
    bent = Stroke(line=(Point(0, 0), Point(50, 0), Point(50, 50)), speed=2.0)
    _, velocities = strokes.hints([bent], long=200)
    np.testing.assert_allclose(velocities[[0, -1]], [(2, 0), (0, 2)], atol=1e-4)


def test_there_are_never_many_hints() -> None:
    many = [stroke(0, y, 400, y, 1) for y in range(0, 400, 20)]
    assert len(strokes.hints(many, long=400)[0]) <= 40


def test_mere_dots_hint_nothing() -> None:
    dot = Stroke(line=(Point(5, 5),), speed=1.0)
    places, velocities = strokes.hints([dot], long=100)
    assert places.shape == velocities.shape == (0, 2)
