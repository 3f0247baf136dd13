# SPDX-License-Identifier: GPL-3.0-or-later
"""The button in real Blender: the strip fills, bad input is told, and the panel stays usable."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import bpy
import pytest

from blender_addon import live
from blender_addon.ledger import Stage as JobStage
from blender_addon.preferences import preferences_of
from protocol.endpoint import Endpoint
from protocol.errors import EngineFailed
from protocol.jobs import State
from protocol.messages import Submit
from tests.blender.stage import Stage, shown_files, shown_names, stage
from tests.fakes.backend import png


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Stage]:
    with stage(tmp_path) as at:
        at.connect()
        yield at


def generate(at: Stage) -> None:
    assert bpy.ops.tweencel.generate() == {"FINISHED"}


def until_ended(at: Stage) -> JobStage:
    work = at.work
    at.pump(lambda: work.job.stage.ended)
    live.beat()
    return work.job.stage


def submitted(at: Stage) -> Submit:
    (submit,) = at.backend.said(Submit)
    assert isinstance(submit, Submit)
    return submit


def test_in_betweens_come_onto_the_timeline(at: Stage) -> None:
    paths = at.add_keys(1, 7, 12, 19)
    before = [hashlib.sha256(path.read_bytes()).digest() for path in paths]
    generate(at)
    assert until_ended(at) is JobStage.DONE
    names = shown_names(at.result)
    assert len(names) == 19
    keys = {1: "hop_0001.png", 7: "hop_0002.png", 12: "hop_0003.png", 19: "hop_0004.png"}
    for frame, name in enumerate(names, start=1):
        assert name == keys.get(frame, f"hop_{frame:04d}.png")
    assert [hashlib.sha256(path.read_bytes()).digest() for path in paths] == before
    greys = [(at.work.folder.path / at.work.made[i]).read_bytes() for i in range(15)]
    assert greys == [png(grey=i + 1) for i in range(15)]


def test_each_frame_is_seen_as_soon_as_it_lands(at: Stage) -> None:
    at.backend.automatic = False
    at.add_keys(1, 4)
    generate(at)
    job = at.work.job
    assert shown_names(at.result) == ["hop_0001.png"] * 3 + ["hop_0002.png"]
    at.pump(lambda: job.accepted)
    at.backend.move(job.id, State.RUNNING)
    at.backend.make(job.id)
    at.pump(lambda: job.landed == {0})
    assert [n[-6:-4] for n in shown_names(at.result)] == ["01", "02", "02", "02"]
    assert shown_files(at.result)[1] == "hop_0002.png"
    at.backend.make(job.id)
    at.pump(lambda: job.landed == {0, 1})
    assert shown_files(at.result)[1:3] == ["hop_0002.png", "hop_0003.png"]


def test_what_the_panel_says_is_what_the_engine_gets(at: Stage) -> None:
    at.add_keys(1, 9, 17)
    at.settings.fill = False
    at.settings.count = 3
    at.settings.spacing = "slow_out"
    at.settings.seed = 12
    bpy.ops.tweencel.fit_gaps()
    at.settings.gaps[1].own = True
    at.settings.gaps[1].count = 1
    at.settings.engines["echo"]["set_strength"] = 7
    generate(at)
    until_ended(at)
    submit = submitted(at)
    assert [len(gap) for gap in submit.task.gaps] == [3, 1]
    assert submit.task.gaps[1] == (0.25,)
    assert (submit.params, submit.seed, submit.engine) == ({"strength": 7}, 12, "echo")


def test_later_keys_move_along_when_room_is_made(at: Stage) -> None:
    at.add_keys(1, 3)
    at.settings.fit, at.settings.step = "room", 2
    at.settings.fill, at.settings.count = False, 3
    generate(at)
    until_ended(at)
    assert [n[-6:-4] for n in shown_names(at.result)] == [
        number for number in ("01", "02", "03", "04", "02") for _ in range(2)
    ]


def test_frames_go_beside_the_saved_file(at: Stage) -> None:
    at.settings.folder = ""
    at.add_keys(1, 4)
    at.save()
    generate(at)
    until_ended(at)
    assert at.work.folder.path == at.folder / "tweencel" / "hop_v001"
    generate(at)
    assert at.work.folder.path == at.folder / "tweencel" / "hop_v002"


def test_an_unsaved_file_puts_them_into_the_users_profile(at: Stage, blender_profile: Path) -> None:
    at.settings.folder = ""
    at.add_keys(1, 4)
    generate(at)
    until_ended(at)
    assert at.work.folder.path.is_relative_to(blender_profile)


def test_generating_again_puts_a_second_strip_above_and_keeps_the_first(at: Stage) -> None:
    at.add_keys(1, 4)
    for _ in range(2):
        generate(at)
        until_ended(at)
    made = [strip for strip in at.strips if "tweencel_job" in strip]
    assert sorted(strip.channel for strip in made) == [2, 3]
    assert len({strip.directory for strip in made}) == 2


def test_the_strip_may_be_deleted_while_frames_are_coming(at: Stage) -> None:
    at.add_keys(1, 4)
    generate(at)
    at.strips.remove(at.result)
    assert until_ended(at) is JobStage.DONE
    assert len(at.work.made) == 2


def test_an_undo_does_not_lose_frames_that_landed(at: Stage) -> None:
    bpy.ops.ed.undo_push(message="before")
    at.add_keys(1, 4)
    bpy.ops.ed.undo_push(message="keys")
    generate(at)
    bpy.ops.ed.undo_push(message="generated")
    at.scene.frame_end = 77
    bpy.ops.ed.undo_push(message="other")
    until_ended(at)
    bpy.ops.ed.undo()
    assert shown_files(at.result)[1:3] == ["hop_0002.png", "hop_0003.png"]


def test_cancel_removes_the_strip_of_a_job_that_made_nothing(at: Stage) -> None:
    at.backend.automatic = False
    at.add_keys(1, 4)
    generate(at)
    at.pump(lambda: at.work.job.accepted)
    bpy.ops.tweencel.cancel(job=at.work.job.id)
    assert until_ended(at) is JobStage.CANCELLED
    assert not any("tweencel_job" in strip for strip in at.strips)
    assert list((at.folder / "out").iterdir()) == []


def test_cancel_keeps_the_strip_with_what_landed(at: Stage) -> None:
    at.backend.automatic = False
    at.add_keys(1, 4)
    generate(at)
    at.pump(lambda: at.work.job.accepted)
    at.backend.move(at.work.job.id, State.RUNNING)
    at.backend.make(at.work.job.id)
    at.pump(lambda: len(at.work.made) == 1)
    bpy.ops.tweencel.cancel(job=at.work.job.id)
    assert until_ended(at) is JobStage.CANCELLED
    assert shown_files(at.result)[1:3] == ["hop_0002.png", "hop_0002.png"]


def test_a_failing_engine_is_told_with_its_fix_and_the_panel_goes_on(at: Stage) -> None:
    at.backend.refuse = EngineFailed("The engine is tired.", fix="Let it sleep.")
    at.add_keys(1, 4)
    generate(at)
    assert until_ended(at) is JobStage.FAILED
    assert str(at.work.job.error) == "The engine is tired. Let it sleep."
    assert not any("tweencel_job" in strip for strip in at.strips)
    bpy.ops.tweencel.dismiss(job=at.work.job.id)
    assert at.live.session.works == {}
    generate(at)
    assert until_ended(at) is JobStage.DONE


# Bad input --------------------------------------------------------------------------------------


def missing_file(at: Stage) -> None:
    at.add_keys(1, 4)[1].unlink()


def text_called_png(at: Stage) -> None:
    at.add_keys(1, 4)[1].write_text("Dear diary")


def two_sizes(at: Stage) -> None:
    at.add_keys(1, 4)[1].write_bytes(png(9, 9))


def a_wall(at: Stage) -> None:
    for path in at.add_keys(1, 4):
        path.write_bytes(png(30_000, 30_000))


def one_key(at: Stage) -> None:
    at.add_keys(1)


def nothing_selected(at: Stage) -> None:
    at.add_keys(1, 4)
    for strip in at.strips:
        strip.select = False


def no_in_betweens(at: Stage) -> None:
    at.add_keys(1, 4)
    at.settings.fill, at.settings.count = False, 0


def no_room(at: Stage) -> None:
    at.add_keys(1, 4)
    at.settings.fill, at.settings.count = False, 9


def same_frame(at: Stage) -> None:
    paths = at.draw_keys(2)
    at.add(paths[0], 5, channel=1)
    at.add(paths[1], 5, channel=2)


def unknown_engine(at: Stage) -> None:
    at.add_keys(1, 4)
    at.settings.engine = "gone"


def bad_setting(at: Stage) -> None:
    at.add_keys(1, 4)
    at.settings.engines["echo"]["set_strength"] = 99


def no_backend(at: Stage) -> None:
    at.add_keys(1, 4)
    at.live.session.disconnect()


def unwritable(at: Stage) -> None:
    at.add_keys(1, 4)
    (at.folder / "file").write_text("no folder")
    at.settings.folder = str(at.folder / "file")


BAD_INPUT = [
    (missing_file, r"hop_0002\.png is not there"),
    (text_called_png, r"hop_0002\.png is not a picture"),
    (two_sizes, r"hop_0001\.png is 8 x 4 pixels, but hop_0002\.png is 9 x 9"),
    (a_wall, "30000 x 30000 pixels"),
    (one_key, "that is one key"),
    (nothing_selected, "No image strip is selected"),
    (no_in_betweens, "nothing to make"),
    (no_room, "Gap 1 has 2 frames between its keys, but 9"),
    (same_frame, "begin on the same frame, 5"),
    (unknown_engine, "no engine called gone"),
    (bad_setting, "Strength is 99"),
    (no_backend, "no connection to a backend"),
    (unwritable, "cannot be written"),
]


@pytest.mark.parametrize(
    ("spoil", "sentence"), BAD_INPUT, ids=[spoil.__name__ for spoil, _ in BAD_INPUT]
)
def test_bad_input_is_a_clear_sentence_and_nothing_is_half_made(
    at: Stage, spoil: Callable[[Stage], None], sentence: str
) -> None:
    spoil(at)
    strips = len(at.strips)
    with pytest.raises(RuntimeError, match=sentence):
        bpy.ops.tweencel.generate()
    assert at.live.notice is not None
    assert at.live.notice.fix
    assert len(at.strips) == strips
    assert not (at.folder / "out").exists()
    assert at.live.session.works == {}


def test_after_bad_input_the_button_works(at: Stage) -> None:
    paths = at.add_keys(1, 4)
    good = paths[1].read_bytes()
    paths[1].write_text("Dear diary")
    with pytest.raises(RuntimeError):
        bpy.ops.tweencel.generate()
    paths[1].write_bytes(good)
    generate(at)
    assert until_ended(at) is JobStage.DONE
    assert at.live.notice is None


def test_a_strip_that_cannot_be_placed_fails_its_job_and_leaves_nothing(
    at: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> list[str]:
        from protocol.errors import DiskFull

        raise DiskFull("There is no space left for the copies of the keys.")

    monkeypatch.setattr("blender_addon.timeline.key_names", full)
    at.add_keys(1, 4)
    with pytest.raises(RuntimeError, match="no space left"):
        bpy.ops.tweencel.generate()
    assert until_ended(at) is JobStage.FAILED
    assert list((at.folder / "out").iterdir()) == []


# Connecting -------------------------------------------------------------------------------------


def test_another_computer_is_not_called_while_blender_is_offline(at: Stage) -> None:
    if bpy.app.online_access:
        pytest.skip("this Blender is allowed online")
    far = Endpoint("tcp://192.0.2.1:5555", "ab" * 32, "cd" * 32)
    with pytest.raises(RuntimeError, match=r"stay offline.*Allow Online Access"):
        bpy.ops.tweencel.connect(endpoint=str(far))


def test_an_address_that_is_none_is_said_so(at: Stage) -> None:
    with pytest.raises(RuntimeError, match="not the address of a backend"):
        bpy.ops.tweencel.connect(endpoint="localhost")


def test_no_local_backend_is_said_so(at: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWEENCEL_CONNECTION_FILE", str(at.folder / "nowhere.json"))
    with pytest.raises(RuntimeError, match=r"No local backend is running.*Start Local Backend"):
        bpy.ops.tweencel.connect()


def test_no_program_is_said_so(at: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWEENCEL_CONNECTION_FILE", str(at.folder / "nowhere.json"))
    monkeypatch.setenv("TWEENCEL_EXECUTABLE", str(at.folder / "nowhere"))
    monkeypatch.setenv("PATH", str(at.folder))
    monkeypatch.setenv("HOME", str(at.folder))
    with pytest.raises(RuntimeError, match=r"not found.*pipx install tweencel"):
        bpy.ops.tweencel.start_backend()


@pytest.mark.parametrize("wanted", [True, False])
def test_the_backend_starts_with_blender_only_if_the_artist_wants_it(
    at: Stage, monkeypatch: pytest.MonkeyPatch, wanted: bool
) -> None:
    monkeypatch.setattr(preferences_of(bpy.context), "start_automatically", wanted)
    monkeypatch.setattr(preferences_of(bpy.context), "executable", str(at.folder / "nowhere"))
    monkeypatch.setenv("TWEENCEL_CONNECTION_FILE", str(at.folder / "nowhere.json"))
    at.live.begin()
    assert (at.live.notice is not None and "nowhere" in at.live.notice.text) is wanted


def test_a_backend_that_this_blender_did_not_start_is_not_stopped(at: Stage) -> None:
    assert not bpy.ops.tweencel.stop_backend.poll()
