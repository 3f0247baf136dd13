# SPDX-License-Identifier: GPL-3.0-or-later
"""What the client knows of the backend's weights, through a session and a backend in memory."""

from __future__ import annotations

import pytest

from blender_addon.wording import offer_rows, weights_view
from protocol.errors import BadInput, NotAllowed, WeightsFailed
from protocol.messages import FetchWeights, ListWeights, StopWeights, WeightsState
from tests.addon.bench import Bench
from tests.fakes.backend import ENDPOINT, ENGINE, FakeBackend
from tests.fakes.weights import ABLE, LACKING, OFFERS, TOON


@pytest.fixture
def offering(bench: Bench, backend: FakeBackend) -> Bench:
    backend.offers = dict(OFFERS)
    backend.engines = (ENGINE, LACKING)
    bench.session.connect(ENDPOINT)
    pump(bench)
    return bench


def pump(bench: Bench) -> None:
    for _ in range(5):
        bench.session.tick()


def test_a_backend_that_knows_of_no_weights_is_not_asked(
    bench: Bench, backend: FakeBackend
) -> None:
    bench.session.connect(ENDPOINT)
    pump(bench)
    assert backend.said(ListWeights) == []
    with pytest.raises(BadInput, match="does not offer"):
        bench.session.supply.fetch("toon-fp16")


def test_what_an_engine_lacks_is_found_the_needed_first(offering: Bench) -> None:
    supply = offering.session.supply
    assert [offer.name for offer in supply.wanted_by(LACKING)] == ["toon-fp16", "sketch"]
    assert [offer.name for offer in supply.wanted_by(ABLE)] == ["sketch"]
    assert supply.wanted_by(ENGINE) == []


def test_a_download_is_asked_for_with_its_licence_followed_and_stopped(
    offering: Bench, backend: FakeBackend
) -> None:
    supply = offering.session.supply
    supply.fetch("toon-fp16")
    pump(offering)
    (asked,) = backend.said(FetchWeights)
    assert isinstance(asked, FetchWeights)
    assert (asked.name, asked.agreed) == ("toon-fp16", "MIT")
    assert weights_view(supply, supply.offers["toon-fp16"]).status == "Waiting for another download"
    backend.stand(
        "toon-fp16",
        state=WeightsState.FETCHING,
        phase="downloading",
        done=2_100_000_000,
        total=10_500_000_000,
        left=600.0,
    )
    pump(offering)
    view = weights_view(supply, supply.offers["toon-fp16"])
    assert view.status == "Downloading, 2.1 GB of 10.5 GB, about 10 min left"
    assert view.fraction == pytest.approx(0.2)
    assert (view.can_fetch, view.can_stop) == (False, True)
    assert supply.busy
    supply.stop("toon-fp16")
    pump(offering)
    assert len(backend.said(StopWeights)) == 1
    view = weights_view(supply, supply.offers["toon-fp16"])
    assert view.status == "10.5 GB, 2.1 GB are here"
    assert view.can_fetch
    assert not supply.busy


def test_an_engine_becomes_available_without_a_new_connection(
    offering: Bench, backend: FakeBackend
) -> None:
    welcomed: list[bool] = []
    offering.session.on_welcome = lambda welcome: welcomed.append(True)
    backend.engines = (ENGINE, ABLE)
    backend.stand("toon-fp16", news=True, state=WeightsState.INSTALLED)
    pump(offering)
    assert offering.session.engines == (ENGINE, ABLE)
    assert welcomed == [True]
    view = weights_view(offering.session.supply, backend.offers["toon-fp16"])
    assert (view.status, view.can_fetch, view.can_stop) == ("Installed", False, False)


def test_a_refused_or_failed_download_says_why_until_it_is_tried_again(
    offering: Bench, backend: FakeBackend
) -> None:
    supply = offering.session.supply
    backend.refuse_weights = NotAllowed("Only who looks after the backend may ask for that.")
    supply.fetch("toon-fp16")
    pump(offering)
    view = weights_view(supply, TOON)
    assert "Only who looks after" in view.lines[0].text
    assert view.can_fetch
    backend.refuse_weights = None
    supply.fetch("toon-fp16")
    pump(offering)
    assert weights_view(supply, supply.offers["toon-fp16"]).lines == []
    error = WeightsFailed("The line broke.").info()
    backend.stand("toon-fp16", state=WeightsState.FAILED, error=error)
    pump(offering)
    lines = weights_view(supply, supply.offers["toon-fp16"]).lines
    assert [line.text for line in lines] == ["The line broke.", error.fix]


def test_nothing_is_known_without_a_backend_and_all_is_asked_anew_with_the_next(
    offering: Bench, backend: FakeBackend
) -> None:
    offering.session.disconnect()
    assert offering.session.supply.offers == {}
    offering.session.connect(ENDPOINT)
    pump(offering)
    assert set(offering.session.supply.offers) == set(OFFERS)
    backend.cut()
    backend.mend()
    pump(offering)
    assert len(backend.said(ListWeights)) == 3


def test_the_dialog_names_licence_size_source_and_place() -> None:
    assert offer_rows(TOON, "tcp://box:1") == [
        ("Licence", "MIT"),
        ("Download", "10.5 GB"),
        ("On Disk", "5.1 GB"),
        ("From", "files.example"),
        ("To", "tcp://box:1"),
    ]
