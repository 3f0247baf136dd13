# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line. It reads arguments and prints; the work is done in the rooms below.

Exit codes: 0 done, 1 the job failed, 2 the input or the arguments are wrong, 3 the backend cannot
run, 130 interrupted.
"""

from __future__ import annotations

import logging
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.table import Table

from protocol.errors import BackendFailure, BadInput, BadParameter, TweencelError
from protocol.messages import FrameMade, Progress, Status
from protocol.params import BoolParam, FloatParam, IntParam, Param, Value
from protocol.timing import Spacing

from . import registry
from .config import SOFTWARE, Settings
from .oneshot import Plan, gaps_for, read_job_file
from .oneshot import run as run_plan

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="In-betweens for drawn animation: a backend for Blender, and the same from the shell.",
)
_out = Console()
_err = Console(stderr=True)

Device = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]
Threads = Annotated[int, typer.Option(min=0, help="CPU threads of the engine; 0: its own choice.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON record a line, for machines.")]


@app.command()
def serve(
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any free one.")] = 0,
    home: Annotated[Path | None, typer.Option(help="Where jobs and frames are kept.")] = None,
    connection_file: Annotated[
        Path | None, typer.Option(help="Where address and key are written for the add-on.")
    ] = None,
    device: Device = "auto",
    threads: Threads = 0,
    idle_exit: Annotated[
        float, typer.Option(min=0, help="End after so many idle minutes; 0: never.")
    ] = 0,
    verbose: Annotated[bool, typer.Option(help="Log every refusal too.")] = False,
) -> None:
    """Serve Blender on this machine until stopped (Ctrl-C)."""
    from .server import Server

    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.INFO,
        format="%(asctime)s %(levelname)s %(message)s",
        stream=sys.stderr,
    )
    settings = Settings(port=port, device=device, threads=threads, idle_exit=idle_exit * 60)
    if home is not None:
        settings = replace(settings, home=home)
    if connection_file is not None:
        settings = replace(settings, connection=connection_file)
    server = Server(settings)

    def stop(*_: object) -> None:
        server.stop()

    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, stop)
    typer.echo(f"{SOFTWARE} is ready at {server.connection.address}.")
    typer.echo("The add-on on this machine finds it by itself; for others: tweencel pair NAME.")
    server.serve()


@app.command()
def run(
    sources: Annotated[
        list[Path], typer.Argument(help="The key drawings in order, or one job file.")
    ],
    inbetweens: Annotated[
        str, typer.Option("--inbetweens", "-n", help="In each gap: 3, or one for each: 5,4,6.")
    ] = "3",
    spacing: Annotated[Spacing, typer.Option(help="How they lie between the keys.")] = Spacing.EVEN,
    engine: Annotated[str, typer.Option(help="See `tweencel engines`.")] = registry.DEFAULT_ENGINE,
    setting: Annotated[
        list[str] | None, typer.Option("--set", help="An engine's setting: name=value.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1)] = 0,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="The folder to fill.")] = None,
    start: Annotated[int, typer.Option(min=0, help="The number of the first file.")] = 1,
    digits: Annotated[int, typer.Option(min=1, max=12)] = 4,
    overwrite: Annotated[bool, typer.Option(help="Replace files that are there.")] = False,
    device: Device = "auto",
    threads: Threads = 0,
    json: Json = False,
) -> None:
    """Make in-betweens from image files, or from a job file (.toml, .json)."""
    if len(sources) == 1 and sources[0].suffix.lower() in (".toml", ".json"):
        plan = read_job_file(sources[0])
    else:
        plan = Plan(
            keys=tuple(sources),
            gaps=gaps_for(len(sources), _counts(inbetweens), spacing),
            engine=engine,
            params=_read_params(engine, setting or []),
            seed=seed,
            out=Path("inbetweens"),
        )
    plan = replace(plan, out=out or plan.out, start=start, digits=digits, overwrite=overwrite)
    settings = Settings(device=device, threads=threads)
    try:
        frames = run_plan(plan, settings, _print_json) if json else _run_with_bar(plan, settings)
    except KeyboardInterrupt:
        _err.print(f"Stopped. What was made until now is in {plan.out}.")
        raise typer.Exit(130) from None
    if json:
        return
    made = sum(map(len, plan.gaps))
    _out.print(f"{made} in-betweens, {len(frames)} drawings in {plan.out}")


@app.command()
def engines(json: Json = False) -> None:
    """List the engines and their settings."""
    if json:
        for spec in registry.specs():
            _print_json(spec)
        return
    table = Table("engine", "what it does", "settings", "weights")
    for spec in registry.specs():
        settings = "\n".join(f"{param.name}: {param.help or param.label}" for param in spec.params)
        weights = "\n".join(f"{w.name} ({w.licence})" for w in spec.weights) or "none"
        table.add_row(f"{spec.id}\n{spec.version}", spec.summary, settings, weights)
    _out.print(table)


def main() -> None:
    """The console script."""
    try:
        app()
    except TweencelError as problem:
        _err.print(f"[red]{problem.text}[/red]", highlight=False)
        if problem.fix:
            _err.print(problem.fix, highlight=False)
        raise SystemExit(_exit_code(problem)) from None


def _exit_code(problem: TweencelError) -> int:
    if isinstance(problem, BadInput):
        return 2
    return 3 if isinstance(problem, BackendFailure) else 1


def _counts(text: str) -> int | list[int]:
    try:
        numbers = [int(part) for part in text.split(",")]
    except ValueError:
        raise BadInput(
            f"--inbetweens {text!r} is not a number.", fix="Give 3, or one for each gap: 5,4,6."
        ) from None
    return numbers[0] if len(numbers) == 1 else numbers


def _read_params(engine: str, settings: list[str]) -> dict[str, Value]:
    """The values of --set in the types that the engine publishes."""
    params = {param.name: param for param in registry.find(engine).spec.params}
    values: dict[str, Value] = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals or name not in params:
            raise BadParameter(
                f"--set {setting!r} is not a setting of {engine}.",
                fix=f"Its settings are: {', '.join(params) or 'none'} (name=value).",
            )
        values[name] = _read_value(params[name], text)
    return values


def _read_value(param: Param, text: str) -> Value:
    try:
        match param:
            case IntParam():
                return int(text)
            case FloatParam():
                return float(text)
            case BoolParam():
                return {"on": True, "true": True, "off": False, "false": False}[text.lower()]
            case _:
                return text
    except (ValueError, KeyError):
        raise BadParameter(
            f"{param.label} cannot be {text!r}.", fix="See `tweencel engines`."
        ) from None


def _run_with_bar(plan: Plan, settings: Settings) -> list[Path]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    bar = Bar(*columns, TimeRemainingColumn(), console=_err)
    line = bar.add_task("starting", total=sum(map(len, plan.gaps)))

    def listen(event: Status | FrameMade | Progress) -> None:
        bar.start()  # not before the input was found good: a refusal is two plain lines
        match event:
            case FrameMade():
                bar.advance(line)
            case Progress(phase=phase):
                bar.update(line, description=phase)
            case Status(state=state):
                bar.update(line, description=str(state))

    try:
        return run_plan(plan, settings, listen)
    finally:
        bar.stop()


def _print_json(record: msgspec.Struct) -> None:
    sys.stdout.write(msgspec.json.encode(record).decode() + "\n")
    sys.stdout.flush()
