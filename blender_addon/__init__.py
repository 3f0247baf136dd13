# SPDX-License-Identifier: GPL-3.0-or-later
"""Tweencel's side in Blender. Importing it imports no bpy, so its lower rooms run without it."""

from __future__ import annotations

from types import ModuleType


def _rooms() -> list[ModuleType]:
    """The rooms with something to register, in order."""
    from . import (
        keymap,
        live,
        loop_player,
        loop_props,
        operators,
        panels,
        preferences,
        properties,
        source_props,
        thumbnails,
    )

    return [
        preferences,
        properties,
        source_props,
        loop_props,
        thumbnails,
        loop_player,
        live,
        operators,
        panels,
        keymap,
    ]


def register() -> None:
    """Called by Blender when the extension is enabled."""
    import bpy

    for room in _rooms():
        for cls in getattr(room, "CLASSES", ()):
            bpy.utils.register_class(cls)
        if hasattr(room, "register"):
            room.register()


def unregister() -> None:
    """Called by Blender when the extension is disabled, or at its end."""
    import bpy

    for room in reversed(_rooms()):
        if hasattr(room, "unregister"):
            room.unregister()
        for cls in reversed(getattr(room, "CLASSES", ())):
            bpy.utils.unregister_class(cls)
