# SPDX-License-Identifier: GPL-3.0-or-later
"""A checkpoint over a line that breaks, through a real backend, to frames."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from protocol import messages as m
from protocol.jobs import Inbetween, State
from tests.backend.test_server import Client, Serve
from tests.engines.small_tooncrafter import FAST
from tests.fakes.mirror import Manners, Mirror, write_catalogue

from . import narrow, small

JOB = "c" * 32


@pytest.fixture
def mirror(folder: Path) -> Iterator[Mirror]:
    content = small.checkpoint()
    with Mirror(content, Manners(cut_after=len(content) // 4)) as mirror:
        write_catalogue(folder, narrow.offer(narrow.file("model.ckpt", content, mirror.url())))
        yield mirror


@pytest.fixture
def client(tmp_path: Path, mirror: Mirror) -> Iterator[Client]:
    serve = Serve(tmp_path / "home", "--device", "cpu")
    client = Client(serve.endpoint())
    yield client
    client.close()
    serve.process.kill()
    serve.process.communicate()


def key(x: int) -> bytes:
    picture = np.zeros((48, 80, 4), np.uint8)
    cv2.circle(picture, (x, 24), 10, (40, 90, 200, 255), -1, cv2.LINE_AA)
    return cv2.imencode(".png", picture)[1].tobytes()


def test_weights_arrive_are_converted_and_draw(client: Client, mirror: Mirror) -> None:
    before = {spec.id: spec for spec in client.welcome.engines}["tooncrafter"]
    assert "weights missing" in before.unavailable
    digests = tuple(client.upload(key(x)) for x in (20, 60))
    task = Inbetween(keys=digests, gaps=((0.5,),))
    submit = m.Submit(rid=3, job=JOB, engine="tooncrafter", params=dict(FAST), task=task)
    refused = client.ask(submit, m.Error)
    assert "weights missing" in refused.error.text

    client.ask(m.ListWeights(rid=4), m.Weights)
    client.ask(m.FetchWeights(rid=5, name="tooncrafter", agreed="CC0-1.0"), m.Done)
    engines = None
    while engines is None:
        news = client.hear(m.WeightsChanged)
        assert all(offer.error is None for offer in news.offers)
        engines = news.engines
    now = {spec.id: spec for spec in engines}["tooncrafter"]
    assert now.unavailable == ""
    assert len(mirror.asked) >= 4

    client.ask(submit, m.Accepted)
    client.send(m.Subscribe(rid=6, job=JOB))
    made = client.hear(m.FrameMade)
    end = client.hear(m.Status)
    while not end.state.ended:
        end = client.hear(m.Status)
    assert end.state is State.DONE, end.error
    client.ask(m.Get(rid=7, digest=made.digest, offset=0, credit=made.size), m.Data)
    picture = cv2.imdecode(np.frombuffer(client.bodies[0], np.uint8), cv2.IMREAD_UNCHANGED)
    assert picture.shape == (48, 80, 4)
