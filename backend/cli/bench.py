# SPDX-License-Identifier: GPL-3.0-or-later
"""`tweencel bench`: what this machine makes of samples, and the bars beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import cv2
import typer

from .terminal import FAILED, out

bench = typer.Typer(no_args_is_help=True, help="Measure engines on samples.")


@bench.callback()
def program() -> None:
    """Measure engines on samples."""


@bench.command()
def loops(
    samples: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="Their folder.")],
    only: Annotated[str, typer.Option(help="A regular expression for their names.")] = "",
    folder: Annotated[
        Path | None, typer.Option("--out", "-o", help="A folder for contact sheets and GIFs.")
    ] = None,
    stills: Annotated[bool, typer.Option(help="Measure loops from stills.")] = True,
    runs: Annotated[bool, typer.Option(help="Measure loops from runs of frames.")] = True,
) -> None:
    """Loops from stills and runs: seams, detail, periods, times. Ends with 1 if a bar is missed."""
    # Each loads what it measures; other commands need none of it.
    from backend.bench import runs as run_bench
    from backend.bench import stills as still_bench

    cv2.setNumThreads(1)
    missed = still_bench.run(samples, only, folder, _say) if stills else []
    if runs:
        missed += run_bench.run(samples, only, folder, _say)
    _say(f"missed: {', '.join(missed) or 'nothing'}")
    if missed:
        raise typer.Exit(FAILED)


def _say(text: str) -> None:
    out.print(text, markup=False, soft_wrap=True)
