# SPDX-License-Identifier: GPL-3.0-or-later
"""What comes from those who mean no good: small runs of benchmarks/endurance.py and more."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from benchmarks.bouts import hostile
from benchmarks.bouts.backend_process import BackendProcess, backend
from benchmarks.bouts.finding import missed
from benchmarks.bouts.line import Line
from protocol import messages as m
from protocol.endpoint import parse_endpoint
from protocol.errors import HelloFirst


@pytest.fixture
def process() -> Iterator[BackendProcess]:
    with backend() as process:
        yield process


def test_fifty_thousand_mutated_headers_are_decoded_or_refused() -> None:
    assert missed(hostile.headers(50_000)) == []


def test_hostile_messages_and_raw_connections_harm_nobody() -> None:
    assert missed(hostile.live(5_000, 200)) == []


def test_a_client_that_asks_on_and_on_and_never_reads_is_forgotten(
    process: BackendProcess,
) -> None:
    admin = Line(process.connection().endpoint)
    deaf = Line(parse_endpoint(admin.ask(m.Pair(rid=0, name="deaf"), m.Paired).endpoint))
    before = process.memory()
    nonsense = [b"\x82\xa4type\xb0" + b"n" * 16 + b"\xa3rid\x07"]
    deadline = time.monotonic() + 60
    while "forgotten" not in process.stderr() and time.monotonic() < deadline:
        for _ in range(2000):
            deaf.send_raw(nonsense)
        admin.ask(m.Ping(rid=0), m.Pong)
    assert process.memory() - before < 30
    read_on_until_greeting_is_asked_for(deaf)
    deaf.greet()
    deaf.ask(m.Ping(rid=0), m.Pong)
    for line in (deaf, admin):
        line.cut()


def read_on_until_greeting_is_asked_for(line: Line) -> None:
    while True:
        try:
            line.ask(m.Ping(rid=0), m.Pong)
        except HelloFirst:
            return
