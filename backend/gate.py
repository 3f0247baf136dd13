# SPDX-License-Identifier: GPL-3.0-or-later
"""The gate: answers libzmq's question whether a key may come in (ZAP, ZeroMQ RFC 27).

It is asked inside the server's loop, over an in-process socket. Who is refused never reaches the
server: no message of theirs is decoded.
"""

from __future__ import annotations

import logging

import zmq

from .clients import Clients

DOMAIN = b"tweencel"
_VERSION = b"1.0"
_KEY_BYTES = 32
log = logging.getLogger(__name__)


class Gate:
    """The ZAP handler of one context. libzmq asks the one that is bound to this very address."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], clients: Clients) -> None:
        self._clients = clients
        self.socket = context.socket(zmq.REP)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.bind("inproc://zeromq.zap.01")

    def answer_all(self) -> None:
        """Answer what was asked since the last call."""
        while True:
            try:
                question = self.socket.recv_multipart(zmq.DONTWAIT)
            except zmq.Again:
                return
            self.socket.send_multipart(self._answer(question), zmq.DONTWAIT)

    def close(self) -> None:
        self.socket.close(0)

    def _answer(self, question: list[bytes]) -> list[bytes]:
        if len(question) < 2:
            return [_VERSION, b"", b"500", b"", b"", b""]
        number = question[1]
        key = _key_of(question)
        if key and self._clients.find(key):
            return [_VERSION, number, b"200", b"", key.encode(), b""]
        log.warning("a stranger was refused: %s", key[:12] or "no CURVE key")
        return [_VERSION, number, b"400", b"not let in", b"", b""]


def _key_of(question: list[bytes]) -> str:
    """The public key in a question of version 1.0 about CURVE and our domain, or an empty text."""
    if len(question) != 7 or question[0] != _VERSION or question[2] != DOMAIN:
        return ""
    mechanism, credentials = question[5], question[6]
    return credentials.hex() if mechanism == b"CURVE" and len(credentials) == _KEY_BYTES else ""
