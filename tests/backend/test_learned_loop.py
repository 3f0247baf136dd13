# SPDX-License-Identifier: GPL-3.0-or-later
"""A learned loop by the whole way: store, scheduler, worker process, files that come back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from select import select

import numpy as np
import pytest

from backend.config import Settings
from backend.desk import Desk
from backend.engines import learned_loop
from backend.imaging import seam
from backend.imaging.codecs import decode, encode
from protocol.errors import TweencelError
from protocol.jobs import Point, Region, State, StillLoop, Stroke
from protocol.messages import FrameMade, Progress, Status, Submit
from protocol.params import Value
from tests.engines import narrow_cinemagraph as narrow
from tests.imaging.moving_stills import box, texture

ME = "1" * 64
JOB = "a" * 32
SIDES = (60, 90)
MASK = box(*SIDES, 12, 15, 48, 75)
STROKE = Stroke(line=(Point(25, 30), Point(65, 30)), speed=0.5)


class Studio:
    """A backend without a server, with a still and a mask in its store."""

    def __init__(self, home: Path) -> None:
        self.said: list[Status | FrameMade | Progress] = []
        self.desk = Desk(Settings(home=home, device="cpu", threads=1), self.said.append)
        still = texture(*SIDES)
        still[:, :40, 3] = np.linspace(0, 1, 40)
        self.still = encode(still, 16, "RGBA", "PNG")
        mask = encode(np.dstack((*[MASK] * 3, np.ones_like(MASK))), 8, "L", "PNG")
        self.digests = tuple(map(self._hold, (self.still, mask)))

    def _hold(self, content: bytes) -> str:
        digest = self.desk.store.add(content)
        self.desk.holdings.claim(ME, digest, len(content))
        return digest

    def submit(self, length: int, **params: Value) -> None:
        region = Region(mask=self.digests[1], strokes=(STROKE,))
        task = StillLoop(still=self.digests[0], regions=(region,), length=length)
        self.desk.scheduler.submit(
            ME, Submit(rid=1, job=JOB, engine="learned_loop", params=params, task=task)
        )

    def pump(self, until: Callable[[], object]) -> None:
        while not until():
            self.desk.scheduler.tick(time.monotonic())
            select([self.desk.executor.wake], [], [], 0.05)

    def end(self) -> Status:
        self.pump(lambda: self.desk.ledger.job(JOB).state.ended)
        return [said for said in self.said if isinstance(said, Status)][-1]

    def frames(self) -> list[bytes]:
        made = [said for said in self.said if isinstance(said, FrameMade)]
        assert [frame.index for frame in made] == list(range(len(made)))
        return [self.desk.store.read(frame.digest, 0, frame.size) for frame in made]


@pytest.fixture(scope="module")
def weights_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return narrow.installed(tmp_path_factory.mktemp("weights"))


@pytest.fixture
def studio(
    tmp_path: Path, weights_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Studio]:
    monkeypatch.setenv("TWEENCEL_WEIGHTS", str(weights_folder))
    studio = Studio(tmp_path)
    yield studio
    studio.desk.close()


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"told_by": "prompt", "prompt": "a calm river", "magnitude": 4.0},
        {"drawn_by": "network", "detail": 64},
    ],
    ids=["strokes", "prompt", "drawn"],
)
def test_a_loop_comes_back_as_files_that_close_and_stand_still_outside(
    studio: Studio, params: dict[str, Value]
) -> None:
    studio.submit(20, **params)
    end = studio.end()
    assert end.state is State.DONE, end.error
    files = studio.frames()
    assert len(files) == 20
    pictures = [decode(file) for file in files]
    assert {(picture.depth, picture.channels) for picture in pictures} == {(16, "RGBA")}
    still = decode(studio.still).pixels
    for picture in pictures:
        np.testing.assert_array_equal(picture.pixels[MASK == 0], still[MASK == 0])
    found = seam.measure(still, MASK > 0, (picture.pixels for picture in pictures))
    assert found.static == 0
    assert found.seam <= 1.02 * max(found.roughness, 1.0)
    assert len(set(files)) > 10


def test_a_loop_that_is_being_drawn_can_be_cancelled(studio: Studio) -> None:
    studio.submit(2000, drawn_by="network")
    studio.pump(lambda: any(isinstance(said, FrameMade) for said in studio.said))
    started = time.monotonic()
    studio.desk.scheduler.cancel(JOB)
    assert studio.end().state is State.CANCELLED
    assert time.monotonic() - started < 8


def test_without_its_weights_a_job_fails_by_their_name(
    studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At once where the backend knows, else by the worker: in either case by name."""
    monkeypatch.setenv("TWEENCEL_WEIGHTS", str(tmp_path / "none"))
    try:
        studio.submit(4)
        problem = studio.end().error
    except TweencelError as refusal:
        problem = refusal.info()
    assert problem is not None
    assert learned_loop.NETWORKS in problem.text
    assert not studio.frames()
