# SPDX-License-Identifier: GPL-3.0-or-later
"""Scenes, Grease Pencil drawings, movie, scene and meta strips become picture files."""

from __future__ import annotations

import warnings
from operator import attrgetter
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest

from blender_addon import footage, keyframes, renders, vse
from protocol.errors import BadInput
from protocol.pictures import probe

SIZE = (96, 54)
COLOURS = [(round(0.1 * i, 2), round(0.05 * i, 2), round(1 - 0.1 * i, 2)) for i in range(10)]


@pytest.fixture(autouse=True)
def empty() -> None:
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)


def small(scene: Any) -> Any:
    scene.render.resolution_x, scene.render.resolution_y = SIZE
    scene.render.fps = 24
    return scene


def add_camera(scene: Any, place: tuple[float, float, float] = (0, 0, 5)) -> Any:
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    camera.location = place
    scene.collection.objects.link(camera)
    scene.camera = scene.camera or camera
    return camera


def add_block(scene: Any) -> Any:
    mesh = bpy.data.meshes.new("block")
    corners = [(-0.5, -0.5, 0), (0.5, -0.5, 0), (0.5, 0.5, 0), (-0.5, 0.5, 0)]
    mesh.from_pydata(corners, [], [range(4)])
    block = bpy.data.objects.new("block", mesh)
    scene.collection.objects.link(block)
    for frame, x in ((1, -1.0), (11, 1.0)):
        block.location.x = x
        block.keyframe_insert("location", index=0, frame=frame)
    return block


def add_drawing(scene: Any, name: str = "ink") -> Any:
    """Two layers: a red square on the left (frames 1 and 5), a green one on the right."""
    new = bpy.app.version >= (5, 0)
    kind = bpy.data.grease_pencils if new else bpy.data.grease_pencils_v3
    data = kind.new(name)
    drawn = bpy.data.objects.new(name, data)
    scene.collection.objects.link(drawn)
    for number, (layer_name, colour) in enumerate(
        (("left", (1, 0, 0, 1)), ("right", (0, 1, 0, 1)))
    ):
        look = bpy.data.materials.new(layer_name)
        bpy.data.materials.create_gpencil_data(look)
        if bpy.app.version < (5, 1):  # later the stroke says it
            look.grease_pencil.show_fill, look.grease_pencil.show_stroke = True, False
        look.grease_pencil.fill_color = colour
        data.materials.append(look)
        layer = data.layers.new(layer_name)
        layer.use_lights = False
        for frame, lift in ((1, 0.0), (5, 0.5)):
            key = layer.frames.new(frame)
            square(key.drawing, -1.2 + 1.4 * number, lift, number)
    return drawn


def square(drawing: Any, x: float, y: float, material: int) -> None:
    drawing.add_strokes([4])
    stroke = drawing.strokes[0]
    stroke.cyclic = True
    stroke.material_index = material
    if hasattr(stroke, "fill_id"):
        stroke.fill_id, stroke.hide_stroke = 1, True
    corners = [(x, y - 0.5), (x + 1, y - 0.5), (x + 1, y + 0.5), (x, y + 0.5)]
    for point, (px, py) in zip(stroke.points, corners, strict=True):
        point.position = (px, py, 0)
        point.radius = 0.01
        point.opacity = 1


def colour_clip(scene: Any, channel: int = 1, start: int = 1) -> None:
    for number, colour in enumerate(COLOURS):
        begin = start + number
        named = {"name": f"c{number}", "type": "COLOR", "channel": channel, "frame_start": begin}
        strips = scene.sequence_editor_create().strips
        if bpy.app.version >= (5, 0):
            strip = strips.new_effect(**named, length=1)
        else:
            strip = strips.new_effect(**named, frame_end=begin + 1)
        strip.color = colour


