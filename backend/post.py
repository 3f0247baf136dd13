# SPDX-License-Identifier: GPL-3.0-or-later
"""What leaves the server: each connection's outbox, and who listens to which job.

It never waits for a reader: what does not fit into a queue stays in that reader's outbox.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

import zmq

from protocol import codec
from protocol.messages import FrameMade, Message, Progress, Status

_MOST_OWED = 8 * 2**20
"""Bytes of headers that wait for one reader. Beyond, it is forgotten: when it speaks again it is
asked for its greeting, and then takes up each job after the last event that it saw."""
_STUCK_OWED = 2**20
_STUCK_AFTER = 5.0
"""Of a reader who takes nothing for so many seconds, that much is too much."""
_FORGET_AFTER = 3600.0
"""Seconds of silence after which a connection is forgotten; it may greet again."""
log = logging.getLogger(__name__)


@dataclass
class Peer:
    """One connection of a client. `owner` is the client's key, `outbox` waits for room."""

    owner: str
    greeted: bool = False
    seen: float = 0.0
    outbox: deque[list[bytes | memoryview]] = field(default_factory=deque[list[bytes | memoryview]])
    owed: int = 0
    """Bytes of bodies in the outbox."""
    told: int = 0
    """Bytes of headers in the outbox."""
    moved: float = field(default_factory=time.monotonic)
    """When it last took something."""

    @property
    def hopeless(self) -> bool:
        stuck = self.told > _STUCK_OWED and time.monotonic() - self.moved > _STUCK_AFTER
        return stuck or self.told > _MOST_OWED


class Post:
    """All connections of one ROUTER socket."""

    def __init__(self, router: zmq.Socket[bytes]) -> None:
        self._router = router
        self._peers: dict[bytes, Peer] = {}
        self._listeners: dict[str, set[bytes]] = {}
        self._watchers: set[bytes] = set()
        self._full: set[bytes] = set()

    def __len__(self) -> int:
        return len(self._peers)

    @property
    def owes(self) -> bool:
        """Whether something waits for room."""
        return bool(self._full)

    def audience(self) -> Collection[str]:
        """The jobs to which somebody listens."""
        return self._listeners.keys()

    def peer(self, identity: bytes, owner: str, now: float) -> Peer:
        """The connection of that name, new if another client has it now."""
        peer = self._peers.get(identity)
        if peer is None or peer.owner != owner:
            self.forget(identity)
            peer = self._peers[identity] = Peer(owner)
        peer.seen = now
        return peer

    def owed(self, owner: str) -> int:
        """Bytes of bodies that wait for that client, on all its connections."""
        return sum(peer.owed for peer in self._peers.values() if peer.owner == owner)

    def listen(self, identity: bytes, job: str) -> None:
        self._listeners.setdefault(job, set()).add(identity)

    def publish(self, event: Status | FrameMade | Progress) -> None:
        """Send an event of a job to its listeners; a slow one gets the next progress instead."""
        for identity in tuple(self._listeners.get(event.job, ())):
            if not (isinstance(event, Progress) and identity in self._full):
                self.send(identity, event)
        if isinstance(event, Status) and event.state.ended:
            self._listeners.pop(event.job, None)

    def watch(self, identity: bytes) -> None:
        """It hears what `announce` says from now on."""
        self._watchers.add(identity)

    def announce(self, message: Message) -> None:
        for identity in tuple(self._watchers):
            self.send(identity, message)

    def send(self, identity: bytes, message: Message, body: bytes | None = None) -> None:
        peer = self._peers.get(identity)
        if peer is None:
            return
        frames = codec.encode(message, body)
        peer.outbox.append(frames)
        peer.owed += len(body or b"")
        peer.told += len(frames[0])
        self._flush(identity, peer)
        if peer.hopeless:
            log.warning("a client that does not read is forgotten: %s", peer.owner[:12])
            self.forget(identity)

    def flush(self) -> None:
        """Send what waits, as far as there is room now."""
        for identity in tuple(self._full):
            self._flush(identity, self._peers[identity])

    def forget(self, identity: bytes) -> None:
        self._peers.pop(identity, None)
        self._full.discard(identity)
        self._watchers.discard(identity)
        for job, listeners in tuple(self._listeners.items()):
            listeners.discard(identity)
            if not listeners:
                del self._listeners[job]

    def forget_strangers(self, find: Callable[[str], object]) -> None:
        """All connections of clients that are let in no more."""
        for identity in [n for n, peer in self._peers.items() if find(peer.owner) is None]:
            self.forget(identity)

    def forget_silent(self, now: float) -> None:
        for identity in [n for n, p in self._peers.items() if now - p.seen > _FORGET_AFTER]:
            self.forget(identity)

    def _flush(self, identity: bytes, peer: Peer) -> None:
        while peer.outbox:
            try:
                self._router.send_multipart([identity, *peer.outbox[0]], zmq.DONTWAIT)
            except zmq.Again:
                self._full.add(identity)
                return
            except zmq.ZMQError as problem:
                if problem.errno != zmq.EHOSTUNREACH:
                    raise
                self.forget(identity)
                return
            peer.moved = time.monotonic()
            sent = peer.outbox.popleft()
            peer.told -= len(sent[0])
            peer.owed -= len(sent[1]) if len(sent) > 1 else 0
        self._full.discard(identity)
