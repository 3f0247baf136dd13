# SPDX-License-Identifier: GPL-3.0-or-later
"""The process that talks: one ROUTER socket, one loop that decodes, dispatches and replies.

It never blocks on a peer, never computes, and never imports torch.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import time

import zmq

from protocol import codec
from protocol import messages as m
from protocol.endpoint import Connection, read_connection, write_connection
from protocol.errors import (
    BackendBroken,
    BackendNotRunning,
    DigestMismatch,
    ErrorInfo,
    HelloFirst,
    MalformedMessage,
    NoCredit,
    NotAllowed,
    QuotaExceeded,
    TweencelError,
    UnknownDigest,
    UnknownJob,
)
from protocol.limits import CHUNK, MAX_CHUNK, MAX_PARTS, WINDOW
from protocol.version import PROTOCOL_VERSION, require_compatible

from . import registry
from .address import from_this_machine, interface
from .config import SOFTWARE, Settings
from .desk import Desk
from .disk import disk_errors
from .fetcher import Fetcher, WeightsRequest
from .gate import DOMAIN, Gate
from .keys import KeyPair, load_or_make
from .metrics import Exporter, Figures, Tally
from .office import AdminRequest, Office, Place
from .post import Peer, Post
from .systemd import ServiceManager

_TURN_MS = 100
_HASTY_TURN_MS = 10
"""While a reader's queue is full."""
_HEARING = 0.05
"""Seconds for which messages are taken before the rest of the loop gets its turn."""
_MOST_UNFINISHED = 1000
"""Uploads of one client that have begun and are not whole; each costs a file and a hash."""
log = logging.getLogger(__name__)


