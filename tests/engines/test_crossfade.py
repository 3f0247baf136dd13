# SPDX-License-Identifier: GPL-3.0-or-later
"""Crossfade is the reference, so its numbers are known."""

import numpy as np

from backend.engines import crossfade
from tests.engines.shots import between, solid


def test_opaque_colours_mix_by_time() -> None:
    engine = crossfade.load("cpu")
    made = between(engine, solid((2, 2), (1, 0, 0, 1)), solid((2, 2), (0, 0, 1, 1)), 0.25)
    np.testing.assert_allclose(made, solid((2, 2), (0.75, 0, 0.25, 1)), atol=1e-6)


def test_paint_that_appears_has_its_own_colour_from_the_start() -> None:
    engine = crossfade.load("cpu")
    made = between(engine, solid((2, 2), (0, 0, 0, 0)), solid((2, 2), (1, 0.5, 0, 1)), 0.25)
    np.testing.assert_allclose(made, solid((2, 2), (1, 0.5, 0, 0.25)), atol=1e-6)
