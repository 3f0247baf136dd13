# SPDX-License-Identifier: GPL-3.0-or-later
"""The session with a real backend in a process of its own, a real worker and the crossfade."""

from __future__ import annotations

import hashlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from blender_addon.ledger import Stage
from blender_addon.session import Contact, Session
from blender_addon.work import Order, Work
from protocol.endpoint import Endpoint, read_connection
from protocol.engines import EngineSpec
from protocol.errors import BackendNotRunning, UnknownEngine
from protocol.pictures import probe

cv2 = pytest.importorskip("cv2", reason="the backend's own libraries are not here")
np = pytest.importorskip("numpy")
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


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[Backend]:
    backend = Backend(tmp_path)
    yield backend
    backend.stop()


@pytest.fixture
def session(backend: Backend) -> Iterator[Session]:
    session = Session(software={"add-on": "test"})
    session.connect(backend.endpoint)
    pump(session, lambda: session.contact is Contact.CONNECTED)
    yield session
    print(f"longest tick {session.longest_tick * 1000:.1f} ms")
    session.close()


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
        Order(keys=keys, gaps=gaps, engine=engine(session), parent=folder / "out", name="hop")
    )


def test_drawings_go_to_a_real_engine_and_in_betweens_come_back(
    session: Session, tmp_path: Path
) -> None:
    keys = drawings(tmp_path / "keys")
    before = [hashlib.sha256(key.read_bytes()).hexdigest() for key in keys]
    work = begin(session, tmp_path, keys)
    pump(session, lambda: work.job.stage.ended)
    assert work.job.error is None
    assert work.job.stage is Stage.DONE
    names = ["hop_0002.png", "hop_0003.png", "hop_0004.png"]
    names += ["hop_0006.png", "hop_0007.png", "hop_0008.png"]
    assert [work.made[index] for index in range(6)] == names
    greys = [int(cv2.imread(str(work.folder.path / name))[0, 0, 0]) for name in names]
    assert greys == sorted(greys)
    assert len(set(greys)) == 6
    for name in names:
        with (work.folder.path / name).open("rb") as file:
            assert probe(file)[1:4] == (64, 48, 8)
    assert [hashlib.sha256(key.read_bytes()).hexdigest() for key in keys] == before


def test_a_backend_that_is_killed_in_the_middle_goes_on_after_its_restart(
    session: Session, backend: Backend, tmp_path: Path
) -> None:
    landed: list[int] = []
    session.on_landed = lambda work, index: landed.append(index)
    work = begin(session, tmp_path, drawings(tmp_path / "keys", (640, 480), 2), each=60)
    pump(session, lambda: len(landed) >= 3)
    backend.kill()
    pump(session, lambda: session.contact is not Contact.CONNECTED)
    backend.start()
    pump(session, lambda: work.job.stage.ended)
    assert work.job.error is None
    assert work.job.stage is Stage.DONE
    assert sorted(landed) == list(range(60))
    assert not list(work.folder.path.glob("*.part"))


def test_a_running_job_is_cancelled_and_the_next_one_runs(session: Session, tmp_path: Path) -> None:
    keys = drawings(tmp_path / "keys", (640, 480), 2)
    work = begin(session, tmp_path, keys, each=200)
    pump(session, lambda: len(work.made) >= 2)
    session.cancel(work.job.id)
    began = time.monotonic()
    pump(session, lambda: work.job.stage.ended)
    print(f"cancelled after {time.monotonic() - began:.2f} s with {len(work.made)} frames")
    assert work.job.stage is Stage.CANCELLED
    assert len(work.made) < 200
    after = begin(session, tmp_path, keys, each=2)
    pump(session, lambda: after.job.stage.ended)
    assert after.job.stage is Stage.DONE


def test_what_the_backend_refuses_is_shown_with_its_fix(session: Session, tmp_path: Path) -> None:
    keys = drawings(tmp_path / "keys")
    forged = EngineSpec(id="gone", label="Gone", summary="", version="1", jobs=("inbetween",))
    order = Order(keys=keys, gaps=((0.5,), (0.5,)), engine=forged, parent=tmp_path / "out")
    work = session.generate(order)
    pump(session, lambda: work.job.stage.ended)
    assert isinstance(work.job.error, UnknownEngine)
    assert work.job.error.fix
    session.tick()
    assert list((tmp_path / "out").iterdir()) == []


def test_a_client_that_the_backend_does_not_know_is_told_so(backend: Backend) -> None:
    session = Session()
    session.connect(backend.endpoint._replace(client_secret=""))
    try:
        pump(session, lambda: session.trouble is not None and "key" in session.trouble.text)
        assert session.contact is Contact.CONNECTING
        assert session.trouble is not None
        assert "tweencel pair" in session.trouble.fix
    finally:
        session.close()
