# SPDX-License-Identifier: GPL-3.0-or-later
"""A job with its files on this disk: what was ordered, where the frames go, which have come.

It knows no Blender.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from protocol.engines import EngineSpec
from protocol.jobs import Guide, Inbetween, Task
from protocol.params import Value
from protocol.timing import drawings

from .ledger import Job
from .storage import Folder


@dataclass(frozen=True)
class Order:
    """What to generate, and where the frames are to go: into a new folder in `parent`.

    `task` is a draft: in it the file `files[i]` is called `placeholder(i)`, for its digest is not
    known yet. `numbers` says for each slot which drawing it is, keys counted, from 0.
    """

    files: tuple[Path, ...]
    task: Task
    numbers: tuple[int, ...]
    engine: EngineSpec
    parent: Path
    name: str = "shot"
    params: Mapping[str, Value] = field(default_factory=dict)
    seed: int = 0
    facts: Mapping[str, Any] = field(default_factory=dict)
    """More for the record beside the frames, such as the exposure sheet."""
    painted: frozenset[Path] = frozenset()
    """Those of the keys that are frames of an earlier version which the artist painted over."""
    earlier: Path | None = None
    """The folder of an earlier version: frames of it for which nothing has changed are taken over,
    so that only the others are made."""

    @property
    def keys(self) -> tuple[Path, ...]:
        """The key drawings of in-betweens; no other job has any."""
        if not isinstance(self.task, Inbetween):
            return ()
        return tuple(self.files[int(key, 16)] for key in self.task.keys)

    @property
    def gaps(self) -> tuple[tuple[float, ...], ...]:
        """The times of in-betweens."""
        return self.task.gaps if isinstance(self.task, Inbetween) else ()


class Sketch(NamedTuple):
    """A file that guides the drawing at time `t` of a gap. `strength` 0..2."""

    gap: int
    t: float
    path: Path
    strength: float = 1.0


def between(
    keys: Sequence[Path],
    gaps: tuple[tuple[float, ...], ...],
    engine: EngineSpec,
    parent: Path,
    name: str = "shot",
    *,
    breakdowns: tuple[int, ...] = (),
    masks: Sequence[Path] = (),
    sketches: Sequence[Sketch] = (),
    even_motion: bool = False,
    params: Mapping[str, Value] | None = None,
    seed: int = 0,
    facts: Mapping[str, Any] | None = None,
    painted: frozenset[Path] = frozenset(),
    earlier: Path | None = None,
) -> Order:
    """The order of in-betweens: as protocol.inbetween.Inbetween, with files for digests."""
    files, names = called((*keys, *masks, *(sketch.path for sketch in sketches)))
    task = Inbetween(
        keys=tuple(names[key] for key in keys),
        gaps=gaps,
        breakdowns=breakdowns,
        guides=tuple(
            Guide(gap=gap, t=t, sketch=names[path], strength=strength)
            for gap, t, path, strength in sketches
        ),
        masks=tuple(names[mask] for mask in masks),
        even_motion=even_motion,
    )
    numbers = tuple(n for n, drawing in enumerate(drawings(gaps)) if not drawing.is_key)
    return Order(
        files=files,
        task=task,
        numbers=numbers,
        engine=engine,
        parent=parent,
        name=name,
        params=params or {},
        seed=seed,
        facts=facts or {},
        painted=painted,
        earlier=earlier,
    )


def called(paths: Iterable[Path]) -> tuple[tuple[Path, ...], dict[Path, str]]:
    """Each file once, and what it is called in the draft."""
    files = tuple(dict.fromkeys(paths))
    return files, {path: placeholder(number) for number, path in enumerate(files)}


def placeholder(number: int) -> str:
    """Stands for the digest of an order's `number`-th file."""
    return f"{number:064x}"


def filled(task: Task, digests: Sequence[str]) -> Task:
    """The draft with the files' digests in it."""
    known = {placeholder(number): digest for number, digest in enumerate(digests)}
    return msgspec.convert(_replaced(msgspec.to_builtins(task), known), Task)


def only(task: Task, slots: Iterable[int]) -> Task:
    """The task that asks for those of its slots alone. Only in-betweens can be parted."""
    assert isinstance(task, Inbetween)
    asked = set(slots)
    wanted = [slot for slot in task.slots() if slot.index in asked]
    times: list[list[float]] = [[] for _ in task.gaps]
    for slot in wanted:
        times[slot.gap].append(slot.t)
    one_mask = len(task.masks) < 2
    return msgspec.structs.replace(
        task,
        gaps=tuple(map(tuple, times)),
        guides=tuple(guide for guide in task.guides if times[guide.gap]),
        masks=task.masks if one_mask else tuple(task.masks[slot.index] for slot in wanted),
    )


def _replaced(plain: Any, known: Mapping[str, str]) -> Any:
    match plain:
        case str():
            return known.get(plain, plain)
        case dict():
            return {key: _replaced(value, known) for key, value in plain.items()}
        case list() | tuple():
            return [_replaced(value, known) for value in plain]
    return plain


@dataclass
class Work:
    """A job with its files. A *slot* is one of the order; the job may ask for some of them only.

    `made` gives the file names of the frames that are there, by slot.
    """

    job: Job
    order: Order
    folder: Folder
    preparing: Iterator[None] | None = None
    digests: dict[Path, str] = field(default_factory=dict)
    made: dict[int, str] = field(default_factory=dict)
    found: dict[int, str] = field(default_factory=dict)
    """Frames that an earlier session left in the folder, by the job's index; they may be whole or
    not."""
    asked: tuple[int, ...] | None = None
    """The slots that the job asks for; None until that is known: all."""
    written: dict[int, int] = field(default_factory=dict)
    """When the frames that are there were written (st_mtime_ns), by slot."""
    reused: dict[int, str] = field(default_factory=dict)
    """Digests of the frames that were taken over from the earlier version, by slot."""

    def slot_of(self, index: int) -> int:
        """The slot for which the job's `index`-th frame is made."""
        return index if self.asked is None else self.asked[index]

    def whole_task(self) -> Task:
        """What was ordered, with the digests of its files; they must be known."""
        return filled(self.order.task, [self.digests[path] for path in self.order.files])

    def key_names(self) -> Iterator[str]:
        """What copies of the keys are called, where there are copies."""
        if not self.order.keys:
            return
        drawing = 0
        for path, times in zip(self.order.keys, (*self.order.gaps, ()), strict=True):
            yield self.folder.frame_name(drawing, path.suffix.lower())
            drawing += 1 + len(times)

    def name_of(self, slot: int, suffix: str = ".png") -> str:
        """The file name of a slot's frame: its number among all drawings, keys too."""
        return self.folder.frame_name(self.order.numbers[slot], suffix)
