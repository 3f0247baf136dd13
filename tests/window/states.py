# SPDX-License-Identifier: GPL-3.0-or-later
"""The states of which pictures are taken: a story, each begins where the one before it ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import bpy
import lake
import opened
from desk import Desk

KEY_FRAMES = (1, 7, 12, 19)
WIDTH = 380
SIDEBAR = {"": "sidebar"}


def nothing(desk: Desk) -> Iterator[float]:
    yield from ()


def at_once(desk: Desk) -> bool:
    return True


@dataclass(frozen=True)
class State:
    """`parts`: what to append to the picture's name, and what is on it: sidebar, area, window."""

    name: str
    act: Callable[[Desk], Iterator[float]] = nothing
    ready: Callable[[Desk], bool] = at_once
    parts: dict[str, str] = field(default_factory=lambda: dict(SIDEBAR))
    patience: float = 60.0


# --- what leads to them -------------------------------------------------------------------------


def open_sequencer(desk: Desk) -> Iterator[float]:
    scene = desk.scene
    scene.render.fps, scene.render.resolution_x, scene.render.resolution_y = 12, 1280, 720
    scene.view_settings.view_transform = "Standard"
    scene.frame_start, scene.frame_end = KEY_FRAMES[0], KEY_FRAMES[-1]
    scene.sequence_editor_create()
    if hasattr(desk.window.workspace, "sequencer_scene"):
        desk.window.workspace.sequencer_scene = scene
    bpy.ops.wm.save_as_mainfile(filepath=str(desk.work / "hop.blend"))
    yield 0.5
    yield from desk.one_area("SEQUENCE_EDITOR")
    desk.area.spaces.active.view_type = "SEQUENCER_PREVIEW"
    yield from desk.settle()
    yield from desk.sidebar(WIDTH)


def connect(desk: Desk) -> Iterator[float]:
    yield from desk.press("tweencel.start_backend")


def lay_keys(desk: Desk, size: str = "720") -> Iterator[float]:
    """The four keys on the timeline over paper, each held until the next, all selected."""
    strips = desk.scene.sequence_editor.strips
    for strip in list(strips):
        strips.remove(strip)
    ends = [*KEY_FRAMES[1:], KEY_FRAMES[-1] + 1]
    span = {"length": 19} if bpy.app.version >= (5, 0) else {"frame_end": 20}
    paper: Any = strips.new_effect(name="paper", type="COLOR", channel=1, frame_start=1, **span)
    paper.color = (0.96, 0.94, 0.89)
    paper.select = False
    for path, frame, end in zip(drawings(desk, size), KEY_FRAMES, ends, strict=True):
        strip = strips.new_image(
            name=path.name, filepath=bpy.path.relpath(str(path)), channel=2, frame_start=frame
        )
        strip.frame_final_duration = end - frame
        strip.blend_type = "ALPHA_OVER"
        strip.select = True
    yield from look_at_all(desk)


def drawings(desk: Desk, size: str) -> list[Path]:
    return sorted((desk.work / "keys" / size).glob("*.png"))


def look_at_all(desk: Desk) -> Iterator[float]:
    yield from desk.settle()
    with desk.override():
        bpy.ops.sequencer.view_all()
    with desk.override("PREVIEW"):
        bpy.ops.sequencer.view_all_preview()
    yield from desk.settle()


def want_weights(desk: Desk) -> Iterator[float]:
    """An engine whose weights nobody has downloaded."""
    bpy.context.preferences.system.use_online_access = True
    desk.settings.engine = "tooncrafter"
    yield from desk.settle()


def ask_for_weights(desk: Desk) -> Iterator[float]:
    """The dialog that shows their licence stays open."""
    yield from desk.scroll("WHEELUPMOUSE", 40)
    x, y = yield from desk.find("tweencel.fetch_weights")
    yield from desk.click(x, y)
    yield 1.0


def leave_weights(desk: Desk) -> Iterator[float]:
    yield from desk.rest()
    desk.settings.engine = ""
    yield from desk.settle()


def draw_charts(desk: Desk) -> Iterator[float]:
    """A gap of each kind: slow out, a curve of its own, on twos."""
    yield from opened.close(desk)
    desk.settings.spacing = "slow_out"
    yield from desk.press("tweencel.fit_gaps")
    first, second, _ = desk.settings.gaps
    first.own = second.own = True
    first.spacing, second.on = "custom", "2"
    line = bpy.data.node_groups[".Tweencel Charts"].nodes[-1].mapping
    line.curves[0].points.new(0.35, 0.7)
    line.update()
    yield from desk.settle()
    yield from desk.scroll("WHEELDOWNMOUSE", 40)
    yield from desk.rest()


def forget_charts(desk: Desk) -> None:
    desk.settings.spacing = "even"
    for gap in desk.settings.gaps:
        gap.own = False


def generate(desk: Desk) -> Iterator[float]:
    forget_charts(desk)
    yield from desk.press("tweencel.generate")
    yield from desk.wait(lambda: bool(desk.session.works), "a job")


