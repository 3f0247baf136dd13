# SPDX-License-Identifier: GPL-3.0-or-later
"""A result that the artist has selected: how it was made, brought back into the panel."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import bpy

from protocol.engines import EngineSpec
from protocol.errors import BadInput, BadParameter, MissingFile

from . import capture, image_targets, param_props, remembered, timeline, vse
from .painted import Watch
from .properties import settings_of
from .provenance import Version, read_version
from .record_place import folder_of
from .source_props import sources_of
from .storage import PROVENANCE
from .timeline_mark import is_loop, is_ours, job_of

watch = Watch()
"""What is known of painted frames, for the panel and for making again."""
_NOT_SETTINGS = frozenset(("engines", "engine", "seed", "replaces", "variations", "curve_shape"))
"""The record holds them elsewhere, or they are not about how one result was made."""


class Made(NamedTuple):
    """A result of ours and its record."""

    owner: Any
    folder: Path
    version: Version

    @property
    def job(self) -> str:
        return self.version.job


def chosen(context: bpy.types.Context) -> Made:
    """The result that is selected: a strip, an object, or the image of the Image Editor.

    Raises BadInput if there is none, MissingFile if its record is gone.
    """
    owner = next(_selected(context), None)
    if owner is None:
        raise BadInput(
            "No in-betweens are selected.", fix="Select the strip or the object that shows them."
        )
    return _made(owner)


def chosen_owner(context: bpy.types.Context) -> Any:
    """The selected result itself, or None; no file is read."""
    return next(_selected(context), None)


def replaced(context: bpy.types.Context) -> Made | None:
    """The result that Generate is to make again in its place: the one whose settings were restored,
    as long as what is selected has to do with it."""
    job = settings_of(vse.editing_scene(context)).replaces
    made = found(job) if job else None
    return made if made is not None and _of_same_keys(context, made) else None


def found(job: str) -> Made | None:
    """The result that shows a job's frames, if it is in this file and its record can be read."""
    for owner in (*timeline.strips_of(job), *image_targets.images_of(job)):
        try:
            return _made(owner)
        except MissingFile:
            continue
    return None


def _made(owner: Any) -> Made:
    folder = folder_of(owner)
    version = _version(folder, _stamp(folder / PROVENANCE))
    if version is None or version.job != job_of(owner):
        raise MissingFile(
            f"The record of {owner.name} cannot be read: {folder / PROVENANCE}.",
            fix="Move the folder with the frames back, or set the settings by hand.",
        )
    return Made(owner, folder, version)


def _stamp(record: Path) -> int:
    try:
        return record.stat().st_mtime_ns
    except OSError:
        return 0


@lru_cache(maxsize=16)
def _version(folder: Path, stamp: int) -> Version | None:
    """The record in a folder, read anew when it has changed: a panel asks at each redraw."""
    return read_version(folder) if stamp else None


def _selected(context: bpy.types.Context) -> Iterator[Any]:
    match capture.editor_of(context):
        case "IMAGE":
            things = [context.space_data.image]  # type: ignore[union-attr]
        case "VIEW3D":
            things = [context.active_object, *context.selected_objects]
            things += image_targets.behind(_cameras(context, things))
        case _:
            scene = vse.editing_scene(context)
            level = vse.open_level(scene)
            strips = [strip for strip in level.strips if strip.select] if level else []
            active = scene.sequence_editor.active_strip if scene.sequence_editor else None
            things = sorted(strips, key=lambda strip: strip != active)
    ours = (thing for thing in things if thing is not None and is_ours(thing))
    yield from (thing for thing in ours if not is_loop(thing))


def _cameras(context: bpy.types.Context, selected: list[Any]) -> list[Any]:
    """The cameras that are selected, and the one that the 3D View looks through."""
    view: Any = getattr(context.space_data, "region_3d", None)
    through = view is not None and view.view_perspective == "CAMERA"
    cameras = [context.scene.camera] if through else []
    return [one for one in (*selected, *cameras) if one is not None and one.type == "CAMERA"]


def editor_of(made: Made) -> str:
    """In which editor a result's keys were chosen: VSE, IMAGE or VIEW3D."""
    return str(made.version.origin.get("editor", "VSE"))


def settings_record(context: bpy.types.Context) -> dict[str, Any]:
    """What a record needs so that `restore` brings the panel back as it is now."""
    scene = capture.scene_of(context)
    return {
        "settings": remembered.plain(settings_of(vse.editing_scene(context)), _NOT_SETTINGS),
        "sources": remembered.plain(sources_of(scene)),
        "origin": capture.origin(context),
    }


def restore(context: bpy.types.Context, made: Made, engines: list[EngineSpec]) -> list[str]:
    """Bring back the settings with which a result was made, and select what it was made of.

    Gives sentences on what could not be brought back. Raises MissingFile for the record of a
    release that noted no settings.
    """
    version = made.version
    if not version.settings:
        raise MissingFile(
            f"The record of {made.owner.name} notes no settings: an earlier release wrote it.",
            fix="Set them by hand; results that are made from now on note them.",
        )
    settings = settings_of(vse.editing_scene(context))
    remembered.bring_back(settings, version.settings, _NOT_SETTINGS)
    remembered.bring_back(sources_of(capture.scene_of(context)), version.sources)
    settings.engine, settings.seed = version.engine.id, version.seed
    lost = _restore_params(settings, version, engines)
    if missing := capture.select_origin(context, version.origin):
        lost.append(f"Not there any more: {', '.join(missing)}")
    return lost


@contextmanager
def panel_kept(context: bpy.types.Context) -> Iterator[None]:
    """Settings, sources and selection are afterwards what they were before."""
    settings = settings_of(vse.editing_scene(context))
    sources = sources_of(capture.scene_of(context))
    shot, taken = remembered.plain(settings), remembered.plain(sources)
    engines = {item.name: dict(item.items()) for item in settings.engines}
    selected = capture.selection(context)
    try:
        yield
    finally:
        remembered.bring_back(settings, shot, frozenset(("engines", "replaces")))
        remembered.bring_back(sources, taken)
        for name, values in engines.items():
            for key, value in values.items():
                settings.engines[name][key] = value
        capture.select_origin(context, selected)


def _restore_params(settings: Any, version: Version, engines: list[EngineSpec]) -> list[str]:
    spec = next((engine for engine in engines if engine.id == version.engine.id), None)
    if spec is None:
        return [f"This backend has no engine {version.engine.id}"]
    lost: list[str] = []
    for name, value in version.params.items():
        try:
            param_props.set_value(settings, spec, name, value)
        except BadParameter as problem:
            lost.append(problem.text)
    return lost


def _of_same_keys(context: bpy.types.Context, made: Made) -> bool:
    """Whether what is selected now has something in common with what a result was made of."""
    now, then = capture.origin(context), made.version.origin
    if now.get("editor") != then.get("editor"):
        return False
    return bool(_names(now) & _names(then))


def _names(origin: dict[str, Any]) -> set[str]:
    return {str(name) for kind, names in origin.items() if kind != "editor" for name in names}
