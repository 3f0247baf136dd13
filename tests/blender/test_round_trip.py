# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole way in real Blender with a real backend: start, generate, cancel, stop."""

from __future__ import annotations

import hashlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import bpy
import pytest

import blender_addon
from blender_addon import live
from blender_addon.backend_process import LocalBackend, find_program, running_backend
from blender_addon.ledger import Stage as JobStage
from blender_addon.session import Contact
from blender_addon.work import Work
from protocol.endpoint import connection_file, read_connection
from protocol.pictures import probe
from tests.blender.stage import Stage, shown_files, shown_names
from tests.fakes.backend import png

pytestmark = pytest.mark.skipif(
    not os.environ.get("TWEENCEL_EXECUTABLE"),
    reason="TWEENCEL_EXECUTABLE does not name a tweencel program",
)


@pytest.fixture
def at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    monkeypatch.setenv("TWEENCEL_HOME", str(tmp_path / "home"))
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    blender_addon.register()
    at = Stage(tmp_path)
    at.settings.folder = str(tmp_path / "out")
    try:
        yield at
    finally:
        stop(at)
        blender_addon.unregister()


def stop(at: Stage) -> None:
    local = at.live.local
    if local is not None and local.alive:
        at.live.stop_local()
        end = time.monotonic() + 20
        while local.alive and time.monotonic() < end:
            time.sleep(0.02)
        assert not local.alive


def start(at: Stage) -> None:
    assert bpy.ops.tweencel.start_backend() == {"FINISHED"}
    assert at.live.starting
    at.pump(lambda: at.live.session.contact is Contact.CONNECTED)
    assert at.live.notice is None


def test_a_shot_is_filled_by_the_backend_that_the_button_starts(at: Stage) -> None:
    start(at)
    paths = at.add_keys(1, 7, 12)
    before = [hashlib.sha256(path.read_bytes()).digest() for path in paths]
    at.settings.engine = "crossfade"
    at.live.session.longest_tick = 0.0
    began = time.perf_counter()
    assert bpy.ops.tweencel.generate() == {"FINISHED"}
    pressed = time.perf_counter() - began
    work = at.work
    at.pump(lambda: work.job.stage.ended)
    assert work.job.error is None
    assert work.job.stage is JobStage.DONE
    keys = {1: "hop_0001.png", 7: "hop_0002.png", 12: "hop_0003.png"}
    assert shown_names(at.result) == [keys.get(f, f"hop_{f:04d}.png") for f in range(1, 13)]
    for name in work.made.values():
        with (work.folder.path / name).open("rb") as file:
            assert probe(file)[1:3] == (8, 4)
    assert [hashlib.sha256(path.read_bytes()).digest() for path in paths] == before
    longest = at.live.session.longest_tick
    print(f"Generate took {pressed * 1000:.1f} ms, the longest tick {longest * 1000:.1f} ms")
    assert max(pressed, longest) < 2.0  # a sane bound, no measurement: machines differ


def test_painted_frames_and_repainted_keys_make_their_gaps_again(at: Stage) -> None:
    start(at)
    paths = at.add_keys(1, 7, 13, 19)
    at.settings.engine = "rife"
    assert bpy.ops.tweencel.generate() == {"FINISHED"}
    first = at.work
    at.pump(lambda: first.job.stage.ended)
    before = {slot: read(first, slot) for slot in first.made}
    (first.folder.path / first.made[2]).write_bytes(png(grey=7))  # in the first gap
    paths[3].write_bytes(png(grey=250))
    for strip in at.strips:
        strip.select = strip == at.result
    assert bpy.ops.tweencel.make_again() == {"FINISHED"}
    work = at.work
    at.pump(lambda: work.job.stage.ended)
    assert (work.job.stage, work.job.total, work.job.reused) == (JobStage.DONE, 9, 5)
    # The painted frame is no frame to make any more: the second gap's slots are one less.
    assert [read(work, slot) for slot in range(4, 9)] == [before[slot] for slot in range(5, 10)]
    assert all(read(work, slot) != before[slot + 1] for slot in range(9, 14))
    folder = Path(at.result.directory)
    shown = [(folder / name).read_bytes() for name in shown_files(at.result)]
    assert shown[3] == png(grey=7)
    assert [shown[n] for n in (0, 6, 12, 18)] == [path.read_bytes() for path in paths]


def read(work: Work, slot: int) -> bytes:
    return (work.folder.path / work.made[slot]).read_bytes()


def test_a_second_start_finds_the_backend_that_runs(at: Stage) -> None:
    start(at)
    first = at.live.local
    bpy.ops.tweencel.disconnect()
    bpy.ops.tweencel.start_backend()
    at.pump(lambda: at.live.session.contact is Contact.CONNECTED)
    assert at.live.local is first
    bpy.ops.tweencel.connect()
    at.pump(lambda: at.live.session.contact is Contact.CONNECTED)


