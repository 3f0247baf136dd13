# SPDX-License-Identifier: GPL-3.0-or-later
"""The local backend as a process: finds the program, starts it detached, stops what it started.

It knows no Blender and never waits: `poll` looks once and says what it saw.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from protocol.endpoint import (
    Connection,
    Endpoint,
    connection_file,
    may_live,
    read_connection,
)
from protocol.errors import BackendFailure, BackendNotFound, BackendNotRunning

IDLE_EXIT_MINUTES = 30
PATIENCE = 60.0
"""Seconds until a backend that has said nothing counts as failed."""
_NAME = "tweencel.exe" if sys.platform == "win32" else "tweencel"
FOREIGN = ("PYTHONHOME", "PYTHONPATH", "PYTHONSTARTUP")
"""Blender's or a studio's Python settings are wrong for the backend's own Python."""


def find_program(chosen: str = "") -> Path:
    """The tweencel program: the one chosen, else TWEENCEL_EXECUTABLE, else the usual places.

    Raises BackendNotFound.
    """
    if chosen:
        path = Path(chosen).expanduser()
        if not path.is_file():
            raise BackendNotFound(f"There is no program {path}.", fix="Correct the preferences.")
        return path
    for path in _usual_places():
        if path.is_file():
            return path
    raise BackendNotFound("The tweencel program was not found on this computer.")


def _usual_places() -> Iterator[Path]:
    if named := os.environ.get("TWEENCEL_EXECUTABLE"):
        yield Path(named)
    if found := shutil.which("tweencel"):
        yield Path(found)
    home = Path.home()
    # A Blender that was started from a menu does not see the shell's PATH.
    yield home / ".local/bin" / _NAME
    scripts = "Scripts" if sys.platform == "win32" else "bin"
    pipx = [home / ".local/share/pipx", home / ".local/pipx", home / "pipx"]
    if named := os.environ.get("PIPX_HOME"):
        pipx.insert(0, Path(named))
    for folder in pipx:
        yield folder / "venvs/tweencel" / scripts / _NAME


def running_backend() -> Endpoint | None:
    """The local backend that has written its connection file and lives."""
    try:
        connection = read_connection(connection_file())
    except BackendNotRunning:
        return None
    return connection.endpoint if may_live(connection.pid) else None


class LocalBackend:
    """The backend that this Blender started."""

    def __init__(self, program: Path, log: Path) -> None:
        """Start it. Raises BackendNotFound if the program cannot be run."""
        self.log = log
        self._before = _written()
        self._started = time.monotonic()
        self._stopping = False
        self._process = _start(program, log)

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def crash(self) -> BackendFailure | None:
        """What happened if it ended and nobody asked it to."""
        if self._stopping or self._process.poll() in (None, 0):
            return None
        return BackendFailure(
            f"The backend ended unexpectedly: {_last_words(self.log)}",
            fix=f"Press Start Local Backend: its jobs go on. Its log is {self.log}.",
        )

    def poll(self) -> Endpoint | None:
        """Its address, once it has written it down; until then None.

        Raises BackendFailure if it ended or said nothing for a minute.
        """
        now = _written()
        if now is not None and now != self._before:
            return now.endpoint
        if not self.alive:
            raise BackendFailure(
                f"The backend ended at once: {_last_words(self.log)}",
                fix=f"Look into its log, {self.log}.",
            )
        if time.monotonic() - self._started > PATIENCE:
            raise BackendFailure(
                f"The backend has been starting for {PATIENCE:.0f} s.",
                fix=f"Look into its log, {self.log}.",
            )
        return None

    def stop(self) -> None:
        """Ask it to end; asked again, end it."""
        if not self.alive:
            return
        if self._stopping:
            self._process.kill()
        else:
            self._process.terminate()
        self._stopping = True


def _start(program: Path, log: Path) -> subprocess.Popen[bytes]:
    environment = {k: v for k, v in os.environ.items() if k not in FOREIGN}
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        try:
            return subprocess.Popen(
                [str(program), "serve", "--idle-exit", str(IDLE_EXIT_MINUTES)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environment,
                # It outlives Blender, so that jobs do: it ends itself when it has been idle.
                start_new_session=sys.platform != "win32",
                creationflags=_detached(),
            )
        except OSError as problem:
            raise BackendNotFound(
                f"{program} cannot be run: {problem.strerror or problem}.",
                fix="Set the path of the tweencel program in the add-on's preferences.",
            ) from None


def _detached() -> int:
    if sys.platform == "win32":
        return subprocess.DETACHED_PROCESS | subprocess.CREATE_NEW_PROCESS_GROUP
    return 0


def _written() -> Connection | None:
    try:
        return read_connection(connection_file())
    except BackendNotRunning:
        return None


def _last_words(log: Path) -> str:
    try:
        lines = log.read_text("utf-8", "replace").strip().splitlines()
    except OSError:
        lines = []
    return lines[-1][:300] if lines else "it left no word."
