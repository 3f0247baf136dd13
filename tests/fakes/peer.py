# SPDX-License-Identifier: GPL-3.0-or-later
"""A peer on a real socket that a test scripts: it greets, in whichever version, and forgets."""

from __future__ import annotations

import time

import zmq
from zmq.utils import z85

from protocol.codec import decode_request, encode
from protocol.endpoint import Endpoint
from protocol.errors import HelloFirst
from protocol.limits import CHUNK, WINDOW, Limits
from protocol.messages import Error, Hello, Message, Ping, Pong, Request, Welcome


class Peer:
    """A ROUTER that a test scripts."""

    def __init__(self) -> None:
        self.context = zmq.Context()
        self.public, self.secret = zmq.curve_keypair()
        self.v = (1, 0)
        self.heard: list[tuple[bytes, Request]] = []
        self.strict: set[bytes] = set()
        self.router = self._bind("tcp://127.0.0.1:*")
        self.address = self.router.getsockopt_string(zmq.LAST_ENDPOINT)

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint(self.address, z85.decode(self.public).hex(), "cd" * 32)

    def _bind(self, address: str) -> zmq.Socket[bytes]:
        router = self.context.socket(zmq.ROUTER)
        router.linger = 0
        router.curve_server = True
        router.curve_publickey, router.curve_secretkey = self.public, self.secret
        end = time.monotonic() + 10
        while True:
            try:
                router.bind(address)
            except zmq.ZMQError:  # the earlier socket is closed by another thread, a little later
                assert time.monotonic() < end
                time.sleep(0.01)
            else:
                return router

    def restart(self) -> None:
        self.router.close(0)
        self.router = self._bind(self.address)

    def serve(self) -> None:
        while self.router.poll(0):
            identity, *frames = self.router.recv_multipart()
            request, _ = decode_request(frames)
            self.heard.append((identity, request))
            self._answer(identity, request)

    def _answer(self, identity: bytes, request: Request) -> None:
        if isinstance(request, Hello):
            self.strict.discard(identity)
            self.send(identity, self._welcome())
        elif identity in self.strict:
            error = HelloFirst("Hello first.").info()
            self.send(identity, Error(rid=0, error=error))
        elif isinstance(request, Ping):
            self.send(identity, Pong(rid=request.rid))

    def send(self, identity: bytes, message: Message) -> None:
        self.router.send_multipart([identity, *encode(message)])

    def _welcome(self) -> Welcome:
        return Welcome(
            rid=0,
            v=self.v,
            server_id="s",
            software="peer",
            chunk=CHUNK,
            window=WINDOW,
            limits=Limits(),
            engines=(),
        )

    def close(self) -> None:
        self.context.destroy(linger=0)
