# SPDX-License-Identifier: GPL-3.0-or-later
"""A session from the button to the last file, through everything that can go wrong on the way."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from blender_addon.ledger import Stage
from blender_addon.session import Contact, Session
from blender_addon.wording import job_view
from protocol.errors import (
    BackendNotRunning,
    BadParameter,
    DigestMismatch,
    DiskFull,
    EngineFailed,
    MissingFile,
    NothingToMake,
    QuotaExceeded,
    SizeMismatch,
    UnknownEngine,
)
from protocol.jobs import State
from protocol.limits import CHUNK, WINDOW, Limits
from protocol.messages import Cancel, Get, Have, Ping, Progress, Put, Release, Submit, Subscribe
from tests.addon.bench import Bench
from tests.fakes.backend import ENDPOINT, FakeBackend, png


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_keys_go_there_and_frames_come_back(bench: Bench, keys: list[Path]) -> None:
    bench.connect()
    work = bench.generate(keys, name="hop")
    assert bench.until_ended(work) is Stage.DONE
    assert bench.landed == [0, 1, 2, 3]
    assert bench.ended == [Stage.DONE]
    assert files_in(work.folder.path) == [
        "hop_0002.png",
        "hop_0003.png",
        "hop_0005.png",
        "hop_0006.png",
        "tweencel.json",
    ]
    frames = [(work.folder.path / work.made[index]).read_bytes() for index in range(4)]
    assert frames == [png(grey=index + 1) for index in range(4)]
    assert bench.backend.breaches == []


def test_a_file_used_for_two_keys_is_sent_once(bench: Bench, keys: list[Path]) -> None:
    bench.connect()
    work = bench.generate([keys[0], keys[1], keys[0]])
    assert bench.until_ended(work) is Stage.DONE
    assert len(bench.backend.said(Put)) == 2


def test_a_second_job_with_the_same_keys_sends_no_byte(bench: Bench, keys: list[Path]) -> None:
    bench.connect()
    bench.until_ended(bench.generate(keys))
    bench.backend.heard.clear()
    assert bench.until_ended(bench.generate(keys)) is Stage.DONE
    assert bench.backend.said(Put) == []
    assert len(bench.backend.said(Have)) == 1


def test_identical_frames_land_under_each_of_their_names(bench: Bench, keys: list[Path]) -> None:
    bench.backend.frame = lambda index: png(grey=9)
    bench.connect()
    work = bench.generate(keys)
    assert bench.until_ended(work) is Stage.DONE
    assert len(work.made) == 4
    assert {(work.folder.path / name).read_bytes() for name in work.made.values()} == {png(grey=9)}


def test_large_files_stay_within_both_windows(bench: Bench, tmp_path: Path) -> None:
    keys = []
    for number in range(2):
        path = tmp_path / f"large_{number}.png"
        path.write_bytes(png(grey=number, filler=WINDOW + 3 * CHUNK + 20))
        keys.append(path)
    bench.backend.frame = lambda index: png(grey=index + 1, filler=2 * WINDOW + 12)
    bench.connect()
    work = bench.generate(keys)
    assert bench.until_ended(work) is Stage.DONE
    assert bench.backend.breaches == []
    sizes = [(work.folder.path / name).stat().st_size for name in work.made.values()]
    assert sizes == [len(bench.backend.frame(0))] * 2
    assert max(get.credit for get in bench.backend.said(Get)) <= 1024 * 1024  # type: ignore[attr-defined]


def test_lost_pieces_of_a_key_are_sent_again(bench: Bench, tmp_path: Path) -> None:
    keys = [tmp_path / "a.png", tmp_path / "b.png"]
    for number, path in enumerate(keys):
        path.write_bytes(png(grey=number, filler=5 * CHUNK))
    bench.backend.lose_puts = 3
    bench.connect()
    assert bench.until_ended(bench.generate(keys)) is Stage.DONE


def test_the_record_tells_where_the_frames_come_from(bench: Bench, keys: list[Path]) -> None:
    bench.connect()
    work = bench.generate(keys, params={"strength": 5}, seed=11, facts={"timing": {"step": 2}})
    bench.until_ended(work)
    record = json.loads((work.folder.path / "tweencel.json").read_text("utf-8"))
    assert record["job"] == work.job.id
    assert record["state"] == "done"
    assert (record["engine"]["id"], record["engine"]["version"]) == ("echo", "1")
    assert (record["params"], record["seed"]) == ({"strength": 5}, 11)
    assert record["timing"] == {"step": 2}
    assert record["software"]["backend"] == "fake 1"
    for key, path in zip(record["keys"], keys, strict=True):
        assert (work.folder.path / key["file"]).resolve() == path.resolve()
        assert key["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    for frame in record["frames"]:
        content = (work.folder.path / frame["file"]).read_bytes()
        assert frame["sha256"] == hashlib.sha256(content).hexdigest()
    assert [frame["gap"] for frame in record["frames"]] == [0, 0, 1, 1]


def test_frames_land_while_the_job_is_running(bench: Bench, keys: list[Path]) -> None:
    bench.backend.automatic = False
    bench.connect()
    work = bench.generate(keys)
    bench.until(lambda: work.job.stage is Stage.QUEUED)
    bench.backend.move(work.job.id, State.RUNNING)
    bench.backend.make(work.job.id)
    bench.until(lambda: bench.landed == [0])
    assert work.job.stage is Stage.RUNNING
    assert (work.folder.path / work.made[0]).is_file()


def test_progress_is_told(bench: Bench, keys: list[Path]) -> None:
    bench.backend.automatic = False
    bench.connect()
    work = bench.generate(keys)
    bench.until(lambda: work.job.stage is Stage.QUEUED)
    bench.tick(3)
    told = Progress(job=work.job.id, phase="thinking", fraction=0.5, total=4, left=12.0)
    bench.backend.tell(told)
    bench.tick()
    assert work.job.progress == told


def test_the_backend_need_not_keep_the_frames_that_have_landed(
    bench: Bench, keys: list[Path]
) -> None:
    bench.connect()
    work = bench.generate(keys)
    assert bench.until_ended(work) is Stage.DONE
    bench.tick()
    assert [release.job for release in bench.backend.said(Release)] == [work.job.id]  # type: ignore[attr-defined]


# Refusals at the button -------------------------------------------------------------------------


def test_without_a_backend_nothing_is_begun(bench: Bench, keys: list[Path]) -> None:
    with pytest.raises(BackendNotRunning, match="no connection"):
        bench.generate(keys)
    assert not (bench.folder / "out").exists()


def test_a_backend_that_has_not_answered_is_said_so(bench: Bench, keys: list[Path]) -> None:
    bench.backend.up = False
    bench.session.connect(ENDPOINT)
    bench.tick(5)
    assert bench.session.contact is Contact.CONNECTING
    with pytest.raises(BackendNotRunning):
        bench.generate(keys)


def test_keys_of_two_sizes_are_refused_and_nothing_is_written(
    bench: Bench, keys: list[Path]
) -> None:
    bench.connect()
    keys[1].write_bytes(png(9, 9))
    with pytest.raises(SizeMismatch):
        bench.generate(keys)
    assert not (bench.folder / "out").exists()
    assert bench.session.works == {}
    keys[1].write_bytes(png(grey=1))
    assert bench.until_ended(bench.generate(keys)) is Stage.DONE


def test_a_job_without_in_betweens_is_refused(bench: Bench, keys: list[Path]) -> None:
    bench.connect()
    with pytest.raises(NothingToMake):
        bench.generate(keys, gaps=((), ()))


def test_a_setting_out_of_range_is_refused(bench: Bench, keys: list[Path]) -> None:
    bench.connect()
    with pytest.raises(BadParameter, match="Strength is 10"):
        bench.generate(keys, params={"strength": 10})
    assert not (bench.folder / "out").exists()


def test_the_backends_own_limits_hold(bench: Bench, keys: list[Path]) -> None:
    bench.backend.limits = Limits(max_frames=3)
    bench.connect()
    with pytest.raises(Exception, match="asks for 4 in-betweens; the backend takes 3"):
        bench.generate(keys)


# Failures on the way ----------------------------------------------------------------------------


def test_a_refused_job_shows_its_reason_and_leaves_no_folder(
    bench: Bench, keys: list[Path]
) -> None:
    bench.backend.refuse = UnknownEngine("No such engine.")
    bench.connect()
    work = bench.generate(keys)
    assert bench.until_ended(work) is Stage.FAILED
    assert isinstance(work.job.error, UnknownEngine)
    assert work.job.error.fix
    assert not work.folder.path.exists()
    assert bench.until_ended(bench.generate(keys)) is Stage.DONE


def full(bench: Bench) -> None:
    bench.backend.full = QuotaExceeded("You have too much there.", fix="Wait.")


@pytest.mark.parametrize("known", [False, True], ids=["files", "job"])
def test_a_job_that_the_backend_has_no_room_for_waits_and_is_offered_again(
    bench: Bench, keys: list[Path], known: bool
) -> None:
    """Neither its files nor, once they are there, the job itself is taken at first."""
    bench.connect()
    if known:
        bench.until_ended(bench.generate(keys))
    work = bench.generate(keys)
    if known:
        bench.until(lambda: len(bench.backend.said(Have)) == 2)
    full(bench)
    bench.until(lambda: work.job.refusal is not None)
    view = job_view(work.job, "hop", 0.0)
    assert "too many of your jobs" in view.status
    assert [line.text for line in view.lines] == ["You have too much there.", "Wait."]
    bench.backend.heard.clear()
    bench.tick(400)
    assert bench.backend.heard == [ping for ping in bench.backend.heard if isinstance(ping, Ping)]
    bench.tick(200)
    tries = len(bench.backend.said(Submit if known else Have))
    assert tries == 1
    bench.backend.full = None
    assert bench.until_ended(work) is Stage.DONE
    assert work.job.refusal is None


def test_a_file_for_which_there_is_no_room_any_more_is_sent_later(
    bench: Bench, tmp_path: Path
) -> None:
    keys = [tmp_path / "a.png", tmp_path / "b.png"]
    for number, path in enumerate(keys):
        path.write_bytes(png(grey=number, filler=5 * CHUNK))
    bench.connect()
    work = bench.generate(keys)
    bench.until(lambda: bool(bench.backend.said(Put)))
    full(bench)
    bench.until(lambda: work.job.refusal is not None)
    bench.tick(100)
    assert not work.job.stage.ended
    bench.backend.full = None
    assert bench.until_ended(work) is Stage.DONE
    assert bench.backend.breaches == []


def test_a_job_that_waits_for_room_can_be_cancelled(bench: Bench, keys: list[Path]) -> None:
    full(bench)
    bench.connect()
    work = bench.generate(keys)
    bench.until(lambda: work.job.refusal is not None)
    bench.session.cancel(work.job.id, bench.now)
    assert bench.until_ended(work) is Stage.CANCELLED


def test_a_failing_engine_keeps_the_frames_that_were_made(bench: Bench, keys: list[Path]) -> None:
    bench.backend.automatic = False
    bench.connect()
    work = bench.generate(keys)
    bench.until(lambda: work.job.stage is Stage.QUEUED)
    bench.backend.move(work.job.id, State.RUNNING)
    bench.backend.make(work.job.id)
    bench.until(lambda: bench.landed == [0])
    bench.backend.move(work.job.id, State.FAILED, EngineFailed("Out of ideas.", fix="Rest."))
    assert bench.until_ended(work) is Stage.FAILED
    assert str(work.job.error) == "Out of ideas. Rest."
    record = json.loads((work.folder.path / "tweencel.json").read_text("utf-8"))
    assert (record["state"], len(record["frames"])) == ("failed", 1)


def test_a_key_that_vanishes_fails_its_job_only(bench: Bench, keys: list[Path]) -> None:
    bench.connect()
    work, other = bench.generate(keys), bench.generate(keys[:2])
    keys[2].unlink()
    assert bench.until_ended(work) is Stage.FAILED
    assert isinstance(work.job.error, MissingFile)
    assert bench.until_ended(other) is Stage.DONE


def test_a_damaged_frame_is_fetched_again(bench: Bench, keys: list[Path]) -> None:
    bench.backend.spoil = 1
    bench.connect()
    work = bench.generate(keys)
    assert bench.until_ended(work) is Stage.DONE
    assert (work.folder.path / work.made[0]).read_bytes() == png(grey=1)


def test_frames_that_stay_damaged_fail_the_job_and_leave_no_part(
    bench: Bench, keys: list[Path]
) -> None:
    bench.backend.spoil = 10_000
    bench.connect()
    work = bench.generate(keys)
    assert bench.until_ended(work) is Stage.FAILED
    assert isinstance(work.job.error, DigestMismatch)
    assert not work.folder.path.exists()


def test_a_full_disk_fails_the_job_with_what_to_do(
    bench: Bench, keys: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: object, piece: bytes) -> None:
        raise DiskFull("There is no space left.")

    bench.connect()
    work = bench.generate(keys)
    monkeypatch.setattr("blender_addon.storage.Part.add", full)
    assert bench.until_ended(work) is Stage.FAILED
    assert isinstance(work.job.error, DiskFull)
    bench.tick()
    assert [c.job for c in bench.backend.said(Cancel)] == [work.job.id]  # type: ignore[attr-defined]
    assert not work.folder.path.exists()
    monkeypatch.undo()
    assert bench.until_ended(bench.generate(keys)) is Stage.DONE


def test_a_defect_of_ours_is_shown_and_ends_no_timer(
    bench: Bench, keys: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("one by none")

    bench.connect()
    work = bench.generate(keys)
    monkeypatch.setattr("blender_addon.ledger.Ledger.requests", broken)
    bench.tick(2)
    assert bench.session.trouble is not None
    assert "ZeroDivisionError" in bench.session.trouble.text
    monkeypatch.undo()
    assert bench.until_ended(work) is Stage.FAILED
    session = bench.connect()
    assert session.trouble is None
    assert bench.until_ended(bench.generate(keys)) is Stage.DONE


# Broken lines -----------------------------------------------------------------------------------


def test_after_a_cut_everything_goes_on_where_it_was(bench: Bench, keys: list[Path]) -> None:
    bench.backend.automatic = False
    bench.connect()
    work = bench.generate(keys)
    bench.until(lambda: work.job.stage is Stage.QUEUED)
    bench.backend.move(work.job.id, State.RUNNING)
    bench.backend.make(work.job.id)
    bench.until(lambda: bench.landed == [0])
    bench.backend.cut()
    bench.tick(3)
    assert bench.session.contact is Contact.CONNECTING
    bench.backend.make(work.job.id, 3)
    bench.backend.move(work.job.id, State.DONE)
    bench.backend.mend()
    assert bench.until_ended(work) is Stage.DONE
    assert bench.landed == [0, 1, 2, 3]
    asked = [s.after_seq for s in bench.backend.said(Subscribe)]  # type: ignore[attr-defined]
    assert asked == [0, 3]
    assert len(bench.backend.said(Submit)) == 1


def test_a_half_download_goes_on_at_its_last_byte(bench: Bench, keys: list[Path]) -> None:
    bench.backend.frame = lambda index: png(grey=index + 1, filler=6 * WINDOW)
    bench.connect()
    work = bench.generate(keys[:2], each=1)
    bench.until(lambda: len(bench.backend.said(Get)) > 8)
    bench.backend.cut()
    bench.tick(2)
    before = bench.backend.said(Get)[-1].offset  # type: ignore[attr-defined]
    bench.backend.heard.clear()
    bench.backend.mend()
    assert bench.until_ended(work) is Stage.DONE
    first = bench.backend.said(Get)[0].offset  # type: ignore[attr-defined]
    assert 0 < first <= before
    assert bench.backend.breaches == []


def test_a_half_upload_goes_on_at_the_offset_that_the_backend_tells(
    bench: Bench, tmp_path: Path
) -> None:
    keys = [tmp_path / "a.png", tmp_path / "b.png"]
    for number, path in enumerate(keys):
        path.write_bytes(png(grey=number, filler=4 * WINDOW))
    bench.connect()
    work = bench.generate(keys)
    bench.until(lambda: len(bench.backend.said(Put)) > 20)
    bench.backend.cut()
    bench.tick(2)
    held = max(map(len, bench.backend.halves.values()))
    bench.backend.heard.clear()
    bench.backend.mend()
    assert bench.until_ended(work) is Stage.DONE
    assert bench.backend.said(Put)[0].offset == held > 0  # type: ignore[attr-defined]


def test_a_job_whose_answer_was_lost_is_submitted_again_under_its_id(
    bench: Bench, keys: list[Path]
) -> None:
    bench.connect()
    work = bench.generate(keys)
    bench.until(lambda: bool(bench.backend.said(Submit)))
    bench.backend.cut()
    bench.backend.mend()
    assert bench.until_ended(work) is Stage.DONE
    ids = [submit.job for submit in bench.backend.said(Submit)]  # type: ignore[attr-defined]
    assert ids == [work.job.id, work.job.id]
    assert len(bench.backend.jobs) == 1


def test_a_restarted_backend_that_kept_its_jobs_goes_on(bench: Bench, keys: list[Path]) -> None:
    bench.backend.automatic = False
    bench.connect()
    work = bench.generate(keys)
    bench.until(lambda: work.job.stage is Stage.QUEUED)
    bench.backend.move(work.job.id, State.RUNNING)
    bench.backend.make(work.job.id)
    bench.tick(5)
    bench.backend.restart()
    bench.backend.move(work.job.id, State.QUEUED)
    bench.until(lambda: work.job.stage is Stage.QUEUED)
    bench.backend.move(work.job.id, State.RUNNING)
    bench.backend.make(work.job.id, 3)
    bench.backend.move(work.job.id, State.DONE)
    assert bench.until_ended(work) is Stage.DONE
    assert bench.landed == [0, 1, 2, 3]


def test_a_restarted_backend_that_forgot_everything_gets_files_and_job_anew(
    bench: Bench, keys: list[Path]
) -> None:
    bench.backend.automatic = False
    bench.connect()
    work = bench.generate(keys)
    bench.until(lambda: work.job.accepted)
    bench.backend.automatic = True
    bench.backend.restart(forget_jobs=True, forget_files=True)
    assert bench.until_ended(work) is Stage.DONE
    assert len(work.made) == 4


def test_files_that_the_backend_swept_are_sent_again(bench: Bench, keys: list[Path]) -> None:
    bench.connect()
    bench.until_ended(bench.generate(keys))
    bench.backend.store.clear()
    assert bench.until_ended(bench.generate(keys)) is Stage.DONE


def test_a_silent_backend_is_noticed_after_six_seconds_and_forgiven(bench: Bench) -> None:
    session = bench.connect()
    bench.tick(2)
    bench.backend.deaf = True
    bench.now += 2
    bench.tick()
    assert len(bench.backend.said(Ping)) == 2
    bench.now += 5.9
    bench.tick()
    assert session.contact is Contact.CONNECTED
    bench.now += 0.2
    bench.tick()
    assert session.contact is Contact.SILENT
    assert "does not answer" in str(session.trouble)
    bench.backend.deaf = False
    bench.now += 3
    bench.tick(3)
    assert session.contact is Contact.CONNECTED
    assert session.trouble is None


def test_a_long_render_in_blender_does_not_make_the_backend_silent(bench: Bench) -> None:
    """The timer stands still meanwhile; what came in is read before judging."""
    session = bench.connect()
    bench.now += 3
    bench.tick()
    bench.now += 300
    bench.tick()
    assert session.contact is Contact.CONNECTED


# Cancelling -------------------------------------------------------------------------------------


def test_cancel_stops_that_job_and_no_other(bench: Bench, keys: list[Path]) -> None:
    bench.backend.automatic = False
    bench.connect()
    work, other = bench.generate(keys), bench.generate(keys)
    bench.until(lambda: work.job.accepted and other.job.accepted)
    bench.session.cancel(work.job.id, bench.now)
    assert bench.until_ended(work) is Stage.CANCELLED
    assert [c.job for c in bench.backend.said(Cancel)] == [work.job.id]  # type: ignore[attr-defined]
    assert not work.folder.path.exists()
    bench.backend.run(other.job.id)
    assert bench.until_ended(other) is Stage.DONE


def test_a_job_that_was_not_sent_yet_is_cancelled_without_the_backend(
    bench: Bench, keys: list[Path]
) -> None:
    bench.connect()
    work = bench.generate(keys)
    bench.session.cancel(work.job.id, bench.now)
    assert work.job.stage is Stage.CANCELLED
    bench.tick(20)
    assert bench.backend.said(Submit) == []
    assert bench.ended == [Stage.CANCELLED]


def test_cancel_without_a_connection_ends_the_job_and_tells_the_backend_later(
    bench: Bench, keys: list[Path]
) -> None:
    bench.backend.automatic = False
    bench.connect()
    work = bench.generate(keys)
    bench.until(lambda: work.job.accepted)
    bench.backend.cut()
    bench.session.cancel(work.job.id, bench.now)
    assert work.job.stage is Stage.CANCELLED
    bench.backend.mend()
    bench.until(lambda: bench.backend.jobs[work.job.id].state is State.CANCELLED)


def test_a_cancel_that_comes_too_late_for_the_backend_ends_the_job_too(
    bench: Bench, keys: list[Path]
) -> None:
    bench.backend.automatic = False
    bench.connect()
    work = bench.generate(keys)
    bench.until(lambda: work.job.accepted)
    bench.session.cancel(work.job.id, bench.now)
    bench.backend.run(work.job.id)
    assert bench.until_ended(work) is Stage.CANCELLED


def test_a_cancel_while_the_last_frames_are_fetched_ends_the_job(
    bench: Bench, keys: list[Path]
) -> None:
    bench.backend.frame = lambda index: png(grey=index + 1, filler=3 * WINDOW)
    bench.connect()
    work = bench.generate(keys)
    bench.until(lambda: work.job.stage is Stage.FETCHING)
    bench.session.cancel(work.job.id, bench.now)
    assert bench.until_ended(work) is Stage.CANCELLED


def test_cancel_keeps_the_frames_that_landed_and_no_half_file(
    bench: Bench, keys: list[Path]
) -> None:
    bench.backend.automatic = False
    bench.backend.frame = lambda index: png(grey=index + 1, filler=3 * WINDOW if index else 0)
    bench.connect()
    work = bench.generate(keys)
    bench.until(lambda: work.job.accepted)
    bench.backend.move(work.job.id, State.RUNNING)
    bench.backend.make(work.job.id, 2)
    bench.until(lambda: bench.landed == [0] and len(files_in(work.folder.path)) == 3)
    bench.session.cancel(work.job.id, bench.now)
    assert bench.until_ended(work) is Stage.CANCELLED
    assert files_in(work.folder.path) == ["shot_0002.png", "tweencel.json"]


# The rest ---------------------------------------------------------------------------------------


def test_closing_in_the_middle_leaves_no_half_file(bench: Bench, keys: list[Path]) -> None:
    bench.backend.frame = lambda index: png(grey=index + 1, filler=3 * WINDOW)
    session = bench.connect()
    work = bench.generate(keys)
    bench.until(lambda: any(p.suffix == ".part" for p in work.folder.path.iterdir()))
    session.close()
    assert not any(path.suffix == ".part" for path in work.folder.path.iterdir())


def test_an_ended_job_can_be_dismissed_and_a_running_one_cannot(
    bench: Bench, keys: list[Path]
) -> None:
    session = bench.connect()
    work = bench.generate(keys)
    session.dismiss(work.job.id)
    assert work.job.id in session.works
    bench.until_ended(work)
    session.dismiss(work.job.id)
    assert session.works == {}
    assert (work.folder.path / work.made[0]).is_file()


def test_a_tick_ends_soon_after_its_budget_although_there_is_much_to_do(
    bench: Bench, tmp_path: Path
) -> None:
    keys = [tmp_path / "a.png", tmp_path / "b.png"]
    for number, path in enumerate(keys):
        path.write_bytes(png(grey=number, filler=40_000_000))
    bench.connect()
    bench.session.longest_tick = 0.0
    assert bench.until_ended(bench.generate(keys)) is Stage.DONE
    print(f"longest tick {bench.session.longest_tick * 1000:.1f} ms")
    assert bench.session.longest_tick < 0.5  # a sane bound, no measurement: machines differ


def test_connecting_elsewhere_closes_the_earlier_line(backend: FakeBackend) -> None:
    session = Session(backend.connect)
    session.connect(ENDPOINT)
    first = backend.line
    session.connect(ENDPOINT)
    assert first is not None
    assert first.closed
    session.close()
