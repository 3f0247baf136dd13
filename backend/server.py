# SPDX-License-Identifier: GPL-3.0-or-later
"""The process that talks: one ROUTER socket, one loop that decodes, dispatches and replies.

It never blocks on a peer, never computes, and never imports torch.
"""

from __future__ import annotations

import logging
import os
import secrets
import time
from collections import deque
from dataclasses import dataclass, field

import zmq

from protocol import codec
from protocol import messages as m
from protocol.endpoint import Connection, read_connection, write_connection
from protocol.errors import (
    BackendBroken,
    BackendNotRunning,
    ErrorInfo,
    HelloFirst,
    MalformedMessage,
    NoCredit,
    TweencelError,
)
from protocol.limits import CHUNK, MAX_CHUNK, WINDOW
from protocol.version import PROTOCOL_VERSION, require_compatible

from . import registry
from .config import SOFTWARE, Settings, make_private
from .keys import KeyPair, load_or_make
from .ledger import Ledger
from .local import LocalExecutor
from .scheduler import Scheduler
from .store import Store

_TURN_MS = 100
_MOST_IN_A_TURN = 200
"""Messages taken before the rest of the loop gets its turn."""
_FORGET_AFTER = 3600.0
log = logging.getLogger(__name__)


@dataclass
class _Peer:
    """One connection of a client. `outbox` waits for room in its queue."""

    greeted: bool = False
    seen: float = 0.0
    outbox: deque[list[bytes | memoryview]] = field(default_factory=deque[list[bytes | memoryview]])
    owed: int = 0
    """Bytes of bodies in the outbox."""


