# SPDX-License-Identifier: GPL-3.0-or-later
"""Masks become grey files of the keys' size, as Blender itself evaluates them."""

from __future__ import annotations

import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest

from blender_addon import masks, pixels
from blender_addon.renders import Made
from protocol.errors import BadInput, SizeMismatch
from protocol.pictures import probe

SIZE = (96, 54)


@pytest.fixture(autouse=True)
def empty() -> None:
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)


def finish(making: Generator[None, None, Any]) -> Any:
    while True:
        try:
            next(making)
        except StopIteration as end:
            return end.value


def grey(made: Made | Path) -> Any:
    """(H, W) uint8 of a file, first row on top; the file must be an 8-bit grey PNG."""
    path = made if isinstance(made, Path) else made.path
    with path.open("rb") as file:
        info = probe(file)
    assert (info.format, info.depth, info.channels) == ("PNG", 8, "L")
    image = bpy.data.images.load(str(path))
    flat = np.empty(len(image.pixels), np.float32)
    image.pixels.foreach_get(flat)
    bpy.data.images.remove(image)
    return np.rint(flat.reshape(info.height, info.width, -1)[::-1, :, 0] * 255).astype(int)


def counts() -> dict[str, int]:
    kinds = [kind for kind in dir(bpy.data) if hasattr(getattr(bpy.data, kind), "foreach_get")]
    return {kind: len(getattr(bpy.data, kind)) for kind in kinds}


def add_layer(mask: Any, name: str, left: float, right: float, feather: float = 0) -> Any:
    """A box over the middle fifth of the height, in mask space (0..1 over the longer side)."""
    layer = mask.layers.new(name=name)
    spline = layer.splines.new()
    spline.use_cyclic = True
    spline.points.add(3)
    # Clockwise: the other way round Blender feathers to the inside.
    corners = [(left, 0.6), (right, 0.6), (right, 0.4), (left, 0.4)]
    for number, (point, place) in enumerate(zip(spline.points, corners, strict=True)):
        point.handle_left_type = point.handle_right_type = "FREE"
        point.co = place
        # Towards the neighbours: a handle of no length has no side to feather to.
        point.handle_left = part_way(place, corners[number - 1])
        point.handle_right = part_way(place, corners[(number + 1) % 4])
        point.weight = feather
    return layer


def part_way(a: tuple[float, float], b: tuple[float, float]) -> tuple[float, float]:
    return (a[0] * 2 + b[0]) / 3, (a[1] * 2 + b[1]) / 3


def box(left: float, right: float, size: tuple[int, int] = SIZE) -> Any:
    """Where a box of add_layer is, from the definition of mask space."""
    width, height = size
    longer = max(size)
    xs = (np.arange(width) + 0.5 - width / 2) / longer + 0.5
    ys = (np.arange(height) + 0.5 - height / 2) / longer + 0.5
    return np.outer((ys > 0.4) & (ys < 0.6), (xs > left) & (xs < right))


@pytest.mark.parametrize("size", [(96, 54), (54, 96), (61, 47)])
def test_a_mask_covers_what_it_covers_in_blender(tmp_path: Path, size: tuple[int, int]) -> None:
    mask = bpy.data.masks.new("may change")
    add_layer(mask, "box", 0.3, 0.7)
    before = counts(), mask.users, (mask.frame_start, mask.frame_end)
    (made,) = finish(masks.mask_frames(mask, [1], size, tmp_path, "mask"))
    assert (counts(), mask.users, (mask.frame_start, mask.frame_end)) == before
    seen, wanted = grey(made), box(0.3, 0.7, size)
    assert seen.shape == (size[1], size[0])
    assert set(np.unique(seen)) >= {0, 255}
    assert (seen > 127)[wanted].mean() > 0.97
    assert (seen < 128)[~wanted].mean() > 0.97
    core = wanted & np.roll(wanted, 2, 0) & np.roll(wanted, -2, 0)
    core &= np.roll(wanted, 2, 1) & np.roll(wanted, -2, 1)
    assert (seen[core] == 255).all()


