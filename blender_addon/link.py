# SPDX-License-Identifier: GPL-3.0-or-later
"""The line to one backend: two encrypted connections to one address, a control and a data lane.

A cancel never waits behind an upload. It knows messages and sockets, no jobs and no Blender.
Nothing here ever blocks; libzmq's own thread keeps the line alive while Python is busy.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from enum import Enum
from typing import NamedTuple, Protocol

import zmq
from zmq.utils import z85
from zmq.utils.monitor import recv_monitor_message

from protocol.codec import decode_reply, encode
from protocol.endpoint import Endpoint
from protocol.errors import (
    BackendNotRunning,
    BadInput,
    ErrorInfo,
    HelloFirst,
    ProtocolFailure,
    TweencelError,
    VersionMismatch,
    from_info,
)
from protocol.limits import MAX_CHUNK, MAX_HEADER
from protocol.messages import Data, Error, Get, Have, Hello, Message, Put, Reply, Welcome
from protocol.version import PROTOCOL_VERSION, require_compatible

_log = logging.getLogger(__name__)
_DATA_LANE = (Have, Put, Get)
_HEARTBEAT_MS = 2000
_PATIENCE_MS = 6000
_HANDSHAKE_MS = 5000
_DOUBTS = 2
"""A backend answers a wrong key by hanging up, but one that is just ending does so too."""

Received = tuple[Reply, bytes]


class Line(Protocol):
    """What a session needs of a link; the tests' scriptable link is the other implementation."""

    problem: TweencelError | None

    @property
    def open(self) -> bool:
        """Both lanes have been welcomed."""
        ...

    def send(self, message: Message, body: bytes | None = None) -> bool:
        """False if the lane is down: the next Welcome says when to begin again."""
        ...

    def receive(self, most: int) -> list[Received]:
        """What has come, at most that many messages. A Welcome begins each new connection."""
        ...

    def close(self) -> None: ...


class _State(Enum):
    DOWN = 0
    GREETING = 1
    """The connection stands, Hello is to be said."""
    GREETED = 2
    OPEN = 3


class _Event(NamedTuple):
    kind: int
    value: int