class Server:
    """A backend that serves clients until `stop` is called or it has been idle long enough."""

    def __init__(self, settings: Settings) -> None:
        """Open everything. Raises TweencelError if it cannot be had; then nothing is left open."""
        self._settings = settings
        make_private(settings.home)
        self._ledger = Ledger(settings.database)
        self._store = Store(settings.store)
        self._executor = LocalExecutor(self._store, settings)
        self._scheduler = Scheduler(
            self._ledger, self._store, self._executor, settings.limits, self._publish
        )
        self._peers: dict[bytes, _Peer] = {}
        self._listeners: dict[str, set[bytes]] = {}
        self._stopping = False
        keys = load_or_make(settings.key_file)
        self._context = zmq.Context()
        self._router = _open_router(self._context, keys)
        self.connection = Connection(
            address=self._bind(settings.port),
            server_key=keys.public.hex(),
            pid=os.getpid(),
            server_id=secrets.token_hex(8),
        )

    def serve(self) -> None:
        """Answer until stopped. The connection file is there as long as we are."""
        write_connection(self._settings.connection, self.connection)
        log.info("listening on %s", self.connection.address)
        self._scheduler.recover()
        poller = zmq.Poller()
        poller.register(self._router, zmq.POLLIN)
        poller.register(self._executor.wake, zmq.POLLIN)
        last_busy = time.monotonic()
        try:
            while not self._stopping:
                poller.poll(5 if self._owes_anything() else _TURN_MS)
                now = time.monotonic()
                if self._turn(now) or not self._scheduler.idle:
                    last_busy = now
                if 0 < self._settings.idle_exit < now - last_busy:
                    log.info("idle for %.0f s: ending", self._settings.idle_exit)
                    break
        finally:
            self._close()

    def stop(self) -> None:
        """End the loop at its next turn; may be called from a signal handler."""
        self._stopping = True

    def _turn(self, now: float) -> bool:
        """One round of the loop; whether any client spoke."""
        spoke = False
        for _ in range(_MOST_IN_A_TURN):
            try:
                frames = self._router.recv_multipart(zmq.DONTWAIT)
            except zmq.Again:
                break
            spoke = True
            self._hear(frames[0], frames[1:], now)
        self._scheduler.tick(now)
        for identity in [name for name, peer in self._peers.items() if peer.outbox]:
            self._flush(identity)
        self._forget_silent(now)
        return spoke

    def _hear(self, identity: bytes, frames: list[bytes], now: float) -> None:
        peer = self._peers.setdefault(identity, _Peer())
        peer.seen = now
        try:
            request, body = codec.decode_request(frames)
            if not peer.greeted and not isinstance(request, m.Hello):
                raise HelloFirst("A peer spoke before it said hello.")
            self._handle(identity, request, body)
        except TweencelError as problem:
            self._refuse(identity, frames, problem.info())
        except Exception:  # the border: no message may end the loop
            log.exception("a message could not be handled")
            broken = BackendBroken("The backend stumbled over a message.")
            self._refuse(identity, frames, broken.info())

    def _refuse(self, identity: bytes, frames: list[bytes], error: ErrorInfo) -> None:
        log.debug("refused: %s", error.text)
        job, digest = codec.subject_of(frames)
        reply = m.Error(rid=codec.rid_of(frames), error=error, job=job, digest=digest)
        self._send(identity, reply)

    # One handler for each request ------------------------------------------------------------

    def _handle(self, identity: bytes, request: m.Request, body: bytes) -> None:
        match request:
            case m.Hello():
                self._greet(identity, request)
            case m.Ping(rid=rid):
                self._send(identity, m.Pong(rid=rid))
            case m.Have():
                self._tell_missing(identity, request)
            case m.Put():
                self._take_piece(identity, request, body)
            case m.Submit():
                self._scheduler.submit(request)
                self._send(identity, m.Accepted(rid=request.rid, job=request.job))
            case m.Subscribe():
                self._subscribe(identity, request)
            case m.Get():
                self._hand_out(identity, request)
            case m.Cancel(rid=rid, job=job):
                self._scheduler.cancel(job)
                self._send(identity, m.Accepted(rid=rid, job=job))
            case m.ListJobs(rid=rid):
                self._send(identity, m.Jobs(rid=rid, jobs=self._ledger.summaries()))

    def _greet(self, identity: bytes, hello: m.Hello) -> None:
        require_compatible(hello.v, ours_is="backend", theirs_is="add-on")
        self._peers[identity].greeted = True
        welcome = m.Welcome(
            rid=hello.rid,
            v=PROTOCOL_VERSION,
            server_id=self.connection.server_id,
            software=SOFTWARE,
            chunk=CHUNK,
            window=WINDOW,
            limits=self._settings.limits,
            engines=registry.specs(),
        )
        self._send(identity, welcome)

    def _tell_missing(self, identity: bytes, have: m.Have) -> None:
        for file in have.files:
            self._check_file_size(file.size)
        missing = tuple(
            m.Remainder(file.digest, self._store.held(file.digest))
            for file in have.files
            if not self._store.has(file.digest)
        )
        self._send(identity, m.Missing(rid=have.rid, files=missing))

    def _take_piece(self, identity: bytes, put: m.Put, body: bytes) -> None:
        self._check_file_size(put.size)
        if self._store.has(put.digest):
            self._send(identity, m.Stored(digest=put.digest))
            return
        held = self._store.held(put.digest)
        if put.offset != held:
            self._send(identity, m.Granted(digest=put.digest, offset=held, rewind=True))
            return
        if not body or held + len(body) > put.size:
            raise MalformedMessage("A piece of a file is empty or reaches beyond the file's end.")
        held = self._store.append(put.digest, body, put.size)
        done = held >= put.size
        self._send(
            identity,
            m.Stored(digest=put.digest) if done else m.Granted(digest=put.digest, offset=held),
        )

    def _check_file_size(self, size: int) -> None:
        most = self._settings.limits.max_file
        if not 0 < size <= most:
            raise MalformedMessage(
                f"A file of {size} bytes is not taken.",
                fix=f"Files may have up to {most // 2**20} MiB.",
            )

    def _subscribe(self, identity: bytes, request: m.Subscribe) -> None:
        if not self._ledger.job(request.job).state.ended:
            self._listeners.setdefault(request.job, set()).add(identity)
        for event in self._ledger.events_after(request.job, request.after_seq):
            self._send(identity, event)
        self._scheduler.tell_queue(request.job)

    def _hand_out(self, identity: bytes, get: m.Get) -> None:
        peer = self._peers[identity]
        if get.credit > WINDOW or peer.owed + get.credit > 2 * WINDOW:
            raise NoCredit("More bytes were asked for than the window allows.")
        size = self._store.size(get.digest)
        end = min(size, get.offset + get.credit)
        for offset in range(get.offset, end, CHUNK):
            piece = self._store.read(get.digest, offset, min(CHUNK, end - offset))
            data = m.Data(rid=get.rid, digest=get.digest, offset=offset, size=size)
            self._send(identity, data, piece)

    # Sending ----------------------------------------------------------------------------------

    def _publish(self, event: m.Status | m.FrameMade | m.Progress) -> None:
        for identity in tuple(self._listeners.get(event.job, ())):
            if isinstance(event, m.Progress) and self._peers[identity].outbox:
                continue  # a slow reader gets the next one
            self._send(identity, event)
        if isinstance(event, m.Status) and event.state.ended:
            self._listeners.pop(event.job, None)

    def _send(self, identity: bytes, message: m.Message, body: bytes | None = None) -> None:
        peer = self._peers.get(identity)
        if peer is None:
            return
        peer.outbox.append(codec.encode(message, body))
        peer.owed += len(body or b"")
        self._flush(identity)

    def _flush(self, identity: bytes) -> None:
        peer = self._peers[identity]
        while peer.outbox:
            try:
                self._router.send_multipart([identity, *peer.outbox[0]], zmq.DONTWAIT)
            except zmq.Again:
                return
            except zmq.ZMQError as problem:
                if problem.errno != zmq.EHOSTUNREACH:
                    raise
                self._forget(identity)
                return
            sent = peer.outbox.popleft()
            peer.owed -= len(sent[1]) if len(sent) > 1 else 0

    def _owes_anything(self) -> bool:
        return any(peer.outbox for peer in self._peers.values())

    def _forget_silent(self, now: float) -> None:
        for identity, peer in list(self._peers.items()):
            if now - peer.seen > _FORGET_AFTER:
                self._forget(identity)

    def _forget(self, identity: bytes) -> None:
        self._peers.pop(identity, None)
        for listeners in self._listeners.values():
            listeners.discard(identity)

    # Opening and closing ----------------------------------------------------------------------

    def _bind(self, port: int) -> str:
        address = f"tcp://127.0.0.1:{port or '*'}"
        try:
            self._router.bind(address)
        except zmq.ZMQError as problem:
            self._close()
            raise BackendBroken(
                f"Port {port} cannot be had: {problem.strerror}.",
                fix="Choose another with --port, or leave it out.",
            ) from None
        return self._router.getsockopt_string(zmq.LAST_ENDPOINT)

    def _close(self) -> None:
        self._executor.close()
        self._router.close(0)
        self._context.term()
        self._ledger.close()
        path = self._settings.connection
        try:
            if read_connection(path).server_id == self.connection.server_id:
                path.unlink(missing_ok=True)
        except (BackendNotRunning, AttributeError):
            pass


def _open_router(context: zmq.Context[zmq.Socket[bytes]], keys: KeyPair) -> zmq.Socket[bytes]:
    router = context.socket(zmq.ROUTER)
    options: dict[int, int | bytes] = {
        zmq.ROUTER_MANDATORY: 1,  # or it drops silently at the high-water mark
        zmq.ROUTER_HANDOVER: 1,  # or a reconnect under the same name is ignored
        zmq.MAXMSGSIZE: 2 * MAX_CHUNK,
        zmq.HANDSHAKE_IVL: 5000,
        zmq.HEARTBEAT_IVL: 2000,
        zmq.HEARTBEAT_TIMEOUT: 6000,
        zmq.SNDHWM: 256,
        zmq.RCVHWM: 256,
        zmq.LINGER: 0,
        zmq.CURVE_SERVER: 1,
        zmq.CURVE_SECRETKEY: keys.secret,
    }
    for option, value in options.items():
        router.setsockopt(option, value)
    return router
