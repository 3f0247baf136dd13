# SPDX-License-Identifier: GPL-3.0-or-later
"""`tweencel bench loops` in small: it measures, judges and draws what it measured."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from backend.bench import runs, stills
from backend.bench.scenes import Scene
from backend.cli import app
from backend.imaging.codecs import encode
from tests.imaging.moving_stills import box, texture


def test_a_run_of_known_periods_is_measured() -> None:
    scene = Scene([((20, 10, 60, 50), 9), ((20, 70, 60, 110), 13)], 40, 0.02, 0.005, (80, 120))
    sample = runs.Sample("small", 40, scene.frame, scene.mask(), (9, 13), (26, 26))
    row, frames = runs.score(sample)
    assert (row.found, row.length, len(frames)) == ((9, 13), 26, 26)
    assert row.misses == []
    assert row.seam < row.cut


def test_a_run_that_misses_is_told_which_bar() -> None:
    row = runs.Row("x", "1x1", (9,), (8,), 9, seam=1.2, cut=3.0, static=1, seconds=0.1)
    assert row.misses == ["period", "seam", "static"]
    assert str(row).endswith("period seam static")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A still of text2cinemagraph's kind, and a cycle of four drawings."""
    still = tmp_path / "samples" / "falls"
    still.mkdir(parents=True)
    (still / "0.png").write_bytes(encode(texture(60, 80), 8, "RGB"))
    mask = np.dstack((*(3 * [box(60, 80, 10, 20, 50, 60)]), np.ones((60, 80), np.float32)))
    (still / "mask_all.png").write_bytes(encode(mask, 8, "L"))
    names = [f"{number}.png" for number in range(4)]
    for number, name in enumerate(names):
        (tmp_path / "samples" / name).write_bytes(encode(texture(40, 60, number), 8, "RGB"))
    items = {"items": [{"id": "four", "frames": names, "period": 4, "fps": 8}]}
    (tmp_path / "samples" / "manifest.json").write_text(json.dumps(items))
    return tmp_path / "samples"


def test_samples_of_a_folder_are_measured_and_drawn(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = ["bench", "loops", str(folder), "--only", "all|four", "--out", str(out)]
    result = CliRunner().invoke(app, words)
    assert result.exit_code in (0, 1)
    assert "60 frames:" in result.output  # memory, as the length grows
    assert "missed: " in result.output
    names = sorted(path.name for path in out.iterdir())
    assert names == ["run_four.gif", "run_four.png", "still_all.gif", "still_all.png"]
    with Image.open(out / "still_all.gif") as animation:
        assert (animation.n_frames, animation.info["loop"]) == (60, 0)
    with Image.open(out / "run_four.png") as sheet:
        assert sheet.size == (180, 120)


def test_every_bar_of_a_still_is_judged() -> None:
    good = stills.seam.Measures(seam=1.0, roughness=1.0, detail=0.95, pulse=0.0, static=0)
    bad = stills.seam.Measures(seam=1.2, roughness=1.0, detail=0.7, pulse=0.0, static=3)
    plain = stills.seam.Measures(seam=1.3, roughness=1.0, detail=0.6, pulse=0.0, static=0)
    row = stills.Row("x", "1x1", good, plain, 0.5, 1.0, 1.0, 2.0, 0)
    assert row.misses == []
    row = stills.Row("x", "1x1", bad, plain, 0.5, 7.0, 1.0, 2.0, 0)
    assert row.misses == ["seam", "detail", "gain", "static", "splat", "seconds"]
