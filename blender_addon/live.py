# SPDX-License-Identifier: GPL-3.0-or-later
"""What is alive in this Blender: the session, the backend it started, the strips being filled.

One timer calls `beat`. In background mode Blender runs no timers: there a script calls it.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import bpy
from bpy.app.handlers import persistent

from protocol.endpoint import Endpoint, parse_endpoint
from protocol.engines import EngineSpec
from protocol.errors import BackendNotRunning, BadInput, TweencelError, UnknownEngine
from protocol.messages import Welcome
from protocol.timing import Drawing, Exposure

from . import (
    capture,
    generation,
    hidden_keys,
    image_targets,
    param_props,
    prefetch,
    results,
    timeline,
    vse,
)
from .backend_process import LocalBackend, find_program, running_backend
from .exposed import Run
from .generation import Asked
from .journal import Journal
from .ledger import Stage
from .link import Connect
from .loops import Loops
from .preferences import preferences_of
from .properties import settings_of
from .provenance import Version
from .results import Made
from .session import Contact, Session
from .shot import Plan, Repeat, shown
from .storage import EXR_SUFFIX, PROVENANCE, Folder, inspect_keys
from .work import Work

VERSION = "0.1.0"
_QUICK, _CALM = 0.02, 0.25
"""Seconds between two beats, while something goes on and else."""
_SHOWING = 0.005
"""Seconds of a beat in which landed frames are shown; what is over comes in the next."""
_LOOK_EVERY = 2.0
"""Seconds between two looks for a local backend that went away."""
_KEYS_EVERY = 1.0
"""Seconds between two looks at the keys of results."""
_LOOK_BUDGET = 0.003
"""Seconds of a beat for looking whether frames were painted over."""
_EDITORS = ("SEQUENCE_EDITOR", "VIEW_3D", "IMAGE_EDITOR")
"""Those with our tab."""
_JOB = "inbetween"
_PREFERRED_ENGINE = "rife"
_STRIP, _FILES = "VSE", "FILES"


_GO_ONLINE = "Turn on Edit > Preferences > System > Network > Allow Online Access."


class Result(NamedTuple):
    """What a job's result shows."""

    plan: Plan
    keys: list[str]
    run: Run | None = None
    """One file for each frame, for all results but strips."""


