# SPDX-License-Identifier: GPL-3.0-or-later
"""The numbers that Prometheus may ask for, on this machine only.

A thread answers the questions; the server's loop hands it a snapshot when it next turns, so that
neither waits for the other and nothing is counted that nobody asked for.
"""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from prometheus_client import CollectorRegistry, ProcessCollector, start_http_server
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    Metric,
    SummaryMetricFamily,
)
from prometheus_client.registry import Collector

from protocol.errors import BackendFailure, WorkerDied
from protocol.jobs import State
from protocol.messages import FrameMade, Progress, Status

_PATIENCE = 5.0
"""Seconds that a question waits for the loop; then the answer is that the backend is down."""


@dataclass
class Tally:
    """What is counted since the start. Times in seconds."""

    frames: int = 0
    deaths: int = 0
    turns: int = 0
    turning: float = 0.0
    slowest: float = 0.0
    """The longest turn since the last snapshot."""

    def note(self, event: Status | FrameMade | Progress) -> None:
        """An event of a job was published."""
        match event:
            case FrameMade():
                self.frames += 1
            case Status(state=State.QUEUED, attempt=attempt) if attempt:
                self.deaths += 1  # it goes on in another worker
            case Status(state=State.FAILED, error=error) if error and error.code == WorkerDied.code:
                self.deaths += 1
            case _:
                pass

    def taken(self) -> Tally:
        """A copy for a snapshot; the slowest turn is looked for anew."""
        copy = replace(self)
        self.slowest = 0.0
        return copy

    def turned(self, seconds: float) -> None:
        """The loop made a turn that took so long, waiting for messages not included."""
        self.turns += 1
        self.turning += seconds
        self.slowest = max(self.slowest, seconds)


class Figures(NamedTuple):
    """How the backend is at one moment. `stored` in bytes, `uptime` in seconds."""

    jobs: Mapping[State, int]
    stored: int
    store_cap: int
    connections: int
    uptime: float
    tally: Tally


Snapshot = Callable[[], Figures]


class Exporter(Collector):
    """Answers at http://127.0.0.1:PORT/metrics."""

    def __init__(self, port: int, snapshot: Snapshot) -> None:
        """`snapshot` is called in `tick` only. Raises BackendFailure if the port is taken."""
        self._snapshot = snapshot
        self._asked: queue.SimpleQueue[queue.SimpleQueue[Figures]] = queue.SimpleQueue()
        registry = CollectorRegistry(auto_describe=False)
        ProcessCollector(registry=registry)
        registry.register(self)
        try:
            self._server, self._thread = start_http_server(port, "127.0.0.1", registry)
        except OSError as problem:
            raise BackendFailure(
                f"127.0.0.1:{port} cannot be had for the metrics: {problem.strerror}.",
                fix="Choose another port with --metrics-port, or 0 for none.",
                retryable=False,
            ) from None

    def tick(self) -> None:
        """Answer who has asked since the last turn of the loop."""
        while not self._asked.empty():
            self._asked.get().put(self._snapshot())

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5.0)

    def collect(self) -> Iterator[Metric]:
        """Called in the thread of the one who asks."""
        answer: queue.SimpleQueue[Figures] = queue.SimpleQueue()
        self._asked.put(answer)
        try:
            figures = answer.get(timeout=_PATIENCE)
        except queue.Empty:
            yield GaugeMetricFamily("tweencel_up", "Whether the server's loop turns.", 0)
            return
        yield GaugeMetricFamily("tweencel_up", "Whether the server's loop turns.", 1)
        yield from _families(figures)


def _families(figures: Figures) -> Iterator[Metric]:
    jobs = GaugeMetricFamily("tweencel_jobs", "Jobs on the books.", labels=["state"])
    for state, count in figures.jobs.items():
        jobs.add_metric([str(state)], count)
    yield jobs
    tally = figures.tally
    for name, text, value in (
        ("queue_length", "Jobs that wait for their turn.", figures.jobs.get(State.QUEUED, 0)),
        ("store_bytes", "Bytes that the store holds.", figures.stored),
        ("store_cap_bytes", "Bytes that the store may hold.", figures.store_cap),
        ("connections", "Connections of clients.", figures.connections),
        ("uptime_seconds", "Since the backend began to listen.", figures.uptime),
        ("loop_turn_slowest_seconds", "The longest turn since it was last asked.", tally.slowest),
    ):
        yield GaugeMetricFamily(f"tweencel_{name}", text, value)
    yield CounterMetricFamily("tweencel_frames_made", "Frames told to clients.", tally.frames)
    yield CounterMetricFamily("tweencel_worker_deaths", "Workers that died at work.", tally.deaths)
    yield SummaryMetricFamily(
        "tweencel_loop_turn_seconds",
        "What a turn of the server's loop takes.",
        count_value=tally.turns,
        sum_value=tally.turning,
    )
