# SPDX-License-Identifier: GPL-3.0-or-later
"""Weights that clients ask for: fetched one after the other by a process beside the server.

It knows offers, the library and that process; it opens no connection and never waits for one. What
has arrived when the process is ended, or the backend is killed, is kept for the next try.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import multiprocessing
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from protocol import messages as m
from protocol.errors import (
    BadInput,
    ErrorInfo,
    NotAgreed,
    TweencelError,
    WeightsFailed,
)
from protocol.messages import WeightsState

from . import registry
from .parent import end_with_parent
from .weights import catalogue, library
from .weights.catalogue import Offer

log = logging.getLogger(__name__)
WeightsRequest = m.ListWeights | m.FetchWeights | m.StopWeights
_spawn = multiprocessing.get_context("spawn")
_LOOK = 2.0
"""Seconds between two looks at what others (the command line) have installed or removed."""
_PATIENCE = 5.0
"""Seconds that an ended process may take until it is killed."""
_EVERY = 0.25
"""Seconds between two words of the process."""


class Step(msgspec.Struct, frozen=True, tag=True):
    """How far the process is: bytes."""

    phase: str
    done: int
    total: int


class Ended(msgspec.Struct, frozen=True, tag=True):
    """Its last word."""

    error: ErrorInfo | None


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Step | Ended).decode


@dataclass
class _Fetching:
    """What is being fetched, and by whom."""

    name: str
    process: BaseProcess
    pipe: Connection[bytes, bytes]
    step: Step = field(default_factory=lambda: Step("starting", 0, 0))
    since: float = 0.0
    begun: int = 0
    """Bytes of this phase that were there when it was first heard of, at the time `since`."""
    kill_at: float | None = None

    def take(self, step: Step, now: float) -> None:
        if step.phase != self.step.phase:
            self.since, self.begun = now, step.done
        self.step = step

    def left(self, now: float) -> float | None:
        """Seconds, or None as long as nothing was measured."""
        made, spent = self.step.done - self.begun, now - self.since
        if made <= 0 or spent < 1 or not self.step.total:
            return None
        return max(0.0, (self.step.total - self.step.done) * spent / made)


class Fetcher:
    """Fetches what it is told to, and tells how everything stands."""

    def __init__(self) -> None:
        self._folder = library.root()
        self._waiting: list[str] = []
        self._fetching: _Fetching | None = None
        self._errors: dict[str, ErrorInfo] = {}
        self._told: dict[str, m.WeightsOffer] = {}
        self._here: frozenset[tuple[str, str]] | None = None
        self._look_at = 0.0

    @property
    def busy(self) -> bool:
        return self._fetching is not None or bool(self._waiting)

    def answer(self, request: WeightsRequest) -> m.Weights | m.Done:
        """Raises BadInput, NotAgreed, WeightsFailed for what is not on offer."""
        match request:
            case m.ListWeights(rid=rid):
                return m.Weights(rid=rid, offers=self.offers())
            case m.FetchWeights():
                self._fetch(request)
            case m.StopWeights(name=name):
                self._stop(name)
        return m.Done(rid=request.rid)

    def offers(self) -> tuple[m.WeightsOffer, ...]:
        """All offers as they stand now."""
        now = time.monotonic()
        known = catalogue.offers(self._folder)
        return tuple(self._standing(offer, now) for offer in known.values())

    def tick(self, now: float) -> m.WeightsChanged | None:
        """What has changed since the last one, if anything has. `now`: monotonic."""
        heard = self._listen(now)
        if self._fetching is None and self._waiting:
            self._start(self._waiting.pop(0), now)
            heard = True
        if not heard and now < self._look_at:
            return None
        self._look_at = now + _LOOK
        return self._changes()

    def close(self) -> None:
        """End the process; nothing of what has arrived is lost."""
        self._waiting.clear()
        if self._fetching is not None:
            self._fetching.process.kill()
            self._fetching.process.join(1.0)
            self._fetching.pipe.close()
            self._fetching = None

    # What clients ask -------------------------------------------------------------------------

    def _fetch(self, request: m.FetchWeights) -> None:
        offer = catalogue.find(request.name, self._folder)
        if request.agreed != offer.licence:
            raise NotAgreed(f"{offer.title} is under {offer.licence}, which was not agreed to.")
        if not offer.fetchable:
            raise WeightsFailed(
                f"{offer.title} cannot be fetched by a program.",
                fix=f"Get it from {offer.page}, then `tweencel weights add {offer.name}` there.",
                retryable=False,
            )
        if self._is_here(offer) or self._is_on_its_way(offer.name):
            return
        self._errors.pop(offer.name, None)
        self._waiting.append(offer.name)
        self._look_at = 0.0

    def _stop(self, name: str) -> None:
        """What is not on its way stays as it is."""
        self._errors.pop(name, None)
        self._look_at = 0.0
        if name in self._waiting:
            self._waiting.remove(name)
        fetching = self._fetching
        if fetching is not None and fetching.name == name and fetching.kill_at is None:
            fetching.process.terminate()
            fetching.kill_at = time.monotonic() + _PATIENCE

    def _is_here(self, offer: Offer) -> bool:
        found = library.installed(offer.gives, self._folder)
        return found is not None and found.offer == offer.name

    def _is_on_its_way(self, name: str) -> bool:
        return name in self._waiting or (self._fetching is not None and self._fetching.name == name)

    # The process ------------------------------------------------------------------------------

    def _start(self, name: str, now: float) -> None:
        ours, theirs = _spawn.Pipe(duplex=False)
        process = _spawn.Process(
            target=_work, args=(theirs, name, str(self._folder)), name="tweencel-weights"
        )
        try:
            process.start()
        except OSError as problem:
            ours.close()
            self._errors[name] = WeightsFailed(f"No process could be started: {problem}.").info()
            return
        finally:
            theirs.close()
        log.info("fetching %s", name)
        self._fetching = _Fetching(name, process, ours, since=now)

    def _listen(self, now: float) -> bool:
        """Whether it said anything."""
        fetching, heard = self._fetching, False
        if fetching is None:
            return False
        if fetching.kill_at is not None and now > fetching.kill_at:
            fetching.process.kill()
        try:
            while fetching.pipe.poll():
                heard = True
                word: Step | Ended = _decode(fetching.pipe.recv_bytes())
                if isinstance(word, Ended):
                    self._end(fetching, word.error)
                    return True
                fetching.take(word, now)
        except (EOFError, OSError, msgspec.DecodeError):
            self._end(fetching, _obituary(fetching))
            return True
        return heard

    def _end(self, fetching: _Fetching, error: ErrorInfo | None) -> None:
        fetching.pipe.close()
        fetching.process.join(1.0)
        fetching.process.kill()
        self._fetching = None
        if error is not None and fetching.kill_at is None:
            log.warning("%s: %s", fetching.name, error.text)
            self._errors[fetching.name] = error
        else:
            log.info("%s: %s", fetching.name, "stopped" if error else "installed")

    # How things stand -------------------------------------------------------------------------

    def _changes(self) -> m.WeightsChanged | None:
        try:
            offers = {offer.name: offer for offer in self.offers()}
        except BadInput as problem:
            log.warning("%s", problem)
            return None
        changed = tuple(offer for name, offer in offers.items() if self._told.get(name) != offer)
        here = frozenset(
            (offer.name, offer.gives)
            for offer in offers.values()
            if offer.state is WeightsState.INSTALLED
        )
        first, other = self._here is None, here != self._here
        self._told, self._here = offers, here
        if first or not changed:
            return None
        return m.WeightsChanged(offers=changed, engines=registry.specs() if other else None)

    def _standing(self, offer: Offer, now: float) -> m.WeightsOffer:
        arrived = library.on_its_way(offer, self._folder)
        state, phase, done, total, left = WeightsState.MISSING, "", arrived, offer.size, None
        error = self._errors.get(offer.name)
        fetching = self._fetching
        if fetching is not None and fetching.name == offer.name:
            state, left = WeightsState.FETCHING, fetching.left(now)
            phase, done, total = fetching.step.phase, fetching.step.done, fetching.step.total
            phase = "stopping" if fetching.kill_at is not None else phase
        elif offer.name in self._waiting:
            state = WeightsState.WAITING
        elif self._is_here(offer):
            state, error = WeightsState.INSTALLED, None
        elif error is not None:
            state = WeightsState.FAILED
        return m.WeightsOffer(
            name=offer.name,
            gives=offer.gives,
            title=offer.title,
            licence=offer.licence,
            licence_url=offer.licence_url,
            page=offer.page,
            notice=offer.notice,
            hosts=_hosts(offer),
            size=offer.size,
            kept=offer.kept,
            fetchable=offer.fetchable,
            state=state,
            phase=phase,
            done=done,
            total=max(total, done),
            left=left,
            error=error,
        )


def _hosts(offer: Offer) -> tuple[str, ...]:
    """The machines that are asked, without ports, names or passwords."""
    hosts = [urlsplit(url).hostname or "" for file in offer.files for url in file.urls]
    return tuple(dict.fromkeys(hosts))


def _obituary(fetching: _Fetching) -> ErrorInfo:
    fetching.process.join(1.0)
    code = fetching.process.exitcode
    return WeightsFailed(f"The download ended unexpectedly (exit code {code}).").info()


# In the other process -------------------------------------------------------------------------


def _work(pipe: Connection[bytes, bytes], name: str, folder: str) -> None:
    """Its entry point. What it needs besides, torch too, is loaded only there."""
    end_with_parent()
    error: ErrorInfo | None = None
    try:
        _install(catalogue.find(name, Path(folder)), Path(folder), _teller(pipe))
    except TweencelError as problem:
        error = problem.info()
    except MemoryError:
        error = WeightsFailed("The machine ran out of memory while it converted.").info()
    with contextlib.suppress(OSError):  # nobody listens any more
        pipe.send_bytes(_encode(Ended(error)))


def _install(offer: Offer, folder: Path, tell: Callable[[str, int, int], None]) -> None:
    # By name, so that no import leads from the server to torch.
    installing: Any = importlib.import_module(".installing", __package__)
    installing.fetch(offer, folder, tell)


def _teller(pipe: Connection[bytes, bytes]) -> Callable[[str, int, int], None]:
    """Tells of each new phase, and of one now and then."""
    last = ["", 0.0]

    def tell(phase: str, done: int, total: int) -> None:
        now = time.monotonic()
        if phase != last[0] or now - float(last[1]) >= _EVERY:
            last[:] = [phase, now]
            pipe.send_bytes(_encode(Step(phase, done, total)))

    return tell
