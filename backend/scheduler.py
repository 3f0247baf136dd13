# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of a job: checked, written down, run in its turn, told to whoever listens.

It joins ledger, holdings, store and executor. It knows no sockets: the server and the headless
`run` both stand on it, so that the same job gives the same pixels either way.
"""

from __future__ import annotations

import itertools
import logging
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass

from protocol.engines import EngineSpec
from protocol.errors import (
    BackendBroken,
    DiskFull,
    EngineFailed,
    ErrorInfo,
    MissingInputs,
    QuotaExceeded,
    TweencelError,
    WorkerDied,
)
from protocol.jobs import Inbetween, Slot, State
from protocol.messages import FrameMade, Progress, Status, Submit
from protocol.params import complete
from protocol.pictures import PictureInfo, check_same_size, check_size, probe

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
    pace: _Pace
    deaths: int
    phase: str = "starting"


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
            self._executor.stop(self._running.run)
        elif state is State.QUEUED and job in self._turns:
            self._turns.remove(job)
            self._publish(self._ledger.move(job, State.CANCELLED))
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
            while self._backlog:
                self._take(self._backlog[0], now)
                self._backlog.popleft()
            if self._running is None and self._executor.free:
                self._start_next()
        except DiskFull as problem:
            # Nothing is dropped: the frame is in the store, its event waits here for space.
            log.error("%s", problem)
            self._disk_pause = now + _DISK_PAUSE

    # Before a job runs ------------------------------------------------------------------------

    def _require_quota(self, owner: str) -> None:
        most = self._settings.quota.open_jobs
        if self._ledger.open_jobs(owner) >= most:
            raise QuotaExceeded(
                f"{most} of your jobs are waiting or running, which is all that you may have.",
                fix="Wait until some are done, or cancel some.",
            )

    def _look_at(self, task: Inbetween) -> Output:
        """Check the keys' headers. Frames are written as richly as the richest of the keys."""
        infos: list[tuple[str, PictureInfo]] = []
        for digest in task.inputs():
            name = f"Key {task.keys.index(digest) + 1}"
            with self._store.path(digest).open("rb") as file:
                info = probe(file, name)
            check_size(info, self._settings.limits, name)
            infos.append((name, info))
        check_same_size(infos)
        return _richest([info for _, info in infos])

    def _is_made(self, job: Job) -> bool:
        """Give the job the frames that were made before; if those are all, it is done."""
        made, spec = self._ledger.made(job.id), registry.find(job.submit.engine).spec
        known = [
            (slot.index, *found)
            for slot in job.submit.task.slots()
            if slot.index not in made
            and (found := self._holdings.recall(job.owner, self._recipe(job, spec, slot)))
        ]
        if known:
            self._holdings.touch(job.owner, [digest for _, digest, _ in known])
            for event in self._ledger.add_frames(job.id, known):
                self._publish(event)
        if len(made) + len(known) < job.total:
            return False
        self._publish(self._ledger.move(job.id, State.DONE))
        return True

    def _recipe(self, job: Job, spec: EngineSpec, slot: Slot) -> bytes:
        submit = job.submit
        params = complete(spec.params, submit.params)
        return recipe(
            spec, self._settings.device, params, submit.seed, job.output, submit.task, slot
        )

    # The run ----------------------------------------------------------------------------------

    def _start_next(self) -> None:
        name = self._turns.take()
        if name is None:
            return
        job = self._ledger.job(name)
        try:
            if self._is_made(job):
                return
            self._publish(self._ledger.move(name, State.RUNNING))
        except DiskFull:
            self._turns.add(job.owner, name, first=True)
            raise
        except TweencelError as problem:  # since it was accepted its engine has gone or changed
            self._publish(self._ledger.move(name, State.FAILED, problem.info()))
            return
        made = self._ledger.made(name)
        run = next(self._numbers)
        deaths = self._deaths.pop(name, 0)
        self._running = _Running(run, job, _Pace(job.total, len(made)), deaths)
        try:
            self._executor.start(self._run_of(run, job, made))
        except OSError as problem:
            log.exception("the worker could not be started", extra={"job": name})
            self._end(State.FAILED, BackendBroken(f"No engine could be started: {problem}").info())
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
            case FrameStored(_, index, digest, size):
                self._take_frame(running, index, digest, size, now)
            case Finished():
                self._finish(running, event)

    def _take_frame(
        self, running: _Running, index: int, digest: str, size: int, now: float
    ) -> None:
        job = running.job
        slots = job.submit.task.slots()
        if not 0 <= index < len(slots):
            return
        key = self._recipe(job, registry.find(job.submit.engine).spec, slots[index])
        self._holdings.remember(job.owner, key, digest, size)
        made = self._ledger.add_frame(job.id, index, digest, size)
        if made is not None:
            running.deaths = 0
            running.pace.frame(now)
            self._publish(made)
            self._tell_progress(running, 1.0, now)

    def _finish(self, running: _Running, event: Finished) -> None:
        made, total = len(self._ledger.made(running.job.id)), running.job.total
        if event.error is None and made == total:
            self._end(State.DONE, spent=event.spent)
        elif event.stopped:
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


def _richest(infos: list[PictureInfo]) -> Output:
    colour = "RGB" if any("RGB" in info.channels for info in infos) else "L"
    alpha = "A" if any(info.alpha for info in infos) else ""
    return Output(max(info.depth for info in infos), colour + alpha)
