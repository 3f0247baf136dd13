# SPDX-License-Identifier: GPL-3.0-or-later
"""A result is made again in its place: only what has changed, and nothing is lost."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bpy
import pytest

from blender_addon import charts, image_targets, live, param_props, results, timeline, vse
from blender_addon.ledger import Stage as JobStage
from blender_addon.panels.inbetween import TWEENCEL_PT_inbetween
from blender_addon.panels.result import TWEENCEL_PT_result
from blender_addon.source_props import sources_of
from protocol.errors import EngineFailed
from protocol.jobs import State
from protocol.messages import Submit
from tests.blender.stage import Recorder, Stage, shown_files, span, stage
from tests.blender.test_renders import add_block, add_camera
from tests.blender.test_sources import editor
from tests.fakes.backend import ENGINE, png


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Stage]:
    with stage(tmp_path) as at:
        at.connect()
        yield at


def until_ended(at: Stage) -> JobStage:
    work = at.work
    at.pump(lambda: work.job.stage.ended)
    live.beat()
    return work.job.stage


def first_version(at: Stage, *frames: int, count: int = 3) -> list[Path]:
    """Keys, and in-betweens of them that are finished; what is made later looks different."""
    paths = at.add_keys(*frames)
    at.settings.fill = False
    at.settings.count = count
    assert bpy.ops.tweencel.generate() == {"FINISHED"}
    assert until_ended(at) is JobStage.DONE
    at.backend.frame = lambda index: png(grey=50 + index)
    at.backend.heard.clear()
    return paths


def select(at: Stage, *strips: Any) -> None:
    for strip in at.strips:
        strip.select = strip in strips


def make_again(at: Stage) -> None:
    select(at, at.result)
    assert bpy.ops.tweencel.make_again() == {"FINISHED"}


def asked(at: Stage) -> list[tuple[float, ...]]:
    """The times of the one job that was sent since the first version."""
    (submit,) = at.backend.said(Submit)
    assert isinstance(submit, Submit)
    return list(submit.task.gaps)  # type: ignore[union-attr]


def contents(at: Stage) -> list[bytes]:
    """What each frame of the result shows, by the files' bytes."""
    folder = Path(bpy.path.abspath(at.result.directory))
    return [(folder / name).read_bytes() for name in shown_files(at.result)]


def old(*indices: int) -> list[bytes]:
    return [png(grey=1 + index) for index in indices]


def new(*indices: int) -> list[bytes]:
    return [png(grey=50 + index) for index in indices]


def key(number: int) -> bytes:
    return png(grey=100 + number)


def test_making_again_what_has_not_changed_makes_nothing_and_loses_nothing(at: Stage) -> None:
    first_version(at, 1, 5, 9)
    before, name = contents(at), at.result.name
    folder = at.work.folder.path
    make_again(at)
    assert until_ended(at) is JobStage.DONE
    assert at.backend.said(Submit) == []
    assert (contents(at), at.result.name) == (before, name)
    assert at.work.folder.path != folder
    assert (folder / "tweencel.json").is_file()
    assert "tweencel_before" not in at.result


def test_a_repainted_key_makes_its_gaps_again(at: Stage) -> None:
    paths = first_version(at, 1, 5, 9)
    paths[2].write_bytes(png(grey=200))
    make_again(at)
    assert until_ended(at) is JobStage.DONE
    assert asked(at) == [(), (0.25, 0.5, 0.75)]
    assert contents(at) == [
        key(0), *old(0, 1, 2), key(1), *new(0, 1, 2), png(grey=200)
    ]  # fmt: skip


def test_moved_keys_show_the_same_drawings_at_other_times(at: Stage) -> None:
    first_version(at, 1, 5, 9)
    vse.put(at.strips["hop_0003.png"], 13)
    make_again(at)
    assert until_ended(at) is JobStage.DONE
    assert at.backend.said(Submit) == []
    assert span(at.result) == (1, 14)
    shown = [old(3)[0]] * 2 + [old(4)[0]] * 2 + [old(5)[0]] * 2
    assert contents(at) == [key(0), *old(0, 1, 2), key(1), key(1), *shown, key(2)]


