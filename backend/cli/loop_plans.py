# SPDX-License-Identifier: GPL-3.0-or-later
"""What was asked of `tweencel loop`, as plans: of a still, of a run, of the plot of its lengths."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
from PIL import Image

from backend import registry
from backend.looped import Digests, LoopPlan
from protocol.errors import BadParameter
from protocol.jobs import ClipLoop, LoopGap, SeamPlot, StillLoop, Task
from protocol.params import Value

from .markings import Marked, closed, marked
from .settings import read_params

LENGTH = 60
"""Frames of a loop from a still, if nothing else says it."""
_CUT = ("length", "shortest", "longest", "plot", "begin", "plate", "mode")
_SHORTEST = 8
"""Frames of a loop from a run, if the shortest is not told."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """The options of a loop; what is None was not given."""

    masks: tuple[Path, ...] = ()
    strokes: tuple[str, ...] = ()
    strokes_file: Path | None = None
    freezes: tuple[str, ...] = ()
    preset: str | None = None
    magnitude: float | None = None
    cycles: int | None = None
    tolerance: float = 5.0
    length: int | None = None
    shortest: int | None = None
    longest: int | None = None
    plot: Path | None = None
    begin: int | None = None
    plate: int | None = None
    mode: str | None = None
    close: int | None = None
    even_light: bool = True
    layer: bool = False
    engine: str | None = None
    chosen: tuple[str, ...] = ()
    seed: int = 0
    start: int = 1
    digits: int = 4
    overwrite: bool = False


def still_plan(
    asked: Asked, still: Path, white: Path, out: Path
) -> tuple[LoopPlan, int, list[str]]:
    """The plan, its frames, and what to tell about it. `white`: the mask of all of the still."""
    _only(asked, "a run of frames", "shortest", "longest", "plot", "begin", "plate", "mode")
    masks = asked.masks
    motion = asked.preset or "auto"
    regions = marked(masks, asked.strokes, asked.freezes, motion, asked.strokes_file)
    if not regions:
        regions = marked([white], asked.strokes, asked.freezes, motion, asked.strokes_file)
    regions, length, told = _length(asked, regions)

    def task(digests: Digests) -> StillLoop:
        return StillLoop(
            still=digests[still],
            regions=tuple(region.region(digests[region.mask]) for region in regions),
            length=length,
            layer=asked.layer,
        )

    engine = asked.engine or "flow_loop"
    files = (still, *(region.mask for region in regions))
    params = _params(engine, asked, magnitude=asked.magnitude, cycles=asked.cycles)
    return _plan(asked, files, task, engine, params, out), length, told


def _length(asked: Asked, regions: list[Marked]) -> tuple[list[Marked], int, list[str]]:
    if asked.length is not None:
        return regions, asked.length, []
    fitted, closing = closed(regions, asked.tolerance)
    if closing is None:
        return regions, LENGTH, []
    told = f"{closing.length} frames close all periods; the most that one is changed is "
    return fitted, closing.length, [f"{told}{closing.worst:.1f} %."]


def clip_plan(asked: Asked, files: Sequence[Path], length: int, out: Path) -> LoopPlan:
    """A loop of that many frames of a run."""
    begin = None if asked.begin is None else asked.begin - 1

    def task(digests: Digests) -> ClipLoop:
        return ClipLoop(
            frames=tuple(digests[file] for file in files),
            masks=tuple(digests[mask] for mask in asked.masks),
            length=length,
            start=begin,
            plate=(asked.plate or 1) - 1,
            layer=asked.layer,
        )

    engine = asked.engine or "video_loop"
    params = _params(engine, asked, mode=asked.mode)
    return _plan(asked, (*files, *asked.masks), task, engine, params, out)


def gap_plan(asked: Asked, files: Sequence[Path], between: int, out: Path) -> LoopPlan:
    """A run, and so many frames from its last to its first."""
    _only(asked, "a run that is cut, without --close,", *_CUT)

    def task(digests: Digests) -> LoopGap:
        return LoopGap(
            frames=tuple(digests[file] for file in files),
            masks=tuple(digests[mask] for mask in asked.masks),
            between=between,
            even_light=asked.even_light,
            layer=asked.layer,
        )

    engine = asked.engine or registry.DEFAULT_ENGINE
    params = _params(engine, asked)
    return _plan(asked, (*files, *asked.masks), task, engine, params, out)


def plot_plan(asked: Asked, files: Sequence[Path], out: Path) -> LoopPlan:
    """The picture of what each length would cost."""
    shortest = asked.shortest or min(_SHORTEST, len(files))
    longest = asked.longest or max(shortest, len(files) - 1)

    def task(digests: Digests) -> SeamPlot:
        return SeamPlot(
            frames=tuple(digests[file] for file in files),
            masks=tuple(digests[mask] for mask in asked.masks),
            shortest=shortest,
            longest=longest,
        )

    engine = asked.engine or "video_loop"
    params = _params(engine, asked, mode=asked.mode)
    return _plan(asked, (*files, *asked.masks), task, engine, params, out)


class Plotted(msgspec.Struct):
    """The numbers in a plot's picture."""

    lengths: list[int]
    costs: list[list[float | None]]
    best: int


def read_plot(file: Path) -> Plotted:
    """The numbers that a plot's PNG carries."""
    with Image.open(file) as picture:
        return msgspec.json.decode(str(picture.info["tweencel"]), type=Plotted)


def refuse_still_options(asked: Asked) -> None:
    """Raise BadParameter for what has a meaning for a still only."""
    _only(asked, "a still", "strokes", "strokes_file", "freezes", "preset", "magnitude", "cycles")


def _only(asked: Asked, what: str, *names: str) -> None:
    given = [name for name in names if getattr(asked, name)]
    if given:
        options = {"strokes": "stroke", "strokes_file": "strokes", "freezes": "freeze"}
        options |= {"shortest": "from", "longest": "to"}
        raise BadParameter(
            f"--{options.get(given[0], given[0])} is for {what}, which the source is not.",
            fix="Leave it out, or give another source.",
        )


def _params(engine: str, asked: Asked, **more: Value | None) -> dict[str, Value]:
    """The values of --set, and of the options that stand for a setting."""
    known = [param.name for param in registry.find(engine).spec.params]
    values = read_params(engine, list(asked.chosen))
    for name, value in more.items():
        if value is not None and name not in known:
            raise BadParameter(
                f"{engine} has no setting {name!r}.",
                fix=f"Its settings are: {', '.join(known) or 'none'}.",
            )
        if value is not None:
            values[name] = value
    return values


def _plan(
    asked: Asked,
    files: Sequence[Path],
    task: Callable[[Digests], Task],
    engine: str,
    params: dict[str, Value],
    out: Path,
) -> LoopPlan:
    return LoopPlan(
        files=files,
        task=task,
        engine=engine,
        params=params,
        out=out,
        seed=asked.seed,
        start=asked.start,
        digits=asked.digits,
        overwrite=asked.overwrite,
    )
