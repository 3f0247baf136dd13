# SPDX-License-Identifier: GPL-3.0-or-later
"""The artist's settings of a shot. They live in the scene and are saved with it.

A property keeps its name and its meaning: files of earlier releases hold it.
"""

from __future__ import annotations

import json
from typing import Any

import bpy
from bpy.props import (
    BoolProperty,
    CollectionProperty,
    EnumProperty,
    IntProperty,
    PointerProperty,
    StringProperty,
)

from protocol.timing import Chart, Spacing

from . import charts, hidden_keys, naming, standing
from .shot import Fit, GapWish, Repeat, Wish

_CUSTOM, _USUAL = "custom", "usual"

_FITS = (
    (
        Fit.BETWEEN.value,
        "Keys Stay on Their Frames",
        "The in-betweens are shared out over the frames between the keys",
    ),
    (
        Fit.ROOM.value,
        "Make Room",
        "Every drawing is held equally long; later keys move along as they need",
    ),
)
_SPACINGS = (
    (Spacing.EVEN.value, "Even", "The same step from each drawing to the next"),
    (Spacing.SLOW_OUT.value, "Slow Out", "Slow out of the first key: drawings lie close to it"),
    (Spacing.SLOW_IN.value, "Slow In", "Slow into the second key: drawings lie close to it"),
    (
        Spacing.SLOW_IN_OUT.value,
        "Slow Out and In",
        "Drawings lie close to both keys, fast in the middle",
    ),
    (_CUSTOM, "Custom", "Draw the spacing as a curve: flat is slow, steep is fast"),
)
_REPEATS = (
    (Repeat.ONCE.value, "Once", "The shot ends with its last key"),
    (
        Repeat.CYCLE.value,
        "Cycle",
        "In-betweens lead from the last key back to the first, which is not shown a second time",
    ),
    (
        Repeat.PING_PONG.value,
        "Ping-Pong",
        "The same drawings forth and back, without showing either end twice",
    ),
)
_ON = (
    ("1", "Ones", "A new drawing on every frame"),
    ("2", "Twos", "Every drawing is held for two frames"),
    ("3", "Threes", "Every drawing is held for three frames"),
    ("other", "Other", "Every drawing is held for another number of frames"),
)
_TARGETS = (
    # Files hold the number: it stays with its name.
    (
        "AUTO",
        "Automatic",
        "What suits the editor: a strip in the Sequencer, the camera's background in the 3D View, "
        "an image in the Image Editor",
        "NONE",
        6,
    ),
    ("VSE", "Sequencer", "An image strip above the keys", "NONE", 0),
    ("PLANE", "Image Plane", "A plane in the scene that shows the frames", "NONE", 1),
    ("CAMERA", "Camera Background", "A background picture of the scene's camera", "NONE", 2),
    ("COMPOSITOR", "Compositor", "An image node in the scene's compositor", "NONE", 3),
    (
        "GP_REFERENCE",
        "Grease Pencil Reference",
        "A picture behind the Grease Pencil drawing",
        "NONE",
        4,
    ),
    ("IMAGE", "Image", "An image sequence, to be chosen in the Image Editor or a node", "NONE", 7),
    ("FILES", "Just the Files", "Only the files in the output folder", "NONE", 5),
)
_STANDING = (
    (standing.UPRIGHT, "Upright", "Standing at the 3D cursor"),
    (standing.FACING, "Facing the Camera", "At the 3D cursor, turned to the scene's camera"),
    (
        standing.FILLING,
        "Filling the View",
        "As large as the camera's view, as far away as the 3D cursor; it moves with the camera",
    ),
)


def _hiding_changed(owner: Any, context: Any) -> None:
    if not owner.hide_keys:
        hidden_keys.show_all(owner.id_data)


def _spacing_chosen(owner: Any, context: Any) -> None:
    if owner.spacing == _CUSTOM:
        charts.draw_own(owner)


