# SPDX-License-Identifier: GPL-3.0-or-later
"""The settings of one backend: where it keeps things and how it runs. Times in seconds."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from protocol.endpoint import connection_file, state_folder
from protocol.limits import Limits

SOFTWARE = "tweencel 0.1.0"


@dataclass(frozen=True)
class Quota:
    """What one client may have. Sizes in bytes."""

    open_jobs: int = 200
    stored: int = 20 * 2**30


@dataclass(frozen=True)
class Settings:
    """How a backend runs. `threads` 0 leaves the choice to the engine's library."""

    home: Path = field(default_factory=state_folder)
    connection: Path = field(default_factory=connection_file)
    host: str = "127.0.0.1"
    """The interface to listen on. Clients need a key on each of them, loopback included."""
    port: int = 0
    """0: the one of the last time if it is free, else any."""
    device: str = "auto"
    threads: int = 0
    limits: Limits = field(default_factory=Limits)
    quota: Quota = field(default_factory=Quota)
    tries: int = 3
    """How many workers a job may lose in a row without having made a frame."""
    silence: float = 1800.0
    """After that long without a sign of life a worker counts as hung and is killed."""
    cancel_grace: float = 10.0
    """How long an engine may take to its next step before its process is killed."""
    worker_idle: float = 600.0
    """After that long without a job the engine's process ends and gives its memory back."""
    keep: float = 31 * 86400.0
    """How long files and ended jobs are kept after they were last used."""
    store_cap: int = 50 * 2**30
    """Bytes that the store may hold; beyond, what was used least recently goes first."""
    idle_exit: float = 0.0
    """After that long without a client and a job the backend ends; 0: never."""

    @property
    def store(self) -> Path:
        return self.home / "store"

    @property
    def database(self) -> Path:
        return self.home / "ledger.sqlite3"

    @property
    def key_file(self) -> Path:
        return self.home / "server.key"

    @property
    def local_key_file(self) -> Path:
        """The key pair of this machine's own user."""
        return self.home / "local.key"

    @property
    def port_file(self) -> Path:
        return self.home / "port"


def make_private(folder: Path) -> None:
    """Make the folder if it is not there, open to its owner only."""
    folder.mkdir(parents=True, exist_ok=True)
    if os.name == "posix":
        folder.chmod(0o700)