def look_at_in_between(desk: Desk) -> Iterator[float]:
    yield from desk.wait(lambda: desk.job.stage.ended, "the job's end", 240)
    desk.print_times("720p with RIFE")
    for strip in desk.scene.sequence_editor.strips:
        strip.mute = strip.name.startswith("hop_")
    desk.scene.frame_set(4)
    yield from desk.settle()


def paint_over(desk: Desk) -> Iterator[float]:
    """A red stroke across one of the in-betweens; then their strip is selected."""
    work = next(reversed(desk.session.works.values()))
    image = bpy.data.images.load(str(work.folder.path / work.made[2]))
    width, height = image.size
    pixels = list(image.pixels)
    for y in range(height // 2 - 6, height // 2 + 6):
        start = 4 * (y * width + width // 3)
        pixels[start : start + 4 * (width // 3)] = [0.8, 0.1, 0.1, 1.0] * (width // 3)
    image.pixels = pixels
    image.save()
    bpy.data.images.remove(image)
    for strip in desk.scene.sequence_editor.strips:
        strip.select = "tweencel_job" in strip
    yield from desk.settle()
    yield from desk.scroll("WHEELDOWNMOUSE", 40)
    yield from desk.rest()
    yield 1.0


def make_again(desk: Desk) -> Iterator[float]:
    desk.times.clear()
    known = len(desk.session.works)
    yield from desk.press("tweencel.make_again")
    yield from desk.wait(lambda: len(desk.session.works) > known, "a job")
    yield from desk.wait(lambda: desk.job.stage.ended, "the job's end", 240)
    desk.print_times("720p with RIFE, made again")
    desk.scene.frame_set(4)
    yield from desk.settle()


def select_one(desk: Desk) -> Iterator[float]:
    for strip in desk.scene.sequence_editor.strips:
        strip.select = strip.name.startswith("hop_0001")
    yield from desk.press("tweencel.generate")


def full_size(engine: str, prefetch: bool) -> Callable[[Desk], Iterator[float]]:
    def act(desk: Desk) -> Iterator[float]:
        yield from desk.one_area("SEQUENCE_EDITOR")
        yield from lay_keys(desk, "1080")
        desk.settings.engine = engine
        desk.settings.seed += 1  # no frame is there already
        # While Blender renders ahead, each change of a strip waits until it has stopped.
        desk.scene.sequence_editor.use_prefetch = prefetch
        yield from generate_again(desk)
        yield from desk.wait(lambda: desk.job.stage.ended, "the job's end", 400)
        ahead = "on" if prefetch else "off"
        desk.print_times(
            f"1080p with {engine}, {len(desk.job.landed)} frames, Blender's prefetch {ahead}"
        )

    return act


def open_view3d(desk: Desk) -> Iterator[float]:
    """A Grease Pencil drawing that was moved and turned from key to key."""
    bpy.ops.tweencel.dismiss()
    yield from desk.one_area("VIEW_3D")
    yield from desk.settle()
    desk.scene.render.engine = "BLENDER_WORKBENCH"
    desk.scene.frame_set(KEY_FRAMES[0])
    with desk.override():
        bpy.ops.object.select_all(action="DESELECT")
        bpy.data.objects["Cube"].hide_set(True)
        bpy.data.objects["Cube"].hide_render = True
        bpy.ops.object.grease_pencil_add(type="MONKEY", location=(0, 0, 0))
        drawing = bpy.context.active_object
        drawing.use_grease_pencil_lights = False  # as it is drawn
        for frame in KEY_FRAMES:
            drawing.location.x, drawing.rotation_euler.y = frame / 8 - 1, frame / 20
            drawing.keyframe_insert("location", frame=frame)
            drawing.keyframe_insert("rotation_euler", frame=frame)
            for layer in drawing.data.layers:
                if frame > KEY_FRAMES[0]:
                    layer.frames.copy(KEY_FRAMES[0], frame)
        desk.scene.frame_set(KEY_FRAMES[0])
        bpy.ops.view3d.view_camera()
    desk.sources.view_take = "DRAWINGS"
    yield from desk.sidebar(WIDTH)


def generate_from_view(desk: Desk) -> Iterator[float]:
    yield from generate_again(desk)
    yield from desk.wait(lambda: desk.job.stage.ended, "the job's end", 240)
    desk.print_times("Grease Pencil, 720p, with RIFE")
    desk.scene.frame_set(4)
    yield from desk.settle()


def generate_again(desk: Desk) -> Iterator[float]:
    known = len(desk.session.works)
    desk.times.clear()
    yield from desk.press("tweencel.generate")
    yield from desk.wait(lambda: len(desk.session.works) > known, "a job")


def open_image_editor(desk: Desk) -> Iterator[float]:
    yield from desk.one_area("IMAGE_EDITOR")
    image = bpy.data.images.load(str(drawings(desk, "720")[0]))
    image.source = "SEQUENCE"
    space = desk.area.spaces.active
    space.image = image
    space.image_user.frame_duration = KEY_FRAMES[-1]
    desk.scene.frame_set(1)
    yield from desk.settle()
    with desk.override():
        bpy.ops.image.view_all(fit_view=True)
    yield from desk.sidebar(WIDTH)
    for frame in KEY_FRAMES[1:]:
        desk.scene.frame_set(frame)
        yield from desk.settle()
        with desk.override():
            bpy.ops.tweencel.mark_key()
    desk.scene.frame_set(1)
    yield from desk.settle()
    yield from desk.press("tweencel.mark_key", (0.2,))


def open_loop(desk: Desk) -> Iterator[float]:
    """One picture in the sequencer; its water and its clouds move."""
    yield from desk.one_area("SEQUENCE_EDITOR")
    desk.area.spaces.active.view_type = "SEQUENCER_PREVIEW"
    strips = desk.scene.sequence_editor.strips
    for strip in list(strips):
        strips.remove(strip)
    picture = lake.draw(desk.work / "lake.png")
    strip = strips.new_image(
        name="lake", filepath=bpy.path.relpath(str(picture)), channel=1, frame_start=1
    )
    strip.frame_final_duration = 120
    strip.select = True
    desk.scene.frame_set(1)
    desk.settings.target = "VSE"
    desk.scene.render.fps = 24
    desk.loop.length = 48
    for name, top, bottom, motion in (
        ("Water", lake.SHORE, 1.0, "water"),
        ("Clouds", 0.0, 0.24, "clouds"),
    ):
        bpy.ops.tweencel.add_region()
        region = desk.loop.regions[-1]
        region.name, region.mask, region.feather = name, lake.mask(name, top, bottom), 6
        region.motion = motion
    water = desk.loop.regions[0]
    water.stroke_kind = "MASK"
    water.stroke_mask = lake.direction("Flow", [(0.1, 0.7), (0.9, 0.66)], [(0.1, 0.9), (0.9, 0.9)])
    desk.loop.active = 0
    yield from look_at_all(desk)
    yield from desk.sidebar(WIDTH)
    yield from desk.unfold("TWEENCEL_PT_loop")
    yield from desk.rest()


def preview_loop(desk: Desk) -> Iterator[float]:
    began = time.monotonic()
    with desk.override():
        bpy.ops.tweencel.preview_loop()
    yield from desk.wait(lambda: desk.loops.previewed is not None, "a preview")
    work = desk.loops.previewed
    yield from desk.wait(lambda: len(work.made) == len(work.order.numbers), "the preview's end", 90)
    desk.say(f"A preview took {time.monotonic() - began:.1f} s")
    yield from desk.scroll("WHEELDOWNMOUSE", 12)
    yield from desk.rest()


def make_loop(desk: Desk) -> Iterator[float]:
    known = len(desk.session.works)
    yield from desk.press("tweencel.make_loop")
    yield from desk.wait(lambda: len(desk.session.works) > known, "a job")
    yield from desk.wait(lambda: desk.job.stage.ended, "the loop's end", 240)
    desk.print_times("a loop of 48 frames, 720p")
    desk.scene.frame_set(60)
    yield from desk.settle()


STATES = (
    State("not_connected", open_sequencer),
    State("connected", connect, lambda desk: bool(desk.session.engines)),
    State("keys", lay_keys),
    State("weights_missing", want_weights),
    State("weights_asked", ask_for_weights, parts={"": "area"}),
    State("weights_left", leave_weights, parts={}),
    State("mask", opened.open_mask, opened.drawn("TWEENCEL_PT_mask")),
    State("guides", opened.open_guides, opened.drawn("TWEENCEL_PT_guides")),
    State("presets", opened.open_presets),
    State("results", opened.open_targets),
    State("charts", draw_charts),
    State(
        "running",
        generate,
        lambda desk: len(desk.job.landed) >= 5,
        {"": "sidebar", "_sequencer": "area"},
        patience=180,
    ),
    State("done", look_at_in_between, parts={"": "sidebar", "_sequencer": "area"}),
    State("painted", paint_over),
    State("made_again", make_again, parts={"": "sidebar", "_sequencer": "area"}),
    State("error", select_one, lambda desk: desk.live.get().notice is not None),
    State("view3d", open_view3d, parts={"": "area"}),
    State("view3d_done", generate_from_view, parts={"": "area"}),
    State("view3d_plane", opened.stand_in_the_scene, parts={"": "area"}),
    State("eevee", opened.render_with_eevee, parts={}),
    State("image_editor", open_image_editor, parts={"": "area"}),
    State("loop", open_loop),
    State("loop_preview", preview_loop, parts={"": "sidebar"}),
    State("loop_done", make_loop, parts={"": "area"}),
    State("1080p", full_size("crossfade", prefetch=True), parts={}),
    State("1080p_no_prefetch", full_size("crossfade", prefetch=False), parts={}),
    State("1080p_rife", full_size("rife", prefetch=True), parts={}),
)
