# SPDX-License-Identifier: GPL-3.0-or-later
"""The zip that users get, installed from file into a fresh profile, against a real backend.

Nothing of the repository is imported here: what runs is what is in the zip.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import bpy
import pytest

MODULE = "bl_ext.user_default.tweencel"
ZIP = os.environ.get("TWEENCEL_ZIP", "")
pytestmark = [
    pytest.mark.skipif(not ZIP, reason="TWEENCEL_ZIP does not name a built zip"),
    pytest.mark.skipif(
        not os.environ.get("TWEENCEL_EXECUTABLE"),
        reason="TWEENCEL_EXECUTABLE does not name a tweencel program",
    ),
]


@pytest.fixture(scope="module")
def live() -> Any:
    """The installed extension's live room, enabled as Blender does it."""
    bpy.ops.extensions.package_install_files(
        filepath=ZIP, repo="user_default", enable_on_install=True, overwrite=True
    )
    # A refused zip gives FINISHED all the same.
    assert MODULE in bpy.context.preferences.addons, "Blender refused the zip"
    return importlib.import_module(f"{MODULE}.live")


@pytest.fixture
def alive(live: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The extension connected to a backend that its own button started."""
    monkeypatch.setenv("TWEENCEL_HOME", str(tmp_path / "home"))
    scene = bpy.context.scene
    editor = scene.sequence_editor_create()
    for strip in list(editor.strips):
        editor.strips.remove(strip)
    alive = live.get()
    assert bpy.ops.tweencel.start_backend() == {"FINISHED"}
    pump(live, lambda: str(alive.session.contact) == "connected")
    yield alive
    alive.stop_local()
    end = time.monotonic() + 20
    while alive.local.alive and time.monotonic() < end:
        time.sleep(0.02)
    assert not alive.local.alive


def pump(live: Any, done: Callable[[], bool], seconds: float = 80.0) -> None:
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, f"it never came to that: {live.get().notice}"
        time.sleep(live.beat() / 4)


def write_key(path: Path, grey: int) -> None:
    width, height = 96, 64
    rows = b"".join(b"\0" + bytes([grey, grey, grey, 255]) * width for _ in range(height))
    parts = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    ]
    with path.open("wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        for kind, body in parts:
            file.write(struct.pack(">I", len(body)) + kind + body)
            file.write(struct.pack(">I", zlib.crc32(kind + body)))


def add_keys(folder: Path, *frames: int) -> list[Path]:
    paths = []
    for number, frame in enumerate(frames):
        path = folder / f"fox_{number + 1}.png"
        write_key(path, 40 + 60 * number)
        strip = bpy.context.scene.sequence_editor.strips.new_image(
            name=path.name, filepath=str(path), channel=1, frame_start=frame
        )
        strip.select = True
        paths.append(path)
    return paths


def result() -> Any:
    strips = bpy.context.scene.sequence_editor.strips
    (made,) = [strip for strip in strips if "tweencel_job" in strip]
    return made


def test_the_code_and_the_wheels_come_from_the_zip(live: Any) -> None:
    profile = Path(os.environ["BLENDER_USER_RESOURCES"]).resolve()
    assert Path(live.__file__).resolve().is_relative_to(profile)
    for name in ("session", "link", "protocol.codec"):
        assert (
            Path(sys.modules[f"{MODULE}.{name}"].__file__ or "").resolve().is_relative_to(profile)
        )
    assert "protocol" not in sys.modules
    assert "blender_addon" not in sys.modules


@pytest.mark.parametrize("engine", ["crossfade", "rife"])
def test_drawings_leave_and_in_betweens_come_back_onto_the_timeline(
    live: Any, alive: Any, tmp_path: Path, engine: str
) -> None:
    keys = add_keys(tmp_path, 1, 5, 8)
    before = [hashlib.sha256(key.read_bytes()).hexdigest() for key in keys]
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
    bpy.context.scene.tweencel.engine = engine
    alive.session.longest_tick = 0.0
    assert bpy.ops.tweencel.generate() == {"FINISHED"}
    work = next(reversed(alive.session.works.values()))
    pump(live, lambda: work.job.stage.ended)
    print(f"{engine}: longest tick {alive.session.longest_tick * 1000:.1f} ms")
    assert work.job.error is None
    assert str(work.job.stage) == "done"

    strip = result()
    folder = Path(bpy.path.abspath(strip.directory))
    assert folder == tmp_path / "tweencel" / "fox_v001"
    shown = [
        Path(os.path.normpath(folder / strip.strip_elem_from_frame(frame).filename))
        for frame in range(1, 9)
    ]
    made = [folder / f"fox_{number:04d}.png" for number in (2, 3, 4, 6, 7)]
    assert shown == [keys[0], *made[:3], keys[1], *made[3:], keys[2]]
    assert all(path.is_file() for path in shown)
    assert [hashlib.sha256(key.read_bytes()).hexdigest() for key in keys] == before
    assert (strip.blend_type, strip.alpha_mode) == ("ALPHA_OVER", "STRAIGHT")
    record = json.loads((folder / "tweencel.json").read_text("utf-8"))
    assert record["state"] == "done"
    assert record["engine"]["id"] == engine
    assert [key["sha256"] for key in record["keys"]] == before


def test_bad_input_is_a_sentence_and_the_next_try_works(
    live: Any, alive: Any, tmp_path: Path
) -> None:
    keys = add_keys(tmp_path, 1, 4)
    good = keys[1].read_bytes()
    keys[1].write_text("This is no fox.")
    bpy.context.scene.tweencel.folder = str(tmp_path / "out")
    with pytest.raises(RuntimeError, match=r"fox_2\.png is not a picture"):
        bpy.ops.tweencel.generate()
    assert not (tmp_path / "out").exists()
    keys[1].write_bytes(good)
    bpy.context.scene.tweencel.engine = "crossfade"
    bpy.ops.tweencel.generate()
    work = next(reversed(alive.session.works.values()))
    pump(live, lambda: work.job.stage.ended)
    assert str(work.job.stage) == "done"
    bpy.context.scene.tweencel.folder = ""


QUITS_WITH_A_JOB = """
import sys, time
from pathlib import Path
import bpy
import addon_utils
MODULE, folder = sys.argv[1], Path(sys.argv[2])
addon_utils.enable(MODULE)
live = sys.modules[MODULE + ".live"]

def pump(done):
    end = time.monotonic() + 40
    while not done():
        assert time.monotonic() < end, live.get().notice
        time.sleep(live.beat() / 4)

bpy.ops.tweencel.connect()
pump(lambda: str(live.get().session.contact) == "connected")
editor = bpy.context.scene.sequence_editor_create()
for frame, path in zip((1, 300), sorted(folder.glob("fox_*.png"))):
    editor.strips.new_image(name=path.name, filepath=str(path), channel=1, frame_start=frame)
for strip in editor.strips:
    strip.select = True
bpy.context.scene.tweencel.engine = "crossfade"
bpy.context.scene.tweencel.folder = str(folder / "out")
bpy.ops.tweencel.generate()
work = next(reversed(live.get().session.works.values()))
pump(lambda: len(work.made) >= 2)
print(work.job.id, work.job.stage, flush=True)
"""


def test_quitting_in_the_middle_of_a_job_does_not_hang_and_the_next_blender_goes_on(
    live: Any, alive: Any, tmp_path: Path
) -> None:
    """Blender disables its add-ons when it ends, and so does bpy."""
    add_keys(tmp_path, 1, 300)
    command = [sys.executable, "-c", QUITS_WITH_A_JOB, MODULE, str(tmp_path)]
    began = time.monotonic()
    quitting = subprocess.run(command, timeout=60, check=False, capture_output=True, text=True)
    print(f"it ran and quit in {time.monotonic() - began:.1f} s")
    assert quitting.returncode == 0, quitting.stderr
    job, stage = quitting.stdout.split()[-2:]
    assert stage == "running"
    bpy.ops.tweencel.disconnect()
    bpy.ops.tweencel.connect()
    pump(live, lambda: job in alive.session.works)
    work = alive.session.works[job]
    pump(live, lambda: work.job.stage.ended)
    assert str(work.job.stage) == "done"
    assert len(list(work.folder.path.glob("fox_*.png"))) == 298 + 1  # and the anchor


def test_disabling_and_enabling_again_leaves_it_working(live: Any) -> None:
    import addon_utils

    addon_utils.disable(MODULE)
    assert not hasattr(bpy.types.Scene, "tweencel")
    addon_utils.enable(MODULE)
    assert hasattr(bpy.types.Scene, "tweencel")
    assert importlib.import_module(f"{MODULE}.live").get().session is not None