class Live:
    """The one live object of the add-on."""

    def __init__(self, connect: Connect | None = None, notes: Path | None = None) -> None:
        """`notes`: where open jobs are written down; usually in the user's profile."""
        journal = Journal(notes or user_folder("jobs", create=False))
        self.session = Session(connect, _software(), journal)
        self.session.on_resumed = self._resumed
        self.session.on_landed = self._landed
        self.session.on_ended = self._ended
        self.session.on_welcome = self._welcomed
        self.loops = Loops(self.session)
        self.local: LocalBackend | None = None
        self.results: dict[str, Result] = {}
        self.longest_beat = 0.0
        """Seconds; set it to 0 to measure anew."""
        self.notice: TweencelError | None = None
        """The last thing that went wrong and belongs to no job; shown until the next success."""
        self._starting = False
        self._followed: Endpoint | None = None
        self._look_again = 0.0
        self._keys_again = 0.0
        self._begun = False
        self._drawn: object = None
        self._to_show: dict[str, Work] = {}
        self._looked_at: tuple[Path, Version] | None = None
        """The result whose panel is drawn."""
        self._hold = prefetch.Hold(needed=not bpy.app.background)

    # The backend --------------------------------------------------------------------------------

    @property
    def starting(self) -> bool:
        """Whether the local backend was started and has not answered yet."""
        return self._starting

    def start_local(self, context: bpy.types.Context) -> None:
        """Connect to this computer's backend; start it if none runs.

        Raises BackendNotFound.
        """
        self._mind_local()
        if self._starting:
            return
        if endpoint := running_backend():
            self._connect_local(endpoint)
            return
        program = find_program(preferences_of(context).executable)
        self.local = LocalBackend(program, user_folder("backend") / "backend.log")
        self._starting = True

    def stop_local(self) -> None:
        """Stop the backend that this Blender started, and no other. Raises BackendNotRunning."""
        if self.local is None or not self.local.alive:
            raise BackendNotRunning(
                "This Blender has started no backend that still runs.",
                fix="Stop a backend where it was started; an idle one ends by itself.",
            )
        self.session.disconnect()
        self._starting = False
        self.local.stop()

    def connect(self, text: str) -> None:
        """Connect to the backend at an address, or to the local one if it is empty.

        Raises BadInput or BackendNotRunning.
        """
        if text.strip():
            endpoint = parse_endpoint(text)
            _require_online(endpoint)
            self.session.connect(endpoint)
        elif (local := running_backend()) is not None:
            self._connect_local(local)
        else:
            raise BackendNotRunning("No local backend is running.")

    def disconnect(self) -> None:
        self._starting = False
        self.session.disconnect()

    def fetch_weights(self, name: str) -> None:
        """Have the backend download weights whose licence was agreed to.

        Raises BackendNotRunning, also if Blender is set to stay offline: a local backend must not
        go out in its stead.
        """
        self.session.require_backend()
        if not bpy.app.online_access:
            raise BackendNotRunning(
                "Blender is set to stay offline, so nothing is downloaded for it.", fix=_GO_ONLINE
            )
        self.session.supply.fetch(name)
        self.notice = None

    # Jobs -----------------------------------------------------------------------------------------

    @property
    def engines(self) -> list[EngineSpec]:
        """The backend's engines that make in-betweens."""
        return [engine for engine in self.session.engines if _JOB in engine.jobs]

    def engine_of(self, settings: Any) -> EngineSpec:
        """The engine that is chosen, or the usual one. Raises UnknownEngine."""
        engines = {engine.id: engine for engine in self.engines}
        engine = engines.get(settings.engine or usual_engine(self.engines))
        if engine is None:
            raise UnknownEngine(f"This backend has no engine called {settings.engine or 'rife'}.")
        if engine.unavailable:
            raise UnknownEngine(f"{engine.label} cannot run: {engine.unavailable}")
        return engine

    def generate(self, context: bpy.types.Context) -> Work:
        """Make the in-betweens of the selected keys; a strip for them appears at once.

        Where settings were restored from a result it is made again in its place. Gives the first
        of several variations. Raises any TweencelError; then nothing was made.
        """
        return self._generate(context, results.replaced(context))

    def make_again(self, context: bpy.types.Context, made: Made) -> Work:
        """Make a result again in its place, from its sources as they are now and its settings.

        Only what has changed is asked for; frames that were painted over are keys. Raises any
        TweencelError.
        """
        self.session.require_backend()
        editor = capture.looking_at(context, results.editor_of(made))
        with editor, results.panel_kept(context):
            results.restore(context, made, self.engines)
            return self._generate(context, made)

    def restore(self, context: bpy.types.Context, made: Made) -> list[str]:
        """Bring a result's settings and sources back; what is generated next takes its place.

        Gives sentences on what could not be brought back. Raises MissingFile.
        """
        with capture.looking_at(context, results.editor_of(made)):
            return self._restore(context, made)

    def _restore(self, context: bpy.types.Context, made: Made) -> list[str]:
        lost = results.restore(context, made, self.engines)
        settings_of(vse.editing_scene(context)).replaces = made.job
        return lost

    def _generate(self, context: bpy.types.Context, instead: Made | None) -> Work:
        scene = vse.editing_scene(context)
        settings = settings_of(scene)
        asked = generation.asked(context, settings, instead)
        self.session.require_backend()
        engine = self.engine_of(settings)
        self._require_place(context, asked)
        seeds = generation.seeds(context, engine, instead)
        works: list[Work] = []
        for seed in seeds:
            one, work = self._begin(
                context, asked, engine, seed, works[0].folder if works else None
            )
            works.append(work)
            asked = one if len(works) == 1 else asked  # its keys are files now
            label = self._label(work, asked.plan)
            if len(seeds) > 1:
                label = label._replace(
                    variations=works[0].job.id, muted=len(works) > 1, title=f", seed {seed}"
                )
            self._place(context, one, work, label)
        if instead is not None and settings.replaces == instead.job:
            settings.replaces = works[0].job.id
        self.notice = None
        return works[0]

    def _require_place(self, context: bpy.types.Context, asked: Asked) -> None:
        """Raise NoRoom or BadInput if the result could not be shown."""
        scene, sheet = vse.editing_scene(context), asked.plan
        target = generation.target_in(context)
        if asked.instead is not None:
            before = self.session.works.get(asked.instead.job)
            if before is not None and not before.job.stage.ended:
                raise BadInput(
                    f"{asked.instead.owner.name} is still being made.",
                    fix="Cancel its job, or wait for it.",
                )
        elif target == _STRIP:
            if vse.open_level(scene) is None:  # keys of another editor
                scene.sequence_editor_create()
            timeline.free_channel(scene, asked.shot.channel, sheet.start, sheet.end)
        image_targets.require(target, context.scene, settings_of(scene).standing)

    def _begin(
        self,
        context: bpy.types.Context,
        asked: Asked,
        engine: EngineSpec,
        seed: int,
        first: Folder | None,
    ) -> tuple[Asked, Work]:
        """Order one version. `first`: the folder of the first variation, which has the keys."""
        parent = output_folder(settings_of(vse.editing_scene(context)))
        folder = generation.folder_for(context, parent, asked.shot, engine)
        with contextlib.ExitStack() as undo:
            undo.callback(folder.discard, also_parent=True)
            if first is None:
                shot = generation.taken(asked.shot, folder)
            else:
                shot = generation.copied(asked.shot, first, folder)
            one = asked._replace(shot=shot)
            order = generation.order_of(context, one, engine, folder, seed)
            work = self.session.generate(order, folder=folder)
            undo.pop_all()  # it is the job's folder now
        return one, work

    @staticmethod
    def _label(work: Work, sheet: Plan) -> timeline.Label:
        return timeline.Label(work.job.id, work.job.engine, _generated(sheet))

    def _place(
        self, context: bpy.types.Context, asked: Asked, work: Work, label: timeline.Label
    ) -> None:
        shot, sheet = asked.shot, asked.plan
        try:
            keys = timeline.key_names(shot, work.folder, sheet)
            names = shown(sheet.sheet, keys, {})
            run = _run(work)
            if run is None:
                self._place_strip(vse.editing_scene(context), asked, work, names, label)
            else:
                run.lay(names)
                self._place_images(context, asked, work, run)
        except TweencelError as problem:
            self.session.fail(work.job.id, problem)
            raise
        self.results[work.job.id] = Result(sheet, keys, run)

    def _place_strip(
        self,
        scene: bpy.types.Scene,
        asked: Asked,
        work: Work,
        names: Sequence[str],
        label: timeline.Label,
    ) -> None:
        shot, sheet, before = asked.shot, asked.plan, asked.instead
        if before and timeline.switch(before.job, shot, sheet, work.folder, names, label):
            return
        if vse.open_level(scene) is None:
            scene.sequence_editor_create()
        name = timeline.place(scene, shot, sheet, work.folder, names, label)
        if settings_of(scene).hide_keys:
            made = vse.open_level(scene).strips[name]
            hidden_keys.hide(scene, shot.strips, made, work.job.id)

    def _place_images(self, context: bpy.types.Context, asked: Asked, work: Work, run: Run) -> None:
        target = _target(work)
        if target == _FILES:
            return
        shot, sheet = asked.shot, asked.plan
        (info, *_) = inspect_keys(work.order.keys[:1], self.session.limits)
        cycle = work.order.facts["timing"]["repeat"] != Repeat.ONCE.value
        size = info.width, info.height
        place = settings_of(vse.editing_scene(context)).standing
        sequence = image_targets.sequence_of(
            shot, sheet, run.first, size, cycle=cycle, standing=place
        )
        marks = image_targets.marks_of(
            work.job.id, work.job.engine, _generated(sheet), work.folder.path / PROVENANCE
        )
        if asked.instead and image_targets.switch(asked.instead.job, sequence, marks):
            return
        image_targets.place(target, context.scene, sequence, marks)

    def painted_in(self, made: Made) -> int | None:
        """How many frames of a result were painted over; None until its files were looked at.

        The beats that follow look at them.
        """
        self._looked_at = made.folder, made.version
        known = results.watch.known(made.folder)
        return None if known is None else len(known)

    def dismiss(self, job: str) -> None:
        if work := self._to_show.pop(job, None):
            self._show(work)
            self._settle(work)
        self.session.dismiss(job)
        if job not in self.session.works:
            self.results.pop(job, None)

    def show_all(self) -> None:
        """Let every strip show what has landed: an undo may have put older names back, and a
        file that was opened knows only what there was when it was saved."""
        self._hold.end(time.monotonic())
        prefetch.release()
        timeline.mend()
        image_targets.mend()
        self.loops.mend()
        for job in self.results:
            self._show(self.session.works[job])

    def _resumed(self, work: Work) -> None:
        """An earlier Blender began it; its strip may be in the file that is open."""
        if self.loops.resumed(work):
            return
        sheet = _sheet(work.order.facts)
        if sheet:
            copies = list(work.key_names())
            keys = timeline.known_key_names(work.order.keys, work.folder, copies)
            self.results[work.job.id] = Result(Plan(work.order.gaps, sheet), keys, _run(work))

    def _landed(self, work: Work, index: int) -> None:
        self._to_show[work.job.id] = work  # once a beat, however many landed

    def _show_landed(self) -> None:
        """A little of it in each beat, and only when nobody has to be waited for."""
        scenes = [scene for job in self._to_show for scene in timeline.scenes_of(job)]
        now, began = time.monotonic(), time.perf_counter()
        if not self._hold.begin(scenes, now):
            return
        deadline = began + _SHOWING
        while self._to_show and time.perf_counter() < deadline:
            job, work = next(iter(self._to_show.items()))
            if self._show(work, deadline):
                del self._to_show[job]
                self._settle(work)
        self._hold.took(time.perf_counter() - began)
        if not self._to_show:
            self._hold.end(now)

    def _settle(self, work: Work) -> None:
        if work.job.stage.ended:
            timeline.settle(work.job.id)
            image_targets.settle(work.job.id)
            self.loops.settle(work.job.id)

    def _show(self, work: Work, deadline: float = math.inf) -> bool:
        """Gives whether all is shown, which may not be before the deadline."""
        if self.loops.show(work):
            return True
        result = self.results.get(work.job.id)
        if result is None:
            return True
        names = shown(result.plan.sheet, result.keys, work.made)
        if result.run is None:
            return timeline.show(work.job.id, names, deadline)
        if self._lay(work, result.run, names):
            image_targets.refresh(work.job.id)
        return True

    def _lay(self, work: Work, run: Run, names: Sequence[str]) -> bool:
        try:
            return run.lay(names)
        except TweencelError as problem:
            self.session.fail(work.job.id, problem)
            return False

    def _ended(self, work: Work) -> None:
        job = work.job.id
        if work.job.stage is not Stage.DONE and (before := _reverted(job)):
            self.results.pop(job, None)
            for scene in bpy.data.scenes:
                if settings_of(scene).replaces == job:
                    settings_of(scene).replaces = before
            return
        if not work.made and work.job.stage is not Stage.DONE:
            timeline.remove(job)
            image_targets.remove(job)
            return
        self._to_show[work.job.id] = work  # then it is settled

    # The beat -------------------------------------------------------------------------------------

    def beat(self) -> float:
        """Do what there is to do; gives the seconds until the next beat."""
        began = time.perf_counter()
        if not self._begun:
            self._begun = True
            self.show_all()
            if not bpy.app.background:
                self.begin()
        self._mind_local()
        self._follow_local()
        self.session.tick()
        self._show_landed()
        self._try(self.loops.step)
        self._fit_scenes()
        self._mind_keys()
        if self._looked_at is not None:
            results.watch.step(*self._looked_at, _LOOK_BUDGET)
        self._redraw()
        self.longest_beat = max(self.longest_beat, time.perf_counter() - began)
        return _QUICK if self._awake else _CALM

    @property
    def _awake(self) -> bool:
        return bool(self.session.busy or self._starting or self._to_show or self.loops.busy)

    def begin(self) -> None:
        """What the artist wants to happen when Blender starts."""
        if preferences_of(bpy.context).start_automatically:
            self._try(lambda: self.start_local(bpy.context))

    def _mind_keys(self) -> None:
        """Keys under a result that was deleted are seen again, painted ones as they are now."""
        now = time.monotonic()
        if now < self._keys_again:
            return
        self._keys_again = now + _KEYS_EVERY
        hidden_keys.show_left_behind()
        for job, result in self.results.items():
            if result.run is not None:
                self._try(lambda job=job, run=result.run: self._follow(job, run))

    @staticmethod
    def _follow(job: str, run: Run) -> None:
        if run.follow():
            image_targets.refresh(job)

    def _mind_local(self) -> None:
        if self.local is None:
            return
        if self._starting:
            self._try(self._poll_local)
        # Asking also lets the system forget a child that ended: until then its pid looks alive.
        elif not self.local.alive:
            self.notice = self.local.crash() or self.notice
            self.local = None

    def _poll_local(self) -> None:
        assert self.local is not None
        try:
            endpoint = self.local.poll()
        except TweencelError:
            self._starting = False
            raise
        if endpoint is not None:
            self._starting = False
            self._connect_local(endpoint)

    def _connect_local(self, endpoint: Endpoint) -> None:
        self._followed = endpoint
        self.session.connect(endpoint)

    def _follow_local(self) -> None:
        """A local backend that ended and was started again has another port: go there."""
        now = time.monotonic()
        lost = self.session.contact is Contact.CONNECTING and self.session.trouble is not None
        if not lost or self.session.endpoint != self._followed or now < self._look_again:
            return
        self._look_again = now + _LOOK_EVERY
        endpoint = running_backend()
        if endpoint is not None and endpoint != self._followed:
            self._connect_local(endpoint)

    def _try(self, act: Any) -> None:
        try:
            act()
        except TweencelError as problem:
            self.notice = problem

    def _welcomed(self, welcome: Welcome) -> None:
        self.notice = None
        for scene in bpy.data.scenes:
            param_props.fit(settings_of(scene), welcome.engines)

    def _fit_scenes(self) -> None:
        for scene in bpy.data.scenes:
            if not param_props.fits(settings_of(scene), self.session.engines):
                param_props.fit(settings_of(scene), self.session.engines)

    def _redraw(self) -> None:
        state = self._state()
        if state == self._drawn or bpy.app.background:
            return
        self._drawn = state
        for window in bpy.context.window_manager.windows:
            for area in window.screen.areas:
                if area.type in _EDITORS:
                    area.tag_redraw()
            # The status bar is no area of the screen: this is what redraws it.
            window.workspace.status_text_set_internal(None)

    def _state(self) -> object:
        jobs = [
            (job.id, job.stage, job.cancelling, len(job.landed), job.progress)
            for job in self.session.ledger.jobs.values()
        ]
        supply = self.session.supply
        weights = list(supply.offers.values()), list(supply.refusals)
        painted = results.watch.known(self._looked_at[0]) if self._looked_at else None
        contact = self.session.contact, str(self.session.trouble), str(self.notice)
        return contact, jobs, weights, painted, self.loops.state

    def close(self) -> None:
        """End the line. A backend that we started goes on until it has been idle."""
        self.loops.close()
        prefetch.release()
        self.session.close()


