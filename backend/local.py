# SPDX-License-Identifier: GPL-3.0-or-later
"""The executor of this machine: one spawned worker process, kept warm between jobs.

A thread reads the worker's pipe and writes its frames to the store, so that neither a slow disk
nor a worker that stops in mid-sentence can hold up the server's loop.
"""

from __future__ import annotations

import contextlib
import logging
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

log = logging.getLogger(__name__)
_spawn = multiprocessing.get_context("spawn")
_Orders = queue.SimpleQueue[bytes | None]
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
        self._orders: _Orders | None = None
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
        # If it dies before it reads this, its death is that of the run, which is then tried again.
        self._living_worker().put(runs.encode(run))
        self._run = run.run
        self._heard = time.monotonic()
        self._engine = run.engine

    def stop(self, run: int) -> None:
        if run != self._run or self._orders is None or self._stopping:
            return
        self._orders.put(runs.encode(runs.Stop(run)))
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
        if event.error is not None and self._orders is not None:
            # our disk failed, not the worker: it must not go on with frames nobody can keep
            self._orders.put(runs.encode(runs.Stop(event.run)))
        self._run = None
        self._hung = False
        self._kill_at = None
        self._idle_since = time.monotonic()
        return event._replace(stopped=event.stopped or told_to_stop)

    def _living_worker(self) -> _Orders:
        if self._process is not None and self._orders is not None and self._process.is_alive():
            return self._orders
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
        orders = _Orders()
        self._process, self._orders = process, orders
        for name, act, arguments in (
            ("worker-writer", _send_all, (orders, ours)),
            ("worker-reader", self._listen, (ours, process)),
        ):
            threading.Thread(target=act, args=arguments, daemon=True, name=name).start()
        return orders

    def _end_process(self) -> None:
        """Kill it. Its reader then finds the pipe's end and closes it."""
        process, self._process, orders, self._orders = self._process, None, self._orders, None
        if orders is not None:
            orders.put(None)
        if process is not None:
            process.kill()
            process.join(1.0)

    def _listen(self, pipe: Connection[bytes, bytes], process: BaseProcess) -> None:
        """The reader thread of one worker's life."""
        try:
            while True:
                self._tell(process, self._event_of(runs.decode_report(pipe.recv_bytes()), pipe))
        except (EOFError, OSError, ValueError, RecursionError) as problem:
            if not isinstance(problem, EOFError | OSError):
                log.exception("a worker said what nobody understands")
                process.kill()
            process.join(5.0)
            self._tell(process, Finished(_DEATH, False, _obituary(process.exitcode)))
        finally:
            pipe.close()

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


def _send_all(orders: _Orders, pipe: Connection[bytes, bytes]) -> None:
    """The writer thread of one worker's life: a worker that does not read holds up nobody else."""
    with contextlib.suppress(OSError):
        while (order := orders.get()) is not None:
            pipe.send_bytes(order)


def _work(pipe: Connection[bytes, bytes], device: str, threads: int, limits: Limits) -> None:
    """The first thing in the new process; only there are arrays and codecs imported."""
    from . import worker

    worker.main(pipe, device, threads, limits)


def _hung(seconds: float) -> ErrorInfo:
    return WorkerDied(
        f"The engine gave no sign of life for {seconds:.0f} s and was ended.",
        fix="Use smaller pictures or another engine; report it if it returns.",
    ).info()


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal
        return f"signal {number}"


def _obituary(exit_code: int | None) -> ErrorInfo:
    if exit_code is not None and exit_code < 0:
        name = _signal_name(-exit_code)
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
