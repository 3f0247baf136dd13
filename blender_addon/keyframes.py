# SPDX-License-Identifier: GPL-3.0-or-later
"""On which frames the artist has set keys: Grease Pencil drawings, objects, armatures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

_FILLERS = ("JITTER", "GENERATED")
"""Blender's kinds for keys that a tool or baking has set: not drawings or poses of an animator."""


class KeyFrame(NamedTuple):
    """A frame with a key: a breakdown if every key on it is marked so in the Dope Sheet (R)."""

    frame: int
    breakdown: bool = False


def grease_pencil_key_frames(objects: Iterable[Any], only: str = "") -> list[KeyFrame]:
    """The frames on which a layer that is seen, or the layer `only`, has a drawing, in order."""
    return _gathered(
        (frame.frame_number, frame.keyframe_type)
        for one in objects
        if one.type == "GREASEPENCIL"
        for layer in one.data.layers
        if (layer.name == only if only else not layer.hide)
        for frame in layer.frames
    )


def keyed_frames(thing: Any) -> list[KeyFrame]:
    """The frames with keys of an object or armature, its data and its shape keys, in order.

    The actions that are in use are read, not the strips of the NLA editor.
    """
    data = getattr(thing, "data", None)
    owners = [thing, data, getattr(data, "shape_keys", None)]
    return _gathered(
        (round(point.co.x), point.type)
        for owner in owners
        for curve in _curves(owner)
        for point in curve.keyframe_points
    )


def _curves(owner: Any) -> Iterator[Any]:
    moved = getattr(owner, "animation_data", None)
    if moved is None or moved.action is None or moved.action_slot is None:
        return
    for layer in moved.action.layers:
        for strip in layer.strips:
            bag = strip.channelbag(moved.action_slot)
            if bag is not None:
                yield from bag.fcurves


def _gathered(keys: Iterable[tuple[int, str]]) -> list[KeyFrame]:
    kinds: dict[int, set[str]] = {}
    for frame, kind in keys:
        kinds.setdefault(frame, set()).add(kind)
    meant = {f: found for f, found in kinds.items() if not found.issubset(_FILLERS)}
    # A baked action has nothing but fillers: then they are what there is.
    return [KeyFrame(f, found == {"BREAKDOWN"}) for f, found in sorted((meant or kinds).items())]
