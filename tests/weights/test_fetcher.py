# SPDX-License-Identifier: GPL-3.0-or-later
"""A real backend fetches weights for its clients, and answers everybody meanwhile."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from protocol import messages as m
from protocol.endpoint import parse_endpoint
from protocol.messages import WeightsState
from tests.backend.test_server import Client, Serve
from tests.fakes.mirror import Manners, Mirror, write_catalogue

from . import narrow

ROOT = Path(__file__).parents[2]
SLOW = 0.05


@pytest.fixture
def mirror(folder: Path) -> Iterator[Mirror]:
    """Serves a narrow checkpoint, slowly, as the offer `tooncrafter`."""
    content = narrow.checkpoint()
    with Mirror(content, Manners(pace=SLOW)) as mirror:
        write_catalogue(folder, narrow.offer(narrow.file("model.ckpt", content, mirror.url())))
        yield mirror


@pytest.fixture
def serve(tmp_path: Path, mirror: Mirror) -> Iterator[Serve]:
    serve = Serve(tmp_path / "home")
    yield serve
    serve.process.kill()
    serve.process.communicate()


@pytest.fixture
def client(serve: Serve) -> Iterator[Client]:
    client = Client(serve.endpoint())
    yield client
    client.close()


def listed(client: Client, name: str = "tooncrafter") -> m.WeightsOffer:
    offers = client.ask(m.ListWeights(rid=2), m.Weights).offers
    return next(offer for offer in offers if offer.name == name)


def until(client: Client, state: WeightsState, phase: str = "") -> m.WeightsChanged:
    """The first news that the narrow checkpoint stands so."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        news = client.hear(m.WeightsChanged)
        for offer in news.offers:
            if offer.name == "tooncrafter" and offer.state is state and phase in offer.phase:
                return news
    raise AssertionError(f"never {state} {phase}")


def fetch(client: Client, agreed: str = "CC0-1.0") -> None:
    client.ask(m.FetchWeights(rid=5, name="tooncrafter", agreed=agreed), m.Done)


def refused(client: Client, request: m.Message) -> str:
    return client.ask(request, m.Error).error.code


def test_weights_are_fetched_for_a_client_while_the_backend_answers_others(
    serve: Serve, client: Client, mirror: Mirror
) -> None:
    offer = listed(client)
    assert (offer.state, offer.licence, offer.hosts) == ("missing", "CC0-1.0", ("127.0.0.1",))
    fetch(client)
    (half,) = until(client, WeightsState.FETCHING, "downloading").offers
    assert 0 < half.total == len(mirror.content)
    other = Client(serve.endpoint())
    slowest = 0.0
    for _ in range(20):
        began = time.monotonic()
        other.ask(m.Ping(rid=9), m.Pong)
        slowest = max(slowest, time.monotonic() - began)
    assert slowest < 1
    # the other one sees it too, and asking again begins nothing
    assert listed(other).state is WeightsState.FETCHING
    fetch(other)
    mirror.manners.pace = 0
    news = until(client, WeightsState.INSTALLED)
    assert news.engines is not None
    until(other, WeightsState.INSTALLED)
    assert mirror.asked == [""]
    fetch(client)
    assert listed(client).state is WeightsState.INSTALLED
    other.close()


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (m.FetchWeights(rid=3, name="tooncrafter", agreed=""), "not_agreed"),
        (m.FetchWeights(rid=3, name="../../etc", agreed="MIT"), "bad_input"),
        (m.FetchWeights(rid=3, name="3d-cinemagraphy", agreed="Apache-2.0"), "weights_failed"),
    ],
    ids=["not agreed", "unknown", "without an address"],
)
def test_what_cannot_be_fetched_is_refused(
    client: Client, mirror: Mirror, request_: m.Message, code: str
) -> None:
    assert refused(client, request_) == code
    assert mirror.asked == []


def test_a_stopped_download_keeps_what_has_arrived_and_goes_on_there(
    client: Client, mirror: Mirror
) -> None:
    listed(client)
    fetch(client)
    until(client, WeightsState.FETCHING, "downloading")
    client.ask(m.StopWeights(rid=6, name="tooncrafter"), m.Done)
    news = until(client, WeightsState.MISSING)
    assert news.offers[0].error is None
    assert news.offers[0].done > 0
    mirror.manners.pace = 0
    fetch(client)
    until(client, WeightsState.INSTALLED)
    assert mirror.asked[1].startswith("bytes=")


def test_a_failure_is_told_with_what_to_do_and_can_be_tried_again(
    client: Client, mirror: Mirror
) -> None:
    mirror.manners = Manners(status=404)
    listed(client)
    fetch(client)
    news = until(client, WeightsState.FAILED)
    error = news.offers[0].error
    assert error is not None
    assert "404" in error.text
    assert error.fix
    mirror.manners = Manners()
    fetch(client)
    until(client, WeightsState.INSTALLED)


def test_a_killed_backend_leaves_no_downloader_and_the_next_one_goes_on(
    serve: Serve, client: Client, mirror: Mirror, folder: Path, tmp_path: Path
) -> None:
    mirror.manners.pace = 0.2
    listed(client)
    fetch(client)
    part = folder / ".fetching" / "tooncrafter" / "model.ckpt.part"
    until(client, WeightsState.FETCHING, "downloading")
    serve.process.kill()
    serve.process.communicate()
    time.sleep(1)
    held = part.stat().st_size
    time.sleep(1)
    assert part.stat().st_size == held, "the downloader has outlived its backend"
    mirror.manners.pace = 0
    serve.file.unlink()
    again = Serve(tmp_path / "home")
    try:
        other = Client(again.endpoint())
        assert listed(other).done == held
        fetch(other)
        until(other, WeightsState.INSTALLED)
        other.close()
    finally:
        again.process.kill()
        again.process.communicate()
    assert mirror.asked[-1] == f"bytes={held}-"


def test_weights_that_the_shell_installs_are_told_to_clients(
    client: Client, mirror: Mirror
) -> None:
    mirror.manners.pace = 0
    listed(client)
    words = [sys.executable, "-m", "backend", "weights"]
    subprocess.run(
        [*words, "get", "tooncrafter", "--agree", "--json"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        timeout=60,
    )
    assert until(client, WeightsState.INSTALLED).engines is not None
    subprocess.run([*words, "remove", "tooncrafter"], cwd=ROOT, check=True, capture_output=True)
    assert until(client, WeightsState.MISSING).engines is not None


def test_paired_clients_may_be_kept_from_fetching(tmp_path: Path, mirror: Mirror) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "config.toml").write_text("clients_may_fetch = false\n")
    serve = Serve(home)
    try:
        local = Client(serve.endpoint())
        paired = local.ask(m.Pair(rid=3, name="attic"), m.Paired)
        attic = Client(parse_endpoint(paired.endpoint))
        assert listed(attic).state is WeightsState.MISSING
        request = m.FetchWeights(rid=4, name="tooncrafter", agreed="CC0-1.0")
        assert refused(attic, request) == "not_allowed"
        fetch(local)
        for client in (attic, local):
            client.close()
    finally:
        serve.process.kill()
        serve.process.communicate()
