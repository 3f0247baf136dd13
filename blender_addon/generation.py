# SPDX-License-Identifier: GPL-3.0-or-later
"""What pressing Generate asks for: from selection and settings to orders. It talks to nobody."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import bpy

from protocol.engines import EngineSpec

from . import capture, param_props, results, vse
from .naming import named
from .painted import painted_of, with_painted
from .properties import settings_of, wish_of
from .results import Made
from .shot import Plan, Shot, Wish, breakdowns_of, keys_of, plan
from .storage import INPUTS, Folder, writing
from .work import Order, between

_LAST_SEED = 2**31 - 1
_SUITING = {"VSE": "VSE", "IMAGE": "IMAGE", "VIEW3D": "CAMERA"}
"""What the frames are shown by if the artist has chosen nothing, by editor."""


class Asked(NamedTuple):
    """Keys, timing and plan, before anything was made. `instead`: the result that gives way."""

    shot: Shot
    wish: Wish
    plan: Plan
    instead: Made | None


def asked(context: bpy.types.Context, settings: Any, instead: Made | None) -> Asked:
    """What is selected and wished. Frames of `instead` that were painted over are keys.

    Raises TooFewKeys, MissingFile, BadInput, NothingToMake or NoRoom.
    """
    shot, wish = capture.survey(context), wish_of(settings)
    if instead is not None:
        changed = results.watch.all(instead.folder, instead.version)
        painted = painted_of(instead.version, instead.folder, changed)
        shot, wish = with_painted(shot, wish, instead.version, instead.folder, painted)
    return Asked(shot, wish, plan(shot, wish), instead)


def target_in(context: bpy.types.Context) -> str:
    """What shows the frames: the artist's choice, or what suits the editor."""
    chosen = settings_of(vse.editing_scene(context)).target
    return _SUITING[capture.editor_of(context)] if chosen == "AUTO" else chosen


def seeds(context: bpy.types.Context, engine: EngineSpec, instead: Made | None) -> list[int]:
    """One seed for each variation that is asked for."""
    settings = settings_of(vse.editing_scene(context))
    several = instead is None and engine.can.seeds and target_in(context) in ("VSE", "FILES")
    count = settings.variations if several else 1
    return [(settings.seed + number) % (_LAST_SEED + 1) for number in range(count)]


def folder_for(context: bpy.types.Context, parent: Path, shot: Shot, engine: EngineSpec) -> Folder:
    """A new folder for a version of a shot, named as the artist wants it.

    Raises BadInput for a template that cannot be read, DiskFull or MissingFile.
    """
    scene = vse.editing_scene(context)
    words = {
        "blend": Path(bpy.data.filepath).stem or "untitled",
        "scene": scene.name,
        "shot": shot.name,
        "layer": shot.layer,
        "engine": engine.id,
    }
    naming = named(settings_of(scene).template, words)
    return Folder.make(parent / naming.within, shot.name, naming.name)


def order_of(
    context: bpy.types.Context, asked: Asked, engine: EngineSpec, folder: Folder, seed: int
) -> Order:
    """The order for a shot whose keys are files. Masks and sketches are made in the folder."""
    settings = settings_of(vse.editing_scene(context))
    shot, sheet = asked.shot, asked.plan
    inputs = folder.path / INPUTS
    extras = capture.extras(context, shot, sheet, inputs, sketches=engine.can.sketches)
    return between(
        [key.path for key in keys_of(shot, sheet)],
        sheet.gaps,
        engine,
        folder.path.parent,
        shot.name,
        breakdowns=breakdowns_of(shot),
        masks=extras.masks,
        sketches=extras.guides,
        even_motion=asked.wish.even_motion,
        params=param_props.values(settings, engine),
        seed=seed,
        facts=_facts(context, settings, sheet),
        painted=frozenset(key.path for key in shot.keys if key.painted),
        earlier=asked.instead.folder if asked.instead else None,
    )


def _facts(context: bpy.types.Context, settings: Any, sheet: Plan) -> dict[str, Any]:
    return {
        "target": target_in(context),
        "timing": {
            name: getattr(settings, name) for name in ("fit", "step", "spacing", "hold", "repeat")
        },
        "sheet": [
            {"key": e.drawing.key, "t": e.drawing.t, "frame": e.frame, "hold": e.hold}
            for e in sheet.sheet
        ],
        **results.settings_record(context),
    }


def taken(shot: Shot, folder: Folder) -> Shot:
    """The shot with its keys as files; painted ones are files already.

    Raises what rendering raises, DiskFull or MissingFile.
    """
    if shot.take is None:
        return shot
    made = iter(shot.take(folder.path / INPUTS).keys)
    keys = [key if key.painted else key._replace(path=next(made).path) for key in shot.keys]
    return replace(shot, keys=tuple(keys), take=None)


def copied(shot: Shot, first: Folder, folder: Folder) -> Shot:
    """The shot with copies of those keys that were rendered into the first variation's folder."""
    source, target = first.path / INPUTS, folder.path / INPUTS
    keys = []
    for key in shot.keys:
        path = key.path
        if path.parent == source:
            path = _copy(path, target)
        keys.append(key._replace(path=path))
    return replace(shot, keys=tuple(keys))


def _copy(path: Path, folder: Path) -> Path:
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        return Path(shutil.copyfile(path, folder / path.name))
