# SPDX-License-Identifier: GPL-3.0-or-later
"""Those who may not come in, and those who come from another time."""

from __future__ import annotations

import os
from collections.abc import Iterator

import msgspec
import pytest
import zmq

from benchmarks.bouts.backend_process import BackendProcess, backend
from benchmarks.bouts.line import Line
from protocol import codec
from protocol import messages as m
from protocol.endpoint import Endpoint
from protocol.errors import HelloFirst, VersionMismatch
from protocol.version import PROTOCOL_VERSION

HELLO = [bytes(codec.encode(m.Hello(rid=1, v=PROTOCOL_VERSION, client="stranger"))[0])]


@pytest.fixture(scope="module")
def process() -> Iterator[BackendProcess]:
    with backend() as process:
        yield process


@pytest.fixture
def endpoint(process: BackendProcess) -> Endpoint:
    return process.connection().endpoint


def answers(endpoint: Endpoint, options: dict[int, int | bytes]) -> bool:
    """Whether a greeting over a socket with those options is answered."""
    context = zmq.Context()
    socket = context.socket(zmq.DEALER)
    for option, value in {zmq.LINGER: 0, **options}.items():
        socket.setsockopt(option, value)
    socket.connect(endpoint.address)
    socket.send_multipart(HELLO)
    answered = bool(socket.poll(700))
    socket.close()
    context.term()
    return answered


def test_neither_an_open_line_nor_a_password_is_answered(endpoint: Endpoint) -> None:
    assert not answers(endpoint, {})
    assert not answers(endpoint, {zmq.PLAIN_USERNAME: b"local", zmq.PLAIN_PASSWORD: b"local"})


def test_a_client_with_another_backends_key_talks_to_nobody(endpoint: Endpoint) -> None:
    line = Line(endpoint._replace(server_key=os.urandom(32).hex()), hello=False)
    line.socket.send_multipart(HELLO, zmq.DONTWAIT)
    assert not line.socket.poll(700)
    line.cut()


def test_a_client_of_the_next_minor_version_is_understood(endpoint: Endpoint) -> None:
    line = Line(endpoint, hello=False)
    major, minor = PROTOCOL_VERSION
    hello = {"type": "hello", "rid": 1, "v": [major, minor + 1], "client": "new", "mood": "good"}
    line.send_raw([msgspec.msgpack.encode(hello)])
    assert isinstance(line.receive()[0], m.Welcome)
    line.cut()


def test_a_client_of_another_major_version_is_told_which_side_to_update(
    endpoint: Endpoint,
) -> None:
    line = Line(endpoint, hello=False)
    for major, side in ((PROTOCOL_VERSION[0] - 1, "add-on"), (PROTOCOL_VERSION[0] + 1, "backend")):
        with pytest.raises(VersionMismatch) as refusal:
            line.ask(m.Hello(rid=0, v=(major, 0), client="other"), m.Welcome)
        assert refusal.value.fix == f"Update the {side}, then connect again."
    with pytest.raises(HelloFirst):
        line.ask(m.Ping(rid=0), m.Pong)
    line.cut()


def test_a_message_of_the_future_is_refused_by_name_and_the_line_stays(endpoint: Endpoint) -> None:
    line = Line(endpoint)
    line.send_raw([msgspec.msgpack.encode({"type": "dance", "rid": 9, "job": "a" * 32})])
    refusal = line.receive()[0]
    assert isinstance(refusal, m.Error)
    assert (refusal.rid, refusal.job, refusal.error.code) == (9, "a" * 32, "unknown_message")
    assert "dance" in refusal.error.text
    line.ask(m.Ping(rid=0), m.Pong)
    line.cut()