def test_the_stopped_backend_is_gone_and_that_is_told(at: Stage) -> None:
    start(at)
    assert bpy.ops.tweencel.stop_backend() == {"FINISHED"}
    local = at.live.local
    assert local is not None
    at.pump(lambda: not local.alive)
    assert at.live.session.contact is Contact.OFF
    at.add_keys(1, 4)
    with pytest.raises(RuntimeError, match="no connection to a backend"):
        bpy.ops.tweencel.generate()


def test_a_running_job_is_cancelled_and_the_panel_goes_on(at: Stage) -> None:
    start(at)
    at.settings.engine = "crossfade"
    at.add_keys(1, 400, width=640, height=480)
    bpy.ops.tweencel.generate()
    work = at.work
    at.pump(lambda: len(work.made) >= 3)
    bpy.ops.tweencel.cancel(job=work.job.id)
    at.pump(lambda: work.job.stage.ended)
    assert work.job.stage is JobStage.CANCELLED
    assert 3 <= len(work.made) < 398
    at.settings.fill, at.settings.count = False, 1
    bpy.ops.tweencel.generate()
    again = at.work
    at.pump(lambda: again.job.stage.ended)
    assert again.job.stage is JobStage.DONE


def kill(at: Stage) -> None:
    """The backend ends as in a power cut, in the middle of a job."""
    at.settings.engine = "crossfade"
    at.add_keys(1, 60, width=640, height=480)
    bpy.ops.tweencel.generate()
    at.pump(lambda: len(at.work.made) >= 3)
    os.kill(read_connection(connection_file()).pid, signal.SIGKILL)
    at.pump(lambda: at.live.session.contact is Contact.CONNECTING)
    at.pump(lambda: running_backend() is None)
    assert at.live.notice is not None
    assert "ended unexpectedly" in at.live.notice.text
    assert not at.work.job.stage.ended


def test_after_a_crash_the_button_starts_it_again_and_the_job_goes_on(at: Stage) -> None:
    start(at)
    kill(at)
    assert bpy.ops.tweencel.start_backend() == {"FINISHED"}
    at.pump(lambda: at.work.job.stage.ended)
    assert at.work.job.stage is JobStage.DONE
    assert len(at.work.made) == 58


def test_a_backend_that_somebody_starts_again_is_found_by_itself(at: Stage) -> None:
    start(at)
    kill(at)
    again = LocalBackend(find_program(), at.folder / "again.log")
    at.live.local = again  # so that it is stopped at the end
    at.pump(lambda: at.work.job.stage.ended)
    assert at.work.job.stage is JobStage.DONE


def test_a_hundred_reloads_while_a_job_runs_leave_nothing_open_and_lose_no_frame(
    at: Stage,
) -> None:
    def count() -> tuple[int, int]:
        return len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))

    if not Path("/proc/self/fd").exists():
        pytest.skip("there is no /proc here")
    start(at)
    local = at.live.local
    at.settings.engine = "crossfade"
    at.add_keys(1, 500, width=640, height=480)
    bpy.ops.tweencel.generate()
    at.pump(lambda: len(at.work.made) >= 2)
    counts, times, running = [], [], 0
    for _ in range(100):
        began = time.perf_counter()
        blender_addon.unregister()
        times.append(time.perf_counter() - began)
        counts.append(count())
        blender_addon.register()
        bpy.ops.tweencel.connect()
        at.pump(lambda: at.live.session.contact is Contact.CONNECTED)
        if not at.live.session.works:  # that job is done: the next one
            bpy.ops.tweencel.generate()
        running += not at.work.job.stage.ended
        at.pump(lambda: bool(at.work.job.made) or at.work.job.stage.ended)
    live.get().local = local
    work = at.work
    at.pump(lambda: work.job.stage.ended)
    assert work.job.stage is JobStage.DONE
    print(
        f"unregister took at most {max(times) * 1000:.1f} ms, {sorted(times)[50] * 1000:.1f} ms "
        f"as a rule; a job was open in {running} of 100 reloads, {counts[10]} -> {counts[-1]}"
    )
    assert counts[-1] == counts[10]
    assert running > 50
    for folder in (at.folder / "out").iterdir():
        assert len(list(folder.glob("hop_*.png"))) == 498 + 1  # and the anchor


def test_disabling_the_addon_leaves_the_backend_running(at: Stage) -> None:
    start(at)
    local = at.live.local
    assert local is not None
    blender_addon.unregister()
    try:
        assert local.alive
    finally:
        blender_addon.register()
        live.get().local = local
