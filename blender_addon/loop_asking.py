# SPDX-License-Identifier: GPL-3.0-or-later
"""What pressing Make Loop asks for: from selection and settings to an order. It talks to nobody.

The pictures of a run may have to be rendered, one in each step of `take`; masks and strokes are
read when the button is pressed.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import bpy

from protocol.engines import EngineSpec
from protocol.errors import NoRoom
from protocol.params import Value

from . import capture, generation, image_targets, param_props, remembered, timeline, vse
from .capture import LoopSource
from .loop_orders import Moving, clip_task, still_task
from .loop_props import loop_of
from .properties import settings_of
from .shot import Shot
from .storage import EXR_SUFFIX, INPUTS, Folder, writing
from .work import Order

STRIP, FILES = "VSE", "FILES"
Size = tuple[int, int]


@dataclass
class AskedLoop:
    """A loop that was asked for. `frames` are the pictures that are files already."""

    scene: str
    """Where the result goes."""
    target: str
    standing: str
    in_front: bool
    source: LoopSource
    engine: EngineSpec
    folder: Folder
    length: int
    span: range
    """Where the result is seen on the timeline."""
    params: Mapping[str, Value]
    seed: int
    size: Size
    frames: list[Path]
    settings: dict[str, Any]
    """The panel's settings as they are, for the record."""
    moving: list[Moving] = field(default_factory=list)

    @property
    def is_exr(self) -> bool:
        return self.frames[0].suffix.lower() == EXR_SUFFIX

    @property
    def left(self) -> int:
        """How many pictures are still to be taken."""
        return len(self.source.takes) - len(self.frames)


def source_of(context: bpy.types.Context) -> LoopSource:
    """What is chosen in the editor of the context; see capture.loop_source."""
    return capture.loop_source(context, capture.editor_of(context))


def asked(
    context: bpy.types.Context, source: LoopSource, engine: EngineSpec, parent: Path
) -> AskedLoop:
    """Look at the settings, make the first picture, the masks and the folder for them.

    Raises any TweencelError; then nothing is left.
    """
    scene = vse.editing_scene(context)
    settings, loop = settings_of(scene), loop_of(capture.scene_of(context))
    span = range(source.start, max(source.end, source.start + loop.length))
    target = generation.target_in(context)
    image_targets.require(target, context.scene, settings.standing)
    _require_place(context, target, source, span)
    params = param_props.values(settings, engine)
    shot = Shot(name=f"{source.name} loop", keys=())
    folder = generation.folder_for(context, parent, shot, engine)
    inputs = folder.path / INPUTS
    with contextlib.ExitStack() as undo:
        undo.callback(folder.discard, also_parent=True)
        with writing(inputs):
            inputs.mkdir(parents=True)
        first = source.takes[0](inputs)
        made = AskedLoop(
            scene=scene.name if target == STRIP else context.scene.name,
            target=target,
            standing=settings.standing,
            in_front=capture.editor_of(context) == "VIEW3D",
            source=source,
            engine=engine,
            folder=folder,
            length=loop.length,
            span=span,
            params=params,
            seed=settings.seed,
            size=capture.size_of(first),
            frames=[first],
            settings=remembered.plain(loop, frozenset(("active",))),
        )
        if loop.regions or not source.is_run:
            whose = capture.scene_of(context)
            made.moving = capture.marked(whose, made.size, inputs, folder.name)
        undo.pop_all()
    return made


def _require_place(
    context: bpy.types.Context, target: str, source: LoopSource, span: range
) -> None:
    if target != STRIP:
        return
    scene = vse.editing_scene(context)
    if vse.open_level(scene) is None:
        scene.sequence_editor_create()
    try:
        timeline.free_channel(scene, source.channel, span.start, span.stop)
    except NoRoom as problem:
        raise NoRoom(problem.text, fix="Clear or unlock a channel above the source.") from None


def take(asking: AskedLoop) -> Iterator[None]:
    """Take the rest of the pictures, one a step. Raises what rendering raises."""
    for one in asking.source.takes[len(asking.frames) :]:
        asking.frames.append(one(asking.folder.path / INPUTS))
        yield


def order_of(asking: AskedLoop) -> Order:
    """The order, once all pictures are files."""
    if asking.source.is_run:
        masks = [moving.mask for moving in asking.moving]
        files, task = clip_task(asking.frames, masks, asking.length)
    else:
        files, task = still_task(asking.frames[0], asking.moving, asking.length)
    return Order(
        files=files,
        task=task,
        numbers=tuple(range(asking.length)),
        engine=asking.engine,
        parent=asking.folder.path.parent,
        name=asking.source.name,
        params=asking.params,
        seed=asking.seed,
        facts={
            "target": asking.target,
            "loop": {
                "start": asking.span.start,
                "stop": asking.span.stop,
                "first": _first(asking),
                "exr": asking.is_exr,
            },
            "loop_settings": asking.settings,
        },
    )


def _first(asking: AskedLoop) -> str:
    """What is shown until the first frame has landed: a copy of the first picture, as it is called
    from the folder. Raises DiskFull."""
    source = asking.frames[0]
    name = f"{asking.folder.name}_first{EXR_SUFFIX if asking.is_exr else '.png'}"
    target = asking.folder.path / INPUTS / name
    with writing(target):
        shutil.copyfile(source, target)
    return f"{INPUTS}/{name}"
