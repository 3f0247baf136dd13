# SPDX-License-Identifier: GPL-3.0-or-later
"""Results outside the sequencer: plane, camera background, compositor, reference, files alone."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bpy
import pytest
from bpy_extras.object_utils import world_to_camera_view
from mathutils import Vector

from blender_addon import generation, image_targets, live, results
from blender_addon.ledger import Stage as JobStage
from blender_addon.source_props import sources_of
from protocol.jobs import State
from tests.blender.stage import Stage, stage
from tests.blender.test_sources import editor
from tests.fakes.backend import png

PICTURES = ["PLANE", "CAMERA", "COMPOSITOR", "GP_REFERENCE"]
ALONE = ["PLANE", "GP_REFERENCE"]
"""Those that stand in the scene as objects of their own."""


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Stage]:
    with stage(tmp_path) as at:
        at.connect()
        add_camera(at)
        yield at


def add_camera(at: Stage) -> None:
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    at.scene.collection.objects.link(camera)
    at.scene.camera = camera


def generate(at: Stage, target: str, *frames: int) -> None:
    at.settings.target = target
    at.add_keys(*(frames or (5, 8)))
    assert bpy.ops.tweencel.generate() == {"FINISHED"}


def until_ended(at: Stage) -> JobStage:
    work = at.work
    at.pump(lambda: work.job.stage.ended)
    live.beat()
    return work.job.stage


def run_of(at: Stage) -> list[bytes]:
    """What lies in the run, one file a frame."""
    return [path.read_bytes() for path in sorted((at.work.folder.path / "exposed").iterdir())]


def image() -> Any:
    (made,) = [image for image in bpy.data.images if "tweencel_job" in image]
    return made


def user_of(at: Stage, target: str) -> Any:
    """What tells the shown image its time."""
    match target:
        case "PLANE":
            (plane,) = [o for o in bpy.data.objects if "tweencel_job" in o]
            nodes = plane.data.materials[0].node_tree.nodes
            return next(n.image_user for n in nodes if n.type == "TEX_IMAGE")
        case "CAMERA":
            return at.scene.camera.data.background_images[0].image_user
        case "COMPOSITOR":
            nodes = image_targets.compositor_of(at.scene).nodes
            return next(n for n in nodes if n.bl_idname == "CompositorNodeImage")
    (empty,) = [o for o in bpy.data.objects if "tweencel_job" in o]
    return empty.image_user


def everything() -> list[int]:
    kinds = (
        bpy.data.objects,
        bpy.data.meshes,
        bpy.data.materials,
        bpy.data.actions,
        bpy.data.node_groups,
    )
    # Blender makes a "Render Result" together with a compositor.
    images = [image for image in bpy.data.images if image.source != "VIEWER"]
    if bpy.app.version >= (5, 0):  # there `use_nodes` is always true and means nothing
        composited = [scene.compositing_node_group is not None for scene in bpy.data.scenes]
    else:
        composited = [scene.use_nodes for scene in bpy.data.scenes]
    return [len(images), *map(len, kinds), *map(int, composited)]


WHOLE = [png(grey=100), png(grey=1), png(grey=2), png(grey=101)]


@pytest.mark.parametrize("target", PICTURES)
def test_frames_come_where_they_were_asked_for(at: Stage, target: str) -> None:
    generate(at, target)
    assert until_ended(at) is JobStage.DONE
    assert run_of(at) == WHOLE
    user = user_of(at, target)
    assert (user.frame_start, user.frame_duration, user.frame_offset) == (5, 4, 0)
    assert not user.use_cyclic
    shown = image()
    assert Path(bpy.path.abspath(shown.filepath)) == at.work.folder.path / "exposed/hop_0001.png"
    assert (shown.source, shown.alpha_mode) == ("SEQUENCE", "STRAIGHT")
    assert shown.colorspace_settings.name == "sRGB"
    assert shown["tweencel_job"] == at.work.job.id
    assert shown["tweencel_generated"] == "kggk"
    assert "tweencel_open" not in shown
    assert not any("tweencel_job" in strip for strip in at.strips)


def test_just_the_files_touches_nothing_in_the_file(at: Stage) -> None:
    before = everything()
    generate(at, "FILES")
    assert until_ended(at) is JobStage.DONE
    assert run_of(at) == WHOLE
    assert everything() == before
    assert not any("tweencel_job" in strip for strip in at.strips)


@pytest.mark.parametrize("target", PICTURES)
def test_what_has_not_landed_is_shown_by_the_drawing_before(at: Stage, target: str) -> None:
    at.backend.automatic = False
    generate(at, target)
    first, last = png(grey=100), png(grey=101)
    assert run_of(at) == [first] * 3 + [last]
    at.pump(lambda: at.work.job.accepted)
    at.backend.move(at.work.job.id, State.RUNNING)
    at.backend.make(at.work.job.id)
    at.pump(lambda: len(at.work.made) == 1)
    live.beat()
    assert run_of(at) == [first, png(grey=1), png(grey=1), last]
    assert "tweencel_open" in image()


@pytest.mark.parametrize("target", PICTURES)
def test_a_job_that_made_nothing_leaves_nothing(at: Stage, target: str) -> None:
    at.backend.automatic = False
    before = everything()
    generate(at, target)
    at.pump(lambda: at.work.job.accepted)
    bpy.ops.tweencel.cancel(job=at.work.job.id)
    assert until_ended(at) is JobStage.CANCELLED
    assert everything() == before
    assert list((at.folder / "out").iterdir()) == []
    if target == "CAMERA":
        assert len(at.scene.camera.data.background_images) == 0


def test_drawings_that_are_held_have_a_file_for_each_frame(at: Stage) -> None:
    at.settings.step = 2
    generate(at, "PLANE", 1, 7)
    until_ended(at)
    first, one, two, last = WHOLE
    assert run_of(at) == [first, first, one, one, two, two, last]


def test_painting_in_the_run_never_touches_a_key(at: Stage) -> None:
    generate(at, "FILES")
    until_ended(at)
    run = sorted((at.work.folder.path / "exposed").iterdir())
    run[0].write_bytes(b"painted")
    assert (at.folder / "keys" / "hop_0001.png").read_bytes() == WHOLE[0]
    run[1].write_bytes(b"painted")
    assert (at.work.folder.path / at.work.made[0]).read_bytes() == b"painted"


@pytest.mark.parametrize("target", ALONE)
def test_what_stands_in_the_scene_is_hidden_before_its_first_frame(at: Stage, target: str) -> None:
    generate(at, target)
    (thing,) = [o for o in bpy.data.objects if "tweencel_job" in o]
    hidden = []
    for frame in (1, 4, 5, 8):
        at.scene.frame_set(frame)
        hidden.append((thing.hide_render, thing.hide_viewport))
    assert hidden == [(True, True)] * 2 + [(False, False)] * 2


def move_camera(at: Stage, kind: str = "PERSP") -> Any:
    camera = at.scene.camera
    camera.location, camera.rotation_euler = (3.0, -6.0, 2.0), (1.2, 0.1, 0.4)
    camera.data.type, camera.data.shift_x = kind, 0.1
    at.scene.render.resolution_x, at.scene.render.resolution_y = 80, 40
    bpy.context.view_layer.update()
    return camera


def corners(at: Stage, target: str) -> list[tuple[float, float, float]]:
    """Where the picture's corners are in the camera's picture: 0 to 1, and the distance."""
    (thing,) = [o for o in bpy.data.objects if "tweencel_job" in o]
    bpy.context.view_layer.update()
    if target == "PLANE":
        own = [vertex.co for vertex in thing.data.vertices]
    else:
        half = thing.empty_display_size / 2
        own = [Vector((x * half, y * half / 2, 0)) for x in (-1, 1) for y in (-1, 1)]
    places = [thing.matrix_world @ corner for corner in own]
    seen = [world_to_camera_view(at.scene, at.scene.camera, place) for place in places]
    return [tuple(round(value, 3) for value in corner) for corner in seen]


@pytest.mark.parametrize("target", ALONE)
@pytest.mark.parametrize("kind", ["PERSP", "ORTHO"])
def test_a_picture_may_fill_the_cameras_view_and_goes_along_with_it(
    at: Stage, target: str, kind: str
) -> None:
    camera = move_camera(at, kind)
    at.scene.cursor.location = (0, 0, 1)
    at.settings.standing = "FILLING"
    generate(at, target)  # the keys have twice as many pixels across
    for _ in range(2):
        seen = corners(at, target)
        assert sorted({corner[:2] for corner in seen}) == [(0, 0), (0, 1), (1, 0), (1, 1)]
        assert len({corner[2] for corner in seen}) == 1
        camera.location.x += 1


@pytest.mark.parametrize("target", ALONE)
def test_a_picture_may_face_the_camera_at_the_cursor(at: Stage, target: str) -> None:
    move_camera(at)
    at.scene.cursor.location = (0.5, 0, 1)
    at.settings.standing = "FACING"
    generate(at, target)
    seen = corners(at, target)
    assert len({corner[2] for corner in seen}) == 1, "all corners are equally far away"
    (thing,) = [o for o in bpy.data.objects if "tweencel_job" in o]
    assert tuple(thing.location) == (0.5, 0, 1)


def test_without_a_camera_no_picture_can_face_it(at: Stage) -> None:
    at.scene.camera = None
    at.settings.standing = "FACING"
    at.settings.target = "PLANE"
    at.add_keys(5, 8)
    with pytest.raises(RuntimeError, match="no camera that the picture could face"):
        bpy.ops.tweencel.generate()


@pytest.mark.parametrize(
    ("space", "target"),
    [("SEQUENCE_EDITOR", "VSE"), ("VIEW_3D", "CAMERA"), ("IMAGE_EDITOR", "IMAGE")],
)
def test_the_usual_result_suits_the_editor(at: Stage, space: str, target: str) -> None:
    assert at.settings.target == "AUTO"
    with editor(space):
        assert generation.target_in(bpy.context) == target
        at.settings.target = "FILES"
        assert generation.target_in(bpy.context) == "FILES"


def test_an_image_alone_is_kept_until_it_is_used(at: Stage) -> None:
    generate(at, "IMAGE")
    assert until_ended(at) is JobStage.DONE
    name = image().name
    bpy.ops.wm.open_mainfile(filepath=str(at.save()))
    assert image().name == name
    assert run_of(at) == WHOLE


def test_renders_of_the_3d_view_lie_before_the_scene_and_can_be_made_again(at: Stage) -> None:
    at.scene.render.engine = "BLENDER_WORKBENCH"
    at.scene.render.resolution_x, at.scene.render.resolution_y = 64, 36
    sources_of(at.scene).view_times, sources_of(at.scene).frame_list = "LIST", "1, 4"
    with editor("VIEW_3D") as space:
        assert bpy.ops.tweencel.generate() == {"FINISHED"}
        assert until_ended(at) is JobStage.DONE
        (back,) = at.scene.camera.data.background_images
        assert (back.image, back.display_depth) == (image(), "FRONT")
        space.region_3d.view_perspective = "CAMERA"
        assert results.chosen(bpy.context).owner == image()


def test_a_key_that_is_painted_over_is_seen_in_the_run(at: Stage) -> None:
    generate(at, "PLANE")
    assert until_ended(at) is JobStage.DONE
    key = at.work.order.keys[1]
    key.write_bytes(png(grey=222))
    at.pump(lambda: run_of(at)[3] == png(grey=222), 10)
    assert run_of(at)[:3] == WHOLE[:3]
    key.unlink()
    time.sleep(1.1)
    live.beat()
    assert run_of(at)[3] == png(grey=222), "a key that is away for a moment stays shown"


def test_a_plane_is_hidden_before_its_first_frame_and_a_cycle_never(at: Stage) -> None:
    generate(at, "PLANE")
    (plane,) = [o for o in bpy.data.objects if "tweencel_job" in o]
    hidden = []
    for frame in (4, 5, 30):
        at.scene.frame_set(frame)
        hidden.append((plane.hide_render, plane.hide_viewport))
    assert hidden == [(True, True), (False, False), (False, False)]


@pytest.mark.parametrize("repeat", ["cycle", "ping_pong"])
def test_what_repeats_goes_round(at: Stage, repeat: str) -> None:
    at.settings.repeat = repeat
    generate(at, "PLANE")
    until_ended(at)
    assert user_of(at, "PLANE").use_cyclic
    (plane,) = [o for o in bpy.data.objects if "tweencel_job" in o]
    assert plane.animation_data is None


def test_without_a_camera_nothing_is_made(at: Stage) -> None:
    at.scene.camera = None
    at.settings.target = "CAMERA"
    at.add_keys(5, 8)
    with pytest.raises(RuntimeError, match=r"no camera.*Add a camera"):
        bpy.ops.tweencel.generate()
    assert not (at.folder / "out").exists()


@pytest.mark.parametrize("target", PICTURES)
def test_a_reopened_file_goes_on_with_its_running_job(at: Stage, target: str) -> None:
    at.backend.automatic = False
    generate(at, target)
    job = at.work.job.id
    at.pump(lambda: at.work.job.accepted)
    at.backend.move(job, State.RUNNING)
    at.backend.make(job)
    at.pump(lambda: len(at.work.made) == 1)
    path = at.save()
    at.live.close()
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    live._live = live.Live(at.backend.connect, at.folder / "jobs")
    bpy.ops.wm.open_mainfile(filepath=str(path))
    at.connect()
    at.backend.make(job)
    at.backend.move(job, State.DONE)
    assert until_ended(at) is JobStage.DONE
    assert run_of(at) == WHOLE
    assert image()["tweencel_job"] == job
    assert "tweencel_open" not in image()


@pytest.mark.parametrize("target", PICTURES)
def test_an_undo_takes_the_result_away_and_a_redo_brings_it_back(at: Stage, target: str) -> None:
    at.settings.target = target
    at.add_keys(5, 8)
    bpy.ops.ed.undo_push(message="keys")
    assert bpy.ops.tweencel.generate() == {"FINISHED"}
    bpy.ops.ed.undo_push(message="generated")
    until_ended(at)
    bpy.ops.ed.undo()
    assert [i for i in bpy.data.images if "tweencel_job" in i] == []
    bpy.ops.ed.redo()
    assert image()["tweencel_job"] == at.work.job.id
    live.beat()


def test_the_plane_shows_each_drawing_on_its_frame(at: Stage) -> None:
    generate(at, "PLANE")
    until_ended(at)
    scene = at.scene
    for strip in list(at.strips):
        at.strips.remove(strip)
    camera = scene.camera
    camera.data.type, camera.data.ortho_scale = "ORTHO", 0.1
    camera.location, camera.rotation_euler = (0, -2, 0), (1.5707963, 0, 0)
    scene.render.engine, scene.cycles.samples = "CYCLES", 1
    scene.cycles.use_denoising = False
    scene.view_settings.view_transform = "Standard"
    scene.render.dither_intensity = 0.0
    scene.render.resolution_x = scene.render.resolution_y = 4
    scene.render.resolution_percentage = 100
    scene.render.film_transparent = True
    assert [grey(at, frame) for frame in (4, 5, 6, 7, 8)] == [0, 100, 1, 2, 101]


def grey(at: Stage, frame: int) -> int:
    at.scene.frame_set(frame)
    at.scene.render.filepath = str(at.folder / f"render_{frame}.png")
    bpy.ops.render.render(write_still=True)
    made = bpy.data.images.load(at.scene.render.filepath)
    value = round(made.pixels[0] * 255)
    bpy.data.images.remove(made)
    return value


@pytest.mark.parametrize("target", PICTURES)
def test_a_project_that_is_moved_keeps_its_pictures(at: Stage, target: str) -> None:
    at.settings.folder = "//out"
    at.save()
    generate(at, target)
    until_ended(at)
    assert image().filepath.startswith("//")
    assert image()["tweencel_provenance"].startswith("//")


def test_a_file_saved_in_mid_job_is_mended_when_nobody_follows_the_job(at: Stage) -> None:
    at.backend.automatic = False
    generate(at, "PLANE")
    job = at.work.job.id
    at.pump(lambda: at.work.job.accepted)
    path = at.save()
    at.backend.move(job, State.RUNNING)
    at.backend.make(job)
    at.backend.make(job)
    at.backend.move(job, State.DONE)
    until_ended(at)
    at.live.dismiss(job)
    bpy.ops.wm.open_mainfile(filepath=str(path))
    assert "tweencel_open" not in image()
    assert [one for one in bpy.data.objects if "tweencel_open" in one] == []
