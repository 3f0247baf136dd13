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
class Settings:
    """How a backend runs. `threads` 0 leaves the choice to the engine's library."""

    home: Path = field(default_factory=state_folder)
    connection: Path = field(default_factory=connection_file)
    port: int = 0
    """0: any free port."""
    device: str = "auto"
    threads: int = 0
    limits: Limits = field(default_factory=Limits)
    cancel_grace: float = 10.0
    """How long an engine may take to its next step before its process is killed."""
    worker_idle: float = 600.0
    """After that long without a job the engine's process ends and gives its memory back."""
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


def make_private(folder: Path) -> None:
    """Make the folder if it is not there, open to its owner only."""
    folder.mkdir(parents=True, exist_ok=True)
    if os.name == "posix":
        folder.chmod(0o700)