def _shape_of(owner: Any) -> str:
    return json.dumps(charts.points_of(owner)) if is_custom(owner) else ""


def _set_shape(owner: Any, text: str) -> None:
    try:
        points = json.loads(text or "[]")
    except ValueError:
        return
    if isinstance(points, list):
        charts.set_points(owner, points)


class TWEENCEL_PG_gap(bpy.types.PropertyGroup):
    """Settings of its own for one gap."""

    own: BoolProperty(
        name="Own Timing", description="Give this gap a timing of its own instead of the usual one"
    )
    fill: BoolProperty(
        name="Fill the Frames",
        description="Make as many in-betweens in this gap as its frames ask for",
    )
    count: IntProperty(
        name="In-Betweens", description="How many drawings to make in this gap", min=0, max=500
    )
    on: EnumProperty(
        name="On",
        description="How long each drawing of this gap is held",
        items=((_USUAL, "As Usual", "As the other gaps"), *_ON),
    )
    step: IntProperty(
        name="Frames per Drawing",
        description="How many frames each drawing of this gap is held",
        default=4,
        min=1,
        max=24,
    )
    hold: IntProperty(
        name="Hold Key",
        description="How many frames the key is held before this gap's in-betweens start; "
        "0: as usual",
        min=0,
        max=10_000,
    )
    spacing: EnumProperty(
        name="Spacing",
        description="How the drawings of this gap lie between its keys",
        items=((_USUAL, "As Usual", "As the other gaps"), *_SPACINGS),
        update=_spacing_chosen,
    )
    curve: StringProperty(options={"HIDDEN"})
    cut: BoolProperty(name="Cut", description="No in-between here: the key is held until the next")


class TWEENCEL_PG_engine(bpy.types.PropertyGroup):
    """One engine's settings, as custom properties; param_props gives them their limits."""


class TWEENCEL_PG_settings(bpy.types.PropertyGroup):
    fit: EnumProperty(
        name="Timing",
        description="Whether the keys or the drawings' length stay",
        items=_FITS,
        default=Fit.BETWEEN.value,
    )
    step: IntProperty(
        name="On",
        description="How many frames each drawing is held: 1 on ones, 2 on twos, 3 on threes",
        default=1,
        min=1,
        max=24,
    )
    fill: BoolProperty(
        name="Fill the Frames",
        description="Make as many in-betweens as the frames between the keys ask for",
        default=True,
    )
    count: IntProperty(
        name="In-Betweens", description="How many drawings for each gap", default=3, min=0, max=500
    )
    hold: IntProperty(
        name="Hold Keys",
        description="How many frames each key is held before its in-betweens start; "
        "0: as long as they are",
        min=0,
        max=10_000,
    )
    spacing: EnumProperty(
        name="Spacing",
        description="How the drawings lie between the keys",
        items=_SPACINGS,
        default=Spacing.EVEN.value,
        update=_spacing_chosen,
    )
    # Always the same name: a preset sets it in files that have no curve yet.
    curve: StringProperty(default="Usual", options={"HIDDEN"})
    curve_shape: StringProperty(
        description="The points of the curve as JSON, for presets",
        options={"HIDDEN", "SKIP_SAVE"},
        get=_shape_of,
        set=_set_shape,
    )
    charts: PointerProperty(type=bpy.types.NodeTree, options={"HIDDEN"})
    repeat: EnumProperty(
        name="Repeat",
        description="How the shot goes on after its last key",
        items=_REPEATS,
        default=Repeat.ONCE.value,
    )
    closing: IntProperty(
        name="Way Back",
        description="How many frames after the last key the first comes again; "
        "0: as its in-betweens need, or as long as the gap before",
        min=0,
        max=10_000,
    )
    even_motion: BoolProperty(
        name="Even Motion",
        description="Measure how much moves, so that drawings do not pile up near a key. "
        "Takes longer",
    )
    gaps: CollectionProperty(type=TWEENCEL_PG_gap)
    engine: StringProperty(name="Engine", description="What makes the in-betweens")
    engines: CollectionProperty(type=TWEENCEL_PG_engine)
    seed: IntProperty(
        name="Seed", description="The same seed gives the same drawings", min=0, max=2**31 - 1
    )
    variations: IntProperty(
        name="Variations",
        description="How many results to make with one seed each; the strips lie above each other, "
        "and all but the first are muted",
        default=1,
        min=1,
        max=8,
    )
    replaces: StringProperty(
        description="The result that is made again in its place", options={"HIDDEN"}
    )
    target: EnumProperty(
        name="Result",
        description="Where the frames are shown as they come",
        items=_TARGETS,
        default="AUTO",
    )
    standing: EnumProperty(
        name="Place",
        description="Where the picture stands in the scene",
        items=_STANDING,
        default=standing.UPRIGHT,
    )
    hide_keys: BoolProperty(
        name="Hide Keys Under the Result",
        description="Mute the key strips that lie under the result, so that they do not show "
        "through where it is transparent. They are seen again when the result is removed, or when "
        "this is turned off",
        update=_hiding_changed,
    )
    folder: StringProperty(
        name="Output",
        description="Where the frames go; empty: into the folder tweencel beside the .blend file",
        subtype="DIR_PATH",
        options={"PATH_SUPPORTS_BLEND_RELATIVE"},
    )
    template: StringProperty(
        name="Folder Name",
        description="What each version's folder is called: {blend}, {scene}, {shot}, {layer}, "
        "{engine} and {version} are filled in, a slash makes a folder in a folder",
        default=naming.USUAL,
    )


