# SPDX-License-Identifier: GPL-3.0-or-later
"""`tweencel run`: in-betweens from image files, without Blender and without a server."""

from __future__ import annotations

import signal
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Annotated

import typer

from backend import registry
from backend.config import Settings, override, read_settings
from backend.oneshot import Plan, find_masks, gaps_for, read_job_file
from backend.oneshot import run as run_plan
from protocol.errors import BadInput
from protocol.timing import Spacing

from .bar import JobBar
from .options import Config, Device, Json, Threads
from .settings import read_params
from .terminal import INTERRUPTED, err, out, print_json


def run(
    sources: Annotated[
        list[Path], typer.Argument(help="The key drawings in order, or one job file.")
    ],
    inbetweens: Annotated[
        str, typer.Option("--inbetweens", "-n", help="In each gap: 3, or one for each: 5,4,6.")
    ] = "3",
    spacing: Annotated[
        str,
        typer.Option(help=f"{', '.join(Spacing)}, or the times themselves: 0.1,0.35,0.8."),
    ] = "even",
    cycle: Annotated[bool, typer.Option(help="Go on from the last key to the first.")] = False,
    ping_pong: Annotated[bool, typer.Option(help="There and back, no end doubled.")] = False,
    step: Annotated[
        int, typer.Option(min=1, max=1000, help="Frames for which a drawing is held (noted).")
    ] = 1,
    even_motion: Annotated[bool, typer.Option(help="Space by measured motion.")] = False,
    mask: Annotated[
        list[str] | None,
        typer.Option(help="White may change; one file, one for each in-between, or a pattern."),
    ] = None,
    engine: Annotated[str, typer.Option(help="See `tweencel engines`.")] = registry.DEFAULT_ENGINE,
    setting: Annotated[
        list[str] | None, typer.Option("--set", help="An engine's setting: name=value.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1)] = 0,
    folder: Annotated[Path | None, typer.Option("--out", "-o", help="The folder to fill.")] = None,
    start: Annotated[int, typer.Option(min=0, help="The number of the first file.")] = 1,
    digits: Annotated[int, typer.Option(min=1, max=12)] = 4,
    overwrite: Annotated[bool, typer.Option(help="Replace files that are there.")] = False,
    config: Config = None,
    device: Device = None,
    threads: Threads = None,
    json: Json = False,
) -> None:
    """Make in-betweens from image files, or from a job file (.toml, .json)."""
    if len(sources) == 1 and sources[0].suffix.lower() in (".toml", ".json"):
        plan = read_job_file(sources[0])
    else:
        plan = Plan(
            keys=tuple(sources),
            gaps=_gaps(len(sources) + cycle, inbetweens, spacing),
            cycle=cycle,
            ping_pong=ping_pong,
            step=step,
            even_motion=even_motion,
            masks=find_masks(mask or []),
            engine=engine,
            params=read_params(engine, setting or []),
            seed=seed,
            out=Path("inbetweens"),
        )
    plan = replace(plan, out=folder or plan.out, start=start, digits=digits, overwrite=overwrite)
    settings = override(read_settings(file=config), {"device": device, "threads": threads})
    # The temporary folder goes away however the run is ended.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        frames = run_plan(plan, settings, print_json) if json else _run_with_bar(plan, settings)
    except KeyboardInterrupt:
        err.print(f"Stopped. What was made until now is in {plan.out}.", markup=False)
        raise typer.Exit(INTERRUPTED) from None
    if json:
        return
    made = sum(map(len, plan.gaps))
    out.print(f"{made} in-betweens, {len(frames)} drawings in {plan.out}", markup=False)


def _run_with_bar(plan: Plan, settings: Settings) -> list[Path]:
    with JobBar(sum(map(len, plan.gaps))) as bar:
        return run_plan(plan, settings, bar.take)


def _gaps(keys: int, inbetweens: str, spacing: str) -> tuple[tuple[float, ...], ...]:
    if spacing in list(Spacing):
        return gaps_for(keys, _counts(inbetweens), Spacing(spacing))
    try:
        times = tuple(map(float, spacing.split(",")))
    except ValueError:
        times = (0.0,)
    if not all(0 < t < 1 for t in times) or any(b <= a for a, b in pairwise(times)):
        raise BadInput(
            f"--spacing {spacing!r} is neither a name nor a row of times.",
            fix=f"Give one of {', '.join(Spacing)}, or rising times between 0 and 1: 0.1,0.35,0.8.",
        )
    return (times,) * (keys - 1)


def _counts(text: str) -> int | list[int]:
    try:
        numbers = [int(part) for part in text.split(",")]
    except ValueError:
        raise BadInput(
            f"--inbetweens {text!r} is not a number.", fix="Give 3, or one for each gap: 5,4,6."
        ) from None
    return numbers[0] if len(numbers) == 1 else numbers
