# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of a job: checked, written down, run in its turn, told to whoever listens.

It joins ledger, holdings, store and executor. It knows no sockets: the server and the headless
`run` both stand on it, so that the same job gives the same pixels either way.
"""

from __future__ import annotations

import itertools
import logging
import time
from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from protocol.engines import EngineSpec
from protocol.errors import (
    BackendBroken,
    BadJob,
    DiskFull,
    EngineFailed,
    ErrorInfo,
    MissingInputs,
    QuotaExceeded,
    TweencelError,
    UnknownEngine,
    WeightsMissing,
    WorkerDied,
)
from protocol.jobs import AnyLoop, Inbetween, State, Task, kind_of
from protocol.messages import FrameMade, Progress, Status, Submit
from protocol.params import complete
from protocol.pictures import PictureInfo, check_same_kind, check_same_size, check_size, probe

from . import registry
from .config import Settings
from .executor import Event, Executor, Finished, FrameStored, Stepped
from .holdings import Holdings
from .ledger import Job, Ledger
from .recipe import recipe
from .runs import Output, Run
from .store import Store
from .turns import Turns

Publish = Callable[[Status | FrameMade | Progress], None]
Audience = Callable[[], Collection[str]]
"""The jobs to which somebody listens."""
_TURN = 0.02
"""Seconds for which a tick works off events before it is the others' turn."""
_FRAMES_IN_A_COMMIT = 16
_DISK_PAUSE = 1.0
"""Seconds until a full disk is tried again."""
log = logging.getLogger(__name__)


class _Pace:
    """Measures how long a frame takes, to tell how long the rest will."""

    def __init__(self, total: int, made: int) -> None:
        self.total = total
        self.made = made
        self._first: tuple[int, float] | None = None

    def frame(self, now: float) -> None:
        self.made += 1
        if self._first is None:
            self._first = (self.made, now)

    def left(self, now: float) -> float | None:
        """Seconds, or None as long as nothing was measured."""
        if self._first is None or self.made <= self._first[0]:
            return None
        pace = (now - self._first[1]) / (self.made - self._first[0])
        return max(0.0, pace * (self.total - self.made))


@dataclass
class _Running:
    """The job that is being run. `deaths`: workers it lost since it last made a frame."""

    run: int
    job: Job
    recipes: list[bytes]
    """Of its slots, by index."""
    pace: _Pace
    deaths: int
    phase: str = "starting"
    cancelled: bool = False


