# SPDX-License-Identifier: GPL-3.0-or-later
"""The result's strip: count, order, holds, look, channel, and the keys' own files."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import bpy
import pytest

from blender_addon import timeline
from blender_addon.shot import Key, Plan, Shot, Wish, plan, shown
from blender_addon.storage import Folder
from protocol.errors import NoRoom
from tests.blender.stage import Stage, shown_files, shown_names, span, stage
from tests.fakes.backend import png

LABEL = timeline.Label("a" * 32, "echo", "kggk")


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Stage]:
    with stage(tmp_path) as at:
        yield at


def shot_of(at: Stage, *frames: int) -> Shot:
    paths = at.add_keys(*frames)
    keys = tuple(Key(path, frame) for path, frame in zip(paths, frames, strict=True))
    return Shot("hop", keys, model="hop_0001.png")


def place(at: Stage, shot: Shot, wish: Wish | None = None) -> tuple[Plan, Folder, list[str]]:
    made = plan(shot, wish or Wish())
    folder = Folder.make(at.folder / "out", "hop")
    keys = timeline.key_names(shot, folder, made)
    names = shown(made.sheet, keys, {})
    timeline.place(at.scene, shot, made, folder, names, LABEL)
    return made, folder, keys


def picture(at: Stage, frame: int) -> list[int]:
    """The colour in the middle of a rendered frame."""
    return whole_picture(at, frame)[4 * 12 : 4 * 13]


def whole_picture(at: Stage, frame: int) -> list[int]:
    """A rendered frame of 8 x 4 pixels."""
    scene = at.scene
    scene.view_settings.view_transform = "Standard"
    scene.render.dither_intensity = 0.0
    scene.render.resolution_x, scene.render.resolution_y = 8, 4
    scene.render.resolution_percentage = 100
    scene.render.image_settings.file_format = "PNG"
    scene.render.image_settings.color_mode = "RGBA"
    scene.frame_set(frame)
    target = at.folder / f"render_{frame}.png"
    scene.render.filepath = str(target)
    bpy.ops.render.render(write_still=True)
    image = bpy.data.images.load(str(target))
    pixels = list(image.pixels)
    bpy.data.images.remove(image)
    return [round(value * 255) for value in pixels]


def test_the_strip_covers_exactly_the_shot(at: Stage) -> None:
    made, _, _ = place(at, shot_of(at, 1, 5, 8))
    assert span(at.result) == (made.start, made.end) == (1, 9)
    assert len(shown_names(at.result)) == 8


def test_until_frames_land_the_keys_are_seen(at: Stage) -> None:
    place(at, shot_of(at, 1, 5, 8))
    first, second, third = "hop_0001.png", "hop_0002.png", "hop_0003.png"
    assert shown_names(at.result) == [first] * 4 + [second] * 3 + [third]


def test_drawings_are_held_as_the_sheet_says(at: Stage) -> None:
    made, folder, keys = place(at, shot_of(at, 1, 9), Wish(step=2))
    names = shown(made.sheet, keys, {i: folder.frame_name(i + 1) for i in range(made.total)})
    for index in range(made.total):
        (folder.path / folder.frame_name(index + 1)).write_bytes(png(grey=index))
    timeline.show(LABEL.job, names)
    assert [name[-6:-4] for name in shown_names(at.result)] == (
        ["01", "01", "02", "02", "03", "03", "04", "04", "02"]
    )


def test_the_strip_is_drawn_over_with_straight_alpha_and_marked(at: Stage) -> None:
    place(at, shot_of(at, 1, 4))
    strip = at.result
    assert (strip.blend_type, strip.alpha_mode) == ("ALPHA_OVER", "STRAIGHT")
    assert strip.colorspace_settings.name == "sRGB"
    assert strip.color_tag != "NONE"
    assert (strip["tweencel_job"], strip["tweencel_engine"]) == (LABEL.job, "echo")
    assert strip["tweencel_generated"] == "kggk"
    assert strip["tweencel_provenance"].endswith("hop_v001/tweencel.json")
    assert not strip.select


def test_it_lies_on_the_keys_also_when_they_are_scaled_and_moved(at: Stage) -> None:
    shot = shot_of(at, 1, 4)
    model = at.strips["hop_0001.png"]
    model.transform.scale_x, model.transform.offset_y = 0.5, 40
    model.crop.min_x = 2
    model.use_flip_x = True
    place(at, shot)
    look = at.result
    assert (look.transform.scale_x, look.transform.offset_y, look.crop.min_x) == (0.5, 40, 2)
    assert look.use_flip_x


def test_it_takes_the_lowest_free_channel_above_the_keys(at: Stage) -> None:
    shot = shot_of(at, 10, 20)
    blocker = at.draw_keys(1, "other")[0]
    at.add(blocker, 20, channel=2)
    at.add(blocker, 21, channel=3)
    at.add(blocker, 9, channel=3)
    place(at, shot)
    assert at.result.channel == 3


def test_a_locked_channel_is_left_alone(at: Stage) -> None:
    shot = shot_of(at, 1, 4)
    at.scene.sequence_editor.channels[2].lock = True
    place(at, shot)
    assert at.result.channel == 3


def test_nothing_on_the_timeline_moves(at: Stage) -> None:
    shot = shot_of(at, 1, 5, 9)
    before = {strip.name: (*span(strip), strip.channel) for strip in at.strips}
    place(at, shot)
    after = {strip.name: (*span(strip), strip.channel) for strip in at.strips}
    assert {name: after[name] for name in before} == before


def test_without_a_free_channel_nothing_is_made(at: Stage) -> None:
    shot = shot_of(at, 1, 4)
    made = plan(shot, Wish())
    full = Shot("hop", shot.keys, channel=128)
    with pytest.raises(NoRoom, match="No channel above 128"):
        timeline.place(at.scene, full, made, Folder(at.folder, "x"), ["x"] * 4, LABEL)
    assert len(at.strips) == 2


def test_the_hidden_first_element_is_a_file_that_exists(at: Stage) -> None:
    _, folder, _ = place(at, shot_of(at, 1, 4))
    strip = at.result
    assert (folder.path / strip.elements[0].filename).is_file()
    assert Path(bpy.path.abspath(strip.directory)) == folder.path
    assert (strip.transform.scale_x, strip.transform.scale_y) == (1, 1)
    # Without a size Blender draws no thumbnails on the strip.
    assert (strip.elements[0].orig_width, strip.elements[0].orig_height) == (8, 4)
    assert [path.name for path in folder.path.iterdir()] == [strip.elements[0].filename]


def test_a_huge_picture_is_not_decoded_only_for_its_size(at: Stage) -> None:
    path = at.folder / "huge.png"
    path.write_bytes(png(width=8000, height=4000))
    shot = Shot("hop", (Key(path, 1), Key(at.draw_keys(1)[0], 4)))
    made = plan(shot, Wish())
    folder = Folder.make(at.folder / "out", "hop")
    names = shown(made.sheet, timeline.key_names(shot, folder, made), {})
    at.scene.sequence_editor_create()
    timeline.place(at.scene, shot, made, folder, names, LABEL)
    first = at.result.elements[0]
    assert first.orig_width == 2 * first.orig_height
    assert first.orig_width * first.orig_height < 270_000


@pytest.mark.parametrize("size", [(8, 4), (16, 16), (3, 5)])
def test_the_result_lies_pixel_for_pixel_on_its_key(at: Stage, size: tuple[int, int]) -> None:
    """Whatever its size, and after the file was opened again."""
    width, height = size
    path = at.folder / "key.png"
    path.write_bytes(png(grey=90, width=width, height=height))
    at.add(path, 1)
    other = at.folder / "other.png"
    other.write_bytes(png(grey=91, width=width, height=height))
    at.add(other, 4)
    shot = Shot("hop", (Key(path, 1), Key(other, 4)), model="key.png")
    key = whole_picture(at, 1)
    place(at, shot)
    for strip in at.strips:
        strip.mute = "tweencel_job" not in strip
    assert whole_picture(at, 1) == key
    bpy.ops.wm.open_mainfile(filepath=str(at.save()))
    assert whole_picture(at, 1) == key


def test_the_keys_are_the_original_files(at: Stage) -> None:
    shot = shot_of(at, 1, 4)
    place(at, shot)
    strip = at.result
    folder = bpy.path.abspath(strip.directory)
    paths = [os.path.normpath(os.path.join(folder, name)) for name in shown_files(strip)]
    assert paths == [str(shot.keys[0].path)] * 3 + [str(shot.keys[1].path)]


def test_blender_shows_the_keys_and_then_what_has_landed(at: Stage) -> None:
    made, folder, keys = place(at, shot_of(at, 1, 3))
    for strip in at.strips:
        strip.mute = "tweencel_job" not in strip
    assert [picture(at, frame)[0] for frame in (1, 2, 3)] == [100, 100, 101]
    (folder.path / "hop_0002.png").write_bytes(png(grey=7))
    timeline.show(LABEL.job, shown(made.sheet, keys, {0: "hop_0002.png"}))
    assert [picture(at, frame)[0] for frame in (1, 2, 3)] == [100, 7, 101]


@pytest.mark.parametrize("saved", [True, False])
def test_saving_moving_and_loading_the_file_keeps_every_picture(at: Stage, saved: bool) -> None:
    if saved:
        at.save()
    made, folder, keys = place(at, shot_of(at, 1, 3))
    (folder.path / "hop_0002.png").write_bytes(png(grey=7))
    timeline.show(LABEL.job, shown(made.sheet, keys, {0: "hop_0002.png"}))
    for strip in at.strips:
        strip.mute = "tweencel_job" not in strip
    if saved:
        assert at.result.directory.startswith("//")
    (at.folder / "deep" / "er").mkdir(parents=True)
    moved = at.folder / "deep" / "er" / "moved.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(moved), relative_remap=True)
    bpy.ops.wm.open_mainfile(filepath=str(moved))
    bpy.ops.file.make_paths_relative()
    assert [picture(at, frame)[0] for frame in (1, 2, 3)] == [100, 7, 101]
    assert shown_files(at.result)[0].startswith("../")


@pytest.mark.parametrize("obstacle", ["another drive", "a name too long"])
def test_a_key_that_cannot_be_referred_to_is_copied_byte_for_byte(
    at: Stage, monkeypatch: pytest.MonkeyPatch, obstacle: str
) -> None:
    def relpath(path: object, start: object) -> str:
        if obstacle == "another drive":
            raise ValueError("path is on mount 'D:'")
        return "../" * 100 + "key.png"

    monkeypatch.setattr("blender_addon.timeline.os.path.relpath", relpath)
    shot = shot_of(at, 1, 4)
    _, folder, keys = place(at, shot)
    assert keys == ["hop_0001.png", "hop_0004.png"]
    for key, name in zip(shot.keys, keys, strict=True):
        copy, original = (folder.path / name).read_bytes(), key.path.read_bytes()
        assert hashlib.sha256(copy).digest() == hashlib.sha256(original).digest()


def test_the_result_can_be_made_inside_an_open_meta_strip(at: Stage) -> None:
    at.strips.new_meta(name="meta", channel=5, frame_start=1)
    shot = shot_of(at, 1, 4)
    meta = at.strips["meta"]
    for strip in [s for s in at.strips if s.type == "IMAGE"]:
        strip.move_to_meta(meta)
    at.scene.sequence_editor.display_stack(meta)
    place(at, shot)
    assert [s.name for s in meta.strips if "tweencel_job" in s] == ["hop in-betweens"]
    timeline.show(LABEL.job, ["hop_0001.png"] * 4)
    timeline.remove(LABEL.job)
    assert not any("tweencel_job" in strip for strip in meta.strips)


def test_a_strip_that_was_cut_is_left_alone(at: Stage) -> None:
    place(at, shot_of(at, 1, 4))
    first = at.result
    other = at.strips.new_image(
        name="copy", filepath=str(at.folder / "keys" / "hop_0001.png"), channel=9, frame_start=1
    )
    other["tweencel_job"] = LABEL.job
    assert len(list(timeline.strips_of(LABEL.job))) == 2
    timeline.show(LABEL.job, ["a.png", "b.png", "c.png", "d.png"])
    assert shown_names(other) == ["hop_0001.png"]
    assert shown_names(first) == ["a.png", "b.png", "c.png", "d.png"]


@pytest.mark.parametrize(("transform", "warned"), [("Standard", False), ("AgX", True)])
def test_a_view_that_shifts_colours_is_told(at: Stage, transform: str, warned: bool) -> None:
    at.scene.view_settings.view_transform = transform
    assert bool(timeline.view_warning(at.scene)) is warned