def test_all_keys_moved_take_the_result_along_unless_it_was_moved_itself(at: Stage) -> None:
    first_version(at, 1, 5)
    for name, frame in (("hop_0002.png", 25), ("hop_0001.png", 21)):
        vse.put(at.strips[name], frame)
    make_again(at)
    until_ended(at)
    assert span(at.result) == (21, 26)
    vse.put(at.result, 99)
    make_again(at)
    until_ended(at)
    assert span(at.result) == (100, 105)


def test_a_frame_that_was_painted_over_is_a_key_in_its_gap(at: Stage) -> None:
    first_version(at, 1, 5, 9)
    painted = at.work.folder.path / at.work.made[1]
    painted.write_bytes(png(grey=222))
    make_again(at)
    assert until_ended(at) is JobStage.DONE
    assert asked(at) == [(0.5,), (0.5,), ()]
    assert contents(at) == [
        key(0), *new(0), png(grey=222), *new(1), key(1), *old(3, 4, 5), key(2)
    ]  # fmt: skip
    assert painted.read_bytes() == png(grey=222)
    assert at.result["tweencel_generated"] == "kgkgkgggk"
    before = contents(at)
    at.backend.heard.clear()
    make_again(at)
    assert until_ended(at) is JobStage.DONE
    assert at.backend.said(Submit) == []
    assert contents(at) == before


def test_what_the_artist_did_with_the_strip_stays(at: Stage) -> None:
    paths = first_version(at, 1, 5, 9)
    strip = at.result
    strip.transform.offset_x = 12
    strip.blend_alpha = 0.5
    strip.keyframe_insert("blend_alpha", frame=3)
    strip.color_multiply = 0.75
    paths[1].write_bytes(png(grey=200))
    make_again(at)
    until_ended(at)
    strip = at.result
    assert (strip.transform.offset_x, strip.blend_alpha) == (12, 0.5)
    assert strip.color_multiply == 0.75
    action: Any = at.scene.animation_data.action
    assert action is not None


@pytest.mark.parametrize("how", ["cancelled", "failed"])
def test_what_is_not_finished_gives_the_old_version_back(at: Stage, how: str) -> None:
    paths = first_version(at, 1, 5, 9)
    before, job = contents(at), at.result["tweencel_job"]
    vse.put(at.strips["hop_0003.png"], 13)
    paths[2].write_bytes(png(grey=200))
    at.backend.automatic = False
    make_again(at)
    work = at.work
    at.pump(lambda: work.job.accepted)
    at.backend.move(work.job.id, State.RUNNING)
    at.backend.make(work.job.id)
    at.pump(lambda: len(work.made) == 4)
    assert len(contents(at)) == 13
    if how == "cancelled":
        assert bpy.ops.tweencel.cancel(job=work.job.id) == {"FINISHED"}
        at.pump(lambda: bool(at.backend.heard) and work.job.cancelling)
        at.backend.move(work.job.id, State.CANCELLED)
    else:
        at.backend.move(work.job.id, State.FAILED, EngineFailed("It broke."))
    until_ended(at)
    assert contents(at) == [*before[:-1], png(grey=200)]  # the key is the file as it is now
    assert (at.result["tweencel_job"], span(at.result)) == (job, (1, 10))
    assert len(list(work.folder.path.glob("hop_*.png"))) >= 4  # the frames that were made stay
    at.backend.automatic = True
    make_again(at)
    assert until_ended(at) is JobStage.DONE
    assert span(at.result) == (1, 14)


def test_a_version_that_somebody_removed_does_not_come_back(at: Stage) -> None:
    paths = first_version(at, 1, 5, 9)
    folder = at.work.folder.path
    paths[2].write_bytes(png(grey=200))
    at.backend.automatic = False
    make_again(at)
    work = at.work
    at.pump(lambda: work.job.accepted)
    shutil.rmtree(folder)
    at.backend.move(work.job.id, State.FAILED, EngineFailed("It broke."))
    until_ended(at)
    assert all((Path(at.result.directory) / name).is_file() for name in shown_files(at.result))


