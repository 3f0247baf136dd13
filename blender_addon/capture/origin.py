# SPDX-License-Identifier: GPL-3.0-or-later
"""What the keys were taken from, as names for a record; and selected again by these names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import bpy

from .. import vse  # noqa: TID252
from ..source_props import sources_of  # noqa: TID252
from ..timeline_mark import is_ours  # noqa: TID252


def origin_of(
    context: bpy.types.Context, editor: str, *, all_of_it: bool = False
) -> dict[str, Any]:
    """The names of what is selected in an editor: strips, images or objects.

    Results of ours only with `all_of_it`, or where nothing else is selected.
    """
    match editor:
        case "IMAGE":
            image: Any = context.space_data.image  # type: ignore[union-attr]
            if image is not None and (all_of_it or image.source == "SEQUENCE"):
                return {"editor": editor, "images": [image.name]}
            return {"editor": editor, "images": _pictures(context)}
        case "VIEW3D":
            active = context.active_object
            selected = context.selected_objects
            objects = [one.name for one in selected if all_of_it or not is_ours(one)]
            names = {"objects": objects, "scene": [context.scene.name]}
            return {"editor": editor, **names, "active": [active.name] if active else []}
    level = vse.open_level(vse.editing_scene(context))
    strips = [strip for strip in level.strips if strip.select] if level else []
    sources = [strip.name for strip in strips if all_of_it or not is_ours(strip)]
    return {"editor": editor, "strips": sources or [strip.name for strip in strips]}


def _pictures(context: bpy.types.Context) -> list[str]:
    pictures = sources_of(context.scene).pictures
    return [one.image.name for one in pictures if one.image is not None]


def select(context: bpy.types.Context, origin: Mapping[str, Any]) -> list[str]:
    """Select what an origin names, and nothing else. Gives the names that are not there."""
    match origin.get("editor"):
        case "IMAGE":
            return _show_image(context, _names(origin, "images"))
        case "VIEW3D":
            return _select_objects(context, origin)
    return _select_strips(context, _names(origin, "strips"))


def _names(origin: Mapping[str, Any], kind: str) -> list[str]:
    names = origin.get(kind)
    return [name for name in names if isinstance(name, str)] if isinstance(names, list) else []


def _select_strips(context: bpy.types.Context, names: list[str]) -> list[str]:
    level = vse.open_level(vse.editing_scene(context))
    strips = {strip.name: strip for strip in level.strips} if level else {}
    there = [name for name in names if name in strips]
    if there:
        for name, strip in strips.items():
            strip.select = name in there
    return [name for name in names if name not in there]


def _show_image(context: bpy.types.Context, names: list[str]) -> list[str]:
    lost = [name for name in names if name not in bpy.data.images]
    if len(names) == 1 and not lost:
        context.space_data.image = bpy.data.images[names[0]]  # type: ignore[union-attr]
    return lost


def _select_objects(context: bpy.types.Context, origin: Mapping[str, Any]) -> list[str]:
    layer: Any = context.view_layer
    names = _names(origin, "objects")
    for thing in layer.objects:
        thing.select_set(thing.name in names)
    for name in _names(origin, "active"):
        if name in layer.objects:
            layer.objects.active = layer.objects[name]
    return [name for name in names if name not in layer.objects]
