# SPDX-License-Identifier: GPL-3.0-or-later
"""Steps that lead to what is usually closed: panels, menus, and results in the scene."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import bpy
from desk import TICK, Desk

BELOW_MARKS = {"TWEENCEL_PT_mask": 37, "TWEENCEL_PT_guides": 62}
"""Pixels from the button Mark Key down to the header of a closed panel."""


def toggle(desk: Desk, panel: str) -> Iterator[float]:
    """Click on the header of a panel below the marks."""
    yield from desk.scroll("WHEELUPMOUSE", 40)
    _, y = yield from desk.find("tweencel.mark_key", (0.2,))
    yield from desk.click(desk.region("UI").x + 40, y - BELOW_MARKS[panel])
    yield from desk.scroll("WHEELUPMOUSE", 40)  # Blender scrolls to what was opened
    yield from desk.rest()


def drawn(panel: str) -> Callable[[Desk], bool]:
    """Whether the panel has been drawn since the times were cleared."""
    return lambda desk: f"panel {panel}" in desk.times


def open_mask(desk: Desk) -> Iterator[float]:
    desk.sources.mask_kind, desk.sources.mask = "MASK", bpy.data.masks.new("scarf")
    desk.sources.mask_feather = 4.0
    desk.times.clear()
    yield from toggle(desk, "TWEENCEL_PT_mask")


def open_guides(desk: Desk) -> Iterator[float]:
    yield from toggle(desk, "TWEENCEL_PT_mask")  # closed again
    desk.sources.mask_kind = "NONE"
    desk.settings.engine = "tooncrafter"  # it takes sketches
    desk.sources.guide_kind = "STRIPS"
    desk.times.clear()
    yield from desk.settle()
    yield from toggle(desk, "TWEENCEL_PT_guides")


def open_presets(desk: Desk) -> Iterator[float]:
    yield from toggle(desk, "TWEENCEL_PT_guides")
    desk.sources.guide_kind, desk.settings.engine = "NONE", ""
    for name in ("Soft on Twos", "Snappy Hop", "Walk on Ones"):
        bpy.ops.tweencel.add_preset(name=name)
    yield from at_sidebar(desk)
    with desk.override("UI"):
        bpy.ops.wm.call_panel(name="TWEENCEL_PT_presets", keep_open=True)
    yield 0.5


def at_sidebar(desk: Desk) -> Iterator[float]:
    """The pointer goes where menus shall open."""
    region = desk.region("UI")
    yield from desk.move(region.x + region.width * 0.55, region.y + region.height * 0.6)


def open_targets(desk: Desk) -> Iterator[float]:
    yield from close(desk)
    yield from at_sidebar(desk)
    with desk.override("UI"):
        bpy.ops.wm.context_menu_enum(data_path="scene.tweencel.target")
    yield 0.5


def close(desk: Desk) -> Iterator[float]:
    """Whatever menu is open."""
    yield from desk.rest()
    yield TICK


def stand_in_the_scene(desk: Desk) -> Iterator[float]:
    """The same drawings again, on a plane that fills the camera's view, seen from beside."""
    desk.settings.target, desk.settings.standing = "PLANE", "FILLING"
    known = len(desk.session.works)
    yield from desk.press("tweencel.generate")
    yield from desk.wait(lambda: len(desk.session.works) > known, "a job")
    yield from desk.wait(lambda: desk.job.stage.ended, "the job's end", 240)
    desk.settings.target = "AUTO"
    space = desk.area.spaces.active
    space.shading.color_type = "TEXTURE"
    space.region_3d.view_perspective = "PERSP"
    overlay = space.overlay
    overlay.show_floor = overlay.show_axis_x = overlay.show_axis_y = False
    desk.scene.frame_set(4)
    with desk.override():
        bpy.ops.object.select_all(action="DESELECT")
        for thing in desk.scene.objects:
            thing.select_set(thing.type == "CAMERA" or "tweencel_job" in thing)
        bpy.ops.view3d.view_selected()
        bpy.ops.object.select_all(action="DESELECT")
        bpy.context.view_layer.objects.active.select_set(True)
    yield from desk.settle()


def render_with_eevee(desk: Desk) -> Iterator[float]:
    """Few pixels: there is no graphics card. The film is transparent around a red cube."""
    scene = desk.scene
    names = ("BLENDER_EEVEE", "BLENDER_EEVEE_NEXT")
    known = {item.identifier for item in type(scene.render).bl_rna.properties["engine"].enum_items}
    scene.render.engine = next((name for name in names if name in known), names[0])
    scene.eevee.taa_render_samples = 1
    scene.render.resolution_x, scene.render.resolution_y = 64, 36
    scene.render.film_transparent = True
    bpy.data.objects["Cube"].hide_set(False)
    for thing in scene.objects:
        thing.hide_render = thing.name != "Cube" and thing.type not in ("CAMERA", "LIGHT")
    desk.sources.view_take, desk.sources.view_times = "SCENE", "LIST"
    desk.sources.frame_list = "1, 4"
    desk.settings.target = "FILES"
    known_works = len(desk.session.works)
    yield from desk.press("tweencel.generate")
    yield from desk.wait(lambda: len(desk.session.works) > known_works, "a job", 120)
    yield from desk.wait(lambda: desk.job.stage.ended, "the job's end", 120)
    require_alpha(desk)
    desk.settings.target = "AUTO"


def require_alpha(desk: Desk) -> None:
    work = next(reversed(desk.session.works.values()))
    image = bpy.data.images.load(str(work.order.keys[0]))
    alphas = list(image.pixels)[3::4]
    bpy.data.images.remove(image)
    seen = f"{min(alphas):.2f} to {max(alphas):.2f} over {len(alphas)} pixels"
    desk.say(f"EEVEE, transparent film: alpha from {seen}")
    if min(alphas) > 0.0 or max(alphas) < 1.0 or work.job.error is not None:
        raise RuntimeError(f"EEVEE gave no key with alpha: {seen}, {work.job.error}")
