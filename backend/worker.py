# SPDX-License-Identifier: GPL-3.0-or-later
"""The process that computes: it loads one engine, keeps it warm, runs and reports.

It knows engines and pictures; it must not know sockets, the ledger or the store. Its files are
given as paths and its frames leave as bytes, so that the same code can run on another machine.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from protocol.errors import BackendBroken, EngineFailed, ErrorInfo, TweencelError
from protocol.limits import Limits

from . import making, registry, runs
from .engine import Context, Engine, Frame, Pixels, Progress
from .imaging import codecs, held
from .imaging.alpha import Array
from .parent import end_with_parent

_AHEAD = 3
"""Frames that may wait to be encoded, so that a fast engine does not fill the memory."""


class Worker:
    """One engine in one process, at the other end of a pipe."""

    def __init__(self, pipe: Connection[bytes, bytes], device: str, limits: Limits) -> None:
        self._pipe = pipe
        self._device = device
        self._limits = limits
        self._engine: tuple[str, Engine[Any]] | None = None
        self._stopped: set[int] = set()
        self._waiting: deque[runs.Run] = deque()
        self._spent = 0.0
        self._speaking = threading.Lock()

    def serve(self) -> None:
        """Run orders until the pipe closes."""
        while True:
            while not self._waiting:
                self._take_order()
            self._do(self._waiting.popleft())

    def _take_order(self) -> None:
        match runs.decode_order(self._pipe.recv_bytes()):
            case runs.Run() as run:
                self._waiting.append(run)
            case runs.Stop(run):
                self._stopped.add(run)

    def _do(self, run: runs.Run) -> None:
        error: ErrorInfo | None = None
        self._spent = 0.0
        try:
            self._run(run)
        except TweencelError as problem:
            error = problem.info()
        except MemoryError:
            error = _out_of_memory("memory").info()
        except Exception as problem:  # the border: an engine may raise anything
            error = explain(problem).info()
        stopped = run.run in self._stopped
        self._stopped = {other for other in self._stopped if other > run.run}
        self._report(runs.Ended(run.run, self._spent, stopped, None if stopped else error))

    def _run(self, run: runs.Run) -> None:
        context = Context(_reader(run, self._limits), run.params, run.seed, frozenset(run.wanted))
        masks = _mask_reader(run, self._limits)
        with _Encoder(run.output, lambda index, file: self._send(run.run, index, file)) as encoder:
            steps = making.make(run.task, context, lambda: self._load(run.engine), masks)
            for step in self._until_stopped(run.run, steps):
                match step:
                    case Frame() as frame:
                        encoder.put(frame)
                    case Progress(phase, fraction):
                        self._report(runs.Step(run.run, phase[:200], _share(fraction)))

    def _until_stopped(
        self, run: int, steps: Iterator[Frame | Progress]
    ) -> Iterator[Frame | Progress]:
        while not self._is_stopped(run):
            with self._timed():
                step = next(steps, None)
            if step is None:
                return
            yield step

    @contextlib.contextmanager
    def _timed(self) -> Generator[None]:
        started = time.perf_counter()
        try:
            yield
        finally:
            self._spent += time.perf_counter() - started

    def _is_stopped(self, run: int) -> bool:
        while self._pipe.poll():
            self._take_order()
        return run in self._stopped

    def _load(self, name: str) -> Engine[Any]:
        if self._engine is None or self._engine[0] != name:
            self._engine = None  # gives the old one's memory back before the new one loads
            self._engine = (name, registry.find(name).load(self._device))
        return self._engine[1]

    def _send(self, run: int, index: int, file: bytes) -> None:
        with self._speaking:
            self._pipe.send_bytes(runs.encode(runs.Made(run, index)))
            self._pipe.send_bytes(file)

    def _report(self, report: runs.Report) -> None:
        with self._speaking:
            self._pipe.send_bytes(runs.encode(report))


class _Encoder:
    """Writes frames as files beside the engine's next step and sends each as soon as it is done."""

    def __init__(self, output: runs.Output, send: Callable[[int, bytes], None]) -> None:
        self._output = output
        self._send = send
        self._pool = ThreadPoolExecutor(1, "encoder")  # one thread: frames leave in order
        self._pending: deque[Future[None]] = deque()

    def __enter__(self) -> _Encoder:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        """Wait for the frames that were made. If the engine failed its error is the one to tell."""
        try:
            if kind is None:
                self._settle(0)
        finally:
            self._pool.shutdown()

    def put(self, frame: Frame) -> None:
        self._pending.append(self._pool.submit(self._write, frame))
        self._settle(_AHEAD)

    def _write(self, frame: Frame) -> None:
        how = self._output
        file = codecs.encode(frame.pixels, how.depth, how.channels, how.format, frame.text)
        self._send(frame.index, file)

    def _settle(self, left: int) -> None:
        while len(self._pending) > left:
            self._pending.popleft().result()


def main(pipe: Connection[bytes, bytes], device: str, threads: int, limits: Limits) -> None:
    """The entry point of the process."""
    end_with_parent()
    # Ctrl-C in a terminal reaches the whole group; the backend decides what becomes of the job
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if threads:
        os.environ["OMP_NUM_THREADS"] = str(threads)
    try:
        Worker(pipe, device, limits).serve()
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return


def explain(problem: Exception) -> TweencelError:
    """A plain sentence for whatever an engine raised."""
    if "out of memory" in str(problem).lower():
        return _out_of_memory("GPU memory" if "cuda" in str(problem).lower() else "memory")
    return EngineFailed(
        f"The engine failed: {type(problem).__name__}: {str(problem)[:300]}",
        fix="Try another engine or smaller pictures; report it if it returns.",
    )


def _share(fraction: float) -> float:
    """Within 0..1, whatever a plug-in says (not a number is nothing)."""
    return min(max(fraction, 0.0), 1.0) if fraction == fraction else 0.0


def _out_of_memory(kind: str) -> TweencelError:
    return EngineFailed(
        f"The engine ran out of {kind}.",
        fix="Use smaller pictures, or close other programs that use it.",
        retryable=True,
    )


def _reader(run: runs.Run, limits: Limits) -> Callable[[str], Pixels]:
    @lru_cache(maxsize=2)
    def pixels(digest: str) -> Pixels:
        return _decoded(run, digest, limits).pixels

    return pixels


def _mask_reader(run: runs.Run, limits: Limits) -> Callable[[str], Array]:
    @lru_cache(maxsize=2)
    def mask(digest: str) -> Array:
        return held.mask_of(_decoded(run, digest, limits).numbers())

    return mask


def _decoded(run: runs.Run, digest: str, limits: Limits) -> codecs.Picture:
    return codecs.decode(_read(run, digest), name=_name_of(run, digest), limits=limits)


def _read(run: runs.Run, digest: str) -> bytes:
    try:
        return Path(run.inputs[digest]).read_bytes()
    except (KeyError, OSError) as problem:
        raise BackendBroken(f"{_name_of(run, digest)} cannot be read: {problem}") from problem


def _name_of(run: runs.Run, digest: str) -> str:
    return run.task.name_of(digest)
