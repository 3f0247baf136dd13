# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line. It reads arguments and prints; the work is done in the rooms below.

Exit codes: 0 done, 1 the job failed, 2 the input or the arguments are wrong, 3 trouble with the
backend, 130 interrupted.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from backend.config import SOFTWARE
from protocol.errors import TweencelError

from . import weights
from .bench import bench
from .books import cancel, jobs, show, status
from .care import doctor, gc, pair, unload, unpair
from .catalogue import engines
from .exporting import export
from .inbetweens import run
from .journal import logs
from .loops import loop
from .service import serve
from .terminal import exit_code, print_problem

_COMMANDS = {
    "Make": (run, loop, export, serve),
    "A running backend": (status, jobs, show, cancel, pair, unpair, gc, unload),
    "This machine": (doctor, logs, engines),
}
app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    epilog="Exit codes: 0 done, 1 the job failed, 2 bad input, 3 backend trouble, 130 interrupted.",
)
for _panel, _functions in _COMMANDS.items():
    for _function in _functions:
        app.command(rich_help_panel=_panel)(_function)
app.add_typer(weights.app, name="weights", rich_help_panel="This machine")
app.add_typer(bench, name="bench", rich_help_panel="This machine")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(SOFTWARE)
        raise typer.Exit


@app.callback()
def program(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print it.")
    ] = False,
) -> None:
    """In-betweens for drawn animation: a backend for Blender, and the same from the shell."""


def main() -> None:
    """The console script."""
    try:
        app()
    except TweencelError as problem:
        # the option is the command's; by now the command is gone
        print_problem(problem, json="--json" in sys.argv)
        raise SystemExit(exit_code(problem)) from None
