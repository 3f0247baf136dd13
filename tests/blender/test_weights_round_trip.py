# SPDX-License-Identifier: GPL-3.0-or-later
"""From "weights missing" to frames on the timeline, in real Blender with a real backend."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import bpy
import pytest

from blender_addon import param_props
from blender_addon.ledger import Stage as JobStage
from blender_addon.panels.inbetween import TWEENCEL_PT_inbetween
from blender_addon.panels.weights import TWEENCEL_PT_weights
from protocol.messages import WeightsState
from tests.blender.stage import Stage, shown_names
from tests.blender.test_panels import draw, said
from tests.blender.test_round_trip import at, pytestmark, start
from tests.fakes.mirror import Manners, Mirror, file, offer, write_catalogue

__all__ = ["at", "pytestmark"]
SMALL = os.environ.get("TWEENCEL_SMALL_CHECKPOINT", "")
FAST = {"steps": 1, "size": 25, "guidance": 1.0}


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirror]:
    """Serves a small checkpoint over a line that breaks, as the offer `tooncrafter`."""
    monkeypatch.setenv("TWEENCEL_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    content = Path(SMALL).read_bytes()
    with Mirror(content, Manners(cut_after=len(content) // 4)) as mirror:
        file_ = file("model.ckpt", content, mirror.url())
        write_catalogue(tmp_path / "weights", offer(file_))
        yield mirror


@pytest.mark.skipif(not SMALL, reason="TWEENCEL_SMALL_CHECKPOINT names no checkpoint")
def test_missing_weights_are_downloaded_and_draw_onto_the_timeline(
    mirror: Mirror, at: Stage
) -> None:
    bpy.context.preferences.system.use_online_access = True
    start(at)
    supply = at.live.session.supply
    at.pump(lambda: bool(supply.offers))
    at.settings.engine = "tooncrafter"
    assert "weights missing: tooncrafter" in said(TWEENCEL_PT_inbetween)
    at.add_keys(1, 3, width=64, height=40)
    with pytest.raises(RuntimeError, match="weights missing"):
        bpy.ops.tweencel.generate()

    bpy.ops.tweencel.fetch_weights(name="tooncrafter", agree=True)
    at.pump(lambda: supply.offers["tooncrafter"].state is WeightsState.FETCHING)
    assert "tweencel.stop_weights" in draw(TWEENCEL_PT_weights).verbs
    at.pump(lambda: supply.offers["tooncrafter"].state is WeightsState.INSTALLED)
    assert len(mirror.asked) >= 4
    assert "weights missing" not in said(TWEENCEL_PT_inbetween)

    engine = next(engine for engine in at.live.engines if engine.id == "tooncrafter")
    for row in param_props.rows(at.settings, engine):
        name = row.path.removeprefix('["set_').removesuffix('"]')
        if name in FAST:
            at.settings.engines["tooncrafter"][f"set_{name}"] = FAST[name]
    bpy.ops.tweencel.generate()
    at.pump(lambda: at.work.job.stage.ended, seconds=90)
    assert at.work.job.error is None
    assert at.work.job.stage is JobStage.DONE
    assert shown_names(at.result) == ["hop_0001.png", "hop_0002.png", "hop_0002.png"]
