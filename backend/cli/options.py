# SPDX-License-Identifier: GPL-3.0-or-later
"""The options that several commands share, each with one name and one meaning."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="One JSON record a line, for machines.")]
Device = Annotated[
    str | None, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.", show_default="auto")
]
Threads = Annotated[
    int | None, typer.Option(min=0, help="CPU threads of the engine; 0: its own choice.")
]
Home = Annotated[Path | None, typer.Option(help="Where a backend keeps jobs, frames and its log.")]
Config = Annotated[
    Path | None, typer.Option(help="The config file; else TWEENCEL_CONFIG or HOME/config.toml.")
]
ConnectionFile = Annotated[
    Path | None, typer.Option(help="Where a running backend has written its address and key.")
]
Job = Annotated[str, typer.Argument(help="A job's id, or as much of its beginning as is needed.")]
