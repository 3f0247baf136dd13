# SPDX-License-Identifier: GPL-3.0-or-later
"""A .blend file that was saved while its job was open gets its frames, whoever fetched them."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import bpy
import msgspec
import pytest
import zmq

import blender_addon
from blender_addon import live
from blender_addon.ledger import Stage as JobStage
from blender_addon.session import Contact
from protocol.endpoint import connection_file, read_connection
from protocol.jobs import State
from protocol.messages import Get, Put, Submit
from tests.blender.stage import Stage, shown_names, stage

ROOT = Path(__file__).parents[2]
needs_backend = pytest.mark.skipif(
    not os.environ.get("TWEENCEL_EXECUTABLE"),
    reason="TWEENCEL_EXECUTABLE does not name a tweencel program",
)


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Stage]:
    with stage(tmp_path) as at:
        yield at


def blender_dies(at: Stage) -> None:
    """Its line breaks and its locks come free; what it knew is gone, and so is the open file."""
    at.live.close()
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    live._live = live.Live(at.backend.connect, at.folder / "jobs")
    at.backend.heard.clear()


def half_done(at: Stage) -> Path:
    """Saved when the first of two frames is on the strip."""
    at.backend.automatic = False
    at.settings.folder = ""
    at.save()
    at.connect()
    at.add_keys(1, 4)
    bpy.ops.tweencel.generate()
    at.pump(lambda: at.work.job.accepted)
    at.backend.move(at.work.job.id, State.RUNNING)
    at.backend.make(at.work.job.id)
    at.pump(lambda: len(at.work.made) == 1)
    assert shown_names(at.result) == ["hop_0001.png", "hop_0002.png", "hop_0002.png", *LAST]
    return at.save()


LAST = ["hop_0002.png"]
WHOLE = ["hop_0001.png", "hop_0002.png", "hop_0003.png", *LAST]


def rest(at: Stage, job: str) -> None:
    at.backend.make(job)
    at.backend.move(job, State.DONE)


def test_the_strip_fills_up_when_the_file_is_open_before_the_backend_answers(at: Stage) -> None:
    path = half_done(at)
    job = at.work.job.id
    blender_dies(at)
    rest(at, job)
    bpy.ops.wm.open_mainfile(filepath=str(path))
    at.connect()
    assert at.work.job.id == job
    at.pump(lambda: at.work.job.stage.ended)
    assert at.work.job.stage is JobStage.DONE
    assert shown_names(at.result) == WHOLE
    assert len(at.backend.said(Get)) == 1
    assert at.backend.said(Submit) == at.backend.said(Put) == []
    assert "tweencel_open" not in at.result


def test_the_strip_fills_up_when_the_file_is_opened_later(at: Stage) -> None:
    path = half_done(at)
    job = at.work.job.id
    blender_dies(at)
    at.connect()
    rest(at, job)
    at.pump(lambda: at.work.job.stage.ended)
    bpy.ops.wm.open_mainfile(filepath=str(path))
    assert shown_names(at.result) == WHOLE
    assert "tweencel_open" not in at.result


def test_frames_that_another_blender_fetched_are_shown_without_a_backend(at: Stage) -> None:
    path = half_done(at)
    job = at.work.job.id
    blender_dies(at)
    at.connect()
    rest(at, job)
    at.pump(lambda: at.work.job.stage.ended)
    blender_dies(at)
    bpy.ops.wm.open_mainfile(filepath=str(path))
    assert at.live.session.works == {}
    assert shown_names(at.result) == WHOLE


def test_a_project_that_was_moved_shows_what_lies_beside_it(at: Stage) -> None:
    path = half_done(at)
    job = at.work.job.id
    blender_dies(at)
    at.connect()
    rest(at, job)
    at.pump(lambda: at.work.job.stage.ended)
    blender_dies(at)
    moved = at.folder / "moved"
    moved.mkdir()
    for name in ("tweencel", "keys"):
        shutil.move(at.folder / name, moved / name)
    shutil.move(path, moved / path.name)
    bpy.ops.wm.open_mainfile(filepath=str(moved / path.name))
    assert shown_names(at.result) == WHOLE


def test_a_strip_whose_job_has_ended_is_left_as_the_artist_made_it(at: Stage) -> None:
    at.connect()
    at.add_keys(1, 4)
    bpy.ops.tweencel.generate()
    at.pump(lambda: at.work.job.stage.ended)
    live.beat()
    at.live.dismiss(at.work.job.id)
    at.result.elements[2].filename = "hop_0003.png"
    path = at.save()
    bpy.ops.wm.open_mainfile(filepath=str(path))
    assert shown_names(at.result)[1] == "hop_0003.png"


def test_a_job_whose_folder_was_deleted_is_told_and_can_be_dismissed(at: Stage) -> None:
    half_done(at)
    folder = at.work.folder.path
    blender_dies(at)
    shutil.rmtree(folder)
    at.connect()
    at.pump(lambda: at.work.job.stage.ended)
    assert "folder of this job is gone" in str(at.work.job.error)
    bpy.ops.tweencel.dismiss(job=at.work.job.id)
    assert at.live.session.works == {}
    assert list((at.folder / "jobs").iterdir()) == []


# With real processes ----------------------------------------------------------------------------

BEGINS_A_JOB = """
import os, signal, sys
from pathlib import Path
import bpy
import blender_addon
from blender_addon.session import Contact
from tests.blender.stage import Stage

bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
blender_addon.register()
at = Stage(Path(sys.argv[1]))
at.settings.engine = "crossfade"
bpy.ops.tweencel.start_backend()
at.pump(lambda: at.live.session.contact is Contact.CONNECTED)
at.save()
at.add_keys(1, 60, width=640, height=480)
bpy.ops.tweencel.generate()
at.pump(lambda: len(at.work.made) >= 3)
at.save()
print(at.work.job.id, len(at.work.made), flush=True)
"""
IS_KILLED = "os.kill(os.getpid(), signal.SIGKILL)"
QUITS = """
import atexit
# As Blender does at its end.
atexit.register(blender_addon.unregister)
"""


def run_blender(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    # Not all of sys.path: bpy's own entries hide bpy.
    libraries = {str(Path(str(module.__file__)).parents[1]) for module in (zmq, msgspec)}
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sorted(libraries)])}
    return subprocess.run(
        [sys.executable, "-c", script, str(folder)],
        cwd=ROOT,
        env=variables,
        timeout=80,
        check=False,
        capture_output=True,
        text=True,
    )


@pytest.fixture
def real(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    """The add-on with its usual journal, and a home in which a backend may run."""
    monkeypatch.setenv("TWEENCEL_HOME", str(tmp_path / "home"))
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    blender_addon.register()
    try:
        yield Stage(tmp_path)
    finally:
        blender_addon.unregister()
        stop_backend()


def stop_backend() -> None:
    if not connection_file().exists():
        return
    pid = read_connection(connection_file()).pid
    os.kill(pid, signal.SIGTERM)
    end = time.monotonic() + 20
    while connection_file().exists() and time.monotonic() < end:
        time.sleep(0.02)


@needs_backend
@pytest.mark.parametrize("end", [IS_KILLED, QUITS], ids=["killed", "quit"])
def test_a_blender_that_ended_in_the_middle_is_followed_by_one_that_goes_on(
    real: Stage, end: str
) -> None:
    began = time.monotonic()
    first = run_blender(BEGINS_A_JOB + end, real.folder)
    print(f"the first Blender took {time.monotonic() - began:.1f} s")
    assert first.returncode == (0 if end is QUITS else -signal.SIGKILL), first.stderr
    job = first.stdout.split()[-2]
    bpy.ops.wm.open_mainfile(filepath=str(real.folder / "shot.blend"))
    assert bpy.ops.tweencel.start_backend() == {"FINISHED"}
    real.pump(lambda: real.live.session.contact is Contact.CONNECTED)
    real.pump(lambda: bool(real.live.session.works))
    work = real.work
    assert work.job.id == job
    real.pump(lambda: work.job.stage.ended)
    assert work.job.stage is JobStage.DONE, work.job.error
    assert len(work.made) == 58
    expected = [f"hop_{frame:04d}.png" for frame in range(1, 60)]
    assert shown_names(real.result) == [*expected, "hop_0002.png"]
    assert not list(work.folder.path.glob(".*"))
