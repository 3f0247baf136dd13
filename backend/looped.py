# SPDX-License-Identifier: GPL-3.0-or-later
"""One loop from image files to image files, without Blender and without a socket."""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from protocol.errors import BadInput, TweencelError
from protocol.jobs import Task
from protocol.messages import FrameMade, Submit
from protocol.params import Value, complete

from . import registry
from .config import SOFTWARE, Settings
from .shop import Listener, Shop, look_at, write

Digests = Mapping[Path, str]


@dataclass(frozen=True)
class LoopPlan:
    """What is to be made and where it goes. Files are numbered `start`, `start` + 1, ...

    files: all pictures and masks. task: the job, once their digests are known.
    """

    files: Sequence[Path]
    task: Callable[[Digests], Task]
    engine: str
    params: dict[str, Value]
    out: Path
    seed: int = 0
    start: int = 1
    digits: int = 4
    overwrite: bool = False


def run(plan: LoopPlan, settings: Settings, listen: Listener) -> list[Path]:
    """Make the plan's frames and tell `listen` what happens; the files in their order.

    Frames are written whole as they are made. Raises TweencelError; what was wrong with the input
    is found before anything is written.
    """
    entry = registry.find(plan.engine)
    params = complete(entry.spec.params, plan.params)
    kinds = {path: look_at(path, settings.limits).format for path in dict.fromkeys(plan.files)}
    with tempfile.TemporaryDirectory(prefix="tweencel-") as home:
        shop = Shop(replace(settings, home=Path(home)), listen)
        try:
            digests = {path: shop.add(path.read_bytes()) for path in kinds}
            task = plan.task(digests)
            task.check(settings.limits)
            names = _names(plan, task, {digests[path]: kind for path, kind in kinds.items()})
            _require_free(plan, names)
            order = Submit(
                rid=0,
                job=secrets.token_hex(16),
                engine=plan.engine,
                params=params,
                seed=plan.seed,
                task=task,
            )
            shop.order(order)
            _make_folder(plan.out)

            def put(frame: FrameMade) -> None:
                write(plan.out / names[frame.index], shop.read(frame))

            shop.on_frame = put
            shop.make()
        finally:
            shop.close()
    write(plan.out / "tweencel.json", _provenance(order, entry.spec.version, digests, names))
    return [plan.out / name for name in names]


def _names(plan: LoopPlan, task: Task, kinds: Mapping[str, str]) -> list[str]:
    suffix = ".exr" if kinds[task.pictures()[0]] == "EXR" else ".png"
    numbers = range(plan.start, plan.start + len(task.slots()))
    return [f"{number:0{plan.digits}d}{suffix}" for number in numbers]


def _require_free(plan: LoopPlan, names: Sequence[str]) -> None:
    taken = [] if plan.overwrite else [name for name in names if (plan.out / name).exists()]
    if taken:
        raise BadInput(
            f"{plan.out} already holds {taken[0]}{' and others' if taken[1:] else ''}.",
            fix="Choose another folder with --out, or pass --overwrite.",
        )


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise TweencelError(
            f"The folder {folder} cannot be made: {problem.strerror}.",
            fix="Choose another folder with --out.",
        ) from None


def _provenance(order: Submit, version: str, digests: Digests, names: Sequence[str]) -> bytes:
    record = {
        "software": SOFTWARE,
        "engine": order.engine,
        "engine_version": version,
        "params": order.params,
        "seed": order.seed,
        "task": order.task,
        "inputs": [{"name": path.name, "sha256": digest} for path, digest in digests.items()],
        "frames": names,
    }
    return msgspec.json.format(msgspec.json.encode(record), indent=2)
