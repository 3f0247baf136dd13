# SPDX-License-Identifier: GPL-3.0-or-later
"""From every editor: which frames become keys, what is taken, and what goes with them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import bpy
import msgspec
import numpy as np
import pytest

from blender_addon import capture
from blender_addon.capture.extras import place_of, slot_frames
from blender_addon.panels.source import (
    TWEENCEL_PT_guides,
    TWEENCEL_PT_mask,
    TWEENCEL_PT_source,
)
from blender_addon.shot import Fit, Shot, Wish, plan
from blender_addon.source_props import set_mark, sources_of
from protocol.engines import EngineSpec
from protocol.errors import BadImage, BadInput, SizeMismatch, TooFewKeys
from protocol.messages import Submit
from protocol.pictures import probe
from tests.blender.stage import Recorder, Stage, stage
from tests.blender.test_renders import add_block, add_camera, add_drawing, colour_clip, group, small


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Stage]:
    with stage(tmp_path) as at:
        yield at


@contextmanager
def editor(kind: str) -> Iterator[Any]:
    """An area of the window shows this editor, and it is where the artist works."""
    window = bpy.context.window_manager.windows[0]
    area = window.screen.areas[-1]
    area.type = kind
    with bpy.context.temp_override(window=window, area=area):
        yield area.spaces.active


def mark(at: Stage, *frames: int, breakdowns: tuple[int, ...] = ()) -> None:
    for frame in frames:
        set_mark(at.scene, frame, breakdown=False)
    for frame in breakdowns:
        set_mark(at.scene, frame, breakdown=True)


def keys(shot: Shot) -> list[tuple[str, int, bool]]:
    return [(key.path.name, key.frame, key.breakdown) for key in shot.keys]


def frames(shot: Shot) -> list[tuple[int, bool]]:
    return [(key.frame, key.breakdown) for key in shot.keys]


def taken(shot: Shot, folder: Path) -> Shot:
    assert shot.take is not None
    assert all(key.path == Path() for key in shot.keys)
    made = shot.take(folder / "new" / "keys")
    assert frames(made) == frames(shot)
    assert len({key.path for key in made.keys}) == len(made.keys)
    return made


def pixels(path: Path) -> Any:
    """(H, W, 4) uint8, first row on top."""
    image = bpy.data.images.load(str(path))
    flat = np.empty(len(image.pixels), np.float32)
    image.pixels.foreach_get(flat)
    width, height = image.size
    bpy.data.images.remove(image)
    return np.rint(flat.reshape(height, width, -1)[::-1] * 255).astype(np.uint8)


def sizes(shot: Shot) -> set[tuple[int, int]]:
    found = set()
    for key in shot.keys:
        with key.path.open("rb") as file:
            found.add(probe(file)[1:3])
    return found


# The sequencer ------------------------------------------------------------------------------------


def test_marked_frames_of_a_sequence_are_keys_and_breakdowns(at: Stage) -> None:
    at.add(at.draw_keys(10), 101)
    mark(at, 101, 109, 500, breakdowns=(104,))
    shot = capture.survey(bpy.context)
    wanted = [("hop_0001.png", 101, False), ("hop_0004.png", 104, True)]
    assert keys(shot) == [*wanted, ("hop_0009.png", 109, False)]
    assert shot.take is None
    assert shot.notes == ("Keys: the drawings under 3 marked frames",)


def test_marks_that_are_keys_go_before_timeline_markers(at: Stage) -> None:
    at.add(at.draw_keys(10), 1)
    at.scene.timeline_markers.new("m", frame=5)
    mark(at, 2, 4)
    assert frames(capture.survey(bpy.context)) == [(2, False), (4, False)]
    sources_of(at.scene).strip_times = "MARKERS"
    at.scene.timeline_markers.new("n", frame=9)
    assert frames(capture.survey(bpy.context)) == [(5, False), (9, False)]


def test_a_breakdown_marked_on_a_strip_makes_that_strip_a_breakdown(at: Stage) -> None:
    at.add_keys(1, 7, 12)
    mark(at, breakdowns=(7,))
    assert frames(capture.survey(bpy.context)) == [(1, False), (7, True), (12, False)]


def test_a_marked_breakdown_joins_the_markers(at: Stage) -> None:
    at.add(at.draw_keys(10), 1)
    for frame in (1, 9):
        at.scene.timeline_markers.new("m", frame=frame)
    mark(at, breakdowns=(5,))
    assert frames(capture.survey(bpy.context)) == [(1, False), (5, True), (9, False)]


def test_under_marks_the_uppermost_of_several_strips_counts(at: Stage) -> None:
    at.add(at.draw_keys(4, "low"), 1)
    upper = at.add(at.draw_keys(2, "up"), 3, channel=2)
    mark(at, 1, 3)
    shot = capture.survey(bpy.context)
    assert shot.keys[1].path.parent == Path(upper.directory)
    assert shot.channel == 2


def test_a_single_mark_asks_for_more(at: Stage) -> None:
    at.add(at.draw_keys(10), 1)
    mark(at, 5)
    with pytest.raises(TooFewKeys, match="has 1 marked frame on it") as caught:
        capture.survey(bpy.context)
    assert "Mark Key at Playhead" in caught.value.fix


def test_a_frame_list_names_the_keys(at: Stage) -> None:
    at.add(at.draw_keys(20), 1)
    wanted = sources_of(at.scene)
    wanted.strip_times, wanted.frame_list = "LIST", "1, 9-17/4, 900"
    found = frames(capture.survey(bpy.context))
    assert [frame for frame, _ in found] == [1, 9, 13, 17]
    for text, words in (("1, x", "'x'"), ("9-1", "9-1"), ("1-2/0", "1-2/0"), ("1-9999999", "1000")):
        wanted.frame_list = text
        with pytest.raises(BadInput, match=words):
            capture.survey(bpy.context)


def test_what_is_taken_from_strips_is_said(at: Stage) -> None:
    at.add_keys(1, 7)
    assert capture.survey(bpy.context).source == (
        "Source pixels of 2 image strips; transforms and crops are left to Blender"
    )


def other_scene(at: Stage) -> Any:
    scene = small(bpy.data.scenes.new("set"))
    scene.render.engine = "BLENDER_WORKBENCH"
    add_camera(scene)
    add_block(scene)
    return scene


def test_frames_of_a_scene_strip_are_rendered_when_they_are_taken(at: Stage) -> None:
    strip = at.strips.new_scene(name="set", scene=other_scene(at), channel=1, frame_start=1)
    strip.select = True
    mark(at, 1, 11)
    made = taken(capture.survey(bpy.context), at.folder)
    assert sizes(made) == {(96, 54)}
    assert not np.array_equal(*[pixels(key.path) for key in made.keys])


def test_frames_of_a_meta_strip_are_taken_as_they_are_composed(at: Stage) -> None:
    small(at.scene)
    meta = at.strips.new_meta(name="meta", channel=5, frame_start=1)
    paths = at.draw_keys(2, width=96, height=54)
    group(meta, [at.add(path, frame) for frame, path in enumerate(paths, start=1)], 2)
    meta.select = True
    mark(at, 1, 2)
    made = taken(capture.survey(bpy.context), at.folder)
    assert [int(pixels(key.path)[0, 0, 0]) for key in made.keys] == [100, 101]


def test_frames_of_a_movie_strip_have_the_movies_size(at: Stage) -> None:
    strip = at.strips.new_movie(
        name="clip", filepath=str(write_movie(at)), channel=1, frame_start=5, fit_method="ORIGINAL"
    )
    strip.select = True
    mark(at, 5, 8)
    made = taken(capture.survey(bpy.context), at.folder)
    assert sizes(made) == {(96, 54)}
    assert not np.array_equal(*[pixels(key.path) for key in made.keys])
    assert "1 movie strip;" in made.source


def test_a_speed_effect_is_left_aside_with_a_word_unless_it_is_in_a_meta_strip(at: Stage) -> None:
    small(at.scene)
    strip = at.strips.new_movie(
        name="clip", filepath=str(write_movie(at)), channel=1, frame_start=1, fit_method="ORIGINAL"
    )
    long = {"length": 10} if bpy.app.version >= (5, 0) else {"frame_end": 11}
    given = {"name": "double", "type": "SPEED", "channel": 2, "frame_start": 1}
    effect = at.strips.new_effect(**given, input1=strip, **long)
    effect.speed_control, effect.speed_factor, effect.select = "MULTIPLY", 2.0, False
    strip.select = True
    mark(at, 1, 4, 7)
    shot = capture.survey(bpy.context)
    assert [note for note in shot.notes if "without its Speed effect" in note] != []
    plain = [pixels(key.path)[20, 20, 0] for key in taken(shot, at.folder / "plain").keys]
    meta = at.strips.new_meta(name="both", channel=5, frame_start=1)
    group(meta, [strip], 10)  # its effect comes with it
    strip.select, meta.select = False, True
    shot = capture.survey(bpy.context)
    assert not [note for note in shot.notes if "Speed" in note]
    fast = [pixels(key.path)[20, 20, 0] for key in taken(shot, at.folder / "fast").keys]
    assert abs(plain[0] - fast[0]) < 3
    assert abs(plain[2] - fast[1]) < 3


def write_movie(at: Stage) -> Path:
    scene = small(bpy.data.scenes.new("movie"))
    colour_clip(scene)
    scene.frame_start, scene.frame_end = 1, 10
    settings = scene.render.image_settings
    if hasattr(settings, "media_type"):
        settings.media_type = "VIDEO"
    settings.file_format = "FFMPEG"
    scene.render.ffmpeg.format, scene.render.ffmpeg.codec = "MPEG4", "H264"
    scene.render.filepath = str(at.folder / "clip.mp4")
    scene.render.use_file_extension = False
    with bpy.context.temp_override(scene=scene):
        bpy.ops.render.render(animation=True)
    bpy.data.scenes.remove(scene)
    return at.folder / "clip.mp4"


def bmp(path: Path, grey: int) -> Path:
    """An 8 x 4 picture of one grey and a red corner."""
    rows = bytearray(bytes([grey]) * (8 * 3) * 4)
    rows[:3] = bytes((0, 0, 255))  # the lower left, blue first
    size = 54 + len(rows)
    head = b"BM" + size.to_bytes(4, "little") + bytes(4) + (54).to_bytes(4, "little")
    head += (40).to_bytes(4, "little") + (8).to_bytes(4, "little") + (4).to_bytes(4, "little")
    head += b"\1\0\x18\0" + bytes(24)
    path.write_bytes(head + bytes(rows))
    return path


def test_a_picture_that_backends_do_not_read_becomes_the_same_png(at: Stage) -> None:
    at.add(bmp(at.folder / "a.bmp", 40), 1)
    at.add(bmp(at.folder / "b.bmp", 250), 9)
    made = taken(capture.survey(bpy.context), at.folder)
    for key, grey in zip(made.keys, (40, 250), strict=True):
        with key.path.open("rb") as file:
            assert probe(file)[:4] == ("PNG", 8, 4, 8)
        wanted = np.full((4, 8, 3), grey, np.uint8)
        wanted[3, 0] = (255, 0, 0)
        assert np.array_equal(pixels(key.path)[..., :3], wanted)


def test_a_picture_that_cannot_be_written_without_loss_is_refused(at: Stage) -> None:
    scene = at.scene
    image = bpy.data.images.new("deep", 8, 4, float_buffer=True)
    image.file_format = "TIFF"
    scene.render.image_settings.file_format = "TIFF"
    scene.render.image_settings.color_depth = "16"
    for name in ("a.tif", "b.tif"):
        image.save_render(str(at.folder / name), scene=scene)
    at.add(at.folder / "a.tif", 1)
    at.add(at.folder / "b.tif", 9)
    shot = capture.survey(bpy.context)
    with pytest.raises(BadImage, match=r"a\.tif is a TIF file with more than 8 bits") as caught:
        taken(shot, at.folder)
    assert "PNG or EXR" in caught.value.fix


# The Image Editor ---------------------------------------------------------------------------------


def sequence(at: Stage, count: int, start: int = 1) -> Any:
    paths = at.draw_keys(count)
    image = bpy.data.images.load(str(paths[0]))
    image.source = "SEQUENCE"
    return image, paths


def show_sequence(space: Any, image: Any, start: int, count: int) -> None:
    space.image = image
    space.image_user.frame_start = start
    space.image_user.frame_duration = count
    space.image_user.frame_offset = 0


def test_the_marked_files_of_an_image_sequence_are_keys(at: Stage) -> None:
    image, paths = sequence(at, 10)
    mark(at, 101, 110, 111, breakdowns=(105,))
    with editor("IMAGE_EDITOR") as space:
        show_sequence(space, image, 101, 10)
        shot = capture.survey(bpy.context)
    assert [key.path for key in shot.keys] == [paths[0], paths[4], paths[9]]
    assert frames(shot) == [(101, False), (105, True), (110, False)]
    assert (shot.editor, shot.name, shot.take) == ("IMAGE", "hop", None)
    assert shot.colourspace == "sRGB"


def test_a_sequence_without_marks_says_what_to_press(at: Stage) -> None:
    image, _ = sequence(at, 3)
    with editor("IMAGE_EDITOR") as space:
        show_sequence(space, image, 1, 3)
        with pytest.raises(TooFewKeys, match="on frames 1 to 3") as caught:
            capture.survey(bpy.context)
    assert "Mark Key at Playhead" in caught.value.fix


def test_single_images_of_the_editor_are_keys_where_they_were_marked(at: Stage) -> None:
    first = bpy.data.images.load(str(at.draw_keys(1)[0]))
    painted = bpy.data.images.new("painted", 8, 4, alpha=True)
    values = np.linspace(0, 255, 128).round().astype(np.float32) / 255
    painted.pixels.foreach_set(values)
    with editor("IMAGE_EDITOR") as space:
        for frame, image in ((9, painted), (1, first)):
            space.image = image
            at.scene.frame_set(frame)
            assert bpy.ops.tweencel.mark_key() == {"FINISHED"}
        shot = capture.survey(bpy.context)
        assert frames(shot) == [(1, False), (9, False)]
        assert shot.keys[0].path == at.folder / "keys" / "hop_0001.png"
        assert shot.take is not None
        made = shot.take(at.folder / "new")
    shown = values.reshape(4, 8, 4)[::-1] * 255
    assert np.array_equal(pixels(made.keys[1].path), shown.round().astype(np.uint8))
    assert painted.file_format == "PNG"


def test_a_packed_image_gives_the_bytes_that_were_packed(at: Stage) -> None:
    paths = at.draw_keys(2)
    with editor("IMAGE_EDITOR") as space:
        for frame, path in enumerate(paths, start=1):
            image = bpy.data.images.load(str(path))
            image.pack()
            space.image = image
            at.scene.frame_set(frame * 10)
            bpy.ops.tweencel.mark_breakdown() if frame == 2 else bpy.ops.tweencel.mark_key()
        made = taken(capture.survey(bpy.context), at.folder)
    assert [key.path.read_bytes() for key in made.keys] == [p.read_bytes() for p in paths]
    assert frames(made) == [(10, False), (20, True)]


def test_an_empty_image_editor_says_what_to_do(at: Stage) -> None:
    with editor("IMAGE_EDITOR"):
        with pytest.raises(TooFewKeys, match="No image is a key") as caught:
            capture.survey(bpy.context)
        assert "Mark Key at Playhead" in caught.value.fix


# The 3D View --------------------------------------------------------------------------------------


def set_up(at: Stage) -> Any:
    scene = small(at.scene)
    scene.render.engine = "BLENDER_WORKBENCH"
    scene.render.film_transparent = True
    add_camera(scene)
    return scene


def activate(*things: Any) -> None:
    for thing in things:
        thing.select_set(True)
        bpy.context.view_layer.objects.active = thing


def test_the_scene_is_rendered_at_the_keyed_frames_of_the_active_object(at: Stage) -> None:
    scene = set_up(at)
    activate(add_block(scene))
    with editor("VIEW_3D"):
        shot = capture.survey(bpy.context)
        assert frames(shot) == [(1, False), (11, False)]
        assert shot.notes == ("Keys: 2 keyed frames of block",)
        assert shot.source.startswith("Renders of Scene with Workbench")
        made = taken(shot, at.folder)
    first, second = (pixels(key.path) for key in made.keys)
    assert first.shape == (54, 96, 4)
    assert first[..., 3].min() == 0
    assert first[..., 3].max() >= 250  # 4.5 gives 254
    assert not np.array_equal(first, second)


def test_marked_frames_go_before_keyed_ones(at: Stage) -> None:
    scene = set_up(at)
    activate(add_block(scene))
    mark(at, 3, 7, breakdowns=(5,))
    with editor("VIEW_3D"):
        assert frames(capture.survey(bpy.context)) == [(3, False), (5, True), (7, False)]
        sources_of(scene).view_times = "KEYED"
        assert frames(capture.survey(bpy.context)) == [(1, False), (11, False)]


def test_grease_pencil_drawings_are_taken_alone_with_alpha_at_their_keys(at: Stage) -> None:
    scene = set_up(at)
    drawn = add_drawing(scene)
    add_block(scene)
    activate(drawn)
    for layer in drawn.data.layers:
        layer.frames[1].keyframe_type = "BREAKDOWN"
    sources_of(scene).view_take = "DRAWINGS"
    with editor("VIEW_3D"):
        shot = capture.survey(bpy.context)
        assert frames(shot) == [(1, False), (5, True)]
        assert shot.name == "ink"
        made = taken(shot, at.folder)
        both = pixels(made.keys[0].path)
        sources_of(scene).view_layer = "left"
        left = pixels(taken(capture.survey(bpy.context), at.folder).keys[0].path)
    assert both[0, 0, 3] == 0
    assert (both[..., 1] > 200).any()
    assert not (left[..., 1] > 200).any()
    assert (left[..., 0] > 200).any()


def test_the_3d_view_says_what_is_missing(at: Stage) -> None:
    with editor("VIEW_3D"):
        with pytest.raises(BadInput, match="has no camera") as caught:
            capture.survey(bpy.context)
        assert "Add a camera" in caught.value.fix
        set_up(at)
        with pytest.raises(TooFewKeys, match="Scene has 0 markers"):
            capture.survey(bpy.context)
        sources_of(at.scene).view_take = "DRAWINGS"
        with pytest.raises(BadInput, match="No Grease Pencil object"):
            capture.survey(bpy.context)


def test_looking_renders_nothing_and_writes_nothing(at: Stage) -> None:
    scene = set_up(at)
    activate(add_block(scene))
    before = (scene.frame_current, len(bpy.data.images), sorted(at.folder.rglob("*")))
    with editor("VIEW_3D"):
        capture.survey(bpy.context)
    assert (scene.frame_current, len(bpy.data.images), sorted(at.folder.rglob("*"))) == before


# Masks and sketches -------------------------------------------------------------------------------


def planned(at: Stage, *key_frames: int, **look: int) -> tuple[Shot, Any]:
    at.add_keys(*key_frames, **look)
    shot = capture.survey(bpy.context)
    return shot, plan(shot, Wish())


def made_extras(at: Stage, shot: Shot, sheet: Any, sketches: bool = True) -> capture.Extras:
    return capture.extras(bpy.context, shot, sheet, at.folder / "x", sketches=sketches)


def test_without_a_choice_nothing_goes_with_the_keys(at: Stage) -> None:
    assert made_extras(at, *planned(at, 1, 5)) == ((), ())
    assert not (at.folder / "x").exists()


def painted_mask(at: Stage) -> None:
    """White on the left half, transparent below."""
    image = bpy.data.images.new("mask", 8, 4, alpha=True)
    values = np.zeros((4, 8, 4), np.float32)
    values[:, :4, :3] = 1
    values[2:, :, 3] = 1
    image.pixels.foreach_set(values.ravel())
    sources_of(at.scene).mask_image = image


def test_a_painted_image_is_one_mask_for_all(at: Stage) -> None:
    painted_mask(at)
    wanted = sources_of(at.scene)
    wanted.mask_kind = "IMAGE"
    shot, sheet = planned(at, 1, 5, 9)
    (mask,) = made_extras(at, shot, sheet).masks
    left = np.zeros((4, 8), np.uint8)
    left[:, :4] = 255
    assert np.array_equal(pixels(mask)[..., 0], left)
    wanted.mask_invert = True
    (mask,) = made_extras(at, shot, sheet).masks
    assert np.array_equal(pixels(mask)[..., 0], 255 - left)
    wanted.mask_invert, wanted.mask_kind = False, "ALPHA"
    (mask,) = made_extras(at, shot, sheet).masks
    assert pixels(mask)[..., 0].tolist() == [[255] * 8] * 2 + [[0] * 8] * 2


def test_a_mask_of_another_size_is_refused(at: Stage) -> None:
    painted_mask(at)
    sources_of(at.scene).mask_kind = "IMAGE"
    with pytest.raises(SizeMismatch, match="8 x 4 pixels"):
        made_extras(at, *planned(at, 1, 5, width=16, height=8))


def moving_mask() -> Any:
    mask = bpy.data.masks.new("mask")
    layer = mask.layers.new(name="box")
    spline = layer.splines.new()
    spline.use_cyclic = True
    spline.points.add(3)
    corners = ((0.1, 0.4), (0.1, 0.6), (0.3, 0.6), (0.3, 0.4))
    for point, place in zip(spline.points, corners, strict=True):
        point.co = point.handle_left = point.handle_right = place
    for frame, alpha in ((1, 1.0), (9, 0.0)):
        layer.alpha = alpha
        mask.keyframe_insert('layers["box"].alpha', frame=frame)
    return mask


def test_an_animated_mask_is_taken_on_the_frame_of_each_in_between(at: Stage) -> None:
    wanted = sources_of(at.scene)
    wanted.mask_kind, wanted.mask = "MASK", moving_mask()
    shot, sheet = planned(at, 1, 5, 9, width=96, height=54)
    made = made_extras(at, shot, sheet).masks
    brightest = [int(pixels(mask)[..., 0].max()) for mask in made]
    assert len(made) == sheet.total == 6
    assert brightest == sorted(brightest, reverse=True)
    assert brightest[0] > brightest[-1]
    wanted.mask_animated = False
    assert len(made_extras(at, shot, sheet).masks) == 1


def test_a_mask_that_stands_still_is_one_file(at: Stage) -> None:
    wanted = sources_of(at.scene)
    wanted.mask_kind, wanted.mask = "MASK", moving_mask()
    wanted.mask.animation_data_clear()
    assert len(made_extras(at, *planned(at, 1, 5, width=96, height=54)).masks) == 1


def test_a_grease_pencil_layer_is_a_mask(at: Stage) -> None:
    add_camera(small(at.scene))
    wanted = sources_of(at.scene)
    wanted.mask_kind, wanted.mask_object = "PENCIL", add_drawing(at.scene)
    wanted.mask_layer = "left"
    shot, sheet = planned(at, 1, 7, width=96, height=54)
    made = made_extras(at, shot, sheet).masks
    assert len(made) == 5
    assert {0, 255} <= set(np.unique(pixels(made[0])[..., 0]))
    moved = [np.array_equal(pixels(made[0]), pixels(mask)) for mask in made]
    assert moved == [True, True, True, False, False]  # the second drawing is on frame 5


def test_a_mask_that_is_not_chosen_is_asked_for(at: Stage) -> None:
    shot, sheet = planned(at, 1, 5)
    for kind in ("MASK", "PENCIL", "IMAGE", "ALPHA"):
        sources_of(at.scene).mask_kind = kind
        with pytest.raises(BadInput, match=r"No .* is chosen"):
            made_extras(at, shot, sheet)


def test_grease_pencil_sketches_lie_at_the_in_between_of_their_frame(at: Stage) -> None:
    add_camera(small(at.scene))
    wanted = sources_of(at.scene)
    wanted.guide_kind, wanted.guide_object = "PENCIL", add_drawing(at.scene)
    wanted.guide_strength = 0.5
    shot, sheet = planned(at, 1, 9, width=96, height=54)
    ((gap, t, path, strength),) = made_extras(at, shot, sheet).guides  # frame 1 is a key's
    assert (gap, t, strength) == (0, 0.5, 0.5)
    with path.open("rb") as file:
        assert probe(file)[1:3] == (96, 54)
    assert made_extras(at, shot, sheet, sketches=False).guides == ()


def test_image_strips_on_the_channel_of_sketches_are_sketches(at: Stage) -> None:
    shot, sheet = planned(at, 1, 5, 11)
    wanted = sources_of(at.scene)
    wanted.guide_kind, wanted.guide_channel = "STRIPS", 4
    path = at.draw_keys(1, "rough")[0]
    at.add(path, 8, channel=4)
    at.add(path, 30, channel=4)
    at.add(path, 2, channel=5)
    assert made_extras(at, shot, sheet).guides == ((1, 0.5, path, 1.0),)


@pytest.mark.parametrize("takes", [True, False])
def test_sketches_are_sent_to_an_engine_that_takes_them_and_to_no_other(
    at: Stage, takes: bool
) -> None:
    at.backend.engines = (sketching(at, takes),)
    at.connect()
    at.add_keys(1, 5, 11)
    wanted = sources_of(at.scene)
    wanted.guide_kind, wanted.guide_channel, wanted.guide_strength = "STRIPS", 4, 0.75
    path, weak = at.draw_keys(2, "rough")
    at.add(path, 8, channel=4).select = False
    strip = at.add(weak, 3, channel=4)
    strip.select, strip.blend_alpha = False, 0.5
    bpy.ops.tweencel.generate()
    at.pump(lambda: at.work.job.accepted)
    (submit,) = at.backend.said(Submit)
    task = submit.task
    if not takes:
        assert task.guides == ()
        return
    first, guide = task.guides
    assert (first.gap, first.t, first.strength) == (0, 0.5, 0.375)
    assert (guide.gap, guide.t, guide.strength) == (1, 0.5, 0.75)
    assert at.backend.store[guide.sketch] == path.read_bytes()


def sketching(at: Stage, takes: bool) -> EngineSpec:
    (engine,) = at.backend.engines
    can = msgspec.structs.replace(engine.can, sketches=takes)
    return msgspec.structs.replace(engine, can=can)


def test_a_sketch_between_in_betweens_that_move_takes_its_share_of_the_way(at: Stage) -> None:
    at.add_keys(1, 11)
    shot = capture.survey(bpy.context)
    sheet = plan(shot, Wish(fit=Fit.ROOM, count=4, step=1))
    assert place_of(6, shot, sheet) == (0, 0.5)
    assert place_of(1, shot, sheet) is None
    assert place_of(12, shot, sheet) is None
    assert slot_frames(sheet) == [2, 3, 4, 5]


# The panels and verbs -----------------------------------------------------------------------------


def draw(panel: Any) -> Recorder:
    layout = Recorder()
    panel.draw(SimpleNamespace(layout=layout), bpy.context)
    return layout


def test_the_panel_shows_what_is_taken_and_the_marks(at: Stage) -> None:
    at.add_keys(1, 7)
    mark(at, 3, breakdowns=(4,))
    drawn = draw(TWEENCEL_PT_source)
    assert "strip_times" in drawn.settings
    assert {"3", "4 b"} <= set(drawn.texts)
    bpy.ops.tweencel.unmark(frame=3)
    assert "3" not in draw(TWEENCEL_PT_source).texts
    assert "Source pixels of 2 image strips" in " ".join(draw(TWEENCEL_PT_source).texts)


@pytest.mark.parametrize(
    ("space", "setting"), [("IMAGE_EDITOR", "image_times"), ("VIEW_3D", "view_times")]
)
def test_each_editor_has_its_own_choice_of_frames(at: Stage, space: str, setting: str) -> None:
    with editor(space):
        assert setting in draw(TWEENCEL_PT_source).settings


def test_the_mask_panel_asks_only_for_what_its_kind_needs(at: Stage) -> None:
    assert draw(TWEENCEL_PT_mask).settings == ["mask_kind"]
    sources_of(at.scene).mask_kind = "MASK"
    assert draw(TWEENCEL_PT_mask).settings == [
        *("mask_kind", "mask", "mask_feather", "mask_invert", "mask_animated")
    ]
    sources_of(at.scene).mask_kind = "ALPHA"
    assert "mask_animated" not in draw(TWEENCEL_PT_mask).settings


@pytest.mark.parametrize("takes", [True, False])
def test_sketches_are_offered_only_by_engines_that_take_them(at: Stage, takes: bool) -> None:
    assert not TWEENCEL_PT_guides.poll(bpy.context), "without a backend nobody knows"
    at.backend.engines = (sketching(at, takes),)
    at.connect()
    assert TWEENCEL_PT_guides.poll(bpy.context) is takes
    assert draw(TWEENCEL_PT_guides).settings == ["guide_kind"]


def test_marks_are_made_at_the_playhead_changed_and_cleared(at: Stage) -> None:
    wanted = sources_of(at.scene)
    assert not bpy.ops.tweencel.clear_marks.poll()
    at.scene.frame_set(7)
    bpy.ops.tweencel.mark_key()
    bpy.ops.tweencel.mark_breakdown()
    assert [(one.frame, one.breakdown) for one in wanted.marks] == [(7, True)]
    bpy.ops.tweencel.clear_marks()
    assert len(wanted.marks) == 0


def test_marks_are_saved_with_the_file(at: Stage) -> None:
    mark(at, 3, breakdowns=(5,))
    path = at.save()
    bpy.ops.wm.open_mainfile(filepath=str(path))
    marks = sources_of(at.scene).marks
    assert [(one.frame, one.breakdown) for one in marks] == [(3, False), (5, True)]
