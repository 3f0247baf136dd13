# SPDX-License-Identifier: GPL-3.0-or-later
"""Hostile headers at the codec; hostile messages and raw TCP connections at a live server."""

from __future__ import annotations

import gc
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import zmq

from protocol import codec
from protocol import messages as m
from protocol.endpoint import Endpoint, parse_endpoint
from protocol.errors import MalformedMessage, UnknownMessage

from .backend_process import BackendProcess, backend
from .finding import Finding, at_most, exactly, told
from .line import Line, Silence
from .mutants import Mutants
from .witness import Witness

_SOCKETS = 6
_HELD = 400
"""Raw connections that are open at once."""
_GREETING = b"\xff\0\0\0\0\0\0\0\x01\x7f\x03\x00"


def headers(count: int, seed: int = 1) -> list[Finding]:
    """So many mutated headers, each decoded as a request and as a reply."""
    mutants = Mutants(seed)
    outcome: Counter[str] = Counter()
    for _ in range(1000):
        _decode(mutants.header(), Counter())
    gc.collect()
    before, began = _own_memory(), time.monotonic()
    for _ in range(count):
        _decode(mutants.header(), outcome)
    spent = time.monotonic() - began
    return [
        told("mutated headers, each decoded both ways", count),
        told("of these decodings understood", outcome["understood"]),
        told("refused as malformed", outcome["malformed"]),
        told("refused as unknown", outcome["unknown"]),
        exactly("anything else", sum(outcome.values()) - 2 * count, 0),
        at_most("memory growth of the decoder", _own_memory() - before, 20.0, "MiB"),
        told("time for each, making it included", 1e6 * spent / count, "us"),
    ]


def live(messages: int, connections: int, seed: int = 1) -> list[Finding]:
    """Hostile messages of a paired client and raw connections, while another one is served."""
    with backend() as process:
        admin = Line(process.connection().endpoint)
        paired = admin.ask(m.Pair(rid=0, name="mallory"), m.Paired)
        _warm_up(process)
        before, files = process.memory(), process.files()
        watch = _Watch(process)
        witness = Witness(process)
        began = time.monotonic()
        answers = _flood(parse_endpoint(paired.endpoint), messages, seed)
        flood, middle = time.monotonic() - began, time.monotonic()
        _knock(process.connection().endpoint, connections, seed)
        knock = time.monotonic() - middle
        seen = witness.end()
        peak = watch.end()
        time.sleep(6.0)  # libzmq gives up half handshakes after five seconds
        admin.ask(m.Ping(rid=0), m.Pong)
        after = process.memory()
        findings = [
            told("hostile messages", f"{messages} in {flood:.0f} s"),
            told("of these answered and read", sum(answers.values())),
            told("answers", ", ".join(f"{n} {code}" for code, n in answers.most_common(4))),
            told("raw TCP connections", f"{connections} in {knock:.0f} s"),
            exactly("the server lives", process.alive, True),
            exactly("messages that it stumbled over", answers["backend_broken"], 0),
            exactly("defects in its log", process.stderr().count("Traceback"), 0),
            at_most("memory growth of the server afterwards", after - before, 20.0, "MiB"),
            told("memory growth at its highest", peak - before, "MiB"),
            told("file descriptors more than before", process.files() - files),
            *seen.findings(),
        ]
        admin.cut()
        return findings


class _Watch(threading.Thread):
    """Looks at the server's memory four times a second."""

    def __init__(self, process: BackendProcess) -> None:
        super().__init__(daemon=True)
        self._process = process
        self._over = threading.Event()
        self._most = 0.0
        self.start()

    def run(self) -> None:
        while not self._over.wait(0.25) and self._process.alive:
            self._most = max(self._most, self._process.memory())

    def end(self) -> float:
        self._over.set()
        self.join()
        return self._most


def _own_memory() -> float:
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * 4096 / 2**20


def _decode(header: bytes, outcome: Counter[str]) -> None:
    for decode in (codec.decode_request, codec.decode_reply):
        frames = [header, b"body"] if b"put" in header or b"data" in header else [header]
        try:
            decode(frames)
            outcome["understood"] += 1
        except MalformedMessage:
            outcome["malformed"] += 1
        except UnknownMessage:
            outcome["unknown"] += 1


def _warm_up(process: BackendProcess) -> None:
    """A first job, and a first refusal of each kind, so that all code is loaded."""
    witness = Witness(process)
    time.sleep(2.0)
    witness.end()
    line = Line(process.connection().endpoint)
    for frames in ([b"\xc1"], [b"\x81\xa4type\xa5dance"], [b"a", b"b", b"c"]):
        line.send_raw(frames)
        line.receive()
    line.cut()


def _flood(endpoint: Endpoint, count: int, seed: int) -> Counter[str]:
    """Send them over several sockets, of which half never read an answer; the error codes."""
    mutants = Mutants(seed)
    answers: Counter[str] = Counter()
    lines = [Line(endpoint) for _ in range(_SOCKETS)]
    for number in range(count):
        line = lines[number % _SOCKETS]
        while line.socket.poll(0, zmq.POLLOUT) == 0:
            _read(lines[: _SOCKETS // 2], answers)
            line.socket.poll(10, zmq.POLLOUT)
        line.socket.send_multipart(mutants.message())
        if number % 50 == 0:
            _read(lines[: _SOCKETS // 2], answers)
    for line in lines[: _SOCKETS // 2]:
        line.patience = 60.0
        try:
            while True:
                answers[_code(line.receive(1.0)[0])] += 1
        except Silence:
            line.cut()
    for line in lines[_SOCKETS // 2 :]:
        line.cut()
    return answers


def _read(lines: list[Line], answers: Counter[str]) -> None:
    for line in lines:
        while line.socket.poll(0):
            answers[_code(line.receive(0.0)[0])] += 1


def _code(message: m.Message) -> str:
    return message.error.code if isinstance(message, m.Error) else type(message).__name__


def _knock(endpoint: Endpoint, count: int, seed: int) -> None:
    """Open raw connections, say what no client says, hold them for a while."""
    dice = random.Random(seed)
    place = urlsplit(endpoint.address)
    assert place.hostname is not None
    assert place.port is not None
    held: list[socket.socket] = []
    for words in _openings(dice, count):
        raw = socket.create_connection((place.hostname, place.port), 20.0)
        raw.settimeout(1.0)
        try:
            if words:
                raw.sendall(words)
        except OSError:
            pass  # it hung up on us
        held.append(raw)
        if len(held) > _HELD or not words:
            held.pop(dice.randrange(len(held))).close()
    for raw in held:
        raw.close()


def _openings(dice: random.Random, count: int) -> Iterator[bytes]:
    for _ in range(count):
        mechanism = dice.choice((b"NULL", b"PLAIN", b"CURVE", b"GSSAPI", b"\xff" * 20))
        greeting = _GREETING[:-1] + mechanism.ljust(20, b"\0") + bytes(32)
        yield dice.choice(
            (
                b"",
                dice.randbytes(dice.choice((1, 100, 5000))),
                _GREETING[: dice.randrange(1, len(_GREETING))],
                greeting,
                greeting + b"\x04\xc8\x05HELLO" + dice.randbytes(194),
                greeting + b"\x06\xff\xff\xff\xff\xff\xff\xff\xff" + dice.randbytes(100),
                greeting + dice.randbytes(64),
                b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
            )
        )
