# SPDX-License-Identifier: GPL-3.0-or-later
"""A blocking client for the command line: it asks one thing at a time and waits for the answer.

It knows the protocol and nothing of the backend.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import msgspec
import zmq
from zmq.utils import z85

from protocol import codec
from protocol import messages as m
from protocol.endpoint import Endpoint, may_live, read_connection
from protocol.errors import BackendNotRunning, HelloFirst, from_info
from protocol.version import PROTOCOL_VERSION, require_compatible

Event = m.Status | m.FrameMade | m.Progress
Answer = TypeVar(
    "Answer",
    m.Welcome,
    m.Pong,
    m.Accepted,
    m.Jobs,
    m.Done,
    m.Report,
    m.Paired,
    m.Collected,
    m.Verified,
    m.Weights,
)
_PING_MS = 2000
_SILENT = 6.0
"""Seconds without a word, though it was pinged, after which a backend counts as gone."""
_RESTART = 30.0
"""How long a backend that is followed may be away."""
_START = "Start one with `tweencel serve`, or in Blender."


class Client:
    """One connection to a backend that has greeted us."""

    def __init__(self, endpoint: Endpoint, patience: float = _SILENT) -> None:
        """Raises BackendNotRunning after `patience` seconds without an answer, VersionMismatch."""
        self._address = endpoint.address
        self._rids = itertools.count(1)
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket = _open(self._context, endpoint)
        with contextlib.ExitStack() as opened:
            opened.callback(self.close)
            self.welcome = self._greet(patience)
            opened.pop_all()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close(0)
        self._context.term()

    def ask(self, request: m.Request, kind: type[Answer], timeout: float = 30.0) -> Answer:
        """The answer of that kind. `timeout` may be math.inf: a dead backend is noticed anyhow.

        Raises the failure that the backend answers with, BackendNotRunning if it does not answer.
        """
        rid = self._send(request)
        for message in self._hear(timeout, _SILENT):
            if isinstance(message, m.Error) and message.rid == rid:
                raise from_info(message.error)
            if isinstance(message, kind) and message.rid == rid:
                return message
        raise self._silent(timeout)

    def follow(self, job: str, after_seq: int = 0) -> Iterator[Event]:
        """The job's events after that number until it has ended, over a restart of the backend too.

        Raises UnknownJob, BackendNotRunning.
        """
        last = after_seq
        rid = self._send(m.Subscribe(rid=0, job=job, after_seq=last))
        for message in self._hear(math.inf, _RESTART):
            match message:
                case m.Error(error=error) if error.code == HelloFirst.code:
                    self._greet(_SILENT)  # it was restarted
                    rid = self._send(m.Subscribe(rid=0, job=job, after_seq=last))
                case m.Error() if message.rid == rid:
                    raise from_info(message.error)
                case m.Progress() if message.job == job:
                    yield message
                case m.Status() | m.FrameMade() if message.job == job and message.seq > last:
                    last = message.seq
                    yield message
                    if isinstance(message, m.Status) and message.state.ended:
                        return
                case _:
                    pass

    def _greet(self, patience: float) -> m.Welcome:
        hello = m.Hello(rid=0, v=PROTOCOL_VERSION, client="tweencel command line")
        welcome = self.ask(hello, m.Welcome, patience)
        require_compatible(welcome.v, ours_is="command line", theirs_is="backend")
        return welcome

    def _send(self, request: m.Request) -> int:
        rid = next(self._rids)
        if not isinstance(request, m.Put):
            request = msgspec.structs.replace(request, rid=rid)
        # A backend that refuses our key takes the queue away: to wait for room would be for ever.
        # What cannot be sent is noticed as silence.
        with contextlib.suppress(zmq.Again):
            self._socket.send_multipart(codec.encode(request), zmq.DONTWAIT)
        return rid

    def _hear(self, timeout: float, patience: float) -> Iterator[m.Reply]:
        """All that comes until `timeout`. Raises BackendNotRunning after `patience` of silence."""
        heard = time.monotonic()
        end = heard + timeout
        while (now := time.monotonic()) < end:
            wait_ms = min(_PING_MS, math.ceil(1000 * min(end - now, patience)))
            if self._socket.poll(wait_ms):
                message, _ = codec.decode_reply(self._socket.recv_multipart())
                heard = time.monotonic()
                yield message
            elif time.monotonic() - heard >= patience:
                raise self._silent(patience)
            else:
                self._send(m.Ping(rid=0))

    def _silent(self, seconds: float) -> BackendNotRunning:
        return BackendNotRunning(
            f"No answer from {self._address} within {seconds:.0f} s.",
            fix="If its key or address is an old one, nothing answers: start it again.",
        )


def connect(file: Path) -> Client:
    """A client of the backend that has written that connection file. Raises BackendNotRunning."""
    try:
        connection = read_connection(file)
    except BackendNotRunning as problem:
        raise BackendNotRunning(problem.text, fix=_START) from None
    gone = not may_live(connection.pid)
    try:
        # It may run behind a wall (a container) that hides its process: ask, but briefly.
        return Client(connection.endpoint, 1.0 if gone else _SILENT)
    except BackendNotRunning:
        if gone:
            raise BackendNotRunning(
                f"No local backend is running; the last one left {file} behind.", fix=_START
            ) from None
        raise


def _open(context: zmq.Context[zmq.Socket[bytes]], endpoint: Endpoint) -> zmq.Socket[bytes]:
    socket = context.socket(zmq.DEALER)
    secret = z85.encode(bytes.fromhex(endpoint.client_secret))
    options: dict[int, int | bytes] = {
        zmq.LINGER: 0,
        zmq.IPV6: 1,
        zmq.CURVE_SECRETKEY: secret,
        zmq.CURVE_PUBLICKEY: zmq.curve_public(secret),
        zmq.CURVE_SERVERKEY: z85.encode(bytes.fromhex(endpoint.server_key)),
    }
    for option, value in options.items():
        socket.setsockopt(option, value)
    socket.connect(endpoint.address)
    return socket
