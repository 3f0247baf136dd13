# SPDX-License-Identifier: GPL-3.0-or-later
"""A real `tweencel serve` in a home of its own, which a scenario may kill, starve and measure."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from protocol.endpoint import Connection, read_connection
from protocol.errors import BackendNotRunning

ROOT = Path(__file__).parents[2]
_START = 60.0


class BackendProcess:
    """The process and its home. `launch` comes before the command, `config` is its config.toml."""

    def __init__(
        self,
        home: Path,
        *,
        config: str = "",
        launch: tuple[str, ...] = (),
        variables: Mapping[str, str] | None = None,
    ) -> None:
        self.home = home
        self.file = home.with_name(home.name + ".connection.json")
        self.config = home.with_name(home.name + ".toml")
        self.config.write_text(config, "utf-8")
        self._launch = launch
        self.variables = dict(variables or {})
        self._said = home.with_name(home.name + ".stderr").open("ab")
        self.process = self._start()

    def start(self) -> None:
        """Start it again after it has ended."""
        self.process = self._start()

    def connection(self) -> Connection:
        """Wait until it listens. Raises AssertionError if it ends before."""
        deadline = time.monotonic() + _START
        while time.monotonic() < deadline:
            with contextlib.suppress(BackendNotRunning):
                connection = read_connection(self.file)
                if connection.pid == self.process.pid:
                    return connection
            if self.process.poll() is not None:
                raise AssertionError(f"the backend ended: {self.stderr()[-2000:]}")
            time.sleep(0.01)
        raise AssertionError("the backend did not listen in time")

    def kill(self) -> None:
        """SIGKILL, as the machine would."""
        self.process.kill()
        self.process.wait()

    def end(self) -> None:
        """Ask it to stop; kill it if it does not."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.kill()
        self._said.close()

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def stderr(self) -> str:
        return Path(self._said.name).read_text("utf-8", "replace")

    def memory(self) -> float:
        """MiB of memory that the server process has resident, without its workers."""
        return _status(self.process.pid, "VmRSS")

    def peak(self) -> float:
        """The most it ever had, in MiB."""
        return _status(self.process.pid, "VmHWM")

    def files(self) -> int:
        """How many file descriptors it has open."""
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def _start(self) -> subprocess.Popen[bytes]:
        options = ["--device", "cpu", "--threads", "1"]
        options += ["--config", str(self.config), "--connection-file", str(self.file)]
        return subprocess.Popen(
            [*self._launch, sys.executable, "-m", "backend", "serve", *options],
            env={**os.environ, "TWEENCEL_HOME": str(self.home), **self.variables},
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=self._said,
        )


@contextlib.contextmanager
def backend(config: str = "", **options: object) -> Iterator[BackendProcess]:
    """A backend in a fresh folder, ended and swept away at the end."""
    folder = Path(tempfile.mkdtemp(prefix="tweencel-bout-"))
    process = BackendProcess(folder / "home", config=config, **options)  # type: ignore[arg-type]
    try:
        yield process
    finally:
        process.end()
        shutil.rmtree(folder, ignore_errors=True)


def _status(pid: int, field: str) -> float:
    for line in Path(f"/proc/{pid}/status").read_text("ascii").splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) / 1024
    raise AssertionError(f"the kernel tells no {field}")
