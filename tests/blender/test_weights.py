# SPDX-License-Identifier: GPL-3.0-or-later
"""Missing weights in the panels: what is told, agreed to, shown, stopped, and available at last."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import bpy
import msgspec
import pytest

from blender_addon import live
from blender_addon.operators.fetch_weights import TWEENCEL_OT_fetch_weights
from blender_addon.panels.engine_menu import TWEENCEL_MT_engine
from blender_addon.panels.inbetween import TWEENCEL_PT_inbetween
from blender_addon.panels.weights import TWEENCEL_PT_weights
from protocol.messages import FetchWeights, WeightsState
from tests.blender.stage import Recorder, Stage, stage
from tests.blender.test_panels import draw, said
from tests.fakes.backend import ENGINE
from tests.fakes.weights import ABLE, LACKING, OFFERS, TOON


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Stage]:
    with stage(tmp_path) as at:
        at.backend.offers = dict(OFFERS)
        at.backend.engines = (ENGINE, LACKING)
        system = bpy.context.preferences.system
        before, system.use_online_access = system.use_online_access, True
        at.connect()
        at.pump(lambda: bool(at.live.session.supply.offers))
        yield at
        system.use_online_access = before


def pump(at: Stage) -> None:
    for _ in range(5):
        live.beat()


def test_an_engine_without_weights_is_greyed_and_offers_the_download(at: Stage) -> None:
    drawn = draw(TWEENCEL_MT_engine)
    assert "Toon: weights missing: toon" in drawn.texts
    assert "Download Toon 512 (10.5 GB)..." in drawn.texts
    assert drawn.verbs.count("tweencel.fetch_weights") == 2


def test_below_a_chosen_engine_stands_only_what_it_cannot_do_without(at: Stage) -> None:
    at.settings.engine = "toon"
    drawn = draw(TWEENCEL_PT_inbetween)
    assert "weights missing: toon" in " ".join(drawn.texts)
    assert drawn.verbs.count("tweencel.fetch_weights") == 1
    assert "Sketches" not in drawn.texts
    assert "Sketches" in draw(TWEENCEL_PT_weights).texts
    at.settings.engine = "echo"
    assert "tweencel.fetch_weights" not in draw(TWEENCEL_PT_inbetween).verbs


def test_of_several_downloads_of_the_same_one_is_enough(at: Stage) -> None:
    at.settings.engine = "toon"
    assert "is enough" not in said(TWEENCEL_PT_inbetween)
    at.backend.offers["other"] = msgspec.structs.replace(TOON, name="other")
    at.live.disconnect()
    at.connect()
    pump(at)
    assert "One download of the same is enough" in said(TWEENCEL_PT_inbetween)
    assert draw(TWEENCEL_PT_inbetween).verbs.count("tweencel.fetch_weights") == 2


def test_the_dialog_shows_licence_size_source_and_asks_to_agree(at: Stage) -> None:
    dialog = Recorder()
    shown = type("Shown", (), {"layout": dialog, "name": "toon-fp16"})()
    TWEENCEL_OT_fetch_weights.draw(shown, bpy.context)
    text = " ".join(dialog.texts)
    for said_ in ("Toon 512", "MIT", "10.5 GB", "5.1 GB", "files.example", "By somebody"):
        assert said_ in text
    assert dialog.verbs == ["wm.url_open", "wm.url_open"]
    assert dialog.settings == ["agree"]


def test_nothing_is_downloaded_without_agreeing(at: Stage) -> None:
    with pytest.raises(RuntimeError, match="not agreed to"):
        bpy.ops.tweencel.fetch_weights(name="toon-fp16")
    assert at.backend.said(FetchWeights) == []


def test_nothing_is_downloaded_while_blender_is_offline(at: Stage) -> None:
    bpy.context.preferences.system.use_online_access = False
    with pytest.raises(RuntimeError, match=r"stay offline.*Allow Online Access"):
        bpy.ops.tweencel.fetch_weights(name="toon-fp16", agree=True)
    pump(at)
    assert at.backend.said(FetchWeights) == []


def test_weights_that_the_backend_does_not_offer_are_said_so(at: Stage) -> None:
    with pytest.raises(RuntimeError, match="does not offer"):
        bpy.ops.tweencel.fetch_weights(name="other", agree=True)


def test_a_download_shows_its_progress_can_be_stopped_and_makes_the_engine_available(
    at: Stage,
) -> None:
    at.settings.engine = "toon"
    bpy.ops.tweencel.fetch_weights(name="toon-fp16", agree=True)
    pump(at)
    at.backend.stand(
        "toon-fp16", state=WeightsState.FETCHING, phase="downloading", done=2**30, total=2**32
    )
    pump(at)
    drawn = draw(TWEENCEL_PT_inbetween)
    (bar,) = [named for kind, named in drawn.drawn if kind == "progress"]
    assert bar["factor"] == pytest.approx(0.25)
    assert bar["text"] == "Downloading, 1.1 GB of 4.3 GB"
    assert "tweencel.stop_weights" in drawn.verbs
    assert "Toon 512: Downloading, 1.1 GB of 4.3 GB" in draw(TWEENCEL_MT_engine).texts
    bpy.ops.tweencel.stop_weights(name="toon-fp16")
    pump(at)
    assert "Download (10.5 GB, 1.1 GB are here)..." in said(TWEENCEL_PT_inbetween)
    bpy.ops.tweencel.fetch_weights(name="toon-fp16", agree=True)
    at.backend.engines = (ENGINE, ABLE)
    at.backend.stand("toon-fp16", news=True, state=WeightsState.INSTALLED)
    pump(at)
    drawn = draw(TWEENCEL_PT_inbetween)
    assert "tweencel.fetch_weights" not in drawn.verbs
    assert "weights missing" not in " ".join(drawn.texts)
    at.add_keys(1, 4)
    bpy.ops.tweencel.generate()
    at.pump(lambda: at.work.job.stage.ended)
    assert at.work.job.engine == "toon"


def test_a_failed_download_says_why_and_can_be_tried_again(at: Stage) -> None:
    from protocol.errors import WeightsFailed

    error = WeightsFailed("The line broke.").info()
    at.backend.stand("toon-fp16", state=WeightsState.FAILED, error=error)
    pump(at)
    text = said(TWEENCEL_PT_weights)
    assert "The line broke." in text
    assert "what has arrived is kept" in text
    assert "tweencel.fetch_weights" in draw(TWEENCEL_PT_weights).verbs


def test_without_missing_weights_there_is_no_panel_of_them(at: Stage) -> None:
    assert TWEENCEL_PT_weights.poll(bpy.context)
    at.live.disconnect()
    assert not TWEENCEL_PT_weights.poll(bpy.context)
    assert TOON.name in OFFERS
