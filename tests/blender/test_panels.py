# SPDX-License-Identifier: GPL-3.0-or-later
"""What the panels draw, on a layout that takes notes: real ones exist only in a window."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import bpy
import pytest

from blender_addon import capture, live
from blender_addon.panels.backend import TWEENCEL_PT_backend
from blender_addon.panels.engine_menu import TWEENCEL_MT_engine
from blender_addon.panels.inbetween import TWEENCEL_PT_inbetween
from blender_addon.panels.jobs import TWEENCEL_PT_jobs
from blender_addon.panels.source import TWEENCEL_PT_source
from blender_addon.panels.timing import TWEENCEL_PT_timing
from protocol.errors import EngineFailed, QuotaExceeded
from tests.blender.stage import Recorder, Stage, stage
from tests.blender.test_sources import editor
from tests.fakes.peer import Peer


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Stage]:
    with stage(tmp_path) as at:
        yield at


def draw(panel: Any) -> Recorder:
    layout = Recorder()
    panel.draw(SimpleNamespace(layout=layout), bpy.context)
    return layout


def said(panel: Any) -> str:
    """All texts of a panel as one: long ones are broken into lines."""
    return " ".join(draw(panel).texts)


def test_without_a_backend_it_can_be_started_or_an_address_be_used(at: Stage) -> None:
    drawn = draw(TWEENCEL_PT_backend)
    assert drawn.verbs == ["tweencel.start_backend", "tweencel.connect"]
    assert "Not connected" in drawn.texts


def test_with_a_backend_its_name_is_shown(at: Stage) -> None:
    at.connect()
    assert "fake 1 at 127.0.0.1:5555" in said(TWEENCEL_PT_backend)
    assert draw(TWEENCEL_PT_backend).verbs == ["tweencel.disconnect"]


@pytest.mark.parametrize(
    ("major", "side"), [(2, "add-on"), (0, "backend")], ids=["newer backend", "older backend"]
)
def test_a_backend_of_another_version_is_shown_with_the_side_to_update(
    at: Stage, major: int, side: str
) -> None:
    live._live = live.Live(notes=at.folder / "jobs")
    peer = Peer()
    peer.v = (major, 0)
    try:
        at.live.session.connect(peer.endpoint)
        at.pump(lambda: peer.serve() or at.live.session.trouble is not None)
        text = said(TWEENCEL_PT_backend)
        assert f"Update the {side}" in text
        assert "of another version" in text
        assert "Connecting" not in text
        assert "tweencel.disconnect" in draw(TWEENCEL_PT_backend).verbs
    finally:
        at.live.close()
        peer.close()


def test_a_job_that_waits_for_room_says_so(at: Stage) -> None:
    at.backend.full = QuotaExceeded("9 of your jobs are waiting.", fix="Wait until some are done.")
    at.connect()
    at.add_keys(1, 4)
    bpy.ops.tweencel.generate()
    at.pump(lambda: at.work.job.refusal is not None)
    text = said(TWEENCEL_PT_jobs)
    assert "too many of your jobs or files; trying again" in text
    assert "9 of your jobs are waiting. Wait until some are done." in text


def test_the_selection_is_summed_up(at: Stage) -> None:
    at.add_keys(1, 7, 12)
    assert "3 keys, 2 gaps, 9 frames to make" in said(TWEENCEL_PT_inbetween)
    assert "1 to 7: 5 in-betweens" in draw(TWEENCEL_PT_timing).texts


def test_a_wrong_selection_says_what_to_do(at: Stage) -> None:
    text = said(TWEENCEL_PT_inbetween)
    assert "No image strip is selected" in text
    assert "Select two or more image strips" in text


def test_too_many_in_betweens_are_told_before_the_button_is_pressed(at: Stage) -> None:
    at.add_keys(1, 4)
    at.settings.fill, at.settings.count = False, 9
    assert "but 9 in-betweens are asked for" in said(TWEENCEL_PT_inbetween)


def test_the_engines_settings_are_drawn_from_its_record(at: Stage) -> None:
    at.connect()
    drawn = draw(TWEENCEL_PT_inbetween)
    assert '["set_strength"]' in drawn.settings
    assert "Strength" in drawn.texts
    assert "tweencel.generate" in drawn.verbs


def test_an_engine_that_this_backend_lacks_is_named(at: Stage) -> None:
    at.connect()
    at.settings.engine = "gone"
    named = [drawn["text"] for kind, drawn in draw(TWEENCEL_PT_inbetween).drawn if kind == "menu"]
    assert named == ["gone (not on this backend)"]


def test_the_engine_menu_lists_and_chooses(at: Stage) -> None:
    at.connect()
    assert draw(TWEENCEL_MT_engine).texts == ["Echo"]
    bpy.ops.tweencel.choose_engine(engine="echo")
    assert at.settings.engine == "echo"


def test_each_gap_can_get_a_count_of_its_own(at: Stage) -> None:
    at.add_keys(1, 7, 12)
    assert "tweencel.fit_gaps" in draw(TWEENCEL_PT_timing).verbs
    bpy.ops.tweencel.fit_gaps()
    assert [gap.count for gap in at.settings.gaps] == [5, 4]
    at.settings.gaps[0].own = True
    at.settings.gaps[0].count = 2
    drawn = draw(TWEENCEL_PT_timing)
    assert "tweencel.fit_gaps" not in drawn.verbs
    assert "1 to 7: 2 in-betweens" in drawn.texts
    at.strips["hop_0003.png"].select = False
    assert "tweencel.fit_gaps" in draw(TWEENCEL_PT_timing).verbs


def test_a_job_has_a_bar_and_can_be_cancelled(at: Stage) -> None:
    at.backend.automatic = False
    at.connect()
    at.add_keys(1, 4)
    bpy.ops.tweencel.generate()
    at.pump(lambda: at.work.job.accepted)
    drawn = draw(TWEENCEL_PT_jobs)
    assert "hop_v001" in drawn.texts
    assert [kind for kind, _ in drawn.drawn].count("progress") == 1
    assert "tweencel.cancel" in drawn.verbs


def test_a_failed_job_shows_why_and_what_to_do(at: Stage) -> None:
    at.backend.refuse = EngineFailed("The engine is tired.", fix="Let it sleep.")
    at.connect()
    at.add_keys(1, 4)
    bpy.ops.tweencel.generate()
    at.pump(lambda: at.work.job.stage.ended)
    text = said(TWEENCEL_PT_jobs)
    assert "The engine is tired." in text
    assert "Let it sleep." in text
    assert "tweencel.dismiss" in draw(TWEENCEL_PT_jobs).verbs


def test_a_refused_button_leaves_its_reason_on_the_panel_until_dismissed(at: Stage) -> None:
    at.connect()
    with pytest.raises(RuntimeError):
        bpy.ops.tweencel.generate()
    assert "No image strip is selected" in said(TWEENCEL_PT_jobs)
    bpy.ops.tweencel.dismiss()
    assert said(TWEENCEL_PT_jobs) == "Nothing yet"


def test_what_stands_with_the_keys_is_not_told_a_second_time(at: Stage) -> None:
    at.connect()
    with pytest.raises(RuntimeError):
        bpy.ops.tweencel.generate()
    with editor("SEQUENCE_EDITOR"):
        assert "No image strip is selected" in said(TWEENCEL_PT_inbetween)
        assert said(TWEENCEL_PT_jobs) == "Nothing yet"
        time.sleep(0.11)  # the panel above was closed
        assert "No image strip is selected" in said(TWEENCEL_PT_jobs)


def test_the_selection_is_looked_at_once_in_a_redraw_and_anew_in_the_next(
    at: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[int] = []
    survey = capture.survey

    def counted(context: Any) -> Any:
        looks.append(1)
        return survey(context)

    monkeypatch.setattr(capture, "survey", counted)
    at.connect()
    at.add_keys(1, 7)
    with editor("SEQUENCE_EDITOR"):
        redraw = (TWEENCEL_PT_source, TWEENCEL_PT_inbetween, TWEENCEL_PT_timing)
        for panel in redraw:
            draw(panel)
        assert len(looks) == 1
        for strip in at.strips:
            strip.select = False
        assert "No image strip is selected" in " ".join(
            text for panel in redraw for text in draw(panel).texts
        )
        assert len(looks) == 2
        at.scene.frame_set(3)
        draw(TWEENCEL_PT_jobs)
        draw(TWEENCEL_PT_timing)
        assert len(looks) == 3, "another frame is looked at anew"


def test_drawing_the_panels_changes_nothing_in_the_file(at: Stage) -> None:
    """Blender forbids it; a layout that takes notes would not."""
    at.add_keys(1, 7)
    before = (len(at.settings.gaps), len(at.settings.engines), list(at.settings.keys()))
    for panel in (TWEENCEL_PT_backend, TWEENCEL_PT_timing, TWEENCEL_PT_inbetween, TWEENCEL_PT_jobs):
        draw(panel)
    assert (len(at.settings.gaps), len(at.settings.engines), list(at.settings.keys())) == before
