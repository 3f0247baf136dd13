# SPDX-License-Identifier: GPL-3.0-or-later
"""The artist's settings of a shot. They live in the scene and are saved with it."""

from __future__ import annotations

from collections.abc import Mapping
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

from protocol.timing import Spacing

from .shot import Fit, Wish

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
)


class TWEENCEL_PG_gap(bpy.types.PropertyGroup):
    """A count of its own for one gap."""

    own: BoolProperty(name="Own Count", description="Give this gap a count of its own")
    count: IntProperty(
        name="In-Betweens", description="How many drawings to make in this gap", min=0, max=500
    )


class TWEENCEL_PG_engine(bpy.types.PropertyGroup):
    """One engine's settings, as custom properties; param_props gives them their limits."""


class TWEENCEL_PG_settings(bpy.types.PropertyGroup):
    fit: EnumProperty(name="Timing", items=_FITS, default=Fit.BETWEEN.value)
    step: IntProperty(
        name="On",
        description="How many frames each drawing is held: 1 on ones, 2 on twos",
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
    spacing: EnumProperty(name="Spacing", items=_SPACINGS, default=Spacing.EVEN.value)
    gaps: CollectionProperty(type=TWEENCEL_PG_gap)
    engine: StringProperty(name="Engine", description="What makes the in-betweens")
    engines: CollectionProperty(type=TWEENCEL_PG_engine)
    seed: IntProperty(
        name="Seed", description="The same seed gives the same drawings", min=0, max=2**31 - 1
    )
    folder: StringProperty(
        name="Output",
        description="Where the frames go; empty: into the folder tweencel beside the .blend file",
        subtype="DIR_PATH",
        options={"PATH_SUPPORTS_BLEND_RELATIVE"},
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
    return Wish(
        fit=Fit(settings.fit),
        step=settings.step,
        count=None if settings.fill else settings.count,
        spacing=Spacing(settings.spacing),
        per_gap=_own_counts(settings),
    )


def fit_gaps(settings: Any, usual: list[int]) -> None:
    """Make one entry for each gap; those without a count of their own show the usual one."""
    while len(settings.gaps) > len(usual):
        settings.gaps.remove(len(settings.gaps) - 1)
    for number, count in enumerate(usual):
        gap = settings.gaps[number] if number < len(settings.gaps) else settings.gaps.add()
        if not gap.own:
            gap.count = count


def _own_counts(settings: Any) -> Mapping[int, int]:
    return {number: gap.count for number, gap in enumerate(settings.gaps) if gap.own}
