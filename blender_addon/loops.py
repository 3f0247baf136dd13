# SPDX-License-Identifier: GPL-3.0-or-later
"""Loops while they are made: taking their pictures, ordering them, showing what has landed."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import bpy

from protocol.engines import EngineSpec
from protocol.errors import BadInput, TweencelError, UnknownEngine
from protocol.jobs import Inbetween

from . import image_targets, loop_asking, loop_player, loop_strips, provenance
from .exports import Export
from .exposed import Run
from .ledger import ENDED
from .loop_asking import FILES, STRIP, AskedLoop
from .loop_strips import Look
from .record_place import folder_of
from .seams import Seam, read_seam
from .session import Session
from .storage import EXR_SUFFIX, PROVENANCE
from .timeline import Label
from .timeline_mark import LOOP, OPEN, job_of
from .work import Work

STILL, CLIP, SEAM = "still_loop", "clip_loop", "seam_plot"
_MADE = {STILL: "makes loops of stills", CLIP: "makes loops of runs of frames", SEAM: "plots seams"}
_PREVIEW_SIDE, _PREVIEW_FRAMES = 512, 24
"""Of a preview: pixels of its longer side, and the most frames."""


class Loops:
    """What the one live object knows of loops."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._taking: tuple[AskedLoop, Iterator[None], Callable[[AskedLoop], Work]] | None = None
        self._runs: dict[str, Run] = {}
        self.previewed: Work | None = None
        self.seam: Seam | None = None
        """The last answer to `measure`."""
        self.exporting: Export | None = None
        self.exported: Path | None = None
        """What was written last."""

    # Engines --------------------------------------------------------------------------------------

    def engines(self, kind: str) -> list[EngineSpec]:
        """The backend's engines for a kind of job."""
        return [engine for engine in self._session.engines if kind in engine.jobs]

    def usual(self, kind: str, chosen: str) -> str:
        """The id of the engine that is taken: the chosen one if it makes that kind of job."""
        engines = self.engines(kind)
        if any(engine.id == chosen for engine in engines):
            return chosen
        able = [engine.id for engine in engines if not engine.unavailable]
        return next(iter(able), "")

    def engine_of(self, kind: str, chosen: str) -> EngineSpec:
        """The engine that is taken. Raises UnknownEngine."""
        wanted = self.usual(kind, chosen)
        engine = next((one for one in self.engines(kind) if one.id == wanted), None)
        if engine is None:
            raise UnknownEngine(
                f"This backend has no engine that {_MADE[kind]}.",
                fix="Connect to another backend, or update this one.",
            )
        if engine.unavailable:
            raise UnknownEngine(f"{engine.label} cannot run: {engine.unavailable}")
        return engine

    # Making ---------------------------------------------------------------------------------------

    def generate(self, context: bpy.types.Context, chosen: str, parent: Path) -> Work | None:
        """Make a loop of what is selected; what shows it appears at once.

        Where pictures must be rendered first, the beats that follow do it and order it then: None.
        Raises any TweencelError; then nothing was made.
        """
        source = loop_asking.source_of(context)
        self._session.require_backend()
        engine = self.engine_of(CLIP if source.is_run else STILL, chosen)
        asking = loop_asking.asked(context, source, engine, parent)
        return self._take(asking, self._make)

    def preview(self, context: bpy.types.Context, chosen: str, parent: Path) -> Work | None:
        """Make a small loop of the selected picture, which is shown in the panel only.

        As `generate`; but raises BadInput for a run of frames.
        """
        source = loop_asking.source_of(context)
        self._session.require_backend()
        if source.is_run:
            raise BadInput(
                "A run of frames has no preview.", fix="Find the best length, or make the loop."
            )
        engine = self.engine_of(STILL, chosen)
        self.drop_preview()
        asking = loop_asking.asked_aside(context, source, engine, parent, _PREVIEW_SIDE)
        return self._take(asking, self._preview)

    def measure(
        self, context: bpy.types.Context, chosen: str, parent: Path, lengths: tuple[int, int]
    ) -> Work | None:
        """Ask what a loop of each length would cost; `seam` tells it then.

        As `generate`; but raises BadInput for a single picture.
        """
        source = loop_asking.source_of(context)
        self._session.require_backend()
        if not source.is_run:
            raise BadInput(
                "One picture loops with any length.", fix="Select a strip with several frames."
            )
        engine = self.engine_of(SEAM, chosen)
        asking = loop_asking.asked_aside(context, source, engine, parent)
        self.seam = None

        def ask(asking: AskedLoop) -> Work:
            longest = min(lengths[1], len(asking.frames))
            order = loop_asking.seam_of(asking, min(lengths[0], longest), longest)
            return self._session.generate(order, folder=asking.folder)

        return self._take(asking, ask)

    def _take(self, asking: AskedLoop, then: Callable[[AskedLoop], Work]) -> Work | None:
        self.stop_taking()
        steps = loop_asking.take(asking)
        if asking.left and asking.source.slow:
            self._taking = asking, steps, then
            return None
        with contextlib.ExitStack() as undo:
            undo.callback(asking.folder.discard, also_parent=True)
            for _ in steps:
                pass
            work = then(asking)
            undo.pop_all()  # it is the job's folder now
        return work

    @property
    def taken(self) -> tuple[int, int] | None:
        """How many pictures of how many are taken; None if none are being taken."""
        if self._taking is None:
            return None
        asking = self._taking[0]
        return len(asking.frames), len(asking.source.takes)

    def stop_taking(self) -> None:
        """Take no more pictures, and forget what they were for."""
        if self._taking is not None:
            self._taking[0].folder.discard(also_parent=True)
            self._taking = None

    @property
    def busy(self) -> bool:
        """Whether beats should come quickly."""
        playing = loop_player.get().playing
        return self._taking is not None or self.exporting is not None or playing

    @property
    def state(self) -> object:
        """Something else when a panel must be drawn anew."""
        export = self.exporting is not None, self.exported
        return self.taken, self.seam, self.previewed and len(self.previewed.made), export

    def step(self) -> None:
        """What a beat does: take the next picture, lengthen loops that were dragged.

        Raises what rendering raises; then the loop is given up.
        """
        if not _is_dragging():
            loop_strips.stretch()
        loop_player.get().tick()
        self._dismiss()
        self._poll_export()
        if self._taking is None:
            return
        asking, steps, then = self._taking
        with contextlib.ExitStack() as undo:
            undo.callback(self.stop_taking)
            if next(steps, self) is self:
                then(asking)
                self._taking = None
            undo.pop_all()

    def _make(self, asking: AskedLoop) -> Work:
        work = self._session.generate(loop_asking.order_of(asking), folder=asking.folder)
        try:
            self._place(asking, work)
        except TweencelError as problem:
            self._session.fail(work.job.id, problem)
            raise
        return work

    # What is not kept -----------------------------------------------------------------------------

    def _preview(self, asking: AskedLoop) -> Work:
        order = loop_asking.preview_of(asking, _PREVIEW_FRAMES)
        self.previewed = self._session.generate(order, folder=asking.folder)
        return self.previewed

    def export(self, export: Export) -> None:
        """Follow an export until it has ended. Raises BadInput while another one runs."""
        if self.exporting is not None:
            export.stop()
            raise BadInput(
                f"{self.exporting.target.name} is still being written.", fix="Wait for it."
            )
        self.exporting, self.exported = export, None

    def _poll_export(self) -> None:
        export = self.exporting
        if export is None:
            return
        with contextlib.ExitStack() as undo:
            undo.callback(self._forget_export)
            if export.poll():
                self.exported = export.target
                self.exporting = None
            undo.pop_all()

    def _forget_export(self) -> None:
        self.exporting = None

    def close(self) -> None:
        """End what would be left without an end."""
        self.stop_taking()
        if self.exporting is not None:
            self.exporting.stop()

    def drop_preview(self) -> None:
        """Show no preview any more, and remove its files."""
        work, self.previewed = self.previewed, None
        if work is None:
            return
        if not work.job.stage.ended:
            self._session.cancel(work.job.id)
        shutil.rmtree(work.folder.path, ignore_errors=True)

    def _dismiss(self) -> None:
        """What is asked aside is in no list once it is there."""
        for work in list(self._session.works.values()):
            aside = _aside(work)
            if not aside or not work.job.stage.ended or work.job.error is not None:
                continue
            if aside == "seam" and work.made:
                self.seam = read_seam(work.folder.path / work.made[0])
            self._session.dismiss(work.job.id)
            if work is not self.previewed:
                shutil.rmtree(work.folder.path, ignore_errors=True)

    # Results --------------------------------------------------------------------------------------

    def _place(self, asking: AskedLoop, work: Work) -> None:
        scene = bpy.data.scenes.get(asking.scene) or bpy.context.scene
        names = names_of(work)
        job, engine, generated = work.job.id, work.job.engine, "g" * len(names)
        title = f"{asking.source.name} loop"
        if asking.target == STRIP:
            look = Look(
                title,
                asking.source.channel,
                asking.source.model,
                asking.source.colourspace,
                asking.is_exr,
            )
            label = Label(job, engine, generated)
            loop_strips.place(scene, look, asking.span, work.folder.path, names, label)
            return
        run = self._runs[job] = _run(work)
        run.lay(names)
        if asking.target != FILES:
            shown = image_targets.Sequence(
                run.first,
                asking.size,
                title,
                asking.span.start,
                len(names),
                cycle=True,
                colourspace=asking.source.colourspace,
                standing=asking.standing,
                in_front=asking.in_front,
            )
            record = work.folder.path / PROVENANCE
            marks = image_targets.marks_of(job, engine, generated, record) | {LOOP: len(names)}
            image_targets.place(asking.target, scene, shown, marks)

    def resumed(self, work: Work) -> bool:
        """An earlier Blender began it. Gives whether it is one of ours."""
        if isinstance(work.order.task, Inbetween):
            return False
        if "loop" in work.order.facts and work.order.facts.get("target") != STRIP:
            self._runs[work.job.id] = _run(work)
        return True

    def show(self, work: Work) -> bool:
        """Let the results of a job show what has landed. Gives whether it is one of ours."""
        if isinstance(work.order.task, Inbetween):
            return False
        if "loop" in work.order.facts:
            self._show(work, names_of(work))
        return True

    def _show(self, work: Work, names: Sequence[str]) -> None:
        run = self._runs.get(work.job.id)
        if run is None:
            loop_strips.show(work.job.id, work.folder.path, names)
            return
        try:
            if run.lay(names):
                image_targets.refresh(work.job.id)
        except TweencelError as problem:
            self._session.fail(work.job.id, problem)

    def settle(self, job: str) -> None:
        """A job has ended, and its loops show what there is."""
        loop_strips.settle(job)

    def mend(self) -> None:
        """Let every loop show what has landed, also those of jobs that nobody here follows."""
        for strip in [strip for strip in loop_strips.loops() if OPEN in strip]:
            _mend(strip)
        for work in self._session.works.values():
            self.show(work)