@pytest.fixture
def movie(tmp_path: Path) -> Path:
    """Ten frames, each of its own colour; the fourth is half transparent. Lossless."""
    scene = small(bpy.data.scenes.new("movie"))
    scene.view_settings.view_transform = "Standard"
    colour_clip(scene)
    scene.sequence_editor.strips["c3"].blend_alpha = 0.5
    scene.frame_start, scene.frame_end = 1, 10
    settings = scene.render.image_settings
    if hasattr(settings, "media_type"):
        settings.media_type = "VIDEO"
    settings.file_format = "FFMPEG"
    scene.render.ffmpeg.format, scene.render.ffmpeg.codec = "QUICKTIME", "PNG"
    settings.color_mode = "RGBA"
    scene.render.dither_intensity = 0
    scene.render.filepath = str(tmp_path / "clip.mov")
    with bpy.context.temp_override(scene=scene):
        bpy.ops.render.render(animation=True)
    bpy.data.scenes.remove(scene)
    return tmp_path / "clip.mov"


def pixels(path: Path) -> Any:
    """(H, W, 4) uint8, first row on top."""
    image = bpy.data.images.load(str(path))
    flat = np.empty(len(image.pixels), np.float32)
    image.pixels.foreach_get(flat)
    width, height = image.size
    bpy.data.images.remove(image)
    return np.rint(flat.reshape(height, width, 4)[::-1] * 255).astype(int)


