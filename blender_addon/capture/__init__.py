# SPDX-License-Identifier: GPL-3.0-or-later
"""From Blender to files: what is selected in an editor as keys with their frames.

Looking (`survey`) renders nothing and reads no file, so a panel may do it at each redraw. What is
a picture file already is taken as the file it is, never through Blender's pixels.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import bpy

from protocol.errors import BadInput

from .. import vse  # noqa: TID252
from ..shot import Shot  # noqa: TID252
from .extras import Extras, extras, size_of
from .images import images_shot
from .loop_sources import LoopSource, loop_source
from .origin import origin_of
from .origin import select as select_origin
from .pictures import smaller
from .regions import drawn_of, marked
from .scenes import scene_shot
from .strips import strips_shot

__all__ = [
    "Extras",
    "LoopSource",
    "drawn_of",
    "editor_of",
    "extras",
    "looking_at",
    "loop_source",
    "marked",
    "origin",
    "scene_of",
    "select_origin",
    "selection",
    "size_of",
    "smaller",
    "survey",
]

_AREAS = {"IMAGE": "IMAGE_EDITOR", "VIEW3D": "VIEW_3D", "VSE": "SEQUENCE_EDITOR"}
_NAMES = {"IMAGE": "Image Editor", "VIEW3D": "3D View"}
_EDITORS = {"IMAGE_EDITOR": "IMAGE", "VIEW_3D": "VIEW3D"}


def editor_of(context: bpy.types.Context) -> str:
    """Where the artist works: VSE, IMAGE or VIEW3D. Without a window it is the sequencer."""
    space = context.space_data
    return _EDITORS.get(space.type, "VSE") if space is not None else "VSE"


def looking_at(context: bpy.types.Context, editor: str) -> AbstractContextManager[Any]:
    """Within it the context is that of an open editor of that kind. Raises BadInput if none is."""
    if editor_of(context) == editor:
        return nullcontext()
    for window in context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == _AREAS.get(editor):
                region = next(region for region in area.regions if region.type == "WINDOW")
                return context.temp_override(window=window, area=area, region=region)
    if editor == "VSE":  # needs no window
        return context.temp_override(area=None, region=None)
    where = _NAMES.get(editor, editor)
    raise BadInput(
        f"These in-betweens were made of keys in the {where}, and none is open.",
        fix=f"Open the {where}, and try again.",
    )


def scene_of(context: bpy.types.Context) -> bpy.types.Scene:
    """The scene whose marks, masks and sketches count in the editor of the context."""
    return vse.editing_scene(context) if editor_of(context) == "VSE" else context.scene


def origin(context: bpy.types.Context) -> dict[str, Any]:
    """The names of what the keys are taken from, for a record; see select_origin."""
    return origin_of(context, editor_of(context))


def selection(context: bpy.types.Context) -> dict[str, Any]:
    """All that is selected, results of ours too; for select_origin."""
    return origin_of(context, editor_of(context), all_of_it=True)


def survey(context: bpy.types.Context) -> Shot:
    """The keys that are chosen in the editor of the context.

    Raises TooFewKeys, MissingFile or BadInput, each with a sentence on what to do there.
    """
    match editor_of(context):
        case "IMAGE":
            return images_shot(context)
        case "VIEW3D":
            return scene_shot(context)
    return strips_shot(context)
