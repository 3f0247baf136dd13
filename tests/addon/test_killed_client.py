# SPDX-License-Identifier: GPL-3.0-or-later
"""A real client is killed in the middle of a job at a real backend; the next one goes on."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from blender_addon.journal import Journal
from blender_addon.ledger import Stage
from blender_addon.link import Line, Link
from blender_addon.session import Session
from protocol.endpoint import Endpoint
from protocol.messages import Get, Message

pytest.importorskip("cv2", reason="the backend's own libraries are not here")

from tests.addon.client import EACH
from tests.addon.real_backend import ROOT, Backend, drawings, pump

CLIENT = Path(__file__).with_name("client.py")


class Noting(Link):
    """A real line that notes which files are asked for from their start."""

    fetched: list[str]

    def send(self, message: Message, body: bytes | None = None) -> bool:
        sent = super().send(message, body)
        if sent and isinstance(message, Get) and message.offset == 0:
            self.fetched.append(message.digest)
        return sent


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[Backend]:
    backend = Backend(tmp_path)
    yield backend
    backend.stop()


def run_until_landed(folder: Path, count: int) -> set[int]:
    """A client of its own that is killed when so many frames have landed; gives which."""
    command = [sys.executable, str(CLIENT), str(folder), str(folder / "connection.json")]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as client:
        assert client.stdout is not None
        landed = [client.stdout.readline() for _ in range(count)]
        client.kill()
        return {int(line) for line in (*landed, *client.stdout) if line.endswith("\n")}


def test_after_kill_9_of_the_client_the_next_one_has_all_frames_and_fetches_none_twice(
    backend: Backend, tmp_path: Path
) -> None:
    drawings(tmp_path / "keys", (640, 480), 3)
    before = run_until_landed(tmp_path, 3)
    assert 3 <= len(before) < 2 * EACH
    there = {
        hashlib.sha256(path.read_bytes()).hexdigest()
        for path in (tmp_path / "out" / "hop_v001").glob("hop_*.png")
    }
    fetched: list[str] = []

    def connect(endpoint: Endpoint) -> Line:
        line = Noting(endpoint, "test")
        line.fetched = fetched
        return line

    session = Session(connect, {"add-on": "test"}, Journal(tmp_path / "jobs"))
    try:
        session.connect(backend.endpoint)
        pump(session, lambda: bool(session.works))
        (work,) = session.works.values()
        pump(session, lambda: work.job.stage.ended)
    finally:
        session.close()
    assert work.job.stage is Stage.DONE, work.job.error
    names = sorted(path.name for path in work.folder.path.iterdir())
    keys = (1, EACH + 2, 2 * EACH + 3)
    numbers = [n for n in range(1, 2 * EACH + 4) if n not in keys]
    assert names == [*(f"hop_{n:04d}.png" for n in numbers), "tweencel.json"]
    assert len(fetched) == len(set(fetched))
    assert not there & set(fetched)
    assert len(there) + len(fetched) == 2 * EACH
    assert list((tmp_path / "jobs").iterdir()) == []
    print(f"{len(there)} frames before the kill, {len(fetched)} afterwards")
