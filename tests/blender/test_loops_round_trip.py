# SPDX-License-Identifier: GPL-3.0-or-later
"""Loops through a real backend: from pictures, masks and strokes to what repeats."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest

import blender_addon
from blender_addon import live, loop_strips, vse
from blender_addon.ledger import Stage as JobStage
from blender_addon.loop_props import loop_of
from blender_addon.work import Work
from tests.blender.stage import Stage, shown_names, span
from tests.blender.test_renders import add_block
from tests.blender.test_round_trip import start, stop
from tests.blender.test_sources import activate, editor, pixels, set_up, write_movie

pytestmark = pytest.mark.skipif(
    not os.environ.get("TWEENCEL_EXECUTABLE"),
    reason="TWEENCEL_EXECUTABLE does not name a tweencel program",
)
WIDTH, HEIGHT = 96, 64


@pytest.fixture
def at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    monkeypatch.setenv("TWEENCEL_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(live, "user_folder", lambda name, create=True: folder_in(tmp_path, name))
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    blender_addon.register()
    at = Stage(tmp_path)
    at.settings.folder = str(tmp_path / "out")
    start(at)
    try:
        yield at
    finally:
        stop(at)
        blender_addon.unregister()


def folder_in(place: Path, name: str) -> Path:
    """Stands for the user's profile."""
    (place / "profile" / name).mkdir(parents=True, exist_ok=True)
    return place / "profile" / name


def write(path: Path, values: Any) -> Path:
    """(H, W, 4) uint8, first row on top, as PNG."""
    height, width = values.shape[:2]
    image = bpy.data.images.new(path.stem, width, height, alpha=True)
    image.pixels.foreach_set((values[::-1].astype(np.float32) / 255).ravel())
    image.filepath_raw, image.file_format = str(path), "PNG"
    image.save()
    bpy.data.images.remove(image)
    return path


