# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything a backend is, but for its sockets: books, store, executor, scheduler, sweeper.

The server and the headless `run` each open one and close it.
"""

from __future__ import annotations

from .clients import Clients
from .config import Settings, make_private
from .database import check, open_database
from .holdings import Holdings
from .ledger import Ledger
from .local import LocalExecutor
from .scheduler import Audience, Publish, Scheduler
from .store import Store
from .sweeper import Sweeper


class Desk:
    """The opened folder of one backend."""

    def __init__(
        self, settings: Settings, publish: Publish, audience: Audience = frozenset
    ) -> None:
        """Raises BackendFailure if another backend has the folder, DiskFull, BackendBroken."""
        make_private(settings.home)
        self._database = open_database(settings.database)
        self.clients = Clients(self._database)
        self.ledger = Ledger(self._database)
        self.store = Store(settings.store)
        self.holdings = Holdings(self._database, present=self.store.has)
        self.executor = LocalExecutor(self.store, settings)
        self.sweeper = Sweeper(self.holdings, self.store, settings)
        self.scheduler = Scheduler(
            self.ledger, self.holdings, self.store, self.executor, settings, publish, audience
        )

    def check_books(self) -> str:
        """ "ok", or what is wrong with the database."""
        return check(self._database)

    def close(self) -> None:
        self.executor.close()
        self._database.close()
