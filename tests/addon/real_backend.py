# SPDX-License-Identifier: GPL-3.0-or-later
"""A real backend in a process of its own, drawings for it, and a session that is pumped by hand."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from blender_addon.session import Session
from blender_addon.work import Work, between
from protocol.endpoint import Endpoint, read_connection
from protocol.engines import EngineSpec
from protocol.errors import BackendNotRunning

ROOT = Path(__file__).parents[2]


class Backend:
    """A backend that can be killed and started again with what it keeps."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as probing:
            probing.bind(("127.0.0.1", 0))
            self.port = probing.getsockname()[1]
        self.start()

    def start(self) -> None:
        file = self.folder / "connection.json"
        file.unlink(missing_ok=True)
        command = [sys.executable, "-m", "backend", "serve", "--port", str(self.port)]
        command += ["--home", str(self.folder / "home"), "--connection-file", str(file)]
        with (self.folder / "backend.log").open("ab") as log:
            self.process = subprocess.Popen(
                command, cwd=ROOT, stdout=log, stderr=log, env=os.environ | {"OMP_NUM_THREADS": "1"}
            )
        end = time.monotonic() + 30
        while True:
            assert self.process.poll() is None, (self.folder / "backend.log").read_text()
            assert time.monotonic() < end
            try:
                self.endpoint: Endpoint = read_connection(file).endpoint
            except BackendNotRunning:
                time.sleep(0.02)
            else:
                return

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(30)


def pump(session: Session, done: Callable[[], bool], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, f"it never came to that: {session.trouble}"
        session.tick()
        time.sleep(0.002)


def drawings(folder: Path, size: tuple[int, int] = (64, 48), count: int = 3) -> tuple[Path, ...]:
    folder.mkdir()
    paths = [folder / f"key_{number}.png" for number in range(count)]
    for number, path in enumerate(paths):
        picture = np.full((size[1], size[0], 4), 255, np.uint8)
        picture[..., :3] = number * 100
        cv2.imwrite(str(path), picture)
    return tuple(paths)


def engine(session: Session, name: str = "crossfade") -> EngineSpec:
    return next(spec for spec in session.engines if spec.id == name)


def begin(session: Session, folder: Path, keys: tuple[Path, ...], each: int = 3) -> Work:
    gap = tuple((i + 1) / (each + 1) for i in range(each))
    gaps = (gap,) * (len(keys) - 1)
    return session.generate(
        between(keys=keys, gaps=gaps, engine=engine(session), parent=folder / "out", name="hop")
    )
