# SPDX-License-Identifier: GPL-3.0-or-later
"""One job from image files to image files, without Blender and without a socket.

It stands on the same scheduler, store and worker as the server, so the pixels are the same.
"""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from protocol.errors import BadInput, BadJob, MissingFile
from protocol.jobs import Inbetween, Time
from protocol.limits import Limits
from protocol.messages import FrameMade, Submit
from protocol.params import Value, complete
from protocol.pictures import check_same_kind, check_same_size
from protocol.timing import (
    Exposure,
    Spacing,
    closed,
    drawings,
    expose_on,
    room_between,
    spaced,
    there_and_back,
)

from . import registry
from .config import SOFTWARE, Settings
from .shop import Listener, Shop, look_at, write


class JobFile(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A job as a TOML or JSON file. Paths are seen from the file's own folder.

    Either `inbetweens` (one number for all gaps, or one for each), or `key_frames` (the timeline
    frames of the keys: every frame between them is made), or `times` (the t of each in-between). A
    cycle has one gap more, and its `key_frames` end with the frame of the first key's return.
    """

    keys: list[str]
    inbetweens: int | list[int] | None = None
    key_frames: list[int] | None = None
    times: list[list[Time]] | None = None
    spacing: Spacing | list[Spacing] = Spacing.EVEN
    engine: str = registry.DEFAULT_ENGINE
    params: dict[str, Value] = {}
    seed: Annotated[int, Meta(ge=0, lt=2**32)] = 0
    out: str = "inbetweens"
    cycle: bool = False
    ping_pong: bool = False
    step: Annotated[int, Meta(ge=1, le=1000)] = 1
    even_motion: bool = False
    masks: str | list[str] = []
    breakdowns: list[Annotated[int, Meta(ge=1)]] = []
    """The keys that are breakdowns, counted from 1."""


@dataclass(frozen=True)
class Plan:
    """What is to be made and where it goes. Files are numbered `start`, `start` + 1, ...

    In a cycle the last gap leads from the last key to the first. `step`: for how many frames each
    drawing is held, which is noted and not written twice.
    """

    keys: tuple[Path, ...]
    gaps: tuple[tuple[float, ...], ...]
    engine: str
    params: dict[str, Value]
    seed: int
    out: Path
    start: int = 1
    digits: int = 4
    overwrite: bool = False
    cycle: bool = False
    ping_pong: bool = False
    step: int = 1
    even_motion: bool = False
    masks: tuple[Path, ...] = ()
    breakdowns: tuple[int, ...] = ()
    """Numbers of keys, from 0."""

    def path(self) -> list[Path]:
        """The keys from gap to gap: a cycle ends with its first one."""
        return [*self.keys, *self.keys[:1]] if self.cycle else list(self.keys)

    def sheet(self) -> list[Exposure]:
        """The drawings in the order of their files."""
        sheet = expose_on(self.start, self.gaps, self.step)
        if self.cycle:
            return closed(sheet)
        return there_and_back(sheet) if self.ping_pong else sheet


def read_job_file(path: Path) -> Plan:
    """The plan in a .toml or .json file. Raises MissingFile, BadJob."""
    try:
        content = path.read_bytes()
    except OSError as problem:
        raise MissingFile(f"{path} cannot be read: {problem.strerror}.") from None
    decode = msgspec.json.decode if path.suffix == ".json" else msgspec.toml.decode
    try:
        job = decode(content, type=JobFile)
    except ValueError as problem:
        raise BadJob(f"{path} is not a job: {problem}.", fix="See `tweencel run --help`.") from None
    folder = path.parent
    return Plan(
        keys=tuple(folder / key for key in job.keys),
        gaps=_gaps_of(job),
        engine=job.engine,
        params=job.params,
        seed=job.seed,
        out=folder / job.out,
        cycle=job.cycle,
        ping_pong=job.ping_pong,
        step=job.step,
        even_motion=job.even_motion,
        masks=find_masks([job.masks] if isinstance(job.masks, str) else job.masks, folder),
        breakdowns=tuple(number - 1 for number in job.breakdowns),
    )


def find_masks(names: Sequence[str], folder: Path = Path()) -> tuple[Path, ...]:
    """The files of masks, in order; a name may be a pattern (masks/*.png). Raises MissingFile."""
    found: list[Path] = []
    for name in names:
        path = folder / name
        if not any(sign in name for sign in "*?["):
            found.append(path)
            continue
        matches = sorted(path.parent.glob(path.name))
        if not matches:
            raise MissingFile(f"No mask is called {path}.")
        found += matches
    return tuple(found)


def gaps_for(
    keys: int, counts: int | Sequence[int], spacing: Spacing | Sequence[Spacing]
) -> tuple[tuple[float, ...], ...]:
    """The times of each gap between that many keys. Raises BadJob if the numbers do not fit."""
    rows = [counts] * (keys - 1) if isinstance(counts, int) else list(counts)
    ways = [spacing] * (keys - 1) if isinstance(spacing, Spacing) else list(spacing)
    for name, row in (("in-between counts", rows), ("spacings", ways)):
        if len(row) != keys - 1:
            raise BadJob(
                f"{keys} keys have {keys - 1} gaps, but there are {len(row)} {name}.",
                fix="Give one for all gaps, or one for each.",
            )
    if any(count < 0 for count in rows):
        raise BadJob("A gap has a negative number of in-betweens.", fix="Use 0 or more.")
    return tuple(spaced(count, way) for count, way in zip(rows, ways, strict=True))


def _gaps_of(job: JobFile) -> tuple[tuple[float, ...], ...]:
    told = [job.inbetweens is not None, job.key_frames is not None, job.times is not None]
    if sum(told) != 1:
        raise BadJob(
            "The job must say how many in-betweens it wants, once.",
            fix="Give exactly one of inbetweens, key_frames and times.",
        )
    keys = len(job.keys) + job.cycle
    if job.times is not None:
        return tuple(map(tuple, job.times))
    if job.key_frames is not None:
        return gaps_for(keys, room_between(job.key_frames), job.spacing)
    assert job.inbetweens is not None
    return gaps_for(keys, job.inbetweens, job.spacing)


def run(plan: Plan, settings: Settings, listen: Listener) -> list[Path]:
    """Make the plan's frames and tell `listen` what happens; the files in the order of the shot.

    Keys are copied byte for byte. Frames are written whole as they are made. Raises TweencelError;
    what was wrong with the input is found before anything is written.
    """
    if plan.cycle and plan.ping_pong:
        raise BadJob(
            "A shot is a cycle or goes there and back, not both.",
            fix="Leave out --cycle or --ping-pong.",
        )
    contents, masks, kind = _read_pictures(plan, settings.limits)
    entry = registry.find(plan.engine)
    params = complete(entry.spec.params, plan.params)
    with tempfile.TemporaryDirectory(prefix="tweencel-") as home:
        shop = Shop(replace(settings, home=Path(home)), listen)
        try:
            digests = tuple(map(shop.add, contents))
            task = Inbetween(
                keys=(*digests, *digests[:1]) if plan.cycle else digests,
                gaps=plan.gaps,
                breakdowns=plan.breakdowns,
                masks=tuple(map(shop.add, masks)),
                even_motion=plan.even_motion,
            )
            task.check(settings.limits)
            names = _names(plan, kind)
            _require_free(plan, names)
            job = secrets.token_hex(16)
            shop.order(
                Submit(rid=0, job=job, engine=plan.engine, params=params, seed=plan.seed, task=task)
            )
            _write_keys(plan, names, contents)
            places = _places(plan)

            def put(frame: FrameMade) -> None:
                for place in places[frame.index]:
                    write(plan.out / names[place], shop.read(frame))

            shop.on_frame = put
            shop.make()
        finally:
            shop.close()
    write(plan.out / "tweencel.json", _provenance(plan, entry.spec.version, params, digests, names))
    return [plan.out / name for name in names]


def _read_pictures(plan: Plan, limits: Limits) -> tuple[list[bytes], list[bytes], str]:
    """The files of keys and masks, and the kind of file that in-betweens become."""
    keys = [(key.name, look_at(key, limits)) for key in plan.keys]
    masks = [(mask.name, look_at(mask, limits)) for mask in dict.fromkeys(plan.masks)]
    kind = ".png"
    if keys:
        check_same_size([*keys, *masks])
        check_same_kind(keys)
        kind = ".exr" if keys[0][1].format == "EXR" else ".png"
    return (
        [key.read_bytes() for key in plan.keys],
        [mask.read_bytes() for mask in plan.masks],
        kind,
    )


def _names(plan: Plan, kind: str) -> list[str]:
    """A file name for each drawing of the shot; keys keep their kind of file."""
    keys = plan.path()
    kinds = (
        keys[drawing.key].suffix.lower() if drawing.is_key else kind
        for drawing, _, _ in plan.sheet()
    )
    return [f"{plan.start + i:0{plan.digits}d}{kind}" for i, kind in enumerate(kinds)]


def _places(plan: Plan) -> list[list[int]]:
    """Where in the shot each in-between stands; there and back it is seen twice."""
    seen = [drawing for drawing, _, _ in plan.sheet()]
    made = [drawing for drawing in drawings(plan.gaps) if not drawing.is_key]
    return [[place for place, other in enumerate(seen) if other == drawing] for drawing in made]


def _require_free(plan: Plan, names: Sequence[str]) -> None:
    if plan.overwrite:
        return
    taken = [name for name in names if (plan.out / name).exists()]
    if taken:
        raise BadInput(
            f"{plan.out} already holds {taken[0]}{' and others' if taken[1:] else ''}.",
            fix="Choose another folder with --out, or pass --overwrite.",
        )


def _write_keys(plan: Plan, names: Sequence[str], contents: Sequence[bytes]) -> None:
    try:
        plan.out.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise BadInput(
            f"The folder {plan.out} cannot be made: {problem.strerror}.",
            fix="Choose another folder with --out.",
        ) from None
    for (drawing, _, _), name in zip(plan.sheet(), names, strict=True):
        if drawing.is_key:
            write(plan.out / name, contents[drawing.key % len(contents)])


def _provenance(
    plan: Plan,
    version: str,
    params: dict[str, Value],
    digests: Sequence[str],
    names: Sequence[str],
) -> bytes:
    record = {
        "software": SOFTWARE,
        "engine": plan.engine,
        "engine_version": version,
        "params": params,
        "seed": plan.seed,
        "keys": [
            {"name": key.name, "sha256": digest}
            for key, digest in zip(plan.keys, digests, strict=True)
        ],
        "drawings": [
            {"file": name, "key": drawing.key, "t": drawing.t, "frame": frame, "hold": hold}
            for name, (drawing, frame, hold) in zip(names, plan.sheet(), strict=True)
        ],
        "cycle": plan.cycle,
        "ping_pong": plan.ping_pong,
        "even_motion": plan.even_motion,
        "masks": [mask.name for mask in plan.masks],
        "breakdowns": [number + 1 for number in plan.breakdowns],
    }
    return msgspec.json.format(msgspec.json.encode(record), indent=2)
