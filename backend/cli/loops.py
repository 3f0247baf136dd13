# SPDX-License-Identifier: GPL-3.0-or-later
"""`tweencel loop`: what repeats for ever, from a still or from a run of frames."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import numpy as np
import typer

from backend.config import Settings, override, read_settings
from backend.footage import found, meeting, movies
from backend.footage.exports import Export
from backend.imaging import codecs
from backend.looped import LoopPlan
from backend.looped import run as run_plan
from protocol.errors import BadInput

from . import loop_plans
from .bar import JobBar
from .exporting import Fps, Times, Under, exported, read_colour, read_fps
from .loop_plans import Asked
from .options import Config, Device, Json, Threads
from .terminal import INTERRUPTED, err, out, print_json


def loop(
    sources: Annotated[
        list[Path],
        typer.Argument(help="A still; or a run: a folder, a pattern, files in order, a movie."),
    ],
    mask: Annotated[
        list[Path] | None,
        typer.Option("--mask", "-m", help="White may move, grey less. None: all of it may."),
    ] = None,
    stroke: Annotated[
        list[str] | None,
        typer.Option(help="A still flows along x0,y0,x1,y1[,speed]; speed in pixels per frame."),
    ] = None,
    strokes: Annotated[
        Path | None, typer.Option(help="A JSON file of strokes, anchors or whole regions.")
    ] = None,
    freeze: Annotated[
        list[str] | None, typer.Option(help="What stays in a still: x,y or a line x0,y0,x1,y1.")
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(help="How a still moves without strokes: water, river, clouds, hair ..."),
    ] = None,
    magnitude: Annotated[float | None, typer.Option(help="A factor on a still's motion.")] = None,
    cycles: Annotated[
        int | None, typer.Option(help="How often a still's motion repeats in the loop. 0: as fits.")
    ] = None,
    tolerance: Annotated[
        float,
        typer.Option(min=0.0, max=50.0, help="Percent by which regions' periods may be changed."),
    ] = 5.0,
    length: Annotated[
        int | None,
        typer.Option("--length", "-n", min=2, help="Frames of the loop.", show_default="60; best"),
    ] = None,
    shortest: Annotated[
        int | None, typer.Option("--from", min=2, help="The shortest loop of a run to look at.")
    ] = None,
    longest: Annotated[
        int | None, typer.Option("--to", min=2, help="The longest loop of a run to look at.")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="A PNG file: what a loop of each length costs.")
    ] = None,
    begin: Annotated[
        int | None, typer.Option(min=1, help="The frame of a run with which the loop begins.")
    ] = None,
    plate: Annotated[
        int | None,
        typer.Option(min=1, help="The frame of a run seen outside the masks.", show_default="1"),
    ] = None,
    mode: Annotated[
        str | None, typer.Option(help="A run's seam: cut, fade or ping_pong.", show_default="cut")
    ] = None,
    close: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=1000,
            help="Keep a whole run; so many in-betweens lead from its last frame to its first. "
            "0: a guess from the motion.",
        ),
    ] = None,
    even_light: Annotated[
        bool, typer.Option(help="With --close: take a steady drift of colours out.")
    ] = True,
    layer: Annotated[
        bool, typer.Option(help="What moves alone, with alpha; else flattened.")
    ] = False,
    engine: Annotated[
        str | None, typer.Option(help="See `tweencel engines`.", show_default="by the source")
    ] = None,
    setting: Annotated[
        list[str] | None, typer.Option("--set", help="An engine's setting: name=value.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1)] = 0,
    targets: Annotated[
        list[Path] | None,
        typer.Option(
            "--out",
            "-o",
            help="A folder, or a file as `tweencel export` writes; may be given several times.",
            show_default="loop",
        ),
    ] = None,
    fps: Fps = None,
    times: Times = None,
    under: Under = "#000000",
    start: Annotated[int, typer.Option(min=0, help="The number of the first file.")] = 1,
    digits: Annotated[int, typer.Option(min=1, max=12)] = 4,
    overwrite: Annotated[bool, typer.Option(help="Replace files that are there.")] = False,
    config: Config = None,
    device: Device = None,
    threads: Threads = None,
    json: Json = False,
) -> None:
    """Make a loop: of a still with masks and strokes, or of a run of frames."""
    asked = Asked(
        masks=tuple(mask or ()),
        strokes=tuple(stroke or ()),
        strokes_file=strokes,
        freezes=tuple(freeze or ()),
        preset=preset,
        magnitude=magnitude,
        cycles=cycles,
        tolerance=tolerance,
        length=length,
        shortest=shortest,
        longest=longest,
        plot=plot,
        begin=begin,
        plate=plate,
        mode=mode,
        close=close,
        even_light=even_light,
        layer=layer,
        engine=engine,
        chosen=tuple(setting or ()),
        seed=seed,
        start=start,
        digits=digits,
        overwrite=overwrite,
    )
    settings = override(read_settings(file=config), {"device": device, "threads": threads})
    rate, colour = read_fps(fps, sources[0]), read_colour(under)
    exports = [
        Export(target, rate, times, colour, overwrite) for target in targets or [Path("loop")]
    ]
    for one in exports:
        one.check()
        if one.suffix and "#" not in one.out.name:
            found.require_free(one.out, overwrite)
    # The temporary folder goes away however the run is ended.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with TemporaryDirectory(prefix="tweencel-") as scratch:
        making = _Making(asked, settings, Path(scratch), exports, json)
        try:
            frames = making.loop(sources)
        except KeyboardInterrupt:
            err.print(f"Stopped. What was made until now is in {making.folder}.", markup=False)
            raise typer.Exit(INTERRUPTED) from None
        for one in exports:
            if one.out != making.folder:
                exported(frames, one, json)


@dataclass(frozen=True)
class _Making:
    """How a loop is made and told."""

    asked: Asked
    settings: Settings
    scratch: Path
    exports: Sequence[Export]
    json: bool

    @property
    def folder(self) -> Path:
        """Where the frames go: the first folder that was named, or one that goes away."""
        folders = [one.out for one in self.exports if one.is_folder]
        return folders[0] if folders else self.scratch / "frames"

    def loop(self, sources: Sequence[Path]) -> list[Path]:
        """The loop's frames."""
        files = self._files(sources)
        if len(files) == 1:
            return self._of_still(files[0])
        loop_plans.refuse_still_options(self.asked)
        if self.asked.close is not None:
            return self._closed(files, self.asked.close)
        length = self.asked.length
        if length is None or self.asked.plot:
            best = self._plotted(files)
            length = length or best
        plan = loop_plans.clip_plan(self.asked, files, length, self.folder)
        return self._told(self._run(plan, length))

    def _of_still(self, still: Path) -> list[Path]:
        white = self.scratch / "white.png"
        info = found.look_at([still])
        sheet = np.ones((info.height, info.width, 4), np.float32)
        white.write_bytes(codecs.encode(sheet, 8, "L"))
        plan, frames, notes = loop_plans.still_plan(self.asked, still, white, self.folder)
        for note in notes:
            self._say(note)
        return self._told(self._run(plan, frames))

    def _files(self, sources: Sequence[Path]) -> list[Path]:
        if len(sources) == 1 and found.is_movie(sources[0]):
            folder = self.scratch / "movie"
            folder.mkdir()
            files = movies.unpacked(sources[0], folder)
            if len(files) < 3:
                raise BadInput(f"{sources[0]} has {len(files)} frames.", fix="Give a longer run.")
            return files
        return [file for source in sources for file in found.pictures(source)]

    def _closed(self, files: Sequence[Path], between: int) -> list[Path]:
        whole = list(files)
        if meeting.is_same(whole[-1], whole[0]):
            whole.pop()
            self._say("The last frame is the first once more: it is left out.")
        if not between:
            between = meeting.frames_between(whole)
            self._say(f"{between} in-betweens lead from the last frame to the first.")
        plan = loop_plans.gap_plan(self.asked, whole, between, self.folder)
        return self._told(self._run(plan, len(whole) + between))

    def _plotted(self, files: Sequence[Path]) -> int:
        """Look at all lengths; the best one."""
        plan = loop_plans.plot_plan(self.asked, files, self.scratch / "plot")
        (picture,) = self._run(plan, 1)
        numbers = loop_plans.read_plot(picture)
        if self.asked.plot:
            found.require_free(self.asked.plot, self.asked.overwrite)
            shutil.copyfile(picture, self.asked.plot)
        if self.json:
            print_json({"plot": numbers})
        self._say(f"The best loop has {numbers.best} frames.")
        return numbers.best

    def _run(self, plan: LoopPlan, frames: int) -> list[Path]:
        if self.json:
            return run_plan(plan, self.settings, print_json)
        with JobBar(frames) as bar:
            return run_plan(plan, self.settings, bar.take)

    def _told(self, frames: list[Path]) -> list[Path]:
        if self.folder.parent != self.scratch:
            self._say(f"{len(frames)} frames in {self.folder}")
        return frames

    def _say(self, text: str) -> None:
        if not self.json:
            out.print(text, markup=False, soft_wrap=True)
