# SPDX-License-Identifier: GPL-3.0-or-later
"""Generate from each source through a real backend: the keys' bytes, frames, marks and masks."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest

import blender_addon
from blender_addon.ledger import Stage as JobStage
from blender_addon.source_props import sources_of
from blender_addon.work import Work
from protocol.jobs import Inbetween
from protocol.pictures import probe
from tests.blender.stage import Stage, shown_files
from tests.blender.test_renders import add_block, add_camera, add_drawing, group
from tests.blender.test_round_trip import start, stop
from tests.blender.test_sources import (
    activate,
    bmp,
    editor,
    mark,
    moving_mask,
    other_scene,
    painted_mask,
    pixels,
    sequence,
    set_up,
    show_sequence,
    small,
    write_movie,
)

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
    at.settings.engine, at.settings.target = "crossfade", "VSE"
    start(at)
    try:
        yield at
    finally:
        stop(at)
        blender_addon.unregister()


def generate(at: Stage) -> Work:
    assert bpy.ops.tweencel.generate() == {"FINISHED"}
    work = at.work
    at.pump(lambda: work.job.stage.ended)
    assert work.job.error is None
    assert work.job.stage is JobStage.DONE
    return work


def strips_of_images(at: Stage) -> None:
    at.add_keys(1, 5, 9)
    mark(at, breakdowns=(5,))


def marked_sequence(at: Stage) -> None:
    at.add(at.draw_keys(9), 1)
    mark(at, 1, 9, breakdowns=(5,))


def marked_movie(at: Stage) -> None:
    strip = at.strips.new_movie(
        name="clip", filepath=str(write_movie(at)), channel=1, frame_start=1, fit_method="ORIGINAL"
    )
    strip.select = True
    mark(at, 1, 9, breakdowns=(5,))


def marked_scene_strip(at: Stage) -> None:
    at.strips.new_scene(name="set", scene=other_scene(at), channel=1, frame_start=1).select = True
    mark(at, 1, 9, breakdowns=(5,))


def marked_meta(at: Stage) -> None:
    small(at.scene)
    meta = at.strips.new_meta(name="meta", channel=5, frame_start=1)
    paths = at.draw_keys(9, width=96, height=54)
    group(meta, [at.add(path, frame) for frame, path in enumerate(paths, start=1)], 9)
    meta.select = True
    mark(at, 1, 9, breakdowns=(5,))


def converted_strips(at: Stage) -> None:
    for frame in (1, 5, 9):
        at.add(bmp(at.folder / f"{frame}.bmp", 20 * frame), frame)
    mark(at, breakdowns=(5,))


SEQUENCER: list[Callable[[Stage], None]] = [
    strips_of_images,
    marked_sequence,
    marked_movie,
    marked_scene_strip,
    marked_meta,
    converted_strips,
]


@pytest.mark.parametrize("source", SEQUENCER)
def test_a_source_of_the_sequencer_is_filled(at: Stage, source: Callable[[Stage], None]) -> None:
    source(at)
    inspect(at, generate(at))


def test_an_image_sequence_of_the_image_editor_is_filled(at: Stage) -> None:
    image, paths = sequence(at, 9)
    mark(at, 1, 9, breakdowns=(5,))
    with editor("IMAGE_EDITOR") as space:
        show_sequence(space, image, 1, 9)
        work = generate(at)
    inspect(at, work)
    assert work.order.keys == (paths[0], paths[4], paths[8])


def test_single_images_of_the_image_editor_are_filled(at: Stage) -> None:
    with editor("IMAGE_EDITOR") as space:
        for frame, path in zip((1, 5, 9), at.draw_keys(3), strict=True):
            space.image = bpy.data.images.load(str(path))
            at.scene.frame_set(frame)
            bpy.ops.tweencel.mark_breakdown() if frame == 5 else bpy.ops.tweencel.mark_key()
        work = generate(at)
    inspect(at, work)


def test_renders_of_the_scene_are_filled(at: Stage) -> None:
    activate(add_block(set_up(at)))
    mark(at, 1, 9, breakdowns=(5,))
    with editor("VIEW_3D"):
        work = generate(at)
    inspect(at, work)


@pytest.mark.parametrize(
    ("kind", "bits", "alpha"), [("PNG", 16, "STRAIGHT"), ("OPEN_EXR", 16, "PREMUL")]
)
def test_deep_renders_come_back_as_deep(at: Stage, kind: str, bits: int, alpha: str) -> None:
    activate(add_block(set_up(at)))
    settings: Any = at.scene.render.image_settings
    settings.file_format, settings.color_depth = kind, str(bits)
    mark(at, 1, 9, breakdowns=(5,))
    with editor("VIEW_3D"):
        work = generate(at)
    inspect(at, work)
    for path in (*work.order.keys, work.folder.path / work.made[0]):
        with path.open("rb") as file:
            info = probe(file)
        assert (info.format, info.depth) == (kind.removeprefix("OPEN_"), bits)
    assert at.result.alpha_mode == alpha


def test_grease_pencil_drawings_are_filled_with_their_alpha(at: Stage) -> None:
    drawn = add_drawing(set_up(at))
    for layer in drawn.data.layers:
        layer.frames[1].keyframe_type = "BREAKDOWN"
        layer.frames.copy(1, 9)
    activate(drawn)
    sources_of(at.scene).view_take = "DRAWINGS"
    with editor("VIEW_3D"):
        work = generate(at)
    inspect(at, work)
    made = pixels(work.folder.path / work.made[0])
    assert made[..., 3].min() == 0
    assert made[..., 3].max() == 255


def inspect(at: Stage, work: Work) -> None:
    """Keys on 1 and 9, a breakdown on 5, the rest between; the strip shows the keys' bytes."""
    task = work.order.task
    assert isinstance(task, Inbetween)
    assert task.breakdowns == (1,)
    assert [len(row) for row in task.gaps] == [3, 3]
    strip = at.result
    files = [Path(bpy.path.abspath(strip.directory), name) for name in shown_files(strip)]
    assert len(files) >= 9
    keys = [files[0], files[4], files[8]]
    captured = work.order.keys
    assert [key.read_bytes() for key in keys] == [key.read_bytes() for key in captured]
    with captured[0].open("rb") as file:
        size = probe(file)[1:3]
    between = [files[n] for n in (1, 2, 3, 5, 6, 7)]
    assert between == [work.folder.path / work.made[n] for n in range(6)]
    for path in between:
        with path.open("rb") as file:
            assert probe(file)[1:3] == size


