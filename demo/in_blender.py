# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of the demo that runs inside Blender: what a person would click, in the same order.

Run by run_demo.py with a Python that has bpy. In background mode Blender calls no timers, so the
add-on's beat is called here, as often as its timer would.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import bpy

EXTENSION = "bl_ext.user_default.tweencel"
KEY_FRAMES = (1, 7, 12, 19)
PAPER = (0.96, 0.94, 0.89)
FPS = 12
stages: dict[str, float] = {}
steps: dict[str, float] = {}


def main() -> None:
    options = read_options()
    out: Path = options.out
    with stage("installing the extension from its zip into a fresh profile"):
        live = install(options.zip)
    bpy.context.preferences.filepaths.save_version = 0  # no hop.blend1 beside it
    bpy.ops.wm.save_as_mainfile(filepath=str(out / "hop.blend"))
    with stage("starting the local backend and connecting to it"):
        bpy.ops.tweencel.start_backend()
        pump(live, lambda: bool(live.get().session.engines), "start")
    scene = set_the_scene(options.drawings)
    scene.tweencel.engine = options.engine
    say(f"Generating with {options.engine} ...")
    report = generate(live)
    with stage("saving the .blend and rendering the shot in Blender"):
        bpy.ops.wm.save_mainfile()
        render(scene, out / "hop.mp4")
    bpy.ops.tweencel.stop_backend()
    name, longest = max(steps.items(), key=lambda step: step[1])
    report |= {"stages": stages, "longest_step": longest, "longest_step_name": name}
    (out / "report.json").write_text(json.dumps(report))


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--zip", required=True)
    parser.add_argument("--drawings", required=True, type=Path)
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--engine", required=True)
    return parser.parse_args()


def say(text: str) -> None:
    print(text, flush=True)


@contextmanager
def stage(name: str) -> Iterator[None]:
    say(f"{name[0].upper()}{name[1:]} ...")
    started = time.monotonic()
    yield
    stages[name] = time.monotonic() - started


@contextmanager
def silenced() -> Iterator[None]:
    """Without the line that Blender's own code prints for each frame it renders."""
    sys.stdout.flush()
    kept, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(nowhere)
        os.close(kept)


def measured(name: str, act: Callable[[], Any]) -> Any:
    """Do one step on the main thread and keep how long the longest of its kind took."""
    started = time.perf_counter()
    result = act()
    steps[name] = max(steps.get(name, 0.0), time.perf_counter() - started)
    return result


def install(path: str) -> ModuleType:
    bpy.ops.extensions.package_install_files(
        filepath=path, repo="user_default", enable_on_install=True, overwrite=True
    )
    # A refused installation may still return {'FINISHED'}.
    if EXTENSION not in bpy.context.preferences.addons:
        raise SystemExit("Blender refused the extension: see the lines above.")
    return importlib.import_module(f"{EXTENSION}.live")


def pump(live: ModuleType, done: Callable[[], bool], name: str, patience: float = 400.0) -> None:
    """Call the beat as Blender's timer would, until `done`."""
    end = time.monotonic() + patience
    while not done():
        pause = measured(f"a beat while {name}ing", live.beat)
        if live.get().notice:
            raise SystemExit(f"{live.get().notice}")
        if time.monotonic() > end:
            raise SystemExit(f"Nothing came of {name}ing for {patience:.0f} s.")
        time.sleep(pause)


def set_the_scene(drawings: Path) -> Any:
    """The four keys on the timeline, over paper: each on its frame, held until the next."""
    scene: Any = bpy.context.scene
    scene.render.resolution_x, scene.render.resolution_y = 1280, 720
    scene.render.fps = FPS
    scene.view_settings.view_transform = "Standard"
    scene.frame_start, scene.frame_end = KEY_FRAMES[0], KEY_FRAMES[-1]
    editor = scene.sequence_editor_create()
    if hasattr(bpy.context.workspace, "sequencer_scene"):
        bpy.context.workspace.sequencer_scene = scene
    add_paper(editor)
    ends = [*KEY_FRAMES[1:], KEY_FRAMES[-1] + 1]
    for path, frame, end in zip(sorted(drawings.glob("*.png")), KEY_FRAMES, ends, strict=True):
        strip = editor.strips.new_image(
            name=path.name, filepath=str(path), channel=2, frame_start=frame
        )
        strip.frame_final_duration = end - frame
        strip.blend_type = "ALPHA_OVER"
        strip.select = True
    return scene


def add_paper(editor: Any) -> None:
    span = {"length": KEY_FRAMES[-1]} if bpy.app.version >= (5, 0) else {"frame_end": 20}
    paper = editor.strips.new_effect(name="paper", type="COLOR", channel=1, frame_start=1, **span)
    paper.color = PAPER
    paper.select = False


def generate(live: ModuleType) -> dict[str, Any]:
    """Press Generate, wait for the last frame on the strip, and look at what is there."""
    session = live.get().session
    started = time.perf_counter()
    measured("the Generate button", bpy.ops.tweencel.generate)
    work = next(reversed(session.works.values()))
    pump(live, lambda: work.job.stage.ended, "generat")
    wall = time.perf_counter() - started
    if work.job.error:
        raise SystemExit(str(work.job.error))
    stages["from Generate to the last frame on the timeline"] = wall
    strip = next(s for s in bpy.context.scene.sequence_editor.strips if "in-betweens" in s.name)
    folder = Path(bpy.path.abspath(strip.directory))
    # Not strip.elements: the first of them is never seen (blender_addon/timeline.py tells why).
    seen = [strip.strip_elem_from_frame(f) for f in range(KEY_FRAMES[0], KEY_FRAMES[-1] + 1)]
    frames = [os.path.normpath(folder / element.filename) for element in seen]
    return {
        "generate": wall,
        "engine": work.job.spent,
        "made": len(work.made),
        "frames": frames,
        "folder": str(work.folder.path),
        "key_places": [frame - KEY_FRAMES[0] for frame in KEY_FRAMES],
    }


def render(scene: Any, path: Path) -> None:
    settings = scene.render.image_settings
    if hasattr(settings, "media_type"):
        settings.media_type = "VIDEO"
    settings.file_format = "FFMPEG"
    scene.render.ffmpeg.format = "MPEG4"
    scene.render.ffmpeg.codec = "H264"
    scene.render.ffmpeg.constant_rate_factor = "HIGH"
    scene.render.filepath = str(path)
    for strip in scene.sequence_editor.strips:
        strip.mute = strip.channel == 2
    with silenced():
        bpy.ops.render.render(animation=True)


if __name__ == "__main__":
    try:
        main()
    except SystemExit as end:
        say(str(end))
        sys.stdout.flush()
        os._exit(1)
    # bpy 4.5 may hang in its exit handlers.
    sys.stdout.flush()
    os._exit(0)