class Server:
    """A backend that serves clients until `stop` is called or it has been idle long enough."""

    def __init__(self, settings: Settings) -> None:
        """Open everything. Raises TweencelError if it cannot be had; then nothing is left open."""
        require_curve()
        self._settings = settings
        self._stopping = False
        self._declared: dict[tuple[str, str], int] = {}
        """Sizes of the uploads under way, by owner and digest."""
        self._tally = Tally()
        self._manager = ServiceManager()
        self._began = time.monotonic()
        with contextlib.ExitStack() as opened:
            self._desk = Desk(settings, self._publish, lambda: self._post.audience())
            opened.callback(self._desk.close)
            self._fetcher = Fetcher()
            opened.callback(self._fetcher.close)
            keys = load_or_make(settings.key_file)
            local = self._desk.clients.let_in_local(settings.local_key_file)
            context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
            opened.callback(context.term)
            self._gate = Gate(context, self._desk.clients)
            opened.callback(self._gate.close)
            self._router = _open_router(context, keys)
            opened.callback(self._router.close, 0)
            place = Place(_bind(self._router, settings), keys.public.hex())
            self._exporter: Exporter | None = None
            if settings.metrics_port:
                self._exporter = Exporter(settings.metrics_port, self._figures)
                opened.callback(self._exporter.close)
            self._closing = opened.pop_all()
        self._post = Post(self._router)
        self._office = Office(self._desk, settings, place)
        self.connection = Connection(
            address=from_this_machine(place.address),
            server_key=place.server_key,
            client_secret=local.secret.hex(),
            pid=os.getpid(),
            server_id=secrets.token_hex(8),
        )

    def serve(self) -> None:
        """Answer until stopped. The connection file is there as long as we are."""
        try:
            self._desk.scheduler.recover()
            self._desk.sweeper.doom_strays()
            with disk_errors():
                write_connection(self._settings.connection, self.connection)
            log.info("listening on %s", self.connection.address)
            self._manager.ready(self.connection.address)
            poller = zmq.Poller()
            for socket in (self._router, self._gate.socket, self._desk.executor.wake):
                poller.register(socket, zmq.POLLIN)
            last_busy = time.monotonic()
            while not self._stopping:
                poller.poll(_HASTY_TURN_MS if self._post.owes else _TURN_MS)
                now = time.monotonic()
                if self._turn(now) or not self._desk.scheduler.idle or self._fetcher.busy:
                    last_busy = now
                self._tally.turned(time.monotonic() - now)
                self._manager.turned(now)
                if 0 < self._settings.idle_exit < now - last_busy:
                    log.info("idle for %.0f s: ending", self._settings.idle_exit)
                    break
        finally:
            self._manager.stopping()
            self._close()

    def stop(self) -> None:
        """End the loop at its next turn; may be called from a signal handler."""
        self._stopping = True

    def _turn(self, now: float) -> bool:
        """One round of the loop; whether any client spoke."""
        self._gate.answer_all()
        spoke = self._hear_all(now)
        try:
            self._desk.scheduler.tick(now)
            self._desk.sweeper.tick(now)
            if changed := self._fetcher.tick(now):
                self._post.announce(changed)
        except TweencelError as problem:
            log.error("%s", problem)
        for identity, verified in self._office.finished():
            self._post.send(identity, verified)
        self._post.flush()
        self._post.forget_silent(now)
        if self._exporter is not None:
            self._exporter.tick()
        return spoke

    def _hear_all(self, now: float) -> bool:
        end = time.monotonic() + _HEARING
        heard = False
        while time.monotonic() < end:
            try:
                frames = self._next_message()
            except zmq.Again:
                break
            heard = True
            if not _named_by_router(frames[0].bytes):
                log.warning("a client that names its connection itself is not heard")
                continue
            # libzmq writes it there; no peer can
            owner = str(frames[-1].get("User-Id"))
            self._hear(frames[0].bytes, owner, [frame.bytes for frame in frames[1:]], now)
        return heard

    def _next_message(self) -> list[zmq.Frame]:
        """Sender and frames. Of a message with too many frames only enough to refuse it: one may
        have a million. Raises zmq.Again."""
        frames = [self._router.recv(zmq.DONTWAIT, copy=False)]
        while self._router.getsockopt(zmq.RCVMORE):
            frame = self._router.recv(copy=False)
            if len(frames) <= 1 + MAX_PARTS:
                frames.append(frame)
        return frames

    def _hear(self, identity: bytes, owner: str, frames: list[bytes], now: float) -> None:
        peer = self._post.peer(identity, owner, now)
        try:
            if self._desk.clients.find(owner) is None:  # it was unpaired since it came in
                raise NotAllowed("This client is let in no more.", fix="Pair it again.")
            request, body = codec.decode_request(frames)
            if not peer.greeted and not isinstance(request, m.Hello):
                raise HelloFirst("A peer spoke before it said hello.")
            self._handle(identity, peer, request, body)
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
        with contextlib.suppress(MalformedMessage):  # an answer that breaks the bounds is none
            self._post.send(identity, reply)

    # One handler for each request ------------------------------------------------------------

    def _handle(self, identity: bytes, peer: Peer, request: m.Request, body: bytes) -> None:
        match request:
            case m.Ping(rid=rid):
                self._post.send(identity, m.Pong(rid=rid))
            case m.Hello():
                self._greet(identity, peer, request)
            case m.Have():
                self._tell_missing(identity, peer.owner, request)
            case m.Put():
                self._take_piece(identity, peer.owner, request, body)
            case m.Get():
                self._hand_out(identity, peer, request)
            case m.ListJobs():
                self._list(identity, peer.owner, request)
            case m.ListWeights() | m.FetchWeights() | m.StopWeights():
                self._handle_weights(identity, peer.owner, request)
            case m.Submit() | m.Subscribe() | m.Cancel() | m.Release():
                self._handle_job(identity, peer.owner, request)
            case _:
                self._handle_admin(identity, peer.owner, request)

    def _handle_job(
        self, identity: bytes, owner: str, request: m.Submit | m.Subscribe | m.Cancel | m.Release
    ) -> None:
        rid, job = request.rid, request.job
        match request:
            case m.Submit():
                self._desk.scheduler.submit(owner, request)
                self._post.send(identity, m.Accepted(rid=rid, job=job))
            case m.Subscribe():
                self._subscribe(identity, owner, request)
            case m.Cancel():
                self._require_own(owner, job, admins=True)
                self._desk.scheduler.cancel(job)
                self._post.send(identity, m.Accepted(rid=rid, job=job))
            case m.Release():
                self._require_own(owner, job)
                self._desk.ledger.release(job)
                self._post.send(identity, m.Done(rid=rid))

    def _handle_weights(self, identity: bytes, owner: str, request: WeightsRequest) -> None:
        if not (isinstance(request, m.ListWeights) or self._settings.clients_may_fetch):
            self._office.require_admin(owner)
        self._post.send(identity, self._fetcher.answer(request))
        if isinstance(request, m.ListWeights):
            self._post.watch(identity)

    def _handle_admin(self, identity: bytes, owner: str, request: AdminRequest) -> None:
        self._office.require_admin(owner)
        try:
            reply = self._office.answer(identity, request, len(self._post))
        finally:
            self._post.forget_strangers(self._desk.clients.find)
        if reply is not None:
            self._post.send(identity, reply)

    def _greet(self, identity: bytes, peer: Peer, hello: m.Hello) -> None:
        require_compatible(hello.v, ours_is="backend", theirs_is="add-on")
        peer.greeted = True
        client = self._desk.clients.find(peer.owner)
        welcome = m.Welcome(
            rid=hello.rid,
            v=PROTOCOL_VERSION,
            server_id=self.connection.server_id,
            software=SOFTWARE,
            chunk=CHUNK,
            window=WINDOW,
            limits=self._settings.limits,
            engines=registry.specs(),
            name=client.name if client else "",
            admin=client is not None and client.admin,
        )
        self._post.send(identity, welcome)

    def _tell_missing(self, identity: bytes, owner: str, have: m.Have) -> None:
        desk = self._desk
        missing = [file for file in have.files if not desk.holdings.holds(owner, file.digest)]
        for file in missing:
            self._check_file_size(file.size)
        self._require_space(owner, sum(file.size for file in missing))
        remainders = tuple(
            m.Remainder(file.digest, desk.store.held(owner, file.digest))
            for file in missing
            if not self._settle(owner, file)
        )
        self._post.send(identity, m.Missing(rid=have.rid, files=remainders))

    def _settle(self, owner: str, file: m.File) -> bool:
        """Whether all its bytes were here; it is stored then. Nobody could send the next one."""
        try:
            whole = self._desk.store.settle(owner, file.digest, file.size)
        except DigestMismatch:
            return False  # it begins anew
        if whole:
            self._desk.holdings.claim(owner, file.digest, file.size)
        return whole

    def _take_piece(self, identity: bytes, owner: str, put: m.Put, body: bytes) -> None:
        desk = self._desk
        self._check_file_size(put.size)
        whole = m.File(put.digest, put.size)
        if desk.holdings.holds(owner, put.digest) or self._settle(owner, whole):
            self._post.send(identity, m.Stored(digest=put.digest))
            return
        held = desk.store.held(owner, put.digest)
        if put.offset != held:
            self._post.send(identity, m.Granted(digest=put.digest, offset=held, rewind=True))
            return
        if not body or held + len(body) > put.size:
            raise MalformedMessage("A piece of a file is empty or reaches beyond the file's end.")
        if self._declared.get((owner, put.digest)) != put.size:
            # The first piece, or one that tells another size than those before
            files, size = desk.store.unfinished(owner)
            self._require_space(owner, put.size - held + size)
            if held == 0 and len(body) < put.size:
                _require_few(files)
            self._declared[owner, put.digest] = put.size
        held = desk.store.append(owner, put.digest, body, put.size)
        if held < put.size:
            self._post.send(identity, m.Granted(digest=put.digest, offset=held))
            return
        self._declared.pop((owner, put.digest), None)
        desk.holdings.claim(owner, put.digest, put.size)
        self._post.send(identity, m.Stored(digest=put.digest))

    def _check_file_size(self, size: int) -> None:
        most = self._settings.limits.max_file
        if not 0 < size <= most:
            raise MalformedMessage(
                f"A file of {size} bytes is not taken.",
                fix=f"Files may have up to {most // 2**20} MiB.",
            )

    def _require_space(self, owner: str, size: int) -> None:
        most = self._settings.quota.stored
        if size and self._desk.holdings.stored(owner) + size > most:
            raise QuotaExceeded(
                f"Your files on the backend would exceed the {most // 2**20} MiB you may have.",
                fix="Wait for a sweep of old files, or ask for more (quota.stored).",
            )

    def _subscribe(self, identity: bytes, owner: str, request: m.Subscribe) -> None:
        self._require_own(owner, request.job, admins=True)
        if not self._desk.ledger.standing(request.job).state.ended:
            self._post.listen(identity, request.job)
        for event in self._desk.ledger.events_after(request.job, request.after_seq):
            self._post.send(identity, event)
        self._desk.scheduler.tell_queue(request.job)

    def _hand_out(self, identity: bytes, peer: Peer, get: m.Get) -> None:
        if get.credit > WINDOW or self._post.owed(peer.owner) + get.credit > 2 * WINDOW:
            raise NoCredit("More bytes were asked for than the window allows.")
        if not self._desk.holdings.holds(peer.owner, get.digest):
            raise UnknownDigest(f"The backend holds no file {get.digest[:12]}... of yours.")
        store = self._desk.store
        size = store.size(get.digest)
        end = min(size, get.offset + get.credit)
        if end <= get.offset:
            raise MalformedMessage(f"Of {size} bytes none from {get.offset} on can be sent.")
        for offset in range(get.offset, end, CHUNK):
            piece = store.read(get.digest, offset, min(CHUNK, end - offset))
            data = m.Data(rid=get.rid, digest=get.digest, offset=offset, size=size)
            self._post.send(identity, data, piece)

    def _list(self, identity: bytes, owner: str, request: m.ListJobs) -> None:
        if request.everyone:
            self._office.require_admin(owner)
        names = {client.key: client.name for client in self._desk.clients.all()}
        owners = list(names) if request.everyone else [owner]
        self._post.send(
            identity, m.Jobs(rid=request.rid, jobs=self._desk.ledger.summaries(owners, names))
        )

    def _require_own(self, owner: str, job: str, *, admins: bool = False) -> None:
        """Another's job is as unknown as one that never was."""
        if self._desk.ledger.standing(job).owner == owner:
            return
        client = self._desk.clients.find(owner)
        if not (admins and client is not None and client.admin):
            raise UnknownJob("The backend does not know that job.")

    def _figures(self) -> Figures:
        return Figures(
            jobs=self._desk.ledger.counts(),
            stored=self._desk.holdings.total(),
            store_cap=self._settings.store_cap,
            connections=len(self._post),
            uptime=time.monotonic() - self._began,
            tally=self._tally.taken(),
        )

    def _publish(self, event: m.Status | m.FrameMade | m.Progress) -> None:
        self._tally.note(event)
        self._post.publish(event)

    def _close(self) -> None:
        self._closing.close()
        path = self._settings.connection
        with contextlib.suppress(BackendNotRunning):
            if read_connection(path).server_id == self.connection.server_id:
                path.unlink(missing_ok=True)


