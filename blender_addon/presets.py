# SPDX-License-Identifier: GPL-3.0-or-later
"""A shot's settings as a script that Blender's preset system runs."""

from __future__ import annotations

from typing import Any

FOLDER = "tweencel"
_OF_THE_SHOT = frozenset(("name", "rna_type", "folder", "seed", "variations", "replaces"))
"""What belongs to one shot and to no other."""
_FIRST_LINES = """\
import bpy
scene = getattr(bpy.context, "sequencer_scene", None) or bpy.context.scene
settings = scene.tweencel
"""
_ENGINE_LINES = """\
for name, values in {engines!r}.items():
    engine = settings.engines.get(name) or settings.engines.add()
    engine.name = name
    for key, value in values.items():
        engine[key] = value
"""


def preset_script(settings: Any) -> str:
    """What Blender runs when the preset is chosen."""
    lines = [
        f"settings.{name} = {getattr(settings, name)!r}"
        for name, prop in settings.bl_rna.properties.items()
        if name not in _OF_THE_SHOT and prop.type not in ("COLLECTION", "POINTER")
    ]
    engines = {
        engine.name: {key: engine[key] for key in engine.keys() if key != "name"}  # noqa: SIM118
        for engine in settings.engines
    }
    return _FIRST_LINES + "\n".join(lines) + "\n" + _ENGINE_LINES.format(engines=engines)
