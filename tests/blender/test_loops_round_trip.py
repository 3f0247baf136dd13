# SPDX-License-Identifier: GPL-3.0-or-later
"""Loops through a real backend: from pictures, masks and strokes to what repeats."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest

import blender_addon
from blender_addon import loop_strips, vse
from blender_addon.ledger import Stage as JobStage
from blender_addon.loop_props import loop_of
from blender_addon.work import Work
from tests.blender.stage import Stage, shown_names, span
from tests.blender.test_round_trip import start, stop
from tests.blender.test_sources import pixels

pytestmark = pytest.mark.skipif(
    not os.environ.get("TWEENCEL_EXECUTABLE"),
    reason="TWEENCEL_EXECUTABLE does not name a tweencel program",
)
WIDTH, HEIGHT = 96, 64


@pytest.fixture
def at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    monkeypatch.setenv("TWEENCEL_HOME", str(tmp_path / "home"))
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
