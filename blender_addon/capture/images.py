# SPDX-License-Identifier: GPL-3.0-or-later
"""The Image Editor's image sequence, or single images that were added, as keys."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import bpy

from protocol.errors import BadInput, MissingFile, TooFewKeys

from ..keyframes import KeyFrame  # noqa: TID252
from ..shot import Key, Shot  # noqa: TID252
from ..source_props import sources_of  # noqa: TID252
from ..storage import safe_name  # noqa: TID252
from . import moments, pictures
from .taking import Origin, with_origins

_NUMBER = re.compile(r"(\d+)(?=\.[^.]*$)")
_ADD = "Show each key drawing, go to its frame and press Mark Key at Playhead."


def images_shot(context: bpy.types.Context) -> Shot:
    """The keys in the Image Editor.

    Raises TooFewKeys, MissingFile for a path that has no beginning, or BadInput.
    """
    space: Any = context.space_data
    image = space.image
    if image is not None and image.source == "SEQUENCE":
        return _from_sequence(context.scene, image, space.image_user)
    if image is not None and image.source in ("MOVIE", "TILED"):
        what = "a movie" if image.source == "MOVIE" else "a tiled image"
        raise BadInput(
            f"{image.name} is {what}.", fix="Add it to the Video Sequencer and select its strip."
        )
    return _from_images(context.scene)


def _from_sequence(scene: bpy.types.Scene, image: Any, user: Any) -> Shot:
    span = range(user.frame_start, user.frame_start + user.frame_duration)
    picked = moments.chosen(scene, sources_of(scene).image_times, span)
    if len(picked.frames) < 2:
        where = f"on frames {span[0]} to {span[-1]}"
        raise TooFewKeys(
            f"{image.name} has {picked.counted} {where}.",
            fix="Go to each key drawing and press Mark Key at Playhead: two or more.",
        )
    shot = Shot(
        name=name_of(image),
        keys=(),
        notes=(f"Keys: the drawings on {len(picked.frames)} {picked.how}",),
        colourspace=image.colorspace_settings.name,
        editor="IMAGE",
        source=f"Files of the image sequence {image.name}",
    )
    return with_origins(shot, [_numbered(image, user, moment) for moment in picked.frames])


def _numbered(image: Any, user: Any, moment: KeyFrame) -> Origin:
    return _file(numbered(image, user, moment.frame), moment)


def numbered(image: Any, user: Any, frame: int) -> Path:
    """The file of an image sequence that is seen on a frame. Raises MissingFile."""
    path = path_of(image)
    number = frame - user.frame_start + 1 + user.frame_offset
    name = _NUMBER.sub(lambda found: str(number).zfill(len(found[1])), path.name)
    return path.with_name(name)


def _from_images(scene: bpy.types.Scene) -> Shot:
    added = sorted(
        (one for one in sources_of(scene).pictures if one.image is not None),
        key=lambda one: one.frame,
    )
    if len(added) < 2:
        raise TooFewKeys(
            f"{len(added) or 'No'} image{' is a key' if len(added) < 2 else 's are keys'}.",
            fix=_ADD,
        )
    first = added[0].image
    shot = Shot(
        name=name_of(first),
        keys=(),
        colourspace=first.colorspace_settings.name,
        editor="IMAGE",
        source=f"{len(added)} images as they are now, saved or not",
    )
    return with_origins(shot, _origins(added))


def _origins(added: Sequence[Any]) -> list[Origin]:
    return [_origin(one.image, KeyFrame(one.frame, one.role == "BREAKDOWN")) for one in added]


def _origin(image: Any, moment: KeyFrame) -> Origin:
    if pictures.is_file(image):
        return _file(path_of(image), moment)
    name = f"{safe_name(name_of(image))}_key_{moment.frame:04d}"

    def make(folder: Path) -> Path:
        return pictures.from_datablock(image, folder, name)

    return Origin(Key(Path(), moment.frame, moment.breakdown), make)


def _file(path: Path, moment: KeyFrame) -> Origin:
    if pictures.is_converted(path):
        key = Key(Path(), moment.frame, moment.breakdown)
        return Origin(key, partial(pictures.as_png, path))
    return Origin(Key(path, moment.frame, moment.breakdown))


def path_of(image: Any) -> Path:
    """The file of an image. Raises MissingFile for a path that has no beginning."""
    if image.filepath.startswith("//") and not bpy.data.filepath:
        raise MissingFile(
            f"{image.name} has a path relative to the .blend file, which is not saved yet.",
            fix="Save the .blend file where its drawings are, or choose the drawings again.",
        )
    return Path(bpy.path.abspath(image.filepath))


def name_of(image: Any) -> str:
    """A name for the shot: the image's, without a file ending or a frame number."""
    return Path(image.name).stem.rstrip("0123456789-_. ") or image.name
