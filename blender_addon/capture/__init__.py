# SPDX-License-Identifier: GPL-3.0-or-later
"""From Blender to files: what is selected in an editor as keys with their frames.

Looking (`survey`) renders nothing and reads no file, so a panel may do it at each redraw. What is
a picture file already is taken as the file it is, never through Blender's pixels.
"""

from __future__ import annotations

import bpy

from .. import vse  # noqa: TID252
from ..shot import Shot  # noqa: TID252
from .extras import Extras, extras
from .images import images_shot
from .scenes import scene_shot
from .strips import strips_shot

__all__ = ["Extras", "editor_of", "extras", "scene_of", "survey"]

_EDITORS = {"IMAGE_EDITOR": "IMAGE", "VIEW_3D": "VIEW3D"}


def editor_of(context: bpy.types.Context) -> str:
    """Where the artist works: VSE, IMAGE or VIEW3D. Without a window it is the sequencer."""
    space = context.space_data
    return _EDITORS.get(space.type, "VSE") if space is not None else "VSE"


def scene_of(context: bpy.types.Context) -> bpy.types.Scene:
    """The scene whose marks, masks and sketches count in the editor of the context."""
    return vse.editing_scene(context) if editor_of(context) == "VSE" else context.scene


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