_live: Live | None = None


def get() -> Live:
    """The live object of the registered add-on."""
    assert _live is not None, "the add-on is not registered"
    return _live


def beat() -> float:
    """What the timer calls, and in background mode a script."""
    return get().beat()


def usual_engine(engines: Sequence[EngineSpec]) -> str:
    """The id of the engine that is taken if none was chosen; empty if there are none."""
    able = [engine.id for engine in engines if not engine.unavailable]
    return _PREFERRED_ENGINE if _PREFERRED_ENGINE in able else next(iter(able), "")


def output_folder(settings: Any) -> Path:
    """The folder in which a job's own folder is made."""
    if settings.folder and not (settings.folder.startswith("//") and not bpy.data.filepath):
        return Path(bpy.path.abspath(settings.folder))
    if bpy.data.filepath:
        return Path(bpy.data.filepath).parent / "tweencel"
    return user_folder("frames")


def user_folder(name: str, create: bool = True) -> Path:
    """A folder of the add-on's own in the user's Blender profile."""
    try:
        return Path(bpy.utils.extension_path_user(__package__ or "", path=name, create=create))
    except ValueError:  # not installed as an extension
        return Path(bpy.utils.user_resource("DATAFILES", path=f"tweencel/{name}", create=create))


def _require_online(endpoint: Endpoint) -> None:
    if not endpoint.loopback and not bpy.app.online_access:
        raise BackendNotRunning(
            f"{endpoint.address} is on another computer, and Blender is set to stay offline.",
            fix=_GO_ONLINE,
        )


