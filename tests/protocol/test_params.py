# SPDX-License-Identifier: GPL-3.0-or-later
"""An engine's settings: defaults, ranges, and refusals that say what is allowed."""

from __future__ import annotations

import math

import pytest

from protocol.errors import BadParameter
from protocol.params import complete
from tests.protocol.samples import ENGINE

PARAMS = ENGINE.params


def test_settings_that_are_not_given_have_their_defaults() -> None:
    assert complete(PARAMS, {}) == {
        "steps": 4,
        "scale": 1.0,
        "sharp": True,
        "way": "a",
        "prompt": "",
    }


def test_a_whole_number_is_taken_for_a_float() -> None:
    assert complete(PARAMS, {"scale": 2})["scale"] == 2.0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("steps", 0),
        ("steps", 51),
        ("steps", 2.5),
        ("steps", True),
        ("scale", 0.2),
        ("scale", math.nan),
        ("scale", math.inf),
        ("scale", "1"),
        ("sharp", 1),
        ("way", "b"),
        ("prompt", "x" * 1001),
        ("prompt", 3),
    ],
)
def test_a_value_out_of_range_is_refused_with_what_is_allowed(name: str, value: object) -> None:
    with pytest.raises(BadParameter) as refusal:
        complete(PARAMS, {name: value})
    assert refusal.value.fix.startswith("It must be")


def test_an_unknown_setting_is_refused_with_the_known_ones() -> None:
    with pytest.raises(BadParameter, match="speed") as refusal:
        complete(PARAMS, {"speed": 3})
    assert "steps" in refusal.value.fix
