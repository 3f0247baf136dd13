# SPDX-License-Identifier: GPL-3.0-or-later
"""What surrounds the panels: the other editors, search, presets, the shortcut, the status bar."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import bpy
import pytest

from blender_addon import charts, keymap
from blender_addon.panels import main_menu, status_bar
from blender_addon.presets import preset_script
from tests.blender.stage import Recorder, Stage, stage


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Stage]:
    with stage(tmp_path) as at:
        yield at


@pytest.mark.parametrize("panel", ["backend", "inbetween", "jobs"])
@pytest.mark.parametrize("space", ["SEQUENCE_EDITOR", "VIEW_3D", "IMAGE_EDITOR"])
def test_every_editor_has_the_tab(at: Stage, panel: str, space: str) -> None:
    ours = [
        kind
        for kind in bpy.types.Panel.__subclasses__()
        if kind.__name__.startswith(f"TWEENCEL_PT_{panel}") and hasattr(kind, "bl_rna")
    ]
    (here,) = {kind.__name__: kind for kind in ours if kind.bl_space_type == space}.values()
    assert here.bl_category == "Tweencel"
    assert here.bl_idname == here.__name__


def test_the_verbs_are_in_a_menu_that_search_looks_through(at: Stage) -> None:
    layout = Recorder()
    main_menu.TWEENCEL_MT_main.draw(SimpleNamespace(layout=layout), bpy.context)
    assert layout.verbs == list(main_menu.VERBS)
    for verb in layout.verbs:
        room, name = verb.split(".")
        described = getattr(getattr(bpy.ops, room), name).get_rna_type().description
        assert described, f"{verb} has no tooltip"


def default_keymaps() -> Iterator[tuple[str, dict[str, Any]]]:
    """Blender's own shortcuts as its key configuration writes them down."""
    folder = bpy.utils.system_resource("SCRIPTS", path="presets/keyconfig/keymap_data")
    spec = importlib.util.spec_from_file_location("keys", Path(folder, "blender_default.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name, _, content in module.generate_keymaps(module.Params()):
        for _, event, _ in content["items"]:
            yield name, event


def test_the_shortcut_is_free_in_blenders_own_keymap(at: Stage) -> None:
    def pressed(event: dict[str, Any]) -> tuple[Any, ...]:
        return (event["type"], *(bool(event.get(name)) for name in ("ctrl", "shift", "alt")))

    taken = [(name, pressed(event)) for name, event in default_keymaps()]
    assert len(taken) > 500
    assert [name for name, event in taken if event == pressed(dict(keymap.KEY))] == []


def test_a_preset_brings_the_settings_back_and_leaves_the_folder(at: Stage) -> None:
    at.connect()
    at.live.beat()
    settings = at.settings
    settings.step, settings.spacing = 2, "slow_in"
    settings.engine = "echo"
    settings.engines["echo"]["set_strength"] = 0.25
    script = preset_script(settings)
    settings.engines["echo"]["set_strength"] = 0.75
    settings.step, settings.spacing, settings.folder = 1, "even", "//elsewhere/"
    exec(compile(script, "preset", "exec"), {})
    assert (settings.step, settings.spacing, settings.folder) == (2, "slow_in", "//elsewhere/")
    assert settings.engines["echo"]["set_strength"] == 0.25


def test_a_preset_brings_the_drawn_curve_into_another_file(at: Stage) -> None:
    at.settings.spacing = "custom"
    drawn = [[0.0, 0.0, "AUTO"], [0.25, 0.75, "VECTOR"], [1.0, 1.0, "AUTO"]]
    charts.set_points(at.settings, drawn)
    script = preset_script(at.settings)
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    assert charts.points_of(at.settings) == []
    exec(compile(script, "preset", "exec"), {})
    assert at.settings.spacing == "custom"
    assert charts.points_of(at.settings) == drawn


def test_a_preset_without_a_curve_leaves_a_drawn_one_alone(at: Stage) -> None:
    script = preset_script(at.settings)
    at.settings.spacing = "custom"
    drawn = [[0.0, 0.0, "AUTO"], [0.5, 0.25, "VECTOR"], [1.0, 1.0, "AUTO"]]
    charts.set_points(at.settings, drawn)
    exec(compile(script, "preset", "exec"), {})
    assert at.settings.spacing == "even"
    assert charts.points_of(at.settings) == drawn


def test_a_preset_is_a_file_of_blenders_preset_system(
    at: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bpy.utils, "user_resource", lambda *_, path="", **__: str(tmp_path / path))
    (tmp_path / "presets" / "tweencel").mkdir(parents=True)
    at.settings.step = 3
    assert bpy.ops.tweencel.add_preset(name="On Threes") == {"FINISHED"}
    (made,) = (tmp_path / "presets" / "tweencel").iterdir()
    at.settings.step = 1
    exec(compile(made.read_text(), made.name, "exec"), {})
    assert at.settings.step == 3


def test_the_status_bar_shows_the_job_that_runs_and_nothing_else(at: Stage) -> None:
    assert status(at).drawn == []
    at.backend.automatic = False
    at.connect()
    at.add_keys(1, 4)
    bpy.ops.tweencel.generate()
    at.pump(lambda: at.work.job.accepted)
    drawn = status(at)
    assert "hop_v001: Waiting" in drawn.texts
    assert drawn.verbs == ["tweencel.cancel"]


def status(at: Stage) -> Recorder:
    layout = Recorder()
    status_bar.draw(SimpleNamespace(layout=layout), bpy.context)
    return layout
