# SPDX-License-Identifier: GPL-3.0-or-later
"""Selected strips and markers become keys with their frames."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import bpy
import pytest

from blender_addon.capture import survey
from blender_addon.shot import Shot
from protocol.errors import MissingFile, TooFewKeys
from tests.blender.stage import Stage, stage


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Stage]:
    with stage(tmp_path) as at:
        yield at


def names(shot: Shot) -> list[tuple[str, int]]:
    return [(key.path.name, key.frame) for key in shot.keys]


def markers(at: Stage, *frames: int, select: bool = True) -> None:
    for frame in frames:
        at.scene.timeline_markers.new(f"m{frame}", frame=frame).select = select


def trim(strip: bpy.types.Strip, start: int, stop: int) -> None:
    if hasattr(strip, "left_handle"):
        strip.left_handle, strip.right_handle = start, stop
    else:
        strip.frame_final_start, strip.frame_final_end = start, stop


def test_each_selected_strip_is_a_key_on_its_first_frame(at: Stage) -> None:
    at.add_keys(12, 1, 7)
    shot = survey(bpy.context)
    assert names(shot) == [("hop_0002.png", 1), ("hop_0003.png", 7), ("hop_0001.png", 12)]
    assert (shot.name, shot.channel, shot.last_hold) == ("hop", 1, 1)


def test_the_files_are_those_of_the_strips(at: Stage) -> None:
    paths = at.add_keys(1, 7)
    assert [key.path for key in survey(bpy.context).keys] == paths


def test_strips_on_several_channels_belong_to_one_shot(at: Stage) -> None:
    paths = at.draw_keys(2)
    at.add(paths[0], 1, channel=3)
    at.add(paths[1], 5, channel=2)
    assert survey(bpy.context).channel == 3


def test_the_last_key_is_held_as_long_as_its_strip(at: Stage) -> None:
    at.add_keys(1, 7)
    trim(at.strips["hop_0002.png"], 7, 19)
    assert survey(bpy.context).last_hold == 12


def test_unselected_strips_are_not_looked_at(at: Stage) -> None:
    at.add_keys(1, 7, 12)
    at.strips["hop_0002.png"].select = False
    assert names(survey(bpy.context)) == [("hop_0001.png", 1), ("hop_0003.png", 12)]


def test_a_trimmed_strip_begins_where_it_is_first_seen(at: Stage) -> None:
    paths = at.draw_keys(5)
    strip = at.add(paths[:4], 10)
    trim(strip, 12, 14)
    at.add(paths[4], 20)
    shot = survey(bpy.context)
    assert names(shot) == [("hop_0003.png", 12), ("hop_0005.png", 20)]
    assert "its first is the key" in shot.notes[0]


def test_strips_without_images_are_left_aside_and_that_is_said(at: Stage) -> None:
    at.add_keys(1, 7)
    until = {"length": 4} if bpy.app.version >= (5, 0) else {"frame_end": 5}
    text = at.strips.new_effect(name="note", type="TEXT", channel=5, frame_start=1, **until)
    text.select = True
    shot = survey(bpy.context)
    assert len(shot.keys) == 2
    assert shot.notes == ("1 selected strip without images: left aside",)


def test_the_drawings_of_a_sequence_under_the_selected_markers_are_the_keys(at: Stage) -> None:
    at.add(at.draw_keys(10), 101)
    markers(at, 110, 101, 105)
    markers(at, 107, select=False)
    shot = survey(bpy.context)
    assert names(shot) == [("hop_0001.png", 101), ("hop_0005.png", 105), ("hop_0010.png", 110)]
    assert shot.notes == ("Keys: the drawings under 3 selected markers",)


def test_without_a_selected_marker_all_over_the_strip_count(at: Stage) -> None:
    at.add(at.draw_keys(10), 101)
    markers(at, 102, 104, 500, select=False)
    shot = survey(bpy.context)
    assert names(shot) == [("hop_0002.png", 102), ("hop_0004.png", 104)]
    assert "none is selected" in shot.notes[0]


def test_a_reversed_sequence_is_read_as_it_is_seen(at: Stage) -> None:
    at.add(at.draw_keys(4), 1).use_reverse_frames = True
    markers(at, 1, 4)
    assert names(survey(bpy.context)) == [("hop_0004.png", 1), ("hop_0001.png", 4)]


def test_the_last_key_of_a_sequence_is_held_while_its_drawing_is(at: Stage) -> None:
    at.add(at.draw_keys(4), 1, hold=3)
    markers(at, 1, 7)
    assert survey(bpy.context).last_hold == 3


def test_strips_in_an_open_meta_strip_are_found(at: Stage) -> None:
    at.strips.new_meta(name="meta", channel=5, frame_start=1)
    paths = at.add_keys(1, 7)
    meta = at.strips["meta"]
    for path in paths:
        at.strips[path.name].move_to_meta(meta)
    with pytest.raises(TooFewKeys):
        survey(bpy.context)
    at.scene.sequence_editor.display_stack(meta)
    assert len(survey(bpy.context).keys) == 2


def test_an_empty_scene_says_what_to_select(at: Stage) -> None:
    with pytest.raises(TooFewKeys, match="No image strip is selected") as caught:
        survey(bpy.context)
    assert "Select two or more image strips" in caught.value.fix


def test_a_single_drawing_is_one_key(at: Stage) -> None:
    at.add_keys(1)
    with pytest.raises(TooFewKeys, match="one drawing"):
        survey(bpy.context)


def test_a_sequence_without_markers_asks_for_them(at: Stage) -> None:
    at.add(at.draw_keys(4), 1)
    with pytest.raises(TooFewKeys, match="has 0 markers on it") as caught:
        survey(bpy.context)
    assert "Put a marker" in caught.value.fix
    markers(at, 2)
    with pytest.raises(TooFewKeys, match="has 1 selected marker on it"):
        survey(bpy.context)


def test_paths_relative_to_the_saved_file_lead_to_the_files(at: Stage) -> None:
    paths = at.add_keys(1, 7)
    at.save()
    bpy.ops.file.make_paths_relative()
    assert all(strip.directory.startswith("//") for strip in at.strips)
    assert [key.path for key in survey(bpy.context).keys] == paths


def test_a_relative_path_in_an_unsaved_file_is_said_so(at: Stage) -> None:
    at.add_keys(1, 7)
    at.strips[0].directory = "//keys/"
    with pytest.raises(MissingFile, match="not saved yet") as caught:
        survey(bpy.context)
    assert "Save the .blend file" in caught.value.fix