def _require_few(unfinished: int) -> None:
    if unfinished >= _MOST_UNFINISHED:
        raise QuotaExceeded(
            f"{unfinished} of your uploads are not finished.",
            fix="Finish some; those that are given up are swept after a week.",
        )


def _named_by_router(identity: bytes) -> bool:
    """Names that clients choose may be left and taken over; the router's are not given twice."""
    return len(identity) == 5 and identity[0] == 0


def require_curve() -> None:
    """Raises BackendBroken if this build of libzmq cannot encrypt: nothing is served in clear."""
    if not zmq.has("curve"):
        raise BackendBroken(
            "The ZeroMQ library of this Python has no CURVE encryption.",
            fix="Install pyzmq from its own wheel: pip install --force-reinstall pyzmq.",
        )


def _bind(router: zmq.Socket[bytes], settings: Settings) -> str:
    """Take the port that was asked for, else that of the last time, else any; the address."""
    host, v6 = interface(settings.host)
    router.setsockopt(zmq.IPV6, v6)
    wanted: list[int | str] = [settings.port] if settings.port else [*_last_port(settings), "*"]
    for port in wanted:
        try:
            router.bind(f"tcp://{host}:{port}")
        except zmq.ZMQError as problem:
            if port != wanted[-1]:
                continue
            raise BackendBroken(
                f"{settings.host}:{port} cannot be had: {problem.strerror}.",
                fix="Choose another with --host or --port, or leave them out.",
            ) from None
        break
    address = router.getsockopt_string(zmq.LAST_ENDPOINT)
    # So that clients find a restarted backend where it was.
    try:
        settings.port_file.write_text(address.rpartition(":")[2], "ascii")
    except OSError as problem:
        log.warning("the port cannot be written down: %s", problem)
    return address