def test_layers_blend_invert_and_fade(tmp_path: Path) -> None:
    mask = bpy.data.masks.new("m")
    add_layer(mask, "box", 0.2, 0.8)
    hole = add_layer(mask, "hole", 0.4, 0.6)
    hole.blend = "SUBTRACT"
    (made,) = finish(masks.mask_frames(mask, [1], SIZE, tmp_path, "hole"))
    assert (grey(made)[27, 48], grey(made)[27, 25]) == (0, 255)
    mask.layers.remove(hole)
    mask.layers[0].alpha = 0.5
    (made,) = finish(masks.mask_frames(mask, [1], SIZE, tmp_path, "half"))
    assert grey(made)[27, 48] == pytest.approx(127, abs=2)
    mask.layers[0].alpha, mask.layers[0].invert = 1, True
    (made,) = finish(masks.mask_frames(mask, [1], SIZE, tmp_path, "turned"))
    assert (grey(made)[27, 48], grey(made)[2, 2]) == (0, 255)


def test_the_feather_of_the_points_is_blenders(tmp_path: Path) -> None:
    mask = bpy.data.masks.new("m")
    add_layer(mask, "box", 0.4, 0.6, feather=0.1)
    (made,) = finish(masks.mask_frames(mask, [1], SIZE, tmp_path, "soft"))
    row = grey(made)[27]
    assert (row[48], row[5]) == (255, 0)
    assert ((row > 10) & (row < 245)).sum() >= 8
    assert (np.diff(row[48:]) <= 0).all()


def test_an_animated_mask_is_taken_at_each_frame_also_beyond_its_range(tmp_path: Path) -> None:
    mask = bpy.data.masks.new("m")
    mask.frame_start, mask.frame_end = 1, 10
    layer = add_layer(mask, "fade", 0.3, 0.7)
    for frame, alpha in ((1, 0.0), (11, 1.0), (30, 0.2)):
        layer.alpha = alpha
        layer.keyframe_insert("alpha", frame=frame)
    made = finish(masks.mask_frames(mask, [1, 6, 11, 30, 30, 40], SIZE, tmp_path, "fade"))
    assert [one.frame for one in made] == [1, 6, 11, 30, 40]
    seen = [grey(one)[27, 48] for one in made]
    assert seen == pytest.approx([0, 127, 255, 51, 51], abs=3)
    assert made[3].path.read_bytes() == made[4].path.read_bytes()


def test_a_mask_is_the_same_bytes_each_time(tmp_path: Path) -> None:
    mask = bpy.data.masks.new("m")
    add_layer(mask, "box", 0.31, 0.69, feather=0.05)
    frames = range(1, 9)
    made = finish(masks.mask_frames(mask, frames, SIZE, tmp_path, "m", feather=4))
    assert len({one.path.read_bytes() for one in made}) == 1


@pytest.mark.parametrize("reach", [3, 9])
def test_feather_softens_the_edge_to_both_sides(tmp_path: Path, reach: int) -> None:
    mask = bpy.data.masks.new("m")
    add_layer(mask, "box", 0.25, 0.75)
    hard, soft = (
        grey(finish(masks.mask_frames(mask, [1], SIZE, tmp_path, f"m{f}", feather=f))[0])[27]
        for f in (0, reach)
    )
    edge = int(np.nonzero(hard > 127)[0][0])
    assert (soft[: edge - reach - 1] == 0).all()
    assert soft[edge] == pytest.approx(128, abs=128 / reach)
    assert 0 < soft[edge - 1] < soft[edge + 1] < 255
    assert (np.diff(soft[:48]) >= 0).all()


def test_softening_keeps_flat_parts_and_agrees_with_the_definition() -> None:
    hard = np.zeros((40, 60), np.uint8)
    hard[10:30, 20:45] = 255
    wanted = hard.astype(float)
    for axis in (0, 1):
        for _ in range(3):
            wide = np.pad(wanted, [(2, 2) if a == axis else (0, 0) for a in (0, 1)], mode="edge")
            parts = [np.roll(wide, shift, axis) for shift in range(-2, 3)]
            wanted = np.mean(parts, axis=0)
            wanted = wanted[2:-2] if axis == 0 else wanted[:, 2:-2]
    soft = finish(pixels.feathered(hard, 6))
    assert np.abs(soft - wanted).max() <= 1
    full = np.full((5, 7), 255, np.uint8)
    assert (finish(pixels.feathered(full, 30)) == 255).all()