def centre(path: Path) -> list[int]:
    seen = pixels(path)
    return seen[seen.shape[0] // 2, seen.shape[1] // 2].tolist()


def eight_bit(colour: tuple[float, float, float], alpha: int = 255) -> list[int]:
    return [*(round(255 * value) for value in colour), alpha]


def near(seen: list[int], wanted: list[int]) -> bool:
    return max(abs(a - b) for a, b in zip(seen, wanted, strict=True)) <= 1


def middle(path: Path) -> float:
    """The column in the middle of what covers the picture."""
    columns = np.nonzero(pixels(path)[..., 3] > 127)[1]
    return (columns.min() + columns.max()) / 2


def everything() -> dict[str, Any]:
    """What must be the same after a render: datablocks, and every plain setting of all scenes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of what is only looked at
        return looked_at()


def looked_at() -> dict[str, Any]:
    every = [kind for kind in dir(bpy.data) if hasattr(getattr(bpy.data, kind), "foreach_get")]
    kinds = [kind for kind in every if kind != "all_ids"]
    state: dict[str, Any] = {
        kind: sorted(x.name for x in getattr(bpy.data, kind)) for kind in kinds
    }
    for scene in bpy.data.scenes:
        for owner in ("", "render", "render.image_settings", "view_settings", "display_settings"):
            thing = attrgetter(owner)(scene) if owner else scene
            for prop in thing.bl_rna.properties:
                if prop.type in ("INT", "FLOAT", "STRING", "BOOLEAN", "ENUM") and not (
                    prop.identifier.startswith("is_") or getattr(prop, "is_array", False)
                ):
                    state[f"{scene.name} {owner} {prop.identifier}"] = getattr(
                        thing, prop.identifier
                    )
        state[scene.name] = (scene.camera, len(scene.collection.all_objects))
    for drawn in bpy.data.objects:
        if drawn.type == "GREASEPENCIL":
            state[drawn.name] = [layer.hide for layer in drawn.data.layers]
    return state


def test_a_scene_is_rendered_with_its_engine_and_transparent_film(tmp_path: Path) -> None:
    scene = small(bpy.context.scene)
    add_camera(scene)
    add_block(scene)
    scene.render.engine = "BLENDER_WORKBENCH"
    scene.render.film_transparent = True
    made = list(renders.scene_frames(scene, [1, 1, 11], tmp_path, "block"))
    assert [one.frame for one in made] == [1, 11]
    first = pixels(made[0].path)
    assert first.shape == (54, 96, 4)
    assert (first[0, 0] == 0).all()
    assert middle(made[0].path) < 48 < middle(made[1].path)
    assert first[..., 3].max() >= 254


@pytest.mark.parametrize("transparent", [True, False])
def test_cycles_renders_keys_as_it_is_set(tmp_path: Path, transparent: bool) -> None:
    scene = small(bpy.context.scene)
    scene.render.resolution_x, scene.render.resolution_y = 64, 36
    add_camera(scene)
    add_block(scene)
    scene.render.engine = "CYCLES"
    scene.cycles.device, scene.cycles.samples, scene.cycles.use_denoising = "CPU", 16, False
    scene.view_settings.view_transform = "Standard"
    scene.world = bpy.data.worlds.new("grey")  # it lights the block, and is seen behind it
    scene.render.film_transparent = transparent
    made = [one.path for one in renders.scene_frames(scene, [1, 11], tmp_path, "block")]
    first, second = (pixels(path) for path in made)
    corner = (0, 0, 0, 0) if transparent else (63, 63, 63, 255)
    assert near(first[0, 0].tolist(), list(corner)), first[0, 0]
    assert first[..., 3].max() == 255
    assert not np.array_equal(first, second)
    if transparent:
        assert middle(made[0]) < 32 < middle(made[1])


def test_nothing_is_changed_by_a_render(tmp_path: Path) -> None:
    scene = small(bpy.context.scene)
    add_camera(scene)
    other = add_camera(scene, (1, 0, 5))
    marker = scene.timeline_markers.new("cut", frame=8)
    marker.camera = other
    add_drawing(scene)
    scene.render.engine = "BLENDER_WORKBENCH"
    settings = scene.render.image_settings
    if hasattr(settings, "media_type"):
        settings.media_type = "VIDEO"
    settings.file_format = "FFMPEG"
    scene.render.filepath = "//elsewhere/"
    scene.frame_set(3, subframe=0.25)
    before = everything()
    list(renders.scene_frames(scene, [9], tmp_path, "scene", standard=True))
    drawn = [scene.objects["ink"]]
    list(renders.grease_pencil_frames(scene, drawn, [1], tmp_path, "ink", layers=["left"]))
    assert everything() == before


def test_what_fails_leaves_nothing_changed(tmp_path: Path) -> None:
    scene = small(bpy.context.scene)
    drawn = add_drawing(scene)
    before = everything()
    with pytest.raises(BadInput, match="no camera"):
        list(renders.scene_frames(scene, [9], tmp_path, "scene"))
    with pytest.raises(BadInput, match="no camera"):
        list(renders.grease_pencil_frames(scene, [drawn], [1], tmp_path, "ink"))
    add_camera(scene)
    with pytest.raises(BadInput, match="no layer shadow"):
        list(renders.grease_pencil_frames(scene, [drawn], [1], tmp_path, "i", layers=["shadow"]))
    before |= {"cameras": ["Camera"], "objects": ["Camera", "ink"]}
    before[scene.name] = (scene.camera, 2)
    assert everything() == before


@pytest.mark.parametrize(
    ("file_format", "depth", "starts"),
    [("PNG", "16", b"\x89PNG"), ("OPEN_EXR", "16", b"\x76\x2f\x31\x01"), ("JPEG", "8", b"\x89PNG")],
)
def test_the_depth_that_the_scene_is_set_to_is_written(
    tmp_path: Path, file_format: str, depth: str, starts: bytes
) -> None:
    scene = small(bpy.context.scene)
    add_camera(scene)
    scene.render.engine = "BLENDER_WORKBENCH"
    scene.render.image_settings.file_format = file_format
    scene.render.image_settings.color_depth = depth
    (made,) = renders.scene_frames(scene, [1], tmp_path, "deep")
    assert made.path.read_bytes()[:4] == starts
    if starts == b"\x89PNG":
        with made.path.open("rb") as file:
            info = probe(file)
        assert (info.depth, info.channels) == (int(depth), "RGBA")


def test_a_marker_switches_the_camera_for_drawings_too(tmp_path: Path) -> None:
    scene = small(bpy.context.scene)
    add_camera(scene)
    scene.timeline_markers.new("one", frame=1).camera = scene.camera
    scene.timeline_markers.new("two", frame=4).camera = add_camera(scene, (1, 0, 5))
    drawn = add_drawing(scene)
    made = renders.grease_pencil_frames(scene, [drawn], [2, 4], tmp_path, "ink")
    first, second = (middle(one.path) for one in made)
    assert second < first - 5


def test_drawings_come_alone_with_alpha_and_layer_by_layer(tmp_path: Path) -> None:
    scene = small(bpy.context.scene)
    add_camera(scene)
    add_block(scene)
    drawn = add_drawing(scene)
    drawn.data.layers["right"].hide = True
    made = list(
        renders.grease_pencil_frames(
            scene, [drawn], [1, 5], tmp_path, "ink", layers=["left", "right"]
        )
    )
    assert [(one.frame, one.layer) for one in made] == [
        (1, "left"),
        (1, "right"),
        (5, "left"),
        (5, "right"),
    ]
    left, right, lifted, _ = (pixels(one.path) for one in made)
    assert set(map(tuple, left[left[..., 3] == 255])) == {(255, 0, 0, 255)}
    assert set(map(tuple, right[right[..., 3] == 255])) == {(0, 255, 0, 255)}
    assert (left[27, 48:] == 0).all(), "neither the other layer nor the block is seen"
    assert np.nonzero(lifted[..., 3])[0].min() < np.nonzero(left[..., 3])[0].min()
    (whole,) = renders.grease_pencil_frames(scene, [drawn], [1], tmp_path, "ink")
    assert (pixels(whole.path)[27, 48:] == 0).all(), "the artist has hidden it"


def test_drawings_keep_their_colours_whatever_light_falls_on_them(tmp_path: Path) -> None:
    scene = small(bpy.context.scene)
    add_camera(scene)
    drawn = add_drawing(scene)
    drawn.use_grease_pencil_lights = True
    for layer in drawn.data.layers:
        layer.use_lights = True
    light = bpy.data.lights.new("dim", "SUN")
    light.energy, light.color = 0.1, (0, 0, 1)
    scene.collection.objects.link(bpy.data.objects.new("dim", light))
    (made,) = renders.grease_pencil_frames(scene, [drawn], [1], tmp_path, "ink", layers=["left"])
    seen = pixels(made.path)
    assert set(map(tuple, seen[seen[..., 3] == 255])) == {(255, 0, 0, 255)}
    assert drawn.use_grease_pencil_lights


def test_line_art_is_refused_because_it_needs_the_other_objects(tmp_path: Path) -> None:
    scene = small(bpy.context.scene)
    add_camera(scene)
    drawn = add_drawing(scene)
    drawn.modifiers.new("lines", "LINEART")
    with pytest.raises(BadInput, match="Line Art"):
        list(renders.grease_pencil_frames(scene, [drawn], [1], tmp_path, "ink"))


def test_key_drawings_and_breakdowns_are_found() -> None:
    drawn = add_drawing(bpy.context.scene)
    extra = drawn.data.layers["left"].frames.new(3)
    extra.keyframe_type = "BREAKDOWN"
    hidden = drawn.data.layers.new("notes")
    hidden.frames.new(20)
    hidden.hide = True
    assert keyframes.grease_pencil_key_frames([drawn]) == [(1, False), (3, True), (5, False)]


def test_keys_of_an_object_and_its_shapes_are_found() -> None:
    block = add_block(bpy.context.scene)
    block.shape_key_add(name="Basis")
    block.shape_key_add(name="up").keyframe_insert("value", frame=6)
    bag = (
        block.animation_data.action.layers[0].strips[0].channelbag(block.animation_data.action_slot)
    )
    bag.fcurves[0].keyframe_points.insert(4, 0.0, keyframe_type="BREAKDOWN")
    bag.fcurves[0].keyframe_points.insert(5, 0.0, keyframe_type="JITTER")
    assert keyframes.keyed_frames(block) == [(1, False), (4, True), (6, False), (11, False)]
    assert keyframes.keyed_frames(bpy.data.objects.new("still", None)) == []


def add_movie(scene: Any, movie: Path, start: int, channel: int = 2) -> Any:
    strips = scene.sequence_editor_create().strips
    return strips.new_movie(
        name="clip", filepath=str(movie), channel=channel, frame_start=start, fit_method="FIT"
    )


def test_a_movie_frame_has_the_movies_size_and_colours(tmp_path: Path, movie: Path) -> None:
    scene = bpy.context.scene
    scene.render.fps = 24
    strip = add_movie(scene, movie, 5)
    colour_clip(scene, channel=3, start=5)  # above it: not to be seen
    strip.transform.rotation, strip.crop.min_x, strip.blend_alpha = 0.3, 20, 0.4
    scene.view_settings.exposure = 1
    before = everything()
    made = list(footage.strip_frames(scene, strip, [5, 8, 14], tmp_path, "clip"))
    assert everything() == before
    assert pixels(made[0].path).shape == (54, 96, 4)
    seen = [centre(one.path) for one in made]
    wanted = [eight_bit(COLOURS[0]), eight_bit(COLOURS[3], 128), eight_bit(COLOURS[9])]
    assert all(near(a, b) for a, b in zip(seen, wanted, strict=True)), seen


def group(meta: Any, strips: list[Any], length: int) -> None:
    for strip in strips:
        strip.move_to_meta(meta)
        if bpy.app.version < (5, 0):  # a touched strip tells its meta strip how long it is
            strip.frame_final_end = strip.frame_final_end
    if hasattr(meta, "right_handle"):
        meta.right_handle = meta.left_handle + length
    else:
        meta.frame_final_duration = length


def test_a_trimmed_reversed_movie_in_a_meta_strip_shows_its_frame(
    tmp_path: Path, movie: Path
) -> None:
    scene = bpy.context.scene
    scene.render.fps = 24
    strip = add_movie(scene, movie, 1)
    vse.trim_start(strip, 2)
    strip.use_reverse_frames = True
    meta = scene.sequence_editor.strips.new_meta(name="group", channel=4, frame_start=1)
    group(meta, [strip], 10)
    (made,) = footage.strip_frames(scene, strip, [4], tmp_path, "clip")
    assert near(centre(made.path), eight_bit(COLOURS[6])), centre(made.path)


RETIMINGS = {
    "fast": (("retiming_segment_speed_set", {"speed": 200.0}),),
    "slow": (("retiming_segment_speed_set", {"speed": 50.0}),),
    "from its middle on": (
        ("retiming_key_add", {"timeline_frame": 9}),
        ("retiming_segment_speed_set", {"speed": 150.0}),
    ),
    "frozen": (
        ("retiming_key_add", {"timeline_frame": 9}),
        ("retiming_freeze_frame_add", {"duration": 4}),
    ),
}


def edit(scene: Any, strip: Any) -> None:
    """Operators of the sequencer now work on the strip."""
    if hasattr(bpy.context.window.workspace, "sequencer_scene"):
        bpy.context.window.workspace.sequencer_scene = scene
    scene.sequence_editor.active_strip, strip.select = strip, True


@pytest.mark.parametrize("how", RETIMINGS)
@pytest.mark.parametrize("more", ["", "reversed", "trimmed"])
def test_a_retimed_movie_shows_the_frames_that_blender_shows(
    tmp_path: Path, movie: Path, how: str, more: str
) -> None:
    scene = small(bpy.context.scene)
    scene.view_settings.view_transform = "Standard"
    strip = add_movie(scene, movie, 5)
    edit(scene, strip)
    for name, given in RETIMINGS[how]:
        assert getattr(bpy.ops.sequencer, name)(**given) == {"FINISHED"}
    strip.use_reverse_frames = more == "reversed"
    if more == "trimmed":
        vse.trim_start(strip, 2)
    assert len(strip.retiming_keys) > 1
    frames = range(vse.begin(strip), vse.end(strip), 2)
    made = footage.strip_frames(scene, strip, frames, tmp_path, "clip")
    seen, wanted = [centre(one.path)[:3] for one in made], []
    for frame in frames:
        scene.frame_set(frame)
        bpy.ops.sequencer.refresh_all()  # 5.0+ takes half frames from what it has kept
        renders.still(scene, tmp_path / "reference.png", renders.Form(), sequencer=True)
        wanted.append(centre(tmp_path / "reference.png")[:3])
    assert all(near(a, b) for a, b in zip(seen, wanted, strict=True)), (seen, wanted)
    assert len({tuple(colour) for colour in seen}) > 1


def test_a_frame_beside_the_strip_is_refused(tmp_path: Path, movie: Path) -> None:
    scene = bpy.context.scene
    strip = add_movie(scene, movie, 5)
    with pytest.raises(BadInput, match="not on frame 4"):
        list(footage.strip_frames(scene, strip, [4], tmp_path, "clip"))


def test_a_meta_strip_is_shown_as_it_is_composed(tmp_path: Path) -> None:
    scene = small(bpy.context.scene)
    colour_clip(scene, channel=1)
    colour_clip(scene, channel=2, start=2)
    meta = scene.sequence_editor.strips.new_meta(name="group", channel=4, frame_start=1)
    group(meta, [s for s in scene.sequence_editor.strips if s.channel == 1], 10)
    meta.transform.offset_x = 40
    scene.sequence_editor.strips["c4.001"].mute = False  # above the group's own colours
    (made,) = footage.strip_frames(scene, meta, [5], tmp_path, "group")
    assert near(centre(made.path), eight_bit(COLOURS[4])), centre(made.path)
    assert pixels(made.path).shape == (54, 96, 4)


@pytest.mark.parametrize("kind", ["plain", "trimmed", "reversed", "stepped"])
def test_a_scene_strip_shows_the_frame_that_blender_shows(tmp_path: Path, kind: str) -> None:
    """The reference is the sequencer's own render of the same strip."""
    inner = small(bpy.data.scenes.new("inner"))
    inner.frame_start, inner.frame_end = 3, 12
    colour_clip(inner, start=3)
    scene = small(bpy.context.scene)
    scene.view_settings.view_transform = "Standard"
    strip = scene.sequence_editor_create().strips.new_scene(
        name="inner", scene=inner, channel=1, frame_start=20
    )
    strip.scene_input = "SEQUENCER"
    if kind == "trimmed":
        vse.trim_start(strip, 2)
    strip.use_reverse_frames = kind == "reversed"
    strip.strobe = 3 if kind == "stepped" else 1
    (made,) = footage.strip_frames(scene, strip, [25], tmp_path, "inner")
    scene.frame_set(25)
    renders.still(scene, tmp_path / "reference.png", renders.Form(), sequencer=True)
    assert near(centre(made.path), centre(tmp_path / "reference.png")), centre(made.path)
    assert centre(made.path)[3] == 255


def test_a_scene_strip_with_a_camera_is_rendered_through_it(tmp_path: Path) -> None:
    inner = small(bpy.data.scenes.new("inner"))
    inner.render.engine, inner.render.film_transparent = "BLENDER_WORKBENCH", True
    add_camera(inner)
    add_block(inner)
    inner.frame_start, inner.frame_end = 1, 11
    scene = small(bpy.context.scene)
    strip = scene.sequence_editor_create().strips.new_scene(
        name="inner", scene=inner, channel=1, frame_start=20
    )
    made = [one.path for one in footage.strip_frames(scene, strip, [20, 30], tmp_path, "inner")]
    assert middle(made[0]) < 40 < 56 < middle(made[1])