class Scheduler:
    """Takes jobs and runs them; owners take turns."""

    def __init__(
        self,
        ledger: Ledger,
        holdings: Holdings,
        store: Store,
        executor: Executor,
        settings: Settings,
        publish: Publish,
        audience: Audience = frozenset,
    ) -> None:
        self._ledger = ledger
        self._holdings = holdings
        self._store = store
        self._executor = executor
        self._settings = settings
        self._publish = publish
        self._audience = audience
        self._numbers = itertools.count(1)
        self._turns = Turns()
        self._running: _Running | None = None
        self._deaths: dict[str, int] = {}
        self._backlog: deque[Event] = deque()
        self._disk_pause = 0.0

    @property
    def idle(self) -> bool:
        return self._running is None and not self._turns

    @property
    def waits_for_disk(self) -> bool:
        """Whether the ledger could not be written the last time it was tried."""
        return self._disk_pause > 0

    @property
    def running(self) -> str:
        """The job that is being run, or an empty text."""
        return self._running.job.id if self._running else ""

    def recover(self) -> None:
        """After a start: what was running is queued again, what was waiting waits again."""
        for job in self._ledger.running():
            self._ledger.move(job, State.QUEUED)
        for owner, job in self._ledger.waiting():
            self._turns.add(owner, job)

    # What clients ask -------------------------------------------------------------------------

    def submit(self, owner: str, submit: Submit) -> None:
        """Check a job and write it down. Raises TweencelError; then nothing was written."""
        if self._ledger.knows(owner, submit):
            return  # whatever has changed since: the client did not see our answer
        spec = registry.find(submit.engine).spec
        _require_able(spec, submit.task)
        submit.task.check(self._settings.limits)
        complete(spec.params, submit.params)
        inputs = submit.task.inputs()
        if absent := [digest for digest in inputs if not self._holdings.holds(owner, digest)]:
            raise MissingInputs(f"{len(absent)} of the job's files have not arrived.")
        output = self._look_at(submit.task)
        self._require_quota(owner)
        self._ledger.accept(owner, submit, output)
        self._turns.add(owner, submit.job)  # accepted: whatever fails from here on, it has its turn
        log.info("accepted, %d frames", len(submit.task.slots()), extra={"job": submit.job})
        try:
            self._holdings.touch(owner, inputs)
            if self._is_made(self._ledger.job(submit.job)):
                self._turns.remove(submit.job)
        except TweencelError as problem:
            log.warning("%s", problem, extra={"job": submit.job})

    def cancel(self, job: str) -> None:
        """Stop that job. A job that has ended stays as it is. Raises UnknownJob."""
        state = self._ledger.standing(job).state
        if self._running is not None and self._running.job.id == job:
            self._running.cancelled = True
            self._executor.stop(self._running.run)
        elif state is State.QUEUED:
            self._publish(self._ledger.move(job, State.CANCELLED))
            self._deaths.pop(job, None)
            if job in self._turns:
                self._turns.remove(job)
            self._tell_waiting()

    def tell_queue(self, job: str) -> None:
        """Publish how many jobs are before that one, if it waits."""
        if job in self._turns:
            self._tell_place(job, self._turns.order().index(job))

    def tick(self, now: float) -> None:
        """Take what the executor tells and start what can be started. `now`: monotonic."""
        self._backlog.extend(self._executor.events())
        self._executor.tick(now)
        if now < self._disk_pause:
            return
        try:
            self._disk_pause = 0.0
            self._work_off(now, time.monotonic() + _TURN)
            if self._running is None and not self._backlog and self._executor.free:
                self._start_next()
        except DiskFull as problem:
            # Nothing is dropped: the frame is in the store, its event waits here for space.
            log.error("%s", problem)
            self._disk_pause = now + _DISK_PAUSE

    def _work_off(self, now: float, end: float) -> None:
        """Take events from the backlog until it is empty, or the others' turn has come."""
        while self._backlog and time.monotonic() < end:
            frames = self._next_frames()
            try:
                if frames:
                    self._take_frames(frames, now)
                else:
                    self._take(self._backlog[0], now)
            except DiskFull:
                raise
            except TweencelError as problem:  # a defect of ours must not hold up the others' jobs
                log.exception("an event could not be taken")
                if self._running is not None:
                    self._executor.stop(self._running.run)
                    self._end(State.FAILED, problem.info())
            for _ in range(len(frames) or 1):
                self._backlog.popleft()

    def _next_frames(self) -> list[FrameStored]:
        """The frames of the present run at the head of the backlog: one commit serves several."""
        run = self._running.run if self._running else -1
        frames: list[FrameStored] = []
        for event in itertools.islice(self._backlog, _FRAMES_IN_A_COMMIT):
            if not isinstance(event, FrameStored) or event.run != run:
                break
            frames.append(event)
        return frames

    # Before a job runs ------------------------------------------------------------------------

    def _require_quota(self, owner: str) -> None:
        quota = self._settings.quota
        if self._holdings.stored(owner) > quota.stored:
            raise QuotaExceeded(
                f"Your files on the backend exceed the {quota.stored // 2**20} MiB you may have.",
                fix="Wait for a sweep of old files, or ask for more (quota.stored).",
            )
        most = quota.open_jobs
        if self._ledger.open_jobs(owner) >= most:
            raise QuotaExceeded(
                f"{most} of your jobs are waiting or running, which is all that you may have.",
                fix="Wait until some are done, or cancel some.",
            )

    def _look_at(self, task: Task) -> Output:
        """Check the inputs' headers. Frames are written as richly as the richest of the keys."""
        infos: list[tuple[str, PictureInfo]] = []
        inputs = task.inputs()
        for digest in inputs:
            name = task.name_of(digest)
            with self._store.path(digest).open("rb") as file:
                info = probe(file, name)
            check_size(info, self._settings.limits, name)
            infos.append((name, info))
        check_same_size(infos)
        keys = [infos[inputs.index(digest)] for digest in task.pictures()]
        check_same_kind(keys)
        return _richest([info for _, info in keys], alpha=isinstance(task, AnyLoop) and task.layer)

    def _is_made(self, job: Job) -> bool:
        """Give the job the frames that were made before; if those are all, it is done."""
        made, recipes = self._ledger.made(job.id), self._recipes(job)
        known = [
            (index, *found)
            for index, key in enumerate(recipes)
            if index not in made and (found := self._holdings.recall(job.owner, key))
        ]
        events: list[Status | FrameMade] = []
        with self._ledger.together():
            if known:
                self._holdings.touch(job.owner, [digest for _, digest, _ in known])
                events += self._ledger.add_frames(job.id, known)
            done = len(made) + len(known) == job.total
            if done:
                events.append(self._ledger.move(job.id, State.DONE))
        for event in events:
            self._publish(event)
        return done

    def _recipes(self, job: Job) -> list[bytes]:
        """The recipe of each slot. Raises UnknownEngine or BadParameter if those have changed."""
        submit, device = job.submit, self._settings.device
        spec = registry.find(submit.engine).spec
        params = complete(spec.params, submit.params)
        return [
            recipe(spec, device, params, submit.seed, job.output, submit.task, slot)
            for slot in submit.task.slots()
        ]

    # The run ----------------------------------------------------------------------------------

    def _start_next(self) -> None:
        name = self._turns.take()
        if name is None:
            return
        job = self._ledger.job(name)
        try:
            if self._is_made(job):
                return
            made, recipes = self._ledger.made(name), self._recipes(job)
            run = self._run_of(next(self._numbers), job, made)
            self._publish(self._ledger.move(name, State.RUNNING))
        except DiskFull:
            self._turns.add(job.owner, name, first=True)
            raise
        except TweencelError as problem:  # since it was accepted its engine has gone or changed
            self._publish(self._ledger.move(name, State.FAILED, problem.info()))
            return
        pace, deaths = _Pace(job.total, len(made)), self._deaths.pop(name, 0)
        self._running = _Running(run.run, job, recipes, pace, deaths)
        try:
            self._executor.start(run)
        except OSError as problem:
            log.exception("the worker could not be started", extra={"job": name})
            broken = BackendBroken(f"No engine could be started: {problem}").info()
            self._backlog.append(Finished(run.run, False, broken))
        self._tell_waiting()

    def _run_of(self, run: int, job: Job, made: set[int]) -> Run:
        submit = job.submit
        spec = registry.find(submit.engine).spec
        return Run(
            run=run,
            engine=submit.engine,
            params=complete(spec.params, submit.params),
            seed=submit.seed,
            task=submit.task,
            wanted=tuple(slot.index for slot in submit.task.slots() if slot.index not in made),
            inputs={digest: str(self._store.path(digest)) for digest in submit.task.inputs()},
            output=job.output,
        )

    def _take(self, event: Event, now: float) -> None:
        running = self._running
        if running is None or event.run != running.run:
            return
        match event:
            case Stepped(_, phase, fraction):
                running.phase = phase
                self._tell_progress(running, fraction, now)
            case FrameStored():
                pass  # _next_frames has taken those of this run
            case Finished():
                self._finish(running, event)

    def _take_frames(self, frames: Sequence[FrameStored], now: float) -> None:
        running = self._running
        assert running is not None
        job, made = running.job, list[FrameMade]()
        with self._ledger.together():
            for frame in frames:
                if 0 <= frame.index < job.total:
                    key = running.recipes[frame.index]
                    self._holdings.remember(job.owner, key, frame.digest, frame.size)
                    event = self._ledger.add_frame(job.id, frame.index, frame.digest, frame.size)
                    made += [event] if event else []
        for event in made:
            running.deaths = 0
            running.pace.frame(now)
            self._publish(event)
        for frame in frames:
            self._store.claimed(frame.digest)
        self._tell_progress(running, 1.0, now)

    def _finish(self, running: _Running, event: Finished) -> None:
        made, total = len(self._ledger.made(running.job.id)), running.job.total
        if event.error is None and made == total:
            self._end(State.DONE, spent=event.spent)
        elif event.stopped or running.cancelled:
            self._end(State.CANCELLED, spent=event.spent)
        elif event.error is None:
            text = f"The engine made {made} of {total} frames and stopped."
            self._end(State.FAILED, EngineFailed(text).info(), event.spent)
        elif event.error.code == WorkerDied.code:
            self._survive(running, event.error)
        else:
            self._end(State.FAILED, event.error, event.spent)

    def _survive(self, running: _Running, error: ErrorInfo) -> None:
        """A worker died: go on with the next frame, but not for ever."""
        job, deaths = running.job, running.deaths + 1
        log.warning("%s (%d in a row)", error.text, deaths, extra={"job": job.id})
        if deaths < self._settings.tries:
            self._end(State.QUEUED)
            self._deaths[job.id] = deaths
            self._turns.add(job.owner, job.id, first=True)
            return
        text = f"{error.text} It was tried {deaths} times."
        self._end(State.FAILED, ErrorInfo(error.code, text, error.fix, error.retryable))

    def _end(self, state: State, error: ErrorInfo | None = None, spent: float = 0.0) -> None:
        assert self._running is not None
        job = self._running.job.id
        status = self._ledger.move(job, state, error, spent)
        self._running = None
        log.info("%s%s", state, f": {error.text}" if error else "", extra={"job": job})
        self._publish(status)

    # Telling ----------------------------------------------------------------------------------

    def _tell_progress(self, running: _Running, fraction: float, now: float) -> None:
        pace = running.pace
        self._publish(
            Progress(
                job=running.job.id,
                phase=running.phase,
                fraction=fraction,
                made=pace.made,
                total=pace.total,
                left=pace.left(now),
            )
        )

    def _tell_waiting(self) -> None:
        listened = [job for job in self._audience() if job in self._turns]
        if listened:
            places = {job: place for place, job in enumerate(self._turns.order())}
            for job in listened:
                self._tell_place(job, places[job])

    def _tell_place(self, job: str, place: int) -> None:
        ahead = place + (self._running is not None)
        self._publish(Progress(job=job, phase="waiting", ahead=ahead))


