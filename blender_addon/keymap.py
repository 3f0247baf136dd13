# SPDX-License-Identifier: GPL-3.0-or-later
"""The shortcut, one that Blender's own keymap leaves free; the artist may change it as any other.

Ctrl+Shift+I stands for "in-between".
"""

from __future__ import annotations

from typing import Any

import bpy

KEY = {"type": "I", "ctrl": True, "shift": True}
_EDITORS = (
    ("Sequencer", "SEQUENCE_EDITOR"),
    ("3D View", "VIEW_3D"),
    ("Image", "IMAGE_EDITOR"),
)
_ours: list[tuple[Any, Any]] = []


def register() -> None:
    config = bpy.context.window_manager.keyconfigs.addon
    if config is None:
        return
    for name, space in _EDITORS:
        keymap: Any = config.keymaps.new(name=name, space_type=space)
        item = keymap.keymap_items.new("tweencel.generate", value="PRESS", **KEY)
        _ours.append((keymap, item))


def unregister() -> None:
    for keymap, item in _ours:
        keymap.keymap_items.remove(item)
    _ours.clear()