CLASSES = (TWEENCEL_PG_gap, TWEENCEL_PG_engine, TWEENCEL_PG_settings)


def register() -> None:
    scene: Any = bpy.types.Scene
    scene.tweencel = PointerProperty(type=TWEENCEL_PG_settings)


def unregister() -> None:
    scene: Any = bpy.types.Scene
    del scene.tweencel


def settings_of(scene: Any) -> Any:
    """The scene's settings."""
    return scene.tweencel


def wish_of(settings: Any) -> Wish:
    """The settings as the planning room takes them."""
    usual = GapWish(
        count=None if settings.fill else settings.count,
        step=settings.step,
        hold=settings.hold,
        chart=_chart(settings),
    )
    return Wish(
        fit=Fit(settings.fit),
        step=usual.step,
        count=usual.count,
        spacing=usual.chart,
        hold=usual.hold,
        per_gap={n: _own(gap, usual) for n, gap in enumerate(settings.gaps) if gap.own},
        repeat=Repeat(settings.repeat),
        closing=settings.closing,
        even_motion=settings.even_motion,
    )


def fit_gaps(settings: Any, usual: list[int]) -> None:
    """Make one entry for each gap; those without a count of their own show the usual one."""
    while len(settings.gaps) > len(usual):
        charts.forget(settings.gaps[-1])
        settings.gaps.remove(len(settings.gaps) - 1)
    for number, count in enumerate(usual):
        gap = settings.gaps[number] if number < len(settings.gaps) else settings.gaps.add()
        if not gap.own:
            gap.count = count


def is_custom(owner: Any) -> bool:
    """Whether a shot or a gap has its spacing drawn by the artist."""
    return owner.spacing == _CUSTOM


def _own(gap: Any, usual: GapWish) -> GapWish:
    step = {_USUAL: usual.step, "other": gap.step}.get(gap.on)
    return GapWish(
        count=None if gap.fill else gap.count,
        step=int(gap.on) if step is None else step,
        hold=gap.hold or usual.hold,
        chart=usual.chart if gap.spacing == _USUAL else _chart(gap),
        cut=gap.cut,
    )


def _chart(owner: Any) -> Chart:
    if is_custom(owner):
        return charts.curve_of(owner) or Spacing.EVEN
    return Spacing(owner.spacing)
