# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked for when a loop is wanted: from selection and settings to an order.

It talks to nobody.
The pictures of a run may have to be rendered, one in each step of `take`; masks and strokes are
read when the button is pressed.
"""

from __future__ import annotations

import contextlib
import math
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import bpy

from protocol.engines import EngineSpec
from protocol.errors import NoRoom
from protocol.jobs import Task
from protocol.params import Value

from . import capture, generation, image_targets, param_props, remembered, timeline, vse
from .capture import LoopSource
from .loop_orders import Moving, clip_task, seam_task, still_task
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
    source: LoopSource
    engine: EngineSpec
    folder: Folder
    length: int
    params: Mapping[str, Value]
    seed: int
    size: Size
    frames: list[Path]
    layer: bool
    settings: dict[str, Any]
    """The panel's settings as they are, for the record."""
    moving: list[Moving] = field(default_factory=list)
    in_front: bool = False
    """As image_targets.Sequence; likewise `standing`."""
    standing: str = ""
    target: str = FILES
    span: range = range(0)
    """Where the result is seen on the timeline."""

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
    settings, length = settings_of(scene), loop_of(capture.scene_of(context)).length
    end = source.end if source.editor == "VSE" else scene.frame_end + 1
    span = range(source.start, max(end, source.start + length))
    target = generation.target_in(context)
    image_targets.require(target, context.scene, settings.standing)
    _require_place(context, target, source, span)
    shot = Shot(name=f"{source.name} loop", keys=())
    folder = generation.folder_for(context, parent, shot, engine)
    made = _begun(context, source, engine, folder, 0)
    made.target, made.span, made.standing = target, span, settings.standing
    if target != STRIP:
        made.scene = context.scene.name
    return made


def asked_aside(
    context: bpy.types.Context,
    source: LoopSource,
    engine: EngineSpec,
    parent: Path,
    longest_side: int = 0,
) -> AskedLoop:
    """The same for what is not kept: a preview, or a question. Pictures whose longer side has more
    than `longest_side` pixels are made smaller; 0: as they are."""
    folder = Folder.make(parent, source.name)
    return _begun(context, source, engine, folder, longest_side)


def _begun(
    context: bpy.types.Context,
    source: LoopSource,
    engine: EngineSpec,
    folder: Folder,
    longest_side: int,
) -> AskedLoop:
    whose, settings = capture.scene_of(context), settings_of(vse.editing_scene(context))
    loop = loop_of(whose)
    inputs = folder.path / INPUTS
    with contextlib.ExitStack() as undo:
        undo.callback(folder.discard, also_parent=True)
        params = param_props.values(settings, engine)
        with writing(inputs):
            inputs.mkdir(parents=True)
        first = source.takes[0](inputs)
        full = capture.size_of(first)
        scale = min(1.0, longest_side / max(full)) if longest_side else 1.0
        size = (max(1, round(full[0] * scale)), max(1, round(full[1] * scale)))
        if scale < 1:
            first = capture.smaller(first, size, inputs)
        made = AskedLoop(
            scene=vse.editing_scene(context).name,
            source=source,
            engine=engine,
            folder=folder,
            length=loop.length,
            params=params,
            seed=settings.seed,
            size=size,
            frames=[first],
            layer=loop.layer,
            in_front=capture.editor_of(context) == "VIEW3D",
            settings=remembered.plain(loop, frozenset(("active",))),
        )
        if loop.regions or not source.is_run:
            made.moving = capture.marked(whose, size, inputs, folder.name, scale=scale)
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
    """The order of a loop, once all pictures are files."""
    files, task = _loop(asking, asking.length, asking.layer)
    shown = {
        "start": asking.span.start,
        "stop": asking.span.stop,
        "first": _first(asking),
        "exr": asking.is_exr,
    }
    facts = {"target": asking.target, "loop": shown, "loop_settings": asking.settings}
    return _order(asking, files, task, facts)


def preview_of(asking: AskedLoop, most: int) -> Order:
    """The order of a preview with `most` frames at the most; what is fewer moves the farther in
    each. The record says how many frames of the loop each of them stands for."""
    step = max(1, math.ceil(asking.length / most))
    length = max(2, round(asking.length / step))
    step = asking.length / length
    asking.moving = [
        one._replace(speed=one.speed * step, period=one.period / step) for one in asking.moving
    ]
    files, task = _loop(asking, length, layer=False)
    return _order(asking, files, task, {"preview": {"step": step}})


def seam_of(asking: AskedLoop, shortest: int, longest: int) -> Order:
    """The order of what each length would cost."""
    masks = [moving.mask for moving in asking.moving]
    files, task = seam_task(asking.frames, masks, shortest, longest)
    return _order(asking, files, task, {"seam": True})


def _loop(asking: AskedLoop, length: int, layer: bool) -> tuple[tuple[Path, ...], Task]:
    if asking.source.is_run:
        masks = [moving.mask for moving in asking.moving]
        return clip_task(asking.frames, masks, length, layer=layer)
    return still_task(asking.frames[0], asking.moving, length, layer=layer)


def _order(asking: AskedLoop, files: tuple[Path, ...], task: Task, facts: dict[str, Any]) -> Order:
    return Order(
        files=files,
        task=task,
        numbers=tuple(range(len(task.slots()))),
        engine=asking.engine,
        parent=asking.folder.path.parent,
        name=asking.source.name,
        params=asking.params,
        seed=asking.seed,
        facts=facts,
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