def test_the_panel_and_the_selection_stay_as_they_are(at: Stage) -> None:
    paths = first_version(at, 1, 5, 9)
    param_props.set_value(at.settings, ENGINE, "strength", 9)
    at.settings.count, at.settings.spacing, at.settings.seed = 7, "slow_in", 3
    paths[2].write_bytes(png(grey=200))
    make_again(at)
    until_ended(at)
    assert asked(at) == [(), (0.25, 0.5, 0.75)]
    assert (at.settings.count, at.settings.spacing, at.settings.seed) == (7, "slow_in", 3)
    assert param_props.values(at.settings, ENGINE)["strength"] == 9
    assert at.settings.replaces == ""
    assert [strip for strip in at.strips if strip.select] == [at.result]
    panel = Recorder()
    drawing = type("Panel", (), {"layout": panel})()
    TWEENCEL_PT_inbetween.draw(drawing, bpy.context)
    assert "Select keys for new in-betweens" in panel.texts


def test_an_undo_shows_the_old_version(at: Stage) -> None:
    paths = first_version(at, 1, 5, 9)
    bpy.ops.ed.undo_push(message="before")
    paths[2].write_bytes(png(grey=200))
    make_again(at)
    bpy.ops.ed.undo_push(message="after")
    until_ended(at)
    assert contents(at)[5:8] == new(0, 1, 2)
    bpy.ops.ed.undo()
    assert contents(at)[5:8] == old(3, 4, 5)
    bpy.ops.ed.redo()
    assert contents(at)[5:8] == new(0, 1, 2)


def test_a_saved_file_makes_again_after_it_was_opened(at: Stage) -> None:
    at.save()
    at.settings.folder = ""
    paths = first_version(at, 1, 5, 9)
    at.save()
    bpy.ops.wm.open_mainfile(filepath=bpy.data.filepath)
    paths[2].write_bytes(png(grey=200))
    make_again(at)
    assert until_ended(at) is JobStage.DONE
    assert contents(at)[1:4] == old(0, 1, 2)
    assert contents(at)[5:8] == new(0, 1, 2)


def test_a_longer_result_lies_on_no_other_strip(at: Stage) -> None:
    first_version(at, 1, 5, 9)
    channel = at.result.channel
    blocker = at.add(at.draw_keys(1, "other")[0], 11, channel=channel)
    vse.put(at.strips["hop_0003.png"], 13)
    make_again(at)
    until_ended(at)
    assert at.result.channel == channel + 1
    assert (span(blocker)[0], blocker.channel) == (11, channel)


def test_a_result_that_is_still_being_made_waits(at: Stage) -> None:
    at.add_keys(1, 5)
    at.backend.automatic = False
    bpy.ops.tweencel.generate()
    select(at, at.result)
    with pytest.raises(RuntimeError, match="still being made"):
        bpy.ops.tweencel.make_again()
    assert len(at.live.session.works) == 1


def test_settings_come_back_with_the_result(at: Stage) -> None:
    settings = at.settings
    settings.spacing = "custom"
    charts.set_points(settings, [[0.0, 0.0, "AUTO"], [0.5, 0.2, "VECTOR"], [1.0, 1.0, "AUTO"]])
    at.add_keys(1, 5, 9)
    bpy.ops.tweencel.fit_gaps()
    settings.gaps[1].own = True
    settings.gaps[1].count = 1
    settings.gaps[1].spacing = "slow_in"
    settings.fill, settings.count, settings.seed = False, 3, 7
    param_props.set_value(settings, ENGINE, "strength", 8)
    bpy.ops.tweencel.generate()
    assert until_ended(at) is JobStage.DONE
    gaps = at.work.order.gaps
    settings.spacing, settings.count, settings.seed, settings.fill = "even", 9, 0, True
    settings.gaps.clear()
    charts.set_points(settings, [[0.0, 0.0, "AUTO"], [1.0, 1.0, "AUTO"]])
    param_props.set_value(settings, ENGINE, "strength", 2)
    select(at, at.result)
    assert bpy.ops.tweencel.restore() == {"FINISHED"}
    assert (settings.spacing, settings.count, settings.seed, settings.fill) == (
        "custom", 3, 7, False,
    )  # fmt: skip
    assert (settings.gaps[1].own, settings.gaps[1].count) == (True, 1)
    assert param_props.values(settings, ENGINE)["strength"] == 8
    assert sorted(s.name for s in at.strips if s.select) == [f"hop_000{n}.png" for n in (1, 2, 3)]
    bpy.ops.tweencel.generate()
    until_ended(at)
    assert at.work.order.gaps == gaps