def _require_able(spec: EngineSpec, task: Task) -> None:
    """Raise BadJob if the engine does not make such a job, and what keeps it from running now."""
    if any(weights.missing and not weights.optional for weights in spec.weights):
        raise WeightsMissing(f"{spec.label} cannot run: {spec.unavailable}.")
    if spec.unavailable:
        raise UnknownEngine(f"{spec.label} cannot run: {spec.unavailable}")
    if kind_of(task) not in spec.jobs:
        able = [other.id for other in registry.specs() if kind_of(task) in other.jobs]
        raise BadJob(
            f"{spec.label} does not make jobs of the kind {kind_of(task)!r}.",
            fix=f"Choose one of: {', '.join(able) or 'none on this backend'}.",
        )
    if isinstance(task, Inbetween) and task.guides and not spec.can.sketches:
        raise BadJob(
            f"{spec.label} takes no sketches.",
            fix="Remove the sketches, or choose an engine that takes them.",
        )
    if isinstance(task, Inbetween) and task.even_motion and not spec.can.any_t:
        raise BadJob(
            f"{spec.label} cannot space its drawings by measured motion: it has times of its own.",
            fix="Turn even motion off, or choose another engine.",
        )


def _richest(infos: list[PictureInfo], alpha: bool) -> Output:
    colour = "RGB" if any("RGB" in info.channels for info in infos) else "L"
    clear = "A" if alpha or any(info.alpha for info in infos) else ""
    format = "EXR" if infos[0].format == "EXR" else "PNG"
    return Output(max(info.depth for info in infos), colour + clear, format)