def test_a_painted_image_is_taken_as_it_is_now(tmp_path: Path) -> None:
    image = bpy.data.images.new("painted", *SIZE, alpha=True)
    paint = np.zeros((54, 96, 4), np.float32)
    paint[:10, :, :3] = 1.0  # the lowest rows: Blender counts from below
    paint[20:30, :, 3] = 0.5
    image.pixels.foreach_set(paint.ravel())
    before = counts()
    (value,) = finish(masks.image_frames(image, [3], SIZE, tmp_path, "value"))
    first, second = finish(masks.image_frames(image, [1, 2], SIZE, tmp_path, "a", alpha=True))
    assert counts() == before
    assert (grey(value)[44:] == 255).all()
    assert (grey(value)[:44] == 0).all()
    assert (grey(first)[24:34] == 128).all()
    assert grey(first).sum() == 128 * 96 * 10
    assert first.path.read_bytes() == second.path.read_bytes()


def test_an_image_of_another_size_is_refused(tmp_path: Path) -> None:
    image = bpy.data.images.new("painted", 64, 64)
    with pytest.raises(SizeMismatch, match="64 x 64 pixels, the keys 96 x 54"):
        finish(masks.image_frames(image, [1], SIZE, tmp_path, "m"))


def test_an_image_without_pixels_is_refused(tmp_path: Path) -> None:
    image = bpy.data.images.new("lost", *SIZE)
    image.source = "FILE"
    image.filepath = str(tmp_path / "none.png")
    with pytest.raises(BadInput, match="lost has no pixels"):
        finish(masks.image_frames(image, [1], SIZE, tmp_path, "m"))


def test_a_grease_pencil_layer_is_a_mask_of_any_size(tmp_path: Path) -> None:
    scene = bpy.context.scene
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    camera.location.z = 5
    scene.collection.objects.link(camera)
    scene.camera = camera
    drawn = add_square(scene)
    before = counts()
    making = masks.layer_frames(scene, [drawn], "where", [1], (61, 47), tmp_path, "gp")
    (made,) = finish(making)
    assert counts() == before
    seen = grey(made)
    assert seen.shape == (47, 61)
    assert seen[23, 30] == 255
    assert (seen[:3] == 0).all()


def add_square(scene: Any) -> Any:
    new = bpy.app.version >= (5, 0)
    data = (bpy.data.grease_pencils if new else bpy.data.grease_pencils_v3).new("ink")
    drawn = bpy.data.objects.new("ink", data)
    scene.collection.objects.link(drawn)
    look = bpy.data.materials.new("look")
    bpy.data.materials.create_gpencil_data(look)
    if bpy.app.version < (5, 1):
        look.grease_pencil.show_fill = True
    data.materials.append(look)
    drawing = data.layers.new("where").frames.new(1).drawing
    drawing.add_strokes([4])
    stroke = drawing.strokes[0]
    stroke.cyclic = True
    if hasattr(stroke, "fill_id"):
        stroke.fill_id = 1
    corners = [(-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5)]
    for point, (x, y) in zip(stroke.points, corners, strict=True):
        point.position, point.radius, point.opacity = (x, y, 0), 0.01, 1
    return drawn


def test_no_step_at_full_size_is_long_but_the_render(tmp_path: Path) -> None:
    """The limit is 20 ms; three times that is left for a machine that does other things as well."""
    image = bpy.data.images.new("painted", 1920, 1080)
    image.pixels.foreach_set(np.random.default_rng(0).random(1920 * 1080 * 4, np.float32))
    making = masks.image_frames(image, [1], (1920, 1080), tmp_path, "m", feather=12)
    steps = []
    while True:
        start = time.perf_counter()
        try:
            next(making)
        except StopIteration:
            break
        finally:
            steps.append(time.perf_counter() - start)
    print(f"{len(steps)} steps, longest {max(steps) * 1000:.1f} ms, all {sum(steps) * 1000:.0f} ms")
    assert sorted(steps)[-3] < 0.06
