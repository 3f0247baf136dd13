# SPDX-License-Identifier: GPL-3.0-or-later
"""Making again where something else happened in between: nothing of the artist's is lost."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import bpy
import pytest

from blender_addon import results, timeline, vse
from blender_addon.ledger import Stage as JobStage
from protocol.errors import EngineFailed, NoRoom
from protocol.jobs import State
from tests.blender.stage import Stage, shown_files, span, stage
from tests.blender.test_make_again import (
    contents,
    first_version,
    make_again,
    select,
    until_ended,
)
from tests.fakes.backend import png


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Stage]:
    with stage(tmp_path) as at:
        at.connect()
        yield at


def fail(at: Stage) -> None:
    """The job breaks before it has made a frame."""
    work = at.work
    at.pump(lambda: work.job.accepted)
    at.backend.move(work.job.id, State.FAILED, EngineFailed("It broke."))
    until_ended(at)


def all_there(at: Stage) -> bool:
    folder = Path(bpy.path.abspath(at.result.directory))
    return all((folder / name).is_file() for name in shown_files(at.result))


def test_a_restored_result_stays_the_one_to_be_replaced_when_another_is_made_again(
    at: Stage,
) -> None:
    first_version(at, 1, 5)
    restored = at.result
    select(at, restored)
    bpy.ops.tweencel.restore()
    chosen = at.settings.replaces
    others = [
        at.add(path, frame) for path, frame in zip(at.draw_keys(2, "b"), (51, 55), strict=True)
    ]
    select(at, *others)
    bpy.ops.tweencel.generate()
    until_ended(at)
    (other,) = [s for s in at.strips if "tweencel_job" in s and s != restored]
    select(at, other)
    assert bpy.ops.tweencel.make_again() == {"FINISHED"}
    until_ended(at)
    assert at.settings.replaces == chosen


def test_a_longer_result_without_a_free_channel_stays_as_it_was(at: Stage) -> None:
    first_version(at, 1, 5)
    before, job, where = contents(at), at.result["tweencel_job"], span(at.result)
    at.add(at.draw_keys(1, "other")[0], 8, channel=at.result.channel)
    for channel in at.scene.sequence_editor.channels:
        channel.lock = True
    vse.put(at.strips["hop_0002.png"], 12)
    select(at, at.result)
    with pytest.raises(NoRoom):
        at.live.make_again(bpy.context, results.chosen(bpy.context))
    until_ended(at)
    assert all_there(at)
    assert (contents(at), at.result["tweencel_job"], span(at.result)) == (before, job, where)


def save_elsewhere(at: Stage) -> None:
    place = at.folder / "elsewhere" / "deep"
    place.mkdir(parents=True)
    bpy.ops.wm.save_as_mainfile(filepath=str(place / "shot.blend"), relative_remap=True)


@pytest.mark.parametrize("target", ["VSE", "PLANE"])
def test_a_file_that_was_saved_elsewhere_still_finds_the_record(
    at: Stage,
    target: str,
) -> None:
    at.save()
    at.settings.folder, at.settings.target = "", target
    first_version(at, 1, 5)
    job = at.work.job.id
    save_elsewhere(at)
    bpy.ops.wm.open_mainfile(filepath=bpy.data.filepath)
    made = results.found(job)
    assert made is not None
    assert made.version.job == job


def test_a_file_that_was_saved_elsewhere_meanwhile_gets_the_old_version_back(
    at: Stage,
) -> None:
    at.save()
    at.settings.folder = ""
    paths = first_version(at, 1, 5)
    before, job = contents(at), at.result["tweencel_job"]
    paths[1].write_bytes(png(grey=200))
    at.backend.automatic = False
    make_again(at)
    save_elsewhere(at)
    fail(at)
    assert at.result["tweencel_job"] == job
    assert contents(at) == [*before[:-1], png(grey=200)]


def test_a_redo_after_a_failure_shows_no_file_that_is_gone(at: Stage) -> None:
    paths = first_version(at, 1, 5)
    bpy.ops.ed.undo_push(message="before")
    paths[1].write_bytes(png(grey=200))
    at.backend.automatic = False
    make_again(at)
    bpy.ops.ed.undo_push(message="after")
    fail(at)
    bpy.ops.ed.undo()
    bpy.ops.ed.redo()
    assert all_there(at)
    assert "tweencel_before" not in at.result


def test_a_plane_is_seen_from_where_its_new_version_begins(at: Stage) -> None:
    at.settings.target = "PLANE"
    first_version(at, 11, 15)
    made = results.found(at.work.job.id)
    assert made is not None
    vse.put(at.strips["hop_0001.png"], 5)
    at.live.make_again(bpy.context, made)
    assert until_ended(at) is JobStage.DONE
    (plane,) = [one for one in bpy.data.objects if "tweencel_job" in one]
    at.scene.frame_set(4)
    assert plane.hide_render
    at.scene.frame_set(5)
    assert not plane.hide_render


def test_a_note_of_the_old_version_that_was_spoiled_harms_no_other_job(
    at: Stage,
) -> None:
    paths = first_version(at, 1, 5)
    paths[1].write_bytes(png(grey=200))
    at.backend.automatic = False
    make_again(at)
    at.result["tweencel_before"] = json.dumps({"directory": 3})
    fail(at)
    assert at.live.session.problem is None


def test_variations_in_a_copy_of_the_scene_are_left_alone(at: Stage) -> None:
    at.add_keys(1, 5)
    at.settings.variations = 2
    bpy.ops.tweencel.generate()
    at.pump(lambda: all(work.job.stage.ended for work in at.live.session.works.values()))
    first = at.scene
    copied = first.copy()
    assert copied.sequence_editor is not None
    strip = next(s for s in first.sequence_editor.strips if "tweencel_job" in s)
    assert len(timeline.variations_of(strip)) == 2
    timeline.pick(strip, remove_others=True)
    assert sum("tweencel_job" in s for s in copied.sequence_editor.strips) == 2
