# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of a job: checked, written down, run in its turn, told to whoever listens.

It joins ledger, store and executor. It knows no sockets: the server and the headless `run` both
stand on it, so that the same job gives the same pixels either way.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable

from protocol.errors import BackendBroken, EngineFailed, ErrorInfo, MissingInputs
from protocol.jobs import State
from protocol.limits import Limits
from protocol.messages import FrameMade, Progress, Status, Submit
from protocol.params import complete
from protocol.pictures import PictureInfo, check_same_size, check_size, probe

from . import registry
from .executor import Event, Executor, Finished, FrameStored, Stepped
from .ledger import Job, Ledger
from .runs import Run
from .store import Store

Publish = Callable[[Status | FrameMade | Progress], None]
log = logging.getLogger(__name__)


class _Clock:
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


class Scheduler:
    """Takes jobs and runs them, first come first served."""

    def __init__(
        self, ledger: Ledger, store: Store, executor: Executor, limits: Limits, publish: Publish
    ) -> None:
        self._ledger = ledger
        self._store = store
        self._executor = executor
        self._limits = limits
        self._publish = publish
        self._numbers = itertools.count(1)
        self._running: tuple[int, str] | None = None
        self._clock = _Clock(0, 0)

    @property
    def idle(self) -> bool:
        return self._running is None and not self._ledger.waiting()

    def recover(self) -> None:
        """After a restart: queue again what was running."""
        for status in self._ledger.recover():
            self._publish(status)

    def submit(self, submit: Submit) -> None:
        """Check a job and write it down. Raises TweencelError; then nothing was written."""
        spec = registry.find(submit.engine).spec
        submit.task.check(self._limits)
        complete(spec.params, submit.params)
        if absent := [digest for digest in submit.task.inputs() if not self._store.has(digest)]:
            raise MissingInputs(f"{len(absent)} of the job's files have not arrived.")
        self._check_pictures(submit)
        if self._ledger.accept(submit):
            log.info("job %s: accepted, %d frames", submit.job, len(submit.task.slots()))

    def cancel(self, job: str) -> None:
        """Stop that job. A job that has ended stays as it is. Raises UnknownJob."""
        state = self._ledger.job(job).state
        if state is State.QUEUED:
            self._publish(self._ledger.move(job, State.CANCELLED))
        elif self._running is not None and self._running[1] == job:
            self._executor.stop(self._running[0])

    def tell_queue(self, job: str) -> None:
        """Publish how many jobs are before that one, if it waits."""
        waiting = [other.id for other in self._ledger.waiting()]
        if job in waiting:
            ahead = waiting.index(job) + (self._running is not None)
            self._publish(Progress(job=job, phase="waiting", ahead=ahead))

    def tick(self, now: float) -> None:
        """Take what the executor tells and start what can be started. `now`: monotonic."""
        for event in self._executor.events():
            self._take(event, now)
        self._executor.tick(now)
        if self._running is None and self._executor.free:
            self._start_next()

    def _check_pictures(self, submit: Submit) -> None:
        keys = submit.task.keys
        infos: list[tuple[str, PictureInfo]] = []
        for digest in submit.task.inputs():
            name = f"Key {keys.index(digest) + 1}"
            with self._store.path(digest).open("rb") as file:
                info = probe(file, name)
            check_size(info, self._limits, name)
            infos.append((name, info))
        check_same_size(infos)

    def _start_next(self) -> None:
        waiting = self._ledger.waiting()
        if not waiting:
            return
        job = waiting[0]
        first = self._ledger.missing_from(job.id)
        self._publish(self._ledger.move(job.id, State.RUNNING))
        run = next(self._numbers)
        self._running = (run, job.id)
        self._clock = _Clock(job.total, first)
        try:
            self._executor.start(self._run_of(run, job, first))
        except OSError as problem:
            log.exception("job %s: the worker could not be started", job.id)
            self._end(
                job.id, State.FAILED, BackendBroken(f"No engine could be started: {problem}").info()
            )
        for other in waiting[1:]:
            self.tell_queue(other.id)

    def _run_of(self, run: int, job: Job, first: int) -> Run:
        submit = job.submit
        spec = registry.find(submit.engine).spec
        return Run(
            run=run,
            engine=submit.engine,
            params=complete(spec.params, submit.params),
            seed=submit.seed,
            task=submit.task,
            first=first,
            inputs={digest: str(self._store.path(digest)) for digest in submit.task.inputs()},
        )

    def _take(self, event: Event, now: float) -> None:
        if self._running is None or event.run != self._running[0]:
            return
        job = self._running[1]
        match event:
            case Stepped(_, phase, fraction):
                self._tell_progress(job, phase, fraction, now)
            case FrameStored(_, index, digest, size):
                made = self._ledger.add_frame(job, index, digest, size)
                if made is not None:
                    self._clock.frame(now)
                    self._publish(made)
                    self._tell_progress(job, "in-betweening", 1.0, now)
            case Finished():
                self._finish(job, event)

    def _tell_progress(self, job: str, phase: str, fraction: float, now: float) -> None:
        clock = self._clock
        self._publish(
            Progress(
                job=job,
                phase=phase,
                fraction=fraction,
                made=clock.made,
                total=clock.total,
                left=clock.left(now),
            )
        )

    def _finish(self, job: str, event: Finished) -> None:
        record = self._ledger.job(job)
        if event.error is None and record.made == record.total:
            self._end(job, State.DONE, spent=event.spent)
        elif event.stopped:
            self._end(job, State.CANCELLED, spent=event.spent)
        elif event.error is not None:
            self._end(job, State.FAILED, event.error, event.spent)
        else:
            text = f"The engine made {record.made} of {record.total} frames and stopped."
            self._end(job, State.FAILED, EngineFailed(text).info(), event.spent)

    def _end(
        self, job: str, state: State, error: ErrorInfo | None = None, spent: float = 0.0
    ) -> None:
        self._running = None
        log.info("job %s: %s%s", job, state, f": {error.text}" if error else "")
        self._publish(self._ledger.move(job, state, error, spent))
