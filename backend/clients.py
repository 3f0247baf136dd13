# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may come in: the allow-list of CURVE keys, and the pairing of new machines.

A client is known by its public key and called by its name. An administrator, such as the user who
runs the backend, may also look after it.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import zmq
from zmq.utils import z85

from protocol.errors import BadInput

from .database import Database, writing
from .keys import KeyPair, load_or_make

LOCAL = "local"
"""The name of the client that is this machine's own user."""


class Client(NamedTuple):
    """`key` is the public key, 64 hex digits."""

    key: str
    name: str
    admin: bool


class Clients:
    """The allow-list. Every change has been committed when its method returns."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self._known: dict[str, Client] = {}
        self._read()

    def all(self) -> list[Client]:
        return list(self._known.values())

    def find(self, key: str) -> Client | None:
        """Asked at every message, so it looks into memory only."""
        return self._known.get(key)

    def let_in_local(self, path: Path) -> KeyPair:
        """The key pair of this machine's own user, kept in a private file, always let in."""
        keys = load_or_make(path)
        with writing(self._db):
            self._db.execute("DELETE FROM clients WHERE name = ?", (LOCAL,))
            self._db.execute(
                "INSERT OR REPLACE INTO clients VALUES (?, ?, 1)", (keys.public.hex(), LOCAL)
            )
        self._read()
        return keys

    def pair(self, name: str) -> KeyPair:
        """Make a key pair for a new client and let it in. Raises BadInput if the name is taken."""
        if any(client.name == name for client in self.all()):
            raise BadInput(
                f"A client called {name} is let in already.",
                fix=f"Choose another name, or take that one back first: tweencel unpair {name}.",
            )
        public, secret = (z85.decode(key) for key in zmq.curve_keypair())
        with writing(self._db):
            self._db.execute("INSERT INTO clients VALUES (?, ?, 0)", (public.hex(), name))
        self._read()
        return KeyPair(public, secret)

    def unpair(self, name: str) -> Client:
        """Let it in no more. Raises BadInput if there is none, or it is this machine's user."""
        for client in self.all():
            if client.name == name and name != LOCAL:
                with writing(self._db):
                    self._db.execute("DELETE FROM clients WHERE key = ?", (client.key,))
                self._read()
                return client
        names = ", ".join(client.name for client in self.all() if client.name != LOCAL)
        raise BadInput(
            f"No client called {name} can be taken back.", fix=f"There are: {names or 'none'}."
        )

    def _read(self) -> None:
        rows = self._db.execute("SELECT key, name, admin FROM clients ORDER BY name")
        self._known = {row[0]: Client(row[0], row[1], bool(row[2])) for row in rows}