def _is_dragging() -> bool:
    """Whether a modal operator runs: it may hold on to a strip."""
    return any(window.modal_operators for window in bpy.context.window_manager.windows)


def names_of(work: Work) -> list[str]:
    """The file to show on each frame of the loop, as it is called from the job's folder."""
    name = work.made.get(0) or str(work.order.facts["loop"]["first"])
    names: list[str] = []
    for slot in range(len(work.order.numbers)):
        name = work.made.get(slot, name)
        names.append(name)
    return names


def _aside(work: Work) -> str:
    """What a job is that is made for no result; empty for others."""
    return next((name for name in ("preview", "seam") if name in work.order.facts), "")


def _run(work: Work) -> Run:
    return Run(work.folder, EXR_SUFFIX if work.order.facts["loop"].get("exr") else ".png")


def _mend(strip: Any) -> None:
    folder = folder_of(strip)
    record = provenance.read(folder)
    if record is None or record.job != job_of(strip) or not record.frames:
        return
    length = int(strip[LOOP])
    made = {
        round(frame.t * length): frame.file
        for frame in record.frames
        if (folder / frame.file).is_file()
    }
    if 0 in made:
        name, names = made[0], []
        for slot in range(length):
            name = made.get(slot, name)
            names.append(name)
        loop_strips.show(record.job, folder, names)
    if record.state in ENDED:
        loop_strips.settle(record.job)