class _Lane:
    """One DEALER socket and its monitor."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], endpoint: Endpoint) -> None:
        self.state = _State.DOWN
        self.failures = 0
        """Handshakes that were cut since the last good one."""
        self.socket = context.socket(zmq.DEALER)
        _configure(self.socket, endpoint)
        self.monitor = self.socket.get_monitor_socket(_WATCHED)
        self.monitor.linger = 0
        self.socket.connect(endpoint.address)

    def events(self) -> list[_Event]:
        """What happened to the connection since the last call."""
        found: list[_Event] = []
        while self.monitor.poll(0):
            event = recv_monitor_message(self.monitor, zmq.DONTWAIT)
            found.append(_Event(event["event"], event["value"]))
        return found

    def send(self, frames: list[bytes | memoryview]) -> bool:
        try:
            self.socket.send_multipart(frames, zmq.DONTWAIT)
        except zmq.Again:
            return False
        return True

    def receive(self) -> list[bytes] | None:
        try:
            return self.socket.recv_multipart(zmq.DONTWAIT)
        except zmq.Again:
            return None

    def close(self) -> None:
        self.socket.disable_monitor()
        self.monitor.close(0)
        self.socket.close(0)


_WATCHED = (
    zmq.EVENT_CONNECT_RETRIED
    | zmq.EVENT_DISCONNECTED
    | zmq.EVENT_HANDSHAKE_SUCCEEDED
    | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
)


def _configure(socket: zmq.Socket[bytes], endpoint: Endpoint) -> None:
    # The default linger makes the end of Blender wait for a backend that is gone.
    socket.linger = 0
    # A message to a dead connection is refused at once instead of kept for the next one, so that
    # every connection begins with our Hello.
    socket.setsockopt(zmq.IMMEDIATE, 1)
    socket.setsockopt(zmq.MAXMSGSIZE, max(MAX_CHUNK, MAX_HEADER) * 2)
    socket.setsockopt(zmq.RECONNECT_IVL, 100)
    socket.setsockopt(zmq.RECONNECT_IVL_MAX, 2000)
    socket.setsockopt(zmq.HANDSHAKE_IVL, _HANDSHAKE_MS)
    socket.setsockopt(zmq.HEARTBEAT_IVL, _HEARTBEAT_MS)
    socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, _PATIENCE_MS)
    socket.setsockopt(zmq.HEARTBEAT_TTL, _PATIENCE_MS)
    secret = z85.encode(bytes.fromhex(endpoint.client_secret))
    socket.curve_publickey, socket.curve_secretkey = zmq.curve_public(secret), secret
    socket.curve_serverkey = z85.encode(bytes.fromhex(endpoint.server_key))


class Link:
    """A line that opens itself, and opens itself again after it broke."""

    def __init__(self, endpoint: Endpoint, client: str) -> None:
        """Raises BadInput if nothing can be reached at such an address."""
        self.endpoint = endpoint
        self.problem: TweencelError | None = None
        """Why the line is not open, as far as it is known."""
        self._client = client
        # Our own context: another extension may use the shared one, and end it.
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context(io_threads=1)
        try:
            self._control = _Lane(self._context, endpoint)
            self._data = _Lane(self._context, endpoint)
        except zmq.ZMQError as problem:
            self._context.destroy(linger=0)
            raise BadInput(
                f"{endpoint.address} is no address to connect to: {problem.strerror}.",
                fix="Paste the whole line that `tweencel pair` prints.",
            ) from None
        self._refused = False

    @property
    def open(self) -> bool:
        return all(lane.state is _State.OPEN for lane in self._lanes)

    def send(self, message: Message, body: bytes | None = None) -> bool:
        lane = self._data if isinstance(message, _DATA_LANE) else self._control
        return lane.state is _State.OPEN and lane.send(encode(message, body))

    def receive(self, most: int) -> list[Received]:
        """As in Line. Control messages come first."""
        if self._refused:
            return []
        received: list[Received] = []
        for lane in self._lanes:
            self._watch(lane)
            self._greet(lane)
            self._drain(lane, received, most)
        return received

    def close(self) -> None:
        """End at once; what was not sent is dropped."""
        for lane in self._lanes:
            lane.close()
        self._context.term()

    @property
    def _lanes(self) -> tuple[_Lane, _Lane]:
        return self._control, self._data

    def _watch(self, lane: _Lane) -> None:
        for event in lane.events():
            match event.kind:
                case zmq.EVENT_HANDSHAKE_SUCCEEDED:
                    lane.state = _State.GREETING
                    lane.failures = 0
                case zmq.EVENT_DISCONNECTED:
                    lane.state = _State.DOWN
                    self.problem = self.problem or self._silent()
                case zmq.EVENT_CONNECT_RETRIED:
                    self.problem = self.problem or self._silent()
                case zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL if lane.failures < _DOUBTS:
                    lane.failures += 1
                case _:
                    lane.state = _State.DOWN
                    self.problem = self._unwelcome()

    def _greet(self, lane: _Lane) -> None:
        if lane.state is _State.GREETING:
            hello = Hello(rid=0, v=PROTOCOL_VERSION, client=self._client)
            if lane.send(encode(hello)):
                lane.state = _State.GREETED

    def _drain(self, lane: _Lane, received: list[Received], most: int) -> None:
        while len(received) < most and (frames := lane.receive()) is not None:
            try:
                message, body = decode_reply(frames)
            except ProtocolFailure as problem:
                # A newer backend may say things that we do not know; they are not for us.
                _log.warning("A message from the backend was left aside: %s", problem)
                continue
            if isinstance(message, Welcome):
                self._welcomed(lane, message, received)
            elif isinstance(message, Error) and self._about_hello(lane, message.error):
                continue
            else:
                received.append((message, body))

    def _welcomed(self, lane: _Lane, welcome: Welcome, received: list[Received]) -> None:
        try:
            require_compatible(welcome.v, ours_is="add-on", theirs_is="backend")
        except VersionMismatch as problem:
            self._refuse(problem)
            return
        lane.state = _State.OPEN
        if self.open:
            self.problem = None
            received.append((welcome, b""))

    def _about_hello(self, lane: _Lane, info: ErrorInfo) -> bool:
        """Whether an error is about the greeting; then it is dealt with here."""
        error = from_info(info)
        if isinstance(error, HelloFirst):
            lane.state = _State.GREETING
            return True
        if isinstance(error, VersionMismatch):
            self._refuse(error)
            return True
        return False

    def _refuse(self, problem: TweencelError) -> None:
        self.problem = problem
        self._refused = True
        for lane in self._lanes:
            lane.state = _State.DOWN

    def _silent(self) -> TweencelError:
        return BackendNotRunning(f"Nobody answers at {self.endpoint.address}.")

    def _unwelcome(self) -> TweencelError:
        return BackendNotRunning(
            f"The backend at {self.endpoint.address} does not accept the key in the address.",
            fix="For this computer press Disconnect, then Start Local Backend; for another paste "
            "the whole line that `tweencel pair` prints there.",
        )


Connect = Callable[[Endpoint], Line]
"""Opens a line."""

__all__ = ["Connect", "Data", "Line", "Link", "Received"]
