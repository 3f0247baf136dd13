# SPDX-License-Identifier: GPL-3.0-or-later
"""`tweencel logs`: the log file, whole or of one job, and what is added to it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Annotated

import typer

from backend.config import Settings
from backend.logs import Line, Reader
from protocol.errors import BadInput, MissingFile

from .options import Home, Json
from .terminal import out, print_json

_PAUSE = 0.2
_COLOURS = {"warning": "yellow", "error": "red", "debug": "dim"}


def logs(
    job: Annotated[
        str, typer.Argument(help="Only of the job whose id begins so.", show_default=False)
    ] = "",
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Stay and print what is added (Ctrl-C ends).")
    ] = False,
    lines: Annotated[
        int, typer.Option("--lines", "-n", min=0, help="How many of the last; 0: all.")
    ] = 100,
    home: Home = None,
    json: Json = False,
) -> None:
    """Print the backend's log. It is read from the home folder, so no backend need run."""
    path = (Settings(home=home) if home else Settings()).log_file
    if not path.exists() and not follow:
        raise MissingFile(f"There is no log {path}.", fix="Give the backend's --home.")
    with Reader(path) as reader:
        past = list(_about(job, (*reader.old(), *reader.news())))
        _require_one(job, past, follow=follow)
        _print(deque(past, maxlen=lines or None), json=json)
        while follow:
            time.sleep(_PAUSE)
            _print(_about(job, reader.news()), json=json)


def _about(job: str, lines: Iterable[Line]) -> Iterator[Line]:
    return (line for line in lines if line.job.startswith(job))


def _require_one(prefix: str, lines: Iterable[Line], *, follow: bool) -> None:
    """Raises BadInput if the beginning of an id fits several jobs, or none that can still come."""
    found = sorted({line.job for line in lines})
    if prefix and not found and not follow:
        raise BadInput(f"The log has no job that begins with {prefix!r}.", fix="See the whole log.")
    if prefix and len(found) > 1:
        some = ", ".join(name[:12] for name in found[:5])
        raise BadInput(
            f"{len(found)} jobs begin with {prefix!r}: {some}.", fix="Give more of the id."
        )


def _print(lines: Iterable[Line], *, json: bool) -> None:
    for line in lines:
        if json:
            print_json(line)
        else:
            out.print(str(line), style=_COLOURS.get(line.level, ""), markup=False, soft_wrap=True)
