# SPDX-License-Identifier: GPL-3.0-or-later
"""Where strips are and when, said in the same way in every Blender version.

From 5.1 on the names frame_final_start and the like are deprecated; 6.0 is to remove them.
"""

from __future__ import annotations

from typing import Any

import bpy


def editing_scene(context: bpy.types.Context) -> bpy.types.Scene:
    """The scene whose sequencer the artist looks at. Since 5.0 it may be another than the
    active one."""
    return getattr(context, "sequencer_scene", None) or context.scene


def open_level(scene: bpy.types.Scene) -> Any:
    """The editor, or the meta strip that is open for editing in it: both have strips and channels.

    None if the scene has no editor yet.
    """
    editor = scene.sequence_editor
    if editor is None:
        return None
    return editor.meta_stack[-1] if len(editor.meta_stack) else editor


def begin(strip: Any) -> int:
    """The frame on which the strip is first seen."""
    return strip.left_handle if hasattr(strip, "left_handle") else strip.frame_final_start


def end(strip: Any) -> int:
    """The frame after the last on which the strip is seen."""
    return strip.right_handle if hasattr(strip, "right_handle") else strip.frame_final_end


def put(strip: Any, frame: int) -> None:
    """Let the strip's content begin on a frame, whatever is trimmed off."""
    if hasattr(strip, "content_start"):
        strip.content_start = frame
    else:
        strip.frame_start = frame


def content_begin(strip: Any) -> int:
    """The frame on which the strip's content begins, also where that is trimmed off."""
    return round(strip.content_start if hasattr(strip, "content_start") else strip.frame_start)


def trim_start(strip: Any, frames: int) -> None:
    """Hide the strip's first frames; what follows stays where it is."""
    if hasattr(strip, "left_handle_offset"):
        strip.left_handle_offset = frames
    else:
        strip.frame_offset_start = frames


def content(strip: Any) -> tuple[int, int]:
    """The first frame of the strip's content and the one after its last, trimmed off or not."""
    first = content_begin(strip)
    new = hasattr(strip, "content_duration")
    return first, first + round(strip.content_duration if new else strip.frame_duration)


def set_begin(strip: Any, frame: int) -> None:
    """Move the strip's left handle; its content stays where it is."""
    if hasattr(strip, "left_handle"):
        strip.left_handle = frame
    else:
        strip.frame_final_start = frame


def set_end(strip: Any, frame: int) -> None:
    """Move the strip's right handle: the frame after the last on which it is seen."""
    if hasattr(strip, "right_handle"):
        strip.right_handle = frame
    else:
        strip.frame_final_end = frame