def _software() -> dict[str, str]:
    return {"add-on": VERSION, "blender": bpy.app.version_string}


def _target(work: Work) -> str:
    return str(work.order.facts.get("target", _STRIP))


def _run(work: Work) -> Run | None:
    """The run of files for a result that is no strip."""
    if _target(work) == _STRIP:
        return None
    exr = any(key.suffix.lower() == EXR_SUFFIX for key in work.order.keys)
    return Run(work.folder, EXR_SUFFIX if exr else ".png")


def _generated(sheet: Plan) -> str:
    return "".join(("k" if e.drawing.is_key else "g") * e.hold for e in sheet.sheet)


def _reverted(job: str) -> str:
    """Let a result that was being made again show what it showed before. Gives that job's id."""
    return timeline.revert(job) or image_targets.revert(job)


def _sheet(facts: Mapping[str, Any]) -> tuple[Exposure, ...]:
    """The exposure sheet of which `_facts` made plain data; empty if that was tampered with."""
    try:
        return tuple(
            Exposure(Drawing(line["key"], line["t"]), line["frame"], line["hold"])
            for line in facts.get("sheet", ())
        )
    except (KeyError, TypeError):
        return ()


@persistent
def _strips_changed(*_: object) -> None:
    if _live is not None:
        _live.show_all()


_HANDLERS = ("undo_post", "redo_post", "load_post")


def register() -> None:
    global _live
    _live = Live()
    for name in _HANDLERS:
        getattr(bpy.app.handlers, name).append(_strips_changed)
    # In background mode it would never be called, and a timer that is still there when bpy 4.5
    # ends keeps the process from ending.
    if not bpy.app.background:
        bpy.app.timers.register(beat, first_interval=_CALM, persistent=True)


def unregister() -> None:
    global _live
    if bpy.app.timers.is_registered(beat):
        bpy.app.timers.unregister(beat)
    for name in _HANDLERS:
        getattr(bpy.app.handlers, name).remove(_strips_changed)
    if _live is not None:
        _live.close()
    _live = None
