# SPDX-License-Identifier: GPL-3.0-or-later
"""One connection of a client that knows only the protocol; it may say anything, and may be cut."""

from __future__ import annotations

import itertools
import time
from typing import TypeVar

import msgspec
import zmq
from zmq.utils import z85

from protocol import codec
from protocol import messages as m
from protocol.endpoint import Endpoint
from protocol.errors import HelloFirst, from_info
from protocol.version import PROTOCOL_VERSION

Answer = TypeVar("Answer", bound=m.Message)
_numbers = itertools.count(1)


class Silence(Exception):
    """Nothing came in time."""


class Line:
    """A DEALER socket with an I/O thread of its own, so that it can be cut at once.

    `queue`: messages that its library reads though nobody asks for them.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        hello: bool = True,
        patience: float = 20.0,
        queue: int = 1000,
    ) -> None:
        self.patience = patience
        self.heard: list[tuple[m.Reply, bytes]] = []
        """Messages that came while another was waited for."""
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.socket = self._context.socket(zmq.DEALER)
        secret = z85.encode(bytes.fromhex(endpoint.client_secret))
        options: dict[int, int | bytes] = {
            zmq.LINGER: 0,
            zmq.RECONNECT_IVL: 50,
            zmq.RCVHWM: queue,
            zmq.CURVE_SECRETKEY: secret,
            zmq.CURVE_PUBLICKEY: zmq.curve_public(secret),
            zmq.CURVE_SERVERKEY: bytes.fromhex(endpoint.server_key),
        }
        for option, value in options.items():
            self.socket.setsockopt(option, value)
        self.socket.connect(endpoint.address)
        if hello:
            self.welcome = self.greet()

    def greet(self) -> m.Welcome:
        """Say hello. Raises Silence, or the refusal."""
        return self.ask(m.Hello(rid=0, v=PROTOCOL_VERSION, client="bout"), m.Welcome)

    def send(self, request: m.Request, body: bytes | None = None) -> int:
        """Send it under a number of its own; that number. Raises Silence if there is no room."""
        rid = next(_numbers)
        if not isinstance(request, m.Put):
            request = msgspec.structs.replace(request, rid=rid)
        self.send_raw([bytes(codec.encode(request, body)[0]), *([] if body is None else [body])])
        return rid

    def send_raw(self, frames: list[bytes]) -> None:
        if not self.socket.poll(int(self.patience * 1000), zmq.POLLOUT):
            raise Silence("there is no room to send")
        self.socket.send_multipart(frames)

    def receive(self, patience: float | None = None) -> tuple[m.Reply, bytes]:
        """The next message and its body. Raises Silence."""
        if self.heard:
            return self.heard.pop(0)
        return self._receive(self.patience if patience is None else patience)

    def _receive(self, patience: float) -> tuple[m.Reply, bytes]:
        if not self.socket.poll(max(0, int(patience * 1000))):
            raise Silence(f"nothing came for {patience:.1f} s")
        return codec.decode_reply(self.socket.recv_multipart())

    def ask(self, request: m.Request, kind: type[Answer], body: bytes | None = None) -> Answer:
        """The answer of that kind. What else comes is kept in `heard`. Raises the refusal."""
        rid = self.send(request, body)
        deadline = time.monotonic() + self.patience
        while True:
            message, body_of = self._receive(deadline - time.monotonic())
            self._raise_refusal(message, rid, request)
            answers = getattr(message, "rid", rid) == rid
            same = getattr(message, "digest", "") == getattr(request, "digest", "")
            if isinstance(message, kind) and answers and (same or not isinstance(request, m.Put)):
                return message
            self.heard.append((message, body_of))

    def fetch(self, digest: str, size: int, credit: int = 1024 * 1024) -> bytes:
        """A whole file. Raises the refusal, or Silence."""
        content = bytearray()
        while len(content) < size:
            wanted = min(credit, size - len(content))
            self.send(m.Get(rid=0, digest=digest, offset=len(content), credit=wanted))
            end = len(content) + wanted
            while len(content) < end:
                message, body = self._receive(self.patience)
                self._raise_refusal(message, -1, message)
                if isinstance(message, m.Data) and message.digest == digest:
                    assert message.offset == len(content)
                    content += body
                elif not isinstance(message, m.Data):
                    self.heard.append((message, body))
        return bytes(content)

    def cut(self) -> None:
        """Break the connection now; what was not sent yet is lost."""
        self.socket.close(0)
        self._context.term()

    def _raise_refusal(self, message: m.Message, rid: int, request: m.Message) -> None:
        if not isinstance(message, m.Error):
            return
        about_put = isinstance(request, m.Put) and message.digest == request.digest
        mine = rid < 0 or message.rid == rid or about_put
        if mine or message.error.code == HelloFirst.code:
            raise from_info(message.error)
