# SPDX-License-Identifier: GPL-3.0-or-later
"""The session with a real backend in a process of its own, a real worker and the crossfade."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from blender_addon.ledger import Stage
from blender_addon.session import Contact, Session
from blender_addon.work import between
from protocol.engines import EngineSpec
from protocol.errors import UnknownEngine
from protocol.pictures import probe

cv2 = pytest.importorskip("cv2", reason="the backend's own libraries are not here")

from tests.addon.real_backend import Backend, begin, drawings, pump  # noqa: E402


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
    order = between(keys=keys, gaps=((0.5,), (0.5,)), engine=forged, parent=tmp_path / "out")
    work = session.generate(order)
    pump(session, lambda: work.job.stage.ended)
    assert isinstance(work.job.error, UnknownEngine)
    assert work.job.error.fix
    session.tick()
    assert list((tmp_path / "out").iterdir()) == []


def test_a_client_that_the_backend_does_not_know_is_told_so(backend: Backend) -> None:
    session = Session()
    session.connect(backend.endpoint._replace(client_secret="cd" * 32))
    try:
        pump(session, lambda: session.trouble is not None and "key" in session.trouble.text)
        assert session.contact is Contact.CONNECTING
        assert session.trouble is not None
        assert "tweencel pair" in session.trouble.fix
    finally:
        session.close()