def black_and_white(at: Stage, width: int, height: int) -> None:
    """Two keys of random greys."""
    noise = np.random.default_rng(7)
    for name, frame in (("a", 1), ("b", 9)):
        image = bpy.data.images.new(name, width, height, alpha=True)
        values = noise.integers(0, 256, (height, width, 4)).astype(np.float32) / 255
        image.pixels.foreach_set(values.ravel())
        image.filepath_raw, image.file_format = str(at.folder / f"{name}.png"), "PNG"
        image.save()
        at.add(at.folder / f"{name}.png", frame)


def test_outside_of_a_painted_mask_the_key_before_is_held_bit_by_bit(at: Stage) -> None:
    black_and_white(at, 8, 4)
    painted_mask(at)
    sources_of(at.scene).mask_kind = "IMAGE"
    work = generate(at)
    held, other = (pixels(path) for path in work.order.keys)
    assert not np.array_equal(held, other)
    for name in work.made.values():
        made = pixels(work.folder.path / name)
        assert np.array_equal(made[:, 4:], held[:, 4:])
        assert not np.array_equal(made[:, :4], held[:, :4])


def test_an_animated_mask_holds_each_in_between_by_its_own_frame(at: Stage) -> None:
    black_and_white(at, 96, 54)
    wanted = sources_of(at.scene)
    wanted.mask_kind, wanted.mask = "MASK", moving_mask()
    work = generate(at)
    task: Any = work.order.task
    assert len(set(task.masks)) == 7
    held = pixels(work.order.keys[0])
    inputs = {path.name: path for path in work.order.files if "mask" in path.name}
    masks = [inputs[name] for name in sorted(inputs)]
    for index, mask in enumerate(masks):
        may = pixels(mask)[..., 0] > 0
        made = pixels(work.folder.path / work.made[index])
        assert np.array_equal(made[~may], held[~may])
        assert not np.array_equal(made[may], held[may])


def test_a_render_job_can_be_saved_and_its_keys_stay_with_its_frames(at: Stage) -> None:
    activate(add_block(set_up(at)))
    add_camera(at.scene)
    with editor("VIEW_3D"):
        work = generate(at)
        again = generate_again(at, work)
    assert not set(work.order.keys) & set(again.order.keys)
    assert all(path.is_file() for path in work.order.keys)


def generate_again(at: Stage, work: Work) -> Work:
    again = generate(at)
    assert again is not work
    return again