def _last_port(settings: Settings) -> list[int]:
    try:
        return [int(settings.port_file.read_text("ascii"))]
    except (OSError, ValueError):
        return []


def _open_router(context: zmq.Context[zmq.Socket[bytes]], keys: KeyPair) -> zmq.Socket[bytes]:
    router = context.socket(zmq.ROUTER)
    options: dict[int, int | bytes] = {
        zmq.ROUTER_MANDATORY: 1,  # or it drops silently at the high-water mark
        # Our clients let the router name their connections; whoever names one like another's is
        # ignored instead of taking it over.
        zmq.ROUTER_HANDOVER: 0,
        zmq.MAXMSGSIZE: 2 * MAX_CHUNK,
        zmq.HANDSHAKE_IVL: 5000,
        zmq.HEARTBEAT_IVL: 2000,
        zmq.HEARTBEAT_TIMEOUT: 6000,
        zmq.SNDHWM: 64,
        zmq.RCVHWM: 16,  # of messages that may have 2 MiB each
        zmq.LINGER: 0,
        zmq.CURVE_SERVER: 1,
        zmq.CURVE_SECRETKEY: keys.secret,
        zmq.ZAP_DOMAIN: DOMAIN,
    }
    for option, value in options.items():
        router.setsockopt(option, value)
    return router