def test_what_is_generated_after_a_restore_takes_the_place(at: Stage) -> None:
    first_version(at, 1, 5, 9)
    select(at, at.result)
    bpy.ops.tweencel.restore()
    at.settings.count = 1
    assert bpy.ops.tweencel.generate() == {"FINISHED"}
    until_ended(at)
    assert at.backend.said(Submit) == []  # the middle was there already
    middle = [key(0), key(0), *old(1, 1), key(1), key(1), *old(4, 4), key(2)]
    assert contents(at) == middle  # of the only result
    at.settings.count = 2
    bpy.ops.tweencel.generate()  # and once more
    until_ended(at)
    assert asked(at) == [(pytest.approx(1 / 3), pytest.approx(2 / 3))] * 2
    assert new(0)[0] in contents(at)


def test_other_keys_are_never_put_into_the_place_of_a_result(at: Stage) -> None:
    first_version(at, 1, 5)
    select(at, at.result)
    bpy.ops.tweencel.restore()
    others = [
        at.add(path, frame) for path, frame in zip(at.draw_keys(2, "b"), (51, 55), strict=True)
    ]
    select(at, *others)
    bpy.ops.tweencel.generate()
    until_ended(at)
    assert sum("tweencel_job" in strip for strip in at.strips) == 2


def test_a_new_result_is_made_if_the_artist_says_so(at: Stage) -> None:
    first_version(at, 1, 5)
    select(at, at.result)
    bpy.ops.tweencel.restore()
    bpy.ops.tweencel.stop_replacing()
    bpy.ops.tweencel.generate()
    until_ended(at)
    assert sum("tweencel_job" in strip for strip in at.strips) == 2


def test_a_result_without_its_record_is_told_and_left_alone(at: Stage) -> None:
    first_version(at, 1, 5)
    (at.work.folder.path / "tweencel.json").unlink()
    before = contents(at)
    select(at, at.result)
    with pytest.raises(RuntimeError, match="cannot be read"):
        bpy.ops.tweencel.make_again()
    assert contents(at) == before


def test_the_panel_tells_what_was_painted_over(at: Stage) -> None:
    first_version(at, 1, 5)
    select(at, at.result)
    (at.work.folder.path / at.work.made[0]).write_bytes(png(grey=222))
    panel = Recorder()
    drawing = type("Panel", (), {"layout": panel})()
    TWEENCEL_PT_result.draw(drawing, bpy.context)
    live.beat()
    TWEENCEL_PT_result.draw(drawing, bpy.context)
    assert any("1 frame painted over" in text for text in panel.texts)
    assert {"tweencel.restore", "tweencel.make_again"} <= set(panel.verbs)


def test_variations_lie_above_each_other_and_one_is_picked(at: Stage) -> None:
    at.add_keys(1, 5)
    at.settings.variations, at.settings.seed = 3, 40
    assert bpy.ops.tweencel.generate() == {"FINISHED"}
    at.pump(lambda: all(work.job.stage.ended for work in at.live.session.works.values()))
    live.beat()
    made = sorted((s for s in at.strips if "tweencel_job" in s), key=lambda s: s.channel)
    assert [strip.mute for strip in made] == [False, True, True]
    assert len({strip.channel for strip in made}) == 3
    assert [work.job.seed for work in at.live.session.works.values()] == [40, 41, 42]
    assert len({strip.directory for strip in made}) == 3
    select(at, made[1])
    assert bpy.ops.tweencel.pick() == {"FINISHED"}
    assert [strip.mute for strip in made] == [True, False, True]
    assert bpy.ops.tweencel.pick(remove_others=True) == {"FINISHED"}
    left = [strip for strip in at.strips if "tweencel_job" in strip]
    assert [(strip.mute, timeline.variations_of(strip)) for strip in left] == [(False, [])]


