# SPDX-License-Identifier: GPL-3.0-or-later
"""What a loop is made of in real Blender: sources, masks, strokes, and what the panels say."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import bpy
import numpy as np
import pytest

from blender_addon import capture, live
from blender_addon.loop_asking import source_of
from blender_addon.loop_props import loop_of
from blender_addon.panels.loop import (
    TWEENCEL_MT_motion,
    TWEENCEL_PT_loop,
    TWEENCEL_PT_regions,
)
from blender_addon.panels.loop_looks import TWEENCEL_PT_loop_length, TWEENCEL_PT_loop_preview
from blender_addon.panels.loop_make import TWEENCEL_PT_loop_make
from blender_addon.seams import Seam
from blender_addon.source_props import sources_of
from protocol.errors import BadInput, TooFewKeys, TweencelError
from tests.blender.stage import Recorder, Stage, stage
from tests.blender.test_renders import add_camera, add_drawing
from tests.blender.test_sources import (
    activate,
    editor,
    pixels,
    sequence,
    set_up,
    show_sequence,
    small,
    write_movie,
)

SIZE = (96, 54)


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Stage]:
    with stage(tmp_path) as at:
        yield at


def region(at: Stage, **given: Any) -> Any:
    bpy.ops.tweencel.add_region()
    made = loop_of(at.scene).regions[-1]
    for name, value in given.items():
        setattr(made, name, value)
    return made


def marked(at: Stage, size: tuple[int, int] = SIZE, **given: Any) -> list[Any]:
    return capture.marked(at.scene, size, at.folder, "test", **given)


# Sources ------------------------------------------------------------------------------------------


def test_one_drawing_is_a_still_and_a_sequence_is_a_run(at: Stage) -> None:
    (path,) = at.draw_keys(1)
    strip = at.add(path, 7)
    source = source_of(bpy.context)
    assert not source.is_run
    assert (source.start, source.end, source.channel, source.name) == (7, 8, 1, "hop")
    assert source.takes[0](at.folder) == path
    strip.select = False
    paths = at.draw_keys(6, "run")
    run = at.add(paths, 20, channel=3)
    source = source_of(bpy.context)
    assert source.is_run
    assert [take(at.folder) for take in source.takes] == paths
    assert source.source == f"The 6 frames of {run.name}"


def test_of_a_sequence_the_picture_on_the_playhead_may_be_taken(at: Stage) -> None:
    paths = at.draw_keys(6)
    at.add(paths, 20)
    loop_of(at.scene).take = "STILL"
    for frame, number in ((22, 2), (1, 0), (99, 5)):
        at.scene.frame_current = frame
        (take,) = source_of(bpy.context).takes
        assert take(at.folder) == paths[number]


def test_one_strip_is_asked_for(at: Stage) -> None:
    with pytest.raises(TooFewKeys, match="No strip is selected"):
        source_of(bpy.context)
    at.add_keys(1, 5)
    with pytest.raises(TooFewKeys, match="2 strips are selected") as caught:
        source_of(bpy.context)
    assert "Select one" in caught.value.fix


def test_a_movie_is_a_run_whose_frames_must_be_read(at: Stage) -> None:
    strip = at.strips.new_movie(
        name="clip", filepath=str(write_movie(at)), channel=1, frame_start=5, fit_method="ORIGINAL"
    )
    strip.select = True
    source = source_of(bpy.context)
    assert source.slow
    assert len(source.takes) == 10
    assert not np.array_equal(*[pixels(source.takes[n](at.folder)) for n in (0, 5)])
    strip.name = "other"
    with pytest.raises(BadInput, match="clip is gone"):
        source.takes[1](at.folder)


def test_the_image_editor_gives_its_image_or_its_sequence(at: Stage) -> None:
    image, paths = sequence(at, 9)
    with editor("IMAGE_EDITOR") as space:
        show_sequence(space, image, 1, 9)
        assert [take(at.folder) for take in source_of(bpy.context).takes] == paths
        space.image = painted = bpy.data.images.new("painted", 8, 4)
        painted.pixels.foreach_set(np.tile(np.float32((0.5, 0.5, 0.5, 1)), 8 * 4))
        (take,) = source_of(bpy.context).takes
        assert int(pixels(take(at.folder))[0, 0, 0]) in (127, 128)
        space.image = None
        with pytest.raises(BadInput, match="No image is shown"):
            source_of(bpy.context)


def test_the_3d_view_gives_the_frame_or_the_range(at: Stage) -> None:
    activate(add_drawing(set_up(at)))
    sources_of(at.scene).view_take = "DRAWINGS"
    at.scene.frame_start, at.scene.frame_end = 1, 5
    with editor("VIEW_3D"):
        source = source_of(bpy.context)
        (take,) = source.takes
        drawn = pixels(take(at.folder))
        assert drawn.shape[:2] == (54, 96)
        assert drawn[..., 3].min() == 0
        loop_of(at.scene).take = "RUN"
        source = source_of(bpy.context)
        assert len(source.takes) == 5
        assert (source.start, source.end) == (1, 6)


# Strokes ------------------------------------------------------------------------------------------


def pencil(at: Stage, lines: dict[str, list[tuple[list[tuple[float, float]], float, bool]]]) -> Any:
    """Lines on the plane that the camera looks at from above: layer, points, radius, closed."""
    small(at.scene)
    add_camera(at.scene)
    kind = bpy.data.grease_pencils if bpy.app.version >= (5, 0) else bpy.data.grease_pencils_v3
    data: Any = kind.new("strokes")
    thing = bpy.data.objects.new("strokes", data)
    at.scene.collection.objects.link(thing)
    for name, strokes in lines.items():
        drawing = data.layers.new(name).frames.new(1).drawing
        drawing.add_strokes([len(points) for points, _, _ in strokes])
        for stroke, (points, radius, closed) in zip(drawing.strokes, strokes, strict=True):
            stroke.cyclic = closed
            for point, (x, y) in zip(stroke.points, points, strict=True):
                point.position, point.radius = (x, y, 0), radius
    bpy.context.view_layer.update()
    return thing


def test_a_grease_pencil_stroke_is_a_direction_and_its_thickness_a_speed(at: Stage) -> None:
    thin = [(-1.0, 0.0), (0.0, 0.0), (1.0, 0.0)]
    thick = [(0.0, 0.5), (0.0, -0.5)]
    thing = pencil(at, {"flow": [(thin, 0.01, False), (thick, 0.03, False)]})
    region(at, mask_kind="ALL", stroke_kind="PENCIL", stroke_object=thing, stroke_layer="flow")
    loop_of(at.scene).regions[0].pace = 2.0
    (one,) = marked(at)
    right, down = one.strokes
    xs = [point.x for point in right.line]
    assert xs == sorted(xs)
    assert xs[1] == pytest.approx(48, abs=0.1)
    assert [point.y for point in right.line] == pytest.approx([27] * 3, abs=0.1)
    assert down.line[0].y < 27 < down.line[1].y
    assert down.speed == pytest.approx(3 * right.speed)
    assert (down.speed + right.speed) / 2 == pytest.approx(2.0)
    (half,) = marked(at, (48, 27), scale=0.5)
    assert half.strokes[0].line[1].x == pytest.approx(24, abs=0.1)
    assert half.strokes[0].speed == pytest.approx(right.speed / 2)


def test_a_freeze_layer_holds_lines_and_leaves_out_areas(at: Stage) -> None:
    corners = [(-1.0, -0.5), (-0.2, -0.5), (-0.2, 0.5), (-1.0, 0.5)]
    thing = pencil(
        at,
        {
            "flow": [([(-1.0, 0.0), (1.0, 0.0)], 0.01, False)],
            "hold": [([(0.5, 0.5), (0.5, -0.5)], 0.01, False), (corners, 0.01, True)],
        },
    )
    given = {"stroke_object": thing, "stroke_layer": "flow", "freeze_layer": "hold"}
    region(at, mask_kind="ALL", stroke_kind="PENCIL", **given)
    (one,) = marked(at)
    assert len(one.strokes) == len(one.anchors) == 1
    mask = pixels(one.mask)[..., 0]
    edges = [
        capture.drawn_of(at.scene, loop_of(at.scene).regions[0], SIZE).areas[0][n] for n in (0, 2)
    ]
    (left, low), (right, high) = edges
    assert mask[round(high) + 1 : round(low) - 1, round(left) + 1 : round(right) - 1].max() == 0
    assert mask[:, round(right) + 1 :].min() == 255
    assert (mask == 0).mean() == pytest.approx(
        (right - left) * (low - high) / (SIZE[0] * SIZE[1]), rel=0.05
    )


def test_open_splines_of_a_mask_are_directions(at: Stage) -> None:
    mask: Any = bpy.data.masks.new("flow")
    for name, points in (("main", [(0.25, 0.5), (0.75, 0.5)]), ("hold", [(0.5, 0.4), (0.5, 0.6)])):
        spline = mask.layers.new(name=name).splines.new()
        spline.points.add(1)
        for point, place in zip(spline.points, points, strict=True):
            point.co = place
            point.handle_left_type = point.handle_right_type = "VECTOR"
            point.handle_left = point.handle_right = place
    region(at, mask_kind="ALL", stroke_kind="MASK", stroke_mask=mask, freeze_layer="hold")
    (one,) = marked(at)
    (stroke,), (anchor,) = one.strokes, one.anchors
    assert (stroke.line[0].x, stroke.line[0].y) == (24, 27)
    assert (stroke.line[-1].x, stroke.line[-1].y) == (72, 27)
    assert anchor[0].y == pytest.approx(27 + 0.1 * 96)


def test_several_regions_have_masks_of_their_own(at: Stage) -> None:
    small(at.scene)
    image = bpy.data.images.new("grey", *SIZE)
    ramp = np.tile(np.linspace(0, 1, SIZE[0], dtype=np.float32)[None, :, None], (SIZE[1], 1, 4))
    image.pixels.foreach_set(ramp.ravel())
    region(at, mask_kind="IMAGE", mask_image=image, speed=0.5, motion="clouds", period=12)
    region(at, mask_kind="IMAGE", mask_image=image, invert=True)
    first, second = marked(at)
    there, back = (pixels(one.mask)[..., 0].astype(int) for one in (first, second))
    assert len(np.unique(there)) > 90
    assert np.array_equal(there, 255 - back)
    assert (first.motion, first.speed, first.period) == ("clouds", 0.5, 12.0)
    small_one, _ = marked(at, (48, 27), scale=0.5)
    assert pixels(small_one.mask).shape[:2] == (27, 48)


def test_a_layer_without_a_stroke_gives_none(at: Stage) -> None:
    thing = pencil(at, {})
    thing.data.layers.new("flow").frames.new(1)
    thing.data.layers.new("hold")
    made = region(at, mask_kind="ALL", stroke_kind="PENCIL", stroke_object=thing)
    made.stroke_layer, made.freeze_layer = "flow", "hold"
    assert marked(at)[0].strokes == ()


def test_what_is_lacking_is_said(at: Stage) -> None:
    with pytest.raises(BadInput, match="No region may move"):
        marked(at)
    made = region(at)
    for kind, what in (("MASK", "mask"), ("PENCIL", "Grease Pencil object"), ("IMAGE", "image")):
        made.mask_kind = kind
        with pytest.raises(BadInput, match=f"No {what}.* is chosen"):
            marked(at)
    made.mask_kind, made.stroke_kind = "ALL", "PENCIL"
    with pytest.raises(BadInput, match="No Grease Pencil object with strokes"):
        marked(at)
    made.stroke_object = pencil(at, {"flow": [([(0.0, 0.0), (1.0, 0.0)], 0.01, False)]})
    made.stroke_layer = "gone"
    with pytest.raises(BadInput, match="has no layer gone"):
        marked(at)


# Panels -------------------------------------------------------------------------------------------


def draw(panel: Any) -> Recorder:
    layout = Recorder()
    panel.draw(SimpleNamespace(layout=layout), bpy.context)
    return layout


def said(panel: Any) -> str:
    return " ".join(draw(panel).texts)


def test_the_panel_sums_the_loop_up(at: Stage) -> None:
    at.add(at.draw_keys(1)[0], 1)
    at.scene.render.fps = 24
    assert "A loop of 48 frames (2.0 s); nothing moves yet" in said(TWEENCEL_PT_loop)
    assert "Nothing moves yet" in said(TWEENCEL_PT_regions)
    region(at)
    assert "A loop of 48 frames (2.0 s); 1 region moves" in said(TWEENCEL_PT_loop)
    assert "tweencel.make_loop" in draw(TWEENCEL_PT_loop_make).verbs
    assert "motion" not in draw(TWEENCEL_PT_regions).settings
    assert TWEENCEL_PT_loop_preview.poll(bpy.context)
    assert not TWEENCEL_PT_loop_length.poll(bpy.context)


def test_a_backend_without_an_engine_for_loops_is_told(at: Stage) -> None:
    at.connect()
    at.add(at.draw_keys(1)[0], 1)
    region(at, mask_kind="ALL")
    assert "no engine that makes loops of stills" in said(TWEENCEL_PT_loop)
    with pytest.raises(RuntimeError, match="no engine that makes loops of stills"):
        bpy.ops.tweencel.make_loop()
    assert not (at.folder / "out").exists()
    draw(TWEENCEL_MT_motion)


def test_the_cost_of_lengths_is_shown_and_one_is_taken(at: Stage) -> None:
    at.add(at.draw_keys(6), 1)
    costs = (9.0, 3.0, 5.0, None, 8.0, 2.0, 4.0)
    live.get().loops.seam = seam = Seam(tuple(range(10, 17)), costs, 15)
    assert seam.valleys(5) == [15, 11]
    loop_of(at.scene).length = 13
    drawn = draw(TWEENCEL_PT_loop_length)
    assert "13 frames: cannot be made of these frames" in " ".join(drawn.texts)
    assert "Best: 15 frames, a seam of 2.0" in drawn.texts
    assert [text for text in drawn.texts if text.isdigit()] == ["11", "15"]
    bpy.ops.tweencel.set_length(length=15)
    assert loop_of(at.scene).length == 15
    assert "15 frames: a seam of 2.0" in said(TWEENCEL_PT_loop_length)


def test_a_region_is_removed_and_the_next_one_shown(at: Stage) -> None:
    for _ in range(3):
        region(at)
    loop = loop_of(at.scene)
    loop.active = 2
    bpy.ops.tweencel.remove_region()
    assert [one.name for one in loop.regions] == ["Region 1", "Region 2"]
    assert loop.active == 1
    bpy.ops.tweencel.choose_motion(motion="fire")
    assert loop.regions[1].motion == "fire"


def test_only_a_loop_can_be_exported(at: Stage) -> None:
    at.add_keys(1, 5)
    with pytest.raises(RuntimeError, match=r"poll|Select a loop"):
        bpy.ops.tweencel.export_loop(filepath=str(at.folder / "x.mp4"))


def test_seams_cannot_be_read_from_another_picture(at: Stage) -> None:
    from blender_addon.seams import read_seam

    (path,) = at.draw_keys(1)
    with pytest.raises(TweencelError, match="holds no numbers"):
        read_seam(path)
