# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps the store within its bounds: what is old, over the cap or nobody's goes, bit by bit.

The books (holdings) are swept in one transaction; files are deleted in small batches, so that the
server's loop never waits long.
"""

from __future__ import annotations

import logging
import time
from collections import deque

from .config import Settings
from .holdings import Holdings, Swept
from .store import Store

_EVERY = 600.0
_BATCH = 20
_YOUNG = 3600.0
"""A file that nobody holds may be one that is just being noted."""
_FORGOTTEN_UPLOAD = 7 * 86400.0
log = logging.getLogger(__name__)


class Sweeper:
    """Sweeps now and then, and when told to."""

    def __init__(self, holdings: Holdings, store: Store, settings: Settings) -> None:
        self._holdings = holdings
        self._store = store
        self._settings = settings
        self._doomed: deque[str] = deque()
        self._next = 0.0

    def tick(self, now: float) -> None:
        """Delete a few files; sweep the books if it is time. `now`: monotonic."""
        if now >= self._next:
            self._next = now + _EVERY
            self.sweep()
        for _ in range(min(_BATCH, len(self._doomed))):
            digest = self._doomed.popleft()
            if not self._holdings.anybody_holds(digest):
                self._store.delete(digest)

    def sweep(self) -> Swept:
        """Take off the books what may go; its files follow with the next ticks."""
        settings = self._settings
        swept = self._holdings.sweep(settings.keep, settings.store_cap)
        self._doomed.extend(swept.digests)
        self._store.drop_parts(time.time() - _FORGOTTEN_UPLOAD)
        if swept.digests or swept.jobs:
            log.info("swept %d files, %d jobs", len(swept.digests), swept.jobs)
        return swept

    def doom_strays(self) -> None:
        """After a crash files may be there that nobody holds: let them go too."""
        held = self._holdings.digests()
        before = time.time() - _YOUNG
        for digest, path in self._store.all():
            if digest not in held and path.stat().st_mtime < before:
                self._doomed.append(digest)
