# SPDX-License-Identifier: GPL-3.0-or-later
"""An engine's published settings as values in the scene."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import bpy
import pytest

from blender_addon import param_props
from protocol.engines import EngineSpec
from protocol.errors import BadParameter
from protocol.params import BoolParam, Choice, ChoiceParam, FloatParam, IntParam, Param, TextParam
from tests.blender.stage import Stage, stage

MODES = (Choice("fast", "Fast", "Rough"), Choice("fine", "Fine", "Slow"))
PARAMS: tuple[Param, ...] = (
    IntParam(name="steps", label="Steps", default=4, minimum=1, maximum=9, unit="steps"),
    FloatParam(name="amount", label="Amount", default=0.5, minimum=0, maximum=2, help="How much"),
    BoolParam(name="clean", label="Clean Lines", default=True),
    ChoiceParam(name="mode", label="Mode", default="fine", choices=MODES),
    TextParam(name="name", label="Name", default="fox", max_length=5),
)


def spec(*params: Param, name: str = "all") -> EngineSpec:
    return EngineSpec(
        id=name, label="All", summary="", version="1", jobs=("inbetween",), params=params
    )


ALL = spec(*PARAMS)


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Stage]:
    with stage(tmp_path) as at:
        yield at


def test_defaults_are_what_the_engine_says(at: Stage) -> None:
    param_props.fit(at.settings, [ALL])
    assert param_props.fits(at.settings, [ALL])
    assert param_props.values(at.settings, ALL) == {
        "steps": 4,
        "amount": 0.5,
        "clean": True,
        "mode": "fine",
        "name": "fox",
    }


def test_without_values_in_the_scene_the_defaults_are_sent(at: Stage) -> None:
    assert param_props.values(at.settings, ALL)["mode"] == "fine"


def test_what_is_set_is_what_is_sent(at: Stage) -> None:
    for name, value in (("steps", 9), ("amount", 2.0), ("clean", False), ("mode", "fast")):
        param_props.set_value(at.settings, ALL, name, value)
    values = param_props.values(at.settings, ALL)
    assert (values["steps"], values["amount"]) == (9, 2.0)
    assert (values["clean"], values["mode"]) == (False, "fast")


def test_the_panel_gets_labels_units_limits_and_tooltips(at: Stage) -> None:
    param_props.fit(at.settings, [ALL])
    rows = param_props.rows(at.settings, ALL)
    assert [row.label for row in rows] == ["Steps (steps)", "Amount", "Clean Lines", "Mode", "Name"]
    item = at.settings.engines["all"]
    assert [item.path_resolve(row.path) for row in rows[:2]] == [4, 0.5]
    look = item.id_properties_ui("set_amount").as_dict()
    assert (look["min"], look["max"], look["description"]) == (0.0, 2.0, "How much")
    choices = item.id_properties_ui("set_mode").as_dict()["items"]
    assert [choice[1] for choice in choices] == ["Fast", "Fine"]


def test_a_value_out_of_range_is_refused_not_sent(at: Stage) -> None:
    param_props.fit(at.settings, [ALL])
    at.settings.engines["all"]["set_steps"] = 100
    with pytest.raises(BadParameter, match="Steps is 100"):
        param_props.values(at.settings, ALL)
    param_props.fit(at.settings, [ALL])
    assert param_props.values(at.settings, ALL)["steps"] == 4


def test_values_survive_while_their_engine_is_away(at: Stage) -> None:
    param_props.set_value(at.settings, ALL, "steps", 7)
    param_props.fit(at.settings, [spec(name="other")])
    param_props.fit(at.settings, [ALL])
    assert param_props.values(at.settings, ALL)["steps"] == 7


def test_a_newer_engine_keeps_what_still_fits(at: Stage) -> None:
    param_props.set_value(at.settings, ALL, "mode", "fast")
    param_props.set_value(at.settings, ALL, "steps", 7)
    newer = spec(
        FloatParam(name="steps", label="Steps", default=0.5, minimum=0, maximum=1),
        ChoiceParam(name="mode", label="Mode", default="fine", choices=MODES[::-1]),
        BoolParam(name="fresh", label="Fresh", default=False),
    )
    assert not param_props.fits(at.settings, [newer])
    param_props.fit(at.settings, [newer])
    values = param_props.values(at.settings, newer)
    assert values == {"steps": 0.5, "mode": "fast", "fresh": False}


def test_a_choice_that_is_gone_becomes_the_default(at: Stage) -> None:
    param_props.set_value(at.settings, ALL, "mode", "fast")
    only = ChoiceParam(name="mode", label="Mode", default="fine", choices=MODES[1:])
    param_props.fit(at.settings, [spec(only)])
    assert param_props.values(at.settings, spec(only)) == {"mode": "fine"}


def test_values_are_saved_with_the_file(at: Stage) -> None:
    param_props.set_value(at.settings, ALL, "mode", "fast")
    path = at.save()
    bpy.ops.wm.open_mainfile(filepath=str(path))
    assert param_props.values(at.settings, ALL)["mode"] == "fast"


def test_text_from_a_backend_is_never_run(at: Stage) -> None:
    nasty = TextParam(name="name", label="__import__('os')", default="x", max_length=50)
    param_props.fit(at.settings, [spec(nasty)])
    param_props.set_value(at.settings, spec(nasty), "name", "__import__('os').getcwd()")
    assert param_props.values(at.settings, spec(nasty)) == {"name": "__import__('os').getcwd()"}