@pytest.mark.parametrize("target", ["PLANE", "COMPOSITOR", "GP_REFERENCE"])
def test_results_outside_the_sequencer_are_made_again_in_place(at: Stage, target: str) -> None:
    at.settings.target = target
    paths = first_version(at, 1, 5, 9)
    job = at.work.job.id
    made = results.found(job)
    assert made is not None
    image = made.owner
    before = image.filepath
    paths[2].write_bytes(png(grey=200))
    vse.put(at.strips["hop_0003.png"], 13)
    at.live.make_again(bpy.context, made)
    assert image.filepath != before
    users = list(_users(image))
    assert [user.frame_duration for user in users] == [13] * len(users)
    assert until_ended(at) is JobStage.DONE
    assert sum("tweencel_job" in one for one in bpy.data.images) == 1
    assert image["tweencel_job"] == at.work.job.id
    folder = at.work.folder.path
    assert Path(bpy.path.abspath(image.filepath)).parent.parent == folder
    assert (folder / "exposed" / "hop_0007.png").read_bytes() == new(0)[0]


def test_a_plane_that_was_made_again_in_vain_shows_the_old_version(at: Stage) -> None:
    at.settings.target = "PLANE"
    paths = first_version(at, 1, 5, 9)
    made = results.found(at.work.job.id)
    assert made is not None
    before = made.owner.filepath, [user.frame_duration for user in _users(made.owner)]
    paths[2].write_bytes(png(grey=200))
    vse.put(at.strips["hop_0003.png"], 13)
    at.backend.automatic = False
    work = at.live.make_again(bpy.context, made)
    at.pump(lambda: work.job.accepted)
    at.backend.move(work.job.id, State.FAILED, EngineFailed("It broke."))
    until_ended(at)
    assert (made.owner.filepath, [user.frame_duration for user in _users(made.owner)]) == before
    assert made.owner["tweencel_job"] == made.job
    assert len([one for one in bpy.data.objects if one.get("tweencel_job") == made.job]) == 1


def _users(image: Any) -> Iterator[Any]:
    return image_targets._users_of(image)


def test_what_was_rendered_is_rendered_anew_from_wherever_it_is_made_again(at: Stage) -> None:
    add_camera(at.scene)
    block = add_block(at.scene)
    at.scene.render.engine = "BLENDER_WORKBENCH"
    at.scene.render.resolution_x, at.scene.render.resolution_y = 64, 48
    at.settings.fill, at.settings.count = False, 2
    at.settings.target = "VSE"
    sources_of(at.scene).view_times = "LIST"
    sources_of(at.scene).frame_list = "1, 5, 11"
    with editor("VIEW_3D"):
        assert bpy.ops.tweencel.generate() == {"FINISHED"}
        assert until_ended(at) is JobStage.DONE
    at.backend.heard.clear()
    at.backend.frame = lambda index: png(grey=50 + index)
    sources_of(at.scene).frame_list = "3, 4"
    block.animation_data_clear()
    block.location.x = -1.0
    for frame, x in ((1, -1.0), (5, -0.2), (11, 2.0)):
        block.location.x = x
        block.keyframe_insert("location", index=0, frame=frame)
    at.scene.frame_set(1)
    select(at, at.result)
    assert bpy.ops.tweencel.make_again() == {"FINISHED"}  # the window shows a 3D View elsewhere
    assert until_ended(at) is JobStage.DONE
    assert sources_of(at.scene).frame_list == "3, 4"  # the panel is the artist's
    assert len(at.work.order.keys) == 3
    assert all(at.work.folder.path in key.parents for key in at.work.order.keys)
    assert len(asked(at)) == 2


def test_a_result_of_an_editor_that_is_not_open_is_told(at: Stage) -> None:
    first_version(at, 1, 5)
    record = at.work.folder.path / "tweencel.json"
    text = record.read_text("utf-8").replace('{"editor": "VSE"', '{"editor": "IMAGE"')
    record.write_text(text, "utf-8")
    select(at, at.result)
    with pytest.raises(RuntimeError, match="Open the Image Editor"):
        bpy.ops.tweencel.make_again()


def test_folders_are_called_as_the_artist_wants(at: Stage) -> None:
    at.settings.template = "{scene}/{shot}_{version}"
    first_version(at, 1, 5)
    assert at.work.folder.path == at.folder / "out" / "Scene" / "hop_001"
    at.settings.template = "{nonsense}"
    with pytest.raises(RuntimeError, match="stands for nothing"):
        bpy.ops.tweencel.generate()
    assert [path.name for path in (at.folder / "out").glob("*/*")] == ["hop_001"]
