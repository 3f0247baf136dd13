# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys that lie under a result may be hidden, and are seen again when it is gone."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import bpy
import pytest

from blender_addon import live
from tests.blender.stage import Stage, stage


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Stage]:
    with stage(tmp_path) as at:
        at.connect()
        at.settings.hide_keys = True
        yield at


def generate(at: Stage) -> None:
    assert bpy.ops.tweencel.generate() == {"FINISHED"}
    work = at.work
    at.pump(lambda: work.job.stage.ended)


def hidden(at: Stage) -> list[bool]:
    keys = [strip for strip in at.strips if "tweencel_job" not in strip]
    return [strip.mute for strip in sorted(keys, key=lambda strip: strip.name)]


def look(at: Stage) -> None:
    """Until the add-on has looked at the keys once more."""
    time.sleep(1.05)
    live.beat()


def test_keys_stay_seen_unless_they_are_to_be_hidden(at: Stage) -> None:
    at.settings.hide_keys = False
    at.add_keys(1, 4)
    generate(at)
    assert hidden(at) == [False, False]


def test_keys_under_the_result_are_hidden_and_can_be_used_again(at: Stage) -> None:
    at.add_keys(1, 4)
    generate(at)
    assert hidden(at) == [True, True]
    assert [strip.mute for strip in at.strips if "tweencel_job" in strip] == [False]
    generate(at)
    assert len([strip for strip in at.strips if "tweencel_job" in strip]) == 2


def test_what_is_seen_longer_than_the_result_stays_seen(at: Stage) -> None:
    at.add_keys(1, 4)
    at.strips["hop_0002.png"].elements.append("hop_0001.png")  # another drawing after the key
    generate(at)
    assert hidden(at) == [True, False]


def test_a_key_that_the_artist_muted_stays_muted(at: Stage) -> None:
    at.add_keys(1, 4)
    at.strips["hop_0001.png"].mute = True
    generate(at)
    at.settings.hide_keys = False
    assert hidden(at) == [True, False]


def test_turning_it_off_shows_the_keys(at: Stage) -> None:
    at.add_keys(1, 4)
    generate(at)
    at.settings.hide_keys = False
    assert hidden(at) == [False, False]


def test_deleting_the_last_result_shows_the_keys(at: Stage) -> None:
    at.add_keys(1, 4)
    generate(at)
    generate(at)
    first, second = [strip for strip in at.strips if "tweencel_job" in strip]
    at.strips.remove(first)
    look(at)
    assert hidden(at) == [True, True]
    at.strips.remove(second)
    look(at)
    assert hidden(at) == [False, False]


def test_a_job_that_made_nothing_shows_the_keys(at: Stage) -> None:
    at.backend.automatic = False
    at.add_keys(1, 4)
    bpy.ops.tweencel.generate()
    assert hidden(at) == [True, True]
    at.pump(lambda: at.work.job.accepted)
    bpy.ops.tweencel.cancel(job=at.work.job.id)
    at.pump(lambda: at.work.job.stage.ended)
    look(at)
    assert hidden(at) == [False, False]


def test_keys_stay_hidden_when_the_job_is_dismissed_and_the_file_is_opened(at: Stage) -> None:
    at.add_keys(1, 4)
    generate(at)
    bpy.ops.tweencel.dismiss(job=at.work.job.id)
    bpy.ops.wm.open_mainfile(filepath=str(at.save()))
    look(at)
    assert hidden(at) == [True, True]
