# SPDX-License-Identifier: GPL-3.0-or-later
"""Blender's rendering ahead is held up while strips change, and never stays off."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import bpy
import pytest

from blender_addon import prefetch, timeline
from tests.blender.stage import Stage, shown_names, stage

FRAME = 0.1  # what Hold gives Blender for the frame in progress


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Stage]:
    with stage(tmp_path) as at:
        yield at


def generate(at: Stage, *frames: int) -> None:
    """As in a window: elsewhere Blender never renders ahead."""
    at.live._hold = prefetch.Hold(needed=True)
    at.connect()
    at.add_keys(*frames)
    bpy.ops.tweencel.generate()


def ahead(at: Stage) -> bool:
    return at.scene.sequence_editor.use_prefetch


def test_without_rendering_ahead_strips_change_at_once(at: Stage) -> None:
    at.scene.sequence_editor_create().use_prefetch = False
    assert prefetch.Hold(needed=True).begin([at.scene], 5.0)
    assert prefetch.Hold(needed=True).begin([], 5.0)
    assert not ahead(at)


def test_blender_gets_time_to_end_its_frame_and_goes_on_afterwards(at: Stage) -> None:
    at.scene.sequence_editor_create().use_prefetch = True
    hold = prefetch.Hold(needed=True)
    assert not hold.begin([at.scene], 5.0)
    assert not ahead(at)
    assert not hold.begin([at.scene], 5.0 + FRAME / 2)
    assert hold.begin([at.scene], 5.0 + 1.01 * FRAME)
    hold.end(5.2)
    assert ahead(at)
    assert not hold.begin([at.scene], 5.3)
    assert ahead(at), "what lands gathers for half a second"
    assert not hold.begin([at.scene], 5.8)
    assert not ahead(at)


def test_after_a_change_that_had_to_wait_blender_gets_more_time(at: Stage) -> None:
    at.scene.sequence_editor_create().use_prefetch = True
    hold = prefetch.Hold(needed=True)
    hold.begin([at.scene], 5.0)
    hold.took(0.03)
    assert not hold.begin([at.scene], 5.0 + 1.9 * FRAME)
    assert hold.begin([at.scene], 5.0 + 2.1 * FRAME)


def test_frames_land_while_blender_renders_ahead(at: Stage) -> None:
    generate(at, 1, 4)
    at.scene.sequence_editor.use_prefetch = True
    at.pump(lambda: "tweencel_open" not in at.result)
    assert [name[-6:-4] for name in shown_names(at.result)] == ["01", "02", "03", "02"]
    assert ahead(at)
    assert "tweencel_prefetch_held" not in at.scene


def test_a_file_that_was_saved_during_a_hold_renders_ahead_when_it_is_opened(at: Stage) -> None:
    at.scene.sequence_editor_create().use_prefetch = True
    hold = prefetch.Hold(needed=True)
    hold.begin([at.scene], 5.0)
    path = at.save()
    bpy.ops.wm.open_mainfile(filepath=str(path))
    assert ahead(at)
    assert "tweencel_prefetch_held" not in at.scene


def test_dismissing_a_job_shows_what_has_landed_first(at: Stage) -> None:
    generate(at, 1, 3)
    at.scene.sequence_editor.use_prefetch = True
    at.pump(lambda: at.work.job.stage.ended)
    bpy.ops.tweencel.dismiss(job=at.work.job.id)
    assert shown_names(at.result)[1] == "hop_0002.png"
    at.live.beat()
    at.live.beat()


def test_what_is_not_shown_before_the_deadline_is_shown_later(at: Stage) -> None:
    generate(at, 1, 5)
    job = at.work.job.id
    keys = shown_names(at.result)
    new = ["a.png", "b.png", "c.png", "d.png", "e.png"]
    assert not timeline.show(job, new, deadline=0.0)
    assert shown_names(at.result) == ["a.png", *keys[1:]]
    assert timeline.show(job, new)
    assert shown_names(at.result) == new
