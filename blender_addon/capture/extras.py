# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes with the keys: masks of what may change, and sketches between the keys."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import bpy

from protocol.errors import BadInput, MissingFile
from protocol.pictures import probe

from .. import keyframes, masks, renders, vse  # noqa: TID252
from ..shot import Plan, Shot  # noqa: TID252
from ..source_props import sources_of  # noqa: TID252
from ..storage import safe_name, writing  # noqa: TID252
from ..work import Sketch  # noqa: TID252
from . import pictures
from .strips import drawing_at


class Extras(NamedTuple):
    """Masks: none, one for all in-betweens, or one for each in the order of the plan's gaps."""

    masks: tuple[Path, ...] = ()
    guides: tuple[Sketch, ...] = ()


def extras(
    context: bpy.types.Context, shot: Shot, plan: Plan, folder: Path, *, sketches: bool = True
) -> Extras:
    """Make the masks and sketches that the artist chose, as files in the folder.

    The shot's keys must be files. `sketches`: whether the engine takes any. Raises BadInput,
    MissingFile or SizeMismatch.
    """
    scene = vse.editing_scene(context) if shot.editor == "VSE" else context.scene
    wanted = sources_of(scene)
    masked = wanted.mask_kind != "NONE"
    guided = sketches and wanted.guide_kind != "NONE"
    if not masked and not guided:
        return Extras()
    size = size_of(shot.keys[0].path)
    name = safe_name(shot.name)
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        return Extras(
            _masks(scene, wanted, plan, size, folder, name) if masked else (),
            tuple(_guides(scene, wanted, shot, plan, size, folder, name)) if guided else (),
        )


def size_of(path: Path) -> masks.Size:
    """Width and height of a picture. Raises MissingFile or BadImage."""
    try:
        with path.open("rb") as file:
            return probe(file, path.name)[1:3]
    except OSError as problem:
        raise MissingFile(f"{path} cannot be read: {problem.strerror or problem}.") from None


def slot_frames(plan: Plan) -> list[int]:
    """The frame on which each in-between is first seen, in the order of the plan's gaps."""
    seen: dict[tuple[int, float], int] = {}
    for exposure in plan.sheet:
        seen.setdefault(exposure.drawing, exposure.frame)
    return [seen[gap, t] for gap, row in enumerate(plan.gaps) for t in row]


def _masks(
    scene: bpy.types.Scene, wanted: Any, plan: Plan, size: masks.Size, folder: Path, name: str
) -> tuple[Path, ...]:
    still = wanted.mask_kind in ("IMAGE", "ALPHA") or not wanted.mask_animated
    frames = [scene.frame_current] if still else slot_frames(plan)
    making = _making(scene, wanted, frames, size, folder, f"{name}_mask")
    paths = {made.frame: made.path for made in masks.finished(making)}
    made = tuple(paths[frame] for frame in frames)
    if len({path.read_bytes() for path in set(made)}) == 1:
        return made[:1]
    return made


def _making(
    scene: bpy.types.Scene,
    wanted: Any,
    frames: list[int],
    size: masks.Size,
    folder: Path,
    name: str,
) -> masks.Making:
    feather, invert = wanted.mask_feather, wanted.mask_invert
    match wanted.mask_kind:
        case "MASK":
            mask = _chosen(wanted.mask, "mask")
            return masks.mask_frames(
                mask, frames, size, folder, name, feather=feather, invert=invert
            )
        case "PENCIL":
            thing = _chosen(wanted.mask_object, "Grease Pencil object for the mask")
            layer = _chosen(wanted.mask_layer, "layer for the mask")
            return masks.layer_frames(
                scene, [thing], layer, frames, size, folder, name, feather=feather, invert=invert
            )
    return masks.image_frames(
        _chosen(wanted.mask_image, "image for the mask"),
        frames,
        size,
        folder,
        name,
        alpha=wanted.mask_kind == "ALPHA",
        feather=feather,
        invert=invert,
    )


def _chosen(thing: Any, what: str) -> Any:
    if not thing:
        raise BadInput(f"No {what} is chosen.", fix="Choose one in the panel, or no mask at all.")
    return thing


def _guides(
    scene: bpy.types.Scene,
    wanted: Any,
    shot: Shot,
    plan: Plan,
    size: masks.Size,
    folder: Path,
    name: str,
) -> Iterator[Sketch]:
    found = _strip_sketches if wanted.guide_kind == "STRIPS" else _drawn_sketches
    places: set[tuple[int, float]] = set()
    moments = _sketch_frames(scene, wanted)
    for frame in moments:
        place = place_of(frame, shot, plan)
        if place is None or place in places:
            continue
        places.add(place)
        path = found(scene, wanted, frame, size, folder, name)
        yield Sketch(*place, path, wanted.guide_strength * _own_strength(scene, wanted, frame))


def place_of(frame: int, shot: Shot, plan: Plan) -> tuple[int, float] | None:
    """The gap and time of a sketch on a frame: those of the in-between that is seen there.

    Where none is, or where the plan moves the keys, the share of the way between the keys.
    """
    gaps = list(enumerate(pairwise(shot.key_frames)))
    inside = [(gap, pair) for gap, pair in gaps if pair[0] < frame < pair[1]]
    if not inside:
        return None
    gap, (first, second) = inside[0]
    stays = {e.frame for e in plan.sheet if e.drawing.is_key}
    if first in stays and second in stays:
        for drawing, start, hold in plan.sheet:
            if start <= frame < start + hold and drawing.key == gap and not drawing.is_key:
                return gap, drawing.t
    return gap, (frame - first) / (second - first)


def _sketch_frames(scene: bpy.types.Scene, wanted: Any) -> list[int]:
    if wanted.guide_kind == "STRIPS":
        return [vse.begin(strip) for strip in _sketch_strips(scene, wanted)]
    thing = _chosen(wanted.guide_object, "Grease Pencil object with sketches")
    keys = keyframes.grease_pencil_key_frames([thing], wanted.guide_layer)
    return [key.frame for key in keys]


def _sketch_strips(scene: bpy.types.Scene, wanted: Any) -> list[Any]:
    level = vse.open_level(scene)
    strips = level.strips if level else ()
    on = [s for s in strips if s.type == "IMAGE" and s.channel == wanted.guide_channel]
    return sorted(on, key=vse.begin)


def _own_strength(scene: bpy.types.Scene, wanted: Any, frame: int) -> float:
    """A strip's opacity says how much its sketch counts among the others."""
    if wanted.guide_kind != "STRIPS":
        return 1.0
    return next(s.blend_alpha for s in _sketch_strips(scene, wanted) if vse.begin(s) == frame)


def _strip_sketches(
    scene: bpy.types.Scene, wanted: Any, frame: int, size: masks.Size, folder: Path, name: str
) -> Path:
    strip = next(s for s in _sketch_strips(scene, wanted) if vse.begin(s) == frame)
    path = drawing_at(strip, frame)
    return pictures.as_png(path, folder) if pictures.is_converted(path) else path


def _drawn_sketches(
    scene: bpy.types.Scene, wanted: Any, frame: int, size: masks.Size, folder: Path, name: str
) -> Path:
    layers = [wanted.guide_layer] if wanted.guide_layer else None
    (made,) = renders.grease_pencil_frames(
        scene, [wanted.guide_object], [frame], folder, f"{name}_sketch", layers=layers, size=size
    )
    return made.path
