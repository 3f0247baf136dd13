# SPDX-License-Identifier: GPL-3.0-or-later
"""`tweencel export`: a run of pictures as a movie, an animation or a sequence."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as Lines

from backend.footage import found, movies
from backend.footage.exports import Export
from backend.footage.exports import export as write
from protocol.errors import BadParameter

from .options import Json
from .terminal import err, out, print_json

Fps = Annotated[
    str | None,
    typer.Option(help="Frames a second: 24, 23.976, 24000/1001.", show_default="24; a movie's own"),
]
Times = Annotated[
    int | None,
    typer.Option(
        min=0,
        max=10_000,
        help="How often it is played. 0: for ever.",
        show_default="for ever; MP4 and WebM once",
    ),
]
Under = Annotated[
    str,
    typer.Option(help="The colour under transparent places where a file has no alpha: #rrggbb."),
]


def export(
    source: Annotated[
        Path, typer.Argument(help="A folder of pictures, a pattern (loop_*.png) or a movie.")
    ],
    target: Annotated[
        Path,
        typer.Argument(
            help="x.mp4, x.webm, x.gif, x.apng, x.webp, a sequence (x_####.png, x_####.exr) or a "
            "folder."
        ),
    ],
    fps: Fps = None,
    times: Times = None,
    under: Under = "#000000",
    overwrite: Annotated[bool, typer.Option(help="Replace files that are there.")] = False,
    json: Json = False,
) -> None:
    """Write a run of pictures as a movie, an animation or a sequence; no frame is doubled."""
    plan = Export(target, read_fps(fps, source), times, read_colour(under), overwrite)
    plan.check()
    with TemporaryDirectory(prefix="tweencel-") as folder:
        if found.is_movie(source):
            files = movies.unpacked(source, Path(folder))
        else:
            files = found.pictures(source)
        exported(files, plan, json)


def exported(files: list[Path], plan: Export, json: bool) -> None:
    """Write, show how far it is, and say what was written."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Lines(*columns, console=err, disable=json) as lines:
        line = lines.add_task("writing", total=len(files))
        made = write(files, plan, lambda done, all: lines.update(line, completed=done, total=all))
    if json:
        print_json({"files": [str(path) for path in made]})
        return
    out.print(f"{len(files)} frames in {plan.out}", markup=False, soft_wrap=True)


def read_fps(text: str | None, source: Path) -> Fraction:
    """The frames per second that were told, or those of a movie. Raises BadParameter."""
    if text is None:
        own = movies.fps_of(source) if found.is_movie(source) else None
        return own or Fraction(24)
    try:
        fps = Fraction(text).limit_denominator(1001)
    except (ValueError, ZeroDivisionError):
        fps = Fraction(0)
    if not 0 < fps <= 1000:
        raise BadParameter(
            f"--fps {text!r} is no number of frames a second.", fix="Give 24, 23.976, 24000/1001."
        )
    return fps


def read_colour(text: str) -> tuple[float, float, float]:
    """Raises BadParameter."""
    digits = text.removeprefix("#")
    try:
        red, green, blue = bytes.fromhex(digits)
    except ValueError:
        raise BadParameter(f"{text!r} is no colour.", fix="Write it as #rrggbb.") from None
    return red / 255, green / 255, blue / 255
