# SPDX-License-Identifier: GPL-3.0-or-later
"""The executor of this machine: one spawned worker process, kept warm between jobs.

A thread reads the worker's pipe and writes its frames to the store, so that neither a slow disk
nor a worker that stops in mid-sentence can hold up the server's loop.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import queue
import signal
import socket
import threading
import time
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

from protocol.errors import ErrorInfo, TweencelError, WorkerDied
from protocol.limits import Limits
from protocol.messages import WorkerSummary

from . import runs
from .config import Settings
from .executor import Event, Finished, FrameStored, Stepped
from .store import Store

_spawn = multiprocessing.get_context("spawn")
_DEATH = -1
"""In place of a run's number: the process ended, whatever it was doing."""


class LocalExecutor:
    """Runs one job at a time in one process of this machine."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._settings = settings
        self._reports: queue.SimpleQueue[tuple[BaseProcess, Event]] = queue.SimpleQueue()
        self._wake_reader, self._wake_writer = socket.socketpair()
        for end in (self._wake_reader, self._wake_writer):
            end.setblocking(False)
        self._process: BaseProcess | None = None
        self._pipe: Connection[bytes, bytes] | None = None
        self._run: int | None = None
        self._engine = ""
        self._hung = False
        self._stopping = False
        self._kill_at: float | None = None
        self._heard = self._idle_since = time.monotonic()

    @property
    def wake(self) -> socket.socket:
        return self._wake_reader

    @property
    def free(self) -> bool:
        return self._run is None

    def start(self, run: runs.Run) -> None:
        pipe = self._living_worker()
        self._run = run.run
        self._heard = time.monotonic()
        self._engine = run.engine
        try:
            pipe.send_bytes(runs.encode(run))
        except OSError:  # it died between two jobs: try once with a new one
            self._end_process()
            self._living_worker().send_bytes(runs.encode(run))

    def stop(self, run: int) -> None:
        if run != self._run or self._pipe is None:
            return
        with contextlib.suppress(OSError):
            self._pipe.send_bytes(runs.encode(runs.Stop(run)))
        self._stopping = True
        self._kill_at = time.monotonic() + self._settings.cancel_grace

    def events(self) -> list[Event]:
        with contextlib.suppress(BlockingIOError):
            self._wake_reader.recv(4096)
        found: list[Event] = []
        while not self._reports.empty():
            process, event = self._reports.get()
            if process is not self._process:
                continue  # the last words of a process that was given up
            self._heard = time.monotonic()
            if event.run == _DEATH and isinstance(event, Finished):
                self._end_process()
                if self._hung:
                    event = event._replace(error=_hung(self._settings.silence))
                if self._run is None:
                    continue  # it died between two jobs: the next job gets a new one
                event = event._replace(run=self._run)
            if event.run == self._run:
                found.append(self._close_run(event) if isinstance(event, Finished) else event)
        return found

    def unload(self) -> bool:
        """End the idle worker, so that its memory returns; False if it is at work."""
        if self._run is None:
            self._end_process()
        return self._run is None

    def summary(self) -> WorkerSummary:
        """The worker as it is told to administrators; the job is the scheduler's to add."""
        process = self._process
        return WorkerSummary(
            device=self._settings.device,
            pid=process.pid or 0 if process else 0,
            engine=self._engine if process else "",
        )

    def tick(self, now: float) -> None:
        if self._run is not None and now - self._heard > self._settings.silence:
            if self._process is not None and not self._hung:
                self._hung = True
                self._process.kill()
            return
        if self._kill_at is not None and now >= self._kill_at and self._process is not None:
            self._kill_at = None
            self._process.kill()
        idle = self._run is None and now - self._idle_since > self._settings.worker_idle
        if idle and self._process is not None:
            self._end_process()

    def close(self) -> None:
        self._end_process()
        self._wake_reader.close()
        self._wake_writer.close()

    def _close_run(self, event: Finished) -> Finished:
        told_to_stop, self._stopping = self._stopping, False
        if event.error is not None and self._pipe is not None:
            # our disk failed, not the worker: it must not go on with frames nobody can keep
            with contextlib.suppress(OSError):
                self._pipe.send_bytes(runs.encode(runs.Stop(event.run)))
        self._run = None
        self._hung = False
        self._kill_at = None
        self._idle_since = time.monotonic()
        return event._replace(stopped=event.stopped or told_to_stop)

    def _living_worker(self) -> Connection[bytes, bytes]:
        if self._process is not None and self._pipe is not None and self._process.is_alive():
            return self._pipe
        self._end_process()
        ours, theirs = _spawn.Pipe()
        settings = self._settings
        process = _spawn.Process(
            target=_work,
            args=(theirs, settings.device, settings.threads, settings.limits),
            name="tweencel-worker",
            daemon=True,
        )
        process.start()
        theirs.close()
        self._process, self._pipe = process, ours
        threading.Thread(
            target=self._listen, args=(ours, process), daemon=True, name="worker-reader"
        ).start()
        return ours

    def _end_process(self) -> None:
        process, self._process, pipe, self._pipe = self._process, None, self._pipe, None
        if process is not None:
            process.kill()
            process.join(5.0)
        if pipe is not None:
            pipe.close()

    def _listen(self, pipe: Connection[bytes, bytes], process: BaseProcess) -> None:
        """The reader thread of one worker's life."""
        try:
            while True:
                self._tell(process, self._event_of(runs.decode_report(pipe.recv_bytes()), pipe))
        except (EOFError, OSError, ValueError):
            process.join(5.0)
            self._tell(process, Finished(_DEATH, False, _obituary(process.exitcode)))

    def _event_of(self, report: runs.Report, pipe: Connection[bytes, bytes]) -> Event:
        match report:
            case runs.Step(run, phase, fraction):
                return Stepped(run, phase, fraction)
            case runs.Ended(run, spent, stopped, error):
                return Finished(run, stopped, error, spent)
            case runs.Made(run, index):
                content = pipe.recv_bytes()
                try:
                    return FrameStored(run, index, self._store.add(content), len(content))
                except TweencelError as problem:
                    return Finished(run, False, problem.info())

    def _tell(self, process: BaseProcess, event: Event) -> None:
        self._reports.put((process, event))
        with contextlib.suppress(OSError):  # full (awake already) or closed (nobody cares)
            self._wake_writer.send(b"\0")


def _work(pipe: Connection[bytes, bytes], device: str, threads: int, limits: Limits) -> None:
    """The first thing in the new process; only there are arrays and codecs imported."""
    from . import worker

    worker.main(pipe, device, threads, limits)


def _hung(seconds: float) -> ErrorInfo:
    return WorkerDied(
        f"The engine gave no sign of life for {seconds:.0f} s and was ended.",
        fix="Use smaller pictures or another engine; report it if it returns.",
    ).info()


def _obituary(exit_code: int | None) -> ErrorInfo:
    if exit_code is not None and exit_code < 0:
        name = signal.Signals(-exit_code).name
        why = {
            "SIGKILL": "it was killed, perhaps because the memory ran out",
            "SIGSEGV": "segmentation fault",
        }.get(name, name)
    else:
        why = f"exit code {exit_code}"
    return WorkerDied(
        f"The engine's process ended unexpectedly: {why}.",
        fix="Generate again; use smaller pictures or another engine if it returns.",
    ).info()
