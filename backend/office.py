# SPDX-License-Identifier: GPL-3.0-or-later
"""What an administrator may ask of a running backend: how it is, who comes in, what is swept.

It knows no sockets; the server sends the replies.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import NamedTuple

import msgspec

from protocol import messages as m
from protocol.endpoint import Endpoint
from protocol.errors import BackendFailure, NotAllowed, TweencelError
from protocol.jobs import State
from protocol.limits import CHUNK

from .address import from_elsewhere
from .config import SOFTWARE, Settings
from .desk import Desk
from .store import is_true

log = logging.getLogger(__name__)
AdminRequest = m.Survey | m.Pair | m.Unpair | m.Unload | m.Collect | m.Verify


class Place(NamedTuple):
    """Where the backend listens, and its public key in hex."""

    address: str
    server_key: str


class Office:
    """The answers. Verifying takes long, so it is done beside the loop: ask `finished` for it."""

    def __init__(self, desk: Desk, settings: Settings, place: Place) -> None:
        self._desk = desk
        self._settings = settings
        self._place = place
        self._began = time.monotonic()
        self._inspections: list[tuple[bytes, _Inspection]] = []

    def require_admin(self, owner: str) -> None:
        """Raises NotAllowed."""
        client = self._desk.clients.find(owner)
        if client is None or not client.admin:
            raise NotAllowed("Only who looks after the backend may ask for that.")

    def answer(self, identity: bytes, request: AdminRequest, connections: int) -> m.Message | None:
        """The reply, or None if it comes later. Raises BadInput, DiskFull or BackendFailure."""
        match request:
            case m.Survey():
                return self._report(request.rid, connections)
            case m.Pair():
                return self._pair(request)
            case m.Unpair():
                client = self._desk.clients.unpair(request.name)
                for job in self._desk.ledger.open_of(client.key):
                    try:
                        self._desk.scheduler.cancel(job)
                    except TweencelError as problem:
                        log.warning("%s", problem, extra={"job": job})
                return m.Done(rid=request.rid)
            case m.Unload():
                if not self._desk.executor.unload():
                    raise BackendFailure(
                        "The engine is at work.", fix="Cancel its job first, or wait for its end."
                    )
                return m.Done(rid=request.rid)
            case m.Collect():
                swept = self._desk.sweeper.sweep()
                return m.Collected(
                    rid=request.rid, files=len(swept.digests), size=swept.size, jobs=swept.jobs
                )
            case m.Verify():
                inspection = _Inspection(self._desk, request.rid)
                self._inspections.append((identity, inspection))
                inspection.start()
                return None

    def finished(self) -> list[tuple[bytes, m.Verified]]:
        """The inspections that came to their end, and who asked for them."""
        ended = [(who, what) for who, what in self._inspections if not what.is_alive()]
        self._inspections = [pair for pair in self._inspections if pair[1].is_alive()]
        return [(who, what.result) for who, what in ended if what.result is not None]

    def _report(self, rid: int, connections: int) -> m.Report:
        desk = self._desk
        counts = desk.ledger.counts()
        worker = msgspec.structs.replace(desk.executor.summary(), job=desk.scheduler.running)
        return m.Report(
            rid=rid,
            software=SOFTWARE,
            uptime=time.monotonic() - self._began,
            waiting=counts[State.QUEUED],
            running=counts[State.RUNNING],
            done=counts[State.DONE],
            failed=counts[State.FAILED],
            stored=desk.holdings.total(),
            store_cap=self._settings.store_cap,
            connections=connections,
            clients=tuple(
                m.ClientSummary(
                    name=client.name,
                    admin=client.admin,
                    open_jobs=desk.ledger.open_jobs(client.key),
                    stored=desk.holdings.stored(client.key),
                )
                for client in desk.clients.all()
            ),
            workers=(worker,),
        )

    def _pair(self, request: m.Pair) -> m.Paired:
        keys = self._desk.clients.pair(request.name)
        address = from_elsewhere(self._place.address, request.host or self._settings.advertise)
        endpoint = Endpoint(address, self._place.server_key, keys.secret.hex())
        return m.Paired(rid=request.rid, endpoint=str(endpoint))


class _Inspection(threading.Thread):
    """Compares the files on disk with their digests. The books are read before it starts."""

    def __init__(self, desk: Desk, rid: int) -> None:
        super().__init__(name="verify", daemon=True)
        self._rid = rid
        self._store = desk.store
        self._held = desk.holdings.digests()
        self._books = desk.check_books()
        self.result: m.Verified | None = None

    def run(self) -> None:
        there: set[str] = set()
        damaged: list[str] = []
        books = self._books
        try:
            self._look_through(there, damaged)
        except OSError as problem:
            books = f"{books}; the store cannot be read: {problem}"
        most = CHUNK // 200  # a header must hold them
        lost = sorted(digest for digest in self._held - there if not self._store.has(digest))
        self.result = m.Verified(
            rid=self._rid,
            files=len(there),
            damaged=tuple(sorted(damaged)[:most]),
            lost=tuple(lost[:most]),
            ledger=books,
        )

    def _look_through(self, there: set[str], damaged: list[str]) -> None:
        for digest, path in self._store.all():
            there.add(digest)
            try:
                if not is_true(digest, path):
                    damaged.append(digest)
            except FileNotFoundError:  # it was swept meanwhile
                there.discard(digest)
            except OSError:  # what the disk does not give back is damaged
                damaged.append(digest)