def noise(seed: int = 3) -> Any:
    """Soft clouds of colour, opaque."""
    random = np.random.default_rng(seed)
    rough = random.integers(0, 256, (HEIGHT // 4, WIDTH // 4, 4)).astype(np.uint8)
    fine = rough.repeat(4, 0).repeat(4, 1)
    fine[..., 3] = 255
    return fine


def still(at: Stage, frame: int = 1, hold: int = 30) -> Any:
    strip = at.add(write(at.folder / "lake.png", noise()), frame)
    vse.set_end(strip, frame + hold)
    return strip


def region(at: Stage, **given: Any) -> Any:
    """The lower half moves, by a painted image."""
    bpy.ops.tweencel.add_region()
    made = loop_of(at.scene).regions[-1]
    image = bpy.data.images.get("lower")
    if image is None:
        image = bpy.data.images.new("lower", WIDTH, HEIGHT)
        grey = np.zeros((HEIGHT, WIDTH, 4), np.float32)
        grey[: HEIGHT // 2] = 1
        image.pixels.foreach_set(grey.ravel())
    made.mask_kind, made.mask_image, made.motion = "IMAGE", image, "water"
    for name, value in given.items():
        setattr(made, name, value)
    return made


def make(at: Stage, length: int = 12) -> Work:
    loop_of(at.scene).length = length
    assert bpy.ops.tweencel.make_loop() == {"FINISHED"}
    at.pump(lambda: at.live.loops.taken is None)
    work = at.work
    at.pump(lambda: work.job.stage.ended)
    assert work.job.error is None
    assert work.job.stage is JobStage.DONE
    return work


def frames_of(work: Work) -> list[Any]:
    return [pixels(work.folder.path / work.made[n]) for n in range(len(work.made))]


def test_a_still_becomes_a_strip_that_repeats(at: Stage) -> None:
    source = still(at, frame=5, hold=30)
    region(at)
    work = make(at, 12)
    strip = at.result
    assert span(strip) == (5, 35)
    assert strip.channel == source.channel + 1
    assert strip.blend_type == "ALPHA_OVER"
    files = [work.made[n] for n in range(12)]
    assert shown_names(strip) == (files * 3)[:30]
    frames, plate = frames_of(work), noise()
    for frame in frames:
        assert np.array_equal(frame[: HEIGHT // 2], plate[: HEIGHT // 2])
    assert any(not np.array_equal(frames[0], frame) for frame in frames[1:])


def test_a_loop_repeats_for_as_long_as_it_is_dragged(at: Stage) -> None:
    still(at, frame=101)
    region(at)
    work = make(at, 10)
    strip, files = at.result, [work.made[n] for n in range(10)]
    whole = len(strip.elements)
    vse.set_end(strip, 101 + whole + 55)
    vse.set_begin(strip, 101 - 23)
    at.live.beat()
    assert span(strip) == (78, 101 + whole + 55)
    assert shown_names(strip) == [files[(frame - 101) % 10] for frame in range(*span(strip))]
    assert len(strip.elements) % 10 == 0
    before = len(strip.elements)
    at.live.beat()
    assert len(strip.elements) == before


def test_a_loop_that_was_cut_still_shows_its_frames(at: Stage) -> None:
    still(at, frame=1)
    region(at)
    work = make(at, 10)
    strip, files = at.result, [work.made[n] for n in range(10)]
    strip.select = True
    strip.split(frame=14, split_method="SOFT")
    at.live.beat()
    for half in loop_strips.strips_of(work.job.id):
        wanted = [files[(frame - 1) % 10] for frame in range(*span(half))]
        assert shown_names(half) == wanted


def test_the_saved_file_shows_the_loop_without_the_add_on(at: Stage) -> None:
    still(at)
    region(at)
    work = make(at, 10)
    files = [work.made[n] for n in range(10)]
    path = at.save()
    bpy.ops.wm.open_mainfile(filepath=str(path))
    strip = at.result
    assert shown_names(strip) == (files * 3)[:30]
    assert "tweencel_open" not in strip


def ring(at: Stage, count: int = 40, period: int = 10) -> list[Path]:
    """Frames in which a bright block goes round in the lower half; slow noise is over all."""
    folder = at.folder / "ring"
    folder.mkdir()
    plate, random = noise(5) // 2, np.random.default_rng(1)
    paths = []
    for number in range(count):
        frame = plate.copy()
        turn = 2 * np.pi * number / period
        x, y = round(WIDTH / 2 + 30 * np.cos(turn)), round(0.75 * HEIGHT + 8 * np.sin(turn))
        frame[y - 5 : y + 5, x - 5 : x + 5, :3] = (250, 200, 90)
        frame[..., :3] += random.integers(0, 3, (*frame.shape[:2], 3)).astype(np.uint8)
        frame[..., 3] = 255
        paths.append(write(folder / f"ring_{number + 1:04d}.png", frame))
    return paths


def test_a_run_of_frames_becomes_a_loop_and_the_best_length_is_found(at: Stage) -> None:
    paths = ring(at)
    source = at.add(paths, 11)
    region(at)
    loop = loop_of(at.scene)
    loop.shortest, loop.longest = 6, 16
    assert bpy.ops.tweencel.measure_lengths() == {"FINISHED"}
    at.pump(lambda: at.live.loops.seam is not None)
    seam = at.live.loops.seam
    assert seam is not None
    assert seam.best == 10
    assert 10 in seam.valleys(3)
    assert not at.live.session.works
    assert not list(loops_aside().iterdir())
    work = make(at, 10)
    strip = at.result
    assert span(strip) == span(source) == (11, 51)
    assert shown_names(strip) == [work.made[n % 10] for n in range(40)]
    first = pixels(paths[0])
    for frame in frames_of(work):
        assert np.array_equal(frame[: HEIGHT // 2], first[: HEIGHT // 2])


def loops_aside() -> Path:
    return live.user_folder("previews")


def test_a_movie_is_read_frame_by_frame_and_reading_can_be_stopped(at: Stage) -> None:
    strip = at.strips.new_movie(
        name="clip", filepath=str(write_movie(at)), channel=1, frame_start=5, fit_method="ORIGINAL"
    )
    strip.select = True
    loop_of(at.scene).length = 4
    assert bpy.ops.tweencel.make_loop() == {"FINISHED"}
    at.live.beat()
    assert at.live.loops.taken == (2, 10)
    assert bpy.ops.tweencel.stop_reading() == {"FINISHED"}
    assert at.live.loops.taken is None
    assert not (at.folder / "out").exists()
    work = make(at, 4)
    assert len(work.made) == 4
    assert span(at.result) == (5, 15)


def test_a_preview_plays_and_leaves_nothing(at: Stage) -> None:
    write(at.folder / "lake.png", noise().repeat(16, 0).repeat(16, 1))
    at.add(at.folder / "lake.png", 1)
    region(at, mask_kind="ALL")
    times = []
    for motion in ("water", "river", "clouds"):
        loop_of(at.scene).regions[0].motion = motion
        began = time.perf_counter()
        assert bpy.ops.tweencel.preview_loop() == {"FINISHED"}
        work = at.live.loops.previewed
        assert work is not None
        at.pump(lambda work=work: work.job.stage.ended)
        times.append(time.perf_counter() - began)
    assert work.job.error is None
    assert len(work.made) == 24
    assert pixels(work.folder.path / work.made[0]).shape[:2] == (341, 512)
    at.live.beat()
    assert not at.live.session.works
    assert [strip.name for strip in at.strips] == ["lake.png"]
    warm = min(times[1:])
    print(f"A preview took {times[0]:.2f} s with a new worker, {warm:.2f} s with a warm one")
    assert warm < 10.0  # a sane bound, no measurement: machines differ
    bpy.ops.tweencel.drop_preview()
    assert not list(loops_aside().iterdir())


def test_a_layer_holds_what_moves_alone(at: Stage) -> None:
    still(at)
    region(at)
    loop_of(at.scene).layer = True
    frames = frames_of(make(at, 6))
    for frame in frames:
        assert frame[: HEIGHT // 2, :, 3].max() == 0
        assert frame[HEIGHT // 2 + 8 :, :, 3].min() == 255


def test_in_3d_a_loop_is_a_cyclic_image_sequence(at: Stage) -> None:
    still(at)
    region(at)
    at.settings.target = "PLANE"
    work = make(at, 6)
    (plane,) = [thing for thing in bpy.data.objects if "tweencel_job" in thing]
    nodes = plane.data.materials[0].node_tree.nodes
    (picture,) = [node for node in nodes if node.type == "TEX_IMAGE"]
    assert picture.image_user.use_cyclic
    assert picture.image_user.frame_duration == 6
    run = sorted((work.folder.path / "exposed").iterdir())
    assert [file.read_bytes() for file in run] == [
        (work.folder.path / work.made[n]).read_bytes() for n in range(6)
    ]
    assert not plane.hide_render


def test_a_loop_of_the_image_editor_and_of_the_3d_view_can_be_made(at: Stage) -> None:
    region(at, mask_kind="ALL")
    at.settings.target = "VSE"
    with editor("IMAGE_EDITOR") as space:
        space.image = bpy.data.images.load(str(write(at.folder / "lake.png", noise())))
        first = make(at, 4)
    activate(add_block(set_up(at)))
    with editor("VIEW_3D"):
        second = make(at, 4)
    for work in (first, second):
        (strip,) = loop_strips.strips_of(work.job.id)
        assert vse.end(strip) == at.scene.frame_end + 1
        assert shown_names(strip)[:8] == [work.made[n % 4] for n in range(8)]


def test_a_loop_is_exported_beside_blender(at: Stage) -> None:
    still(at)
    region(at)
    make(at, 6)
    for strip in at.strips:
        strip.select = "tweencel_loop" in strip
    target = at.folder / "film.png"
    assert bpy.ops.tweencel.export_loop(filepath=str(target), kind="PNG") == {"FINISHED"}
    at.pump(lambda: at.live.loops.exporting is None)
    assert at.live.notice is None
    assert at.live.loops.exported == at.folder / "film_####.png"
    assert len(list(at.folder.glob("film_*.png"))) == 6
    missing = at.folder / "nowhere" / "film.gif"
    bpy.ops.tweencel.export_loop(filepath=str(missing), kind="GIF")
    at.pump(lambda: at.live.loops.exporting is None)
    assert missing.is_file() or at.live.notice is not None


def test_a_loop_that_is_cancelled_at_once_leaves_nothing(at: Stage) -> None:
    still(at)
    region(at)
    loop_of(at.scene).length = 500
    bpy.ops.tweencel.make_loop()
    work = at.work
    assert [s for s in at.strips if "tweencel_loop" in s]
    bpy.ops.tweencel.cancel(job=work.job.id)
    at.pump(lambda: work.job.stage.ended)
    at.live.beat()
    assert not [s for s in at.strips if "tweencel_loop" in s]
    assert not work.folder.path.exists()
