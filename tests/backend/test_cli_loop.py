# SPDX-License-Identifier: GPL-3.0-or-later
"""`tweencel loop` as a user types it: stills and runs in, folders and movies out."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from backend.cli import app
from backend.cli.markings import closed, marked, read_line, read_stroke
from backend.cli.terminal import exit_code
from backend.imaging.codecs import decode, encode
from protocol.errors import BadInput, BadParameter, MissingFile, TweencelError
from protocol.jobs import Point
from tests.backend.test_cli import files, tweencel

SIDES = (48, 64)


@pytest.fixture
def still(tmp_path: Path) -> Path:
    chance = np.random.default_rng(5).random((*SIDES, 4), np.float32)
    path = tmp_path / "still.png"
    path.write_bytes(encode(chance, 8, "RGB"))
    return path


@pytest.fixture
def mask(tmp_path: Path) -> Path:
    sheet = np.zeros((*SIDES, 4), np.float32)
    sheet[10:40, 10:54] = 1
    path = tmp_path / "mask.png"
    path.write_bytes(encode(sheet, 8, "L"))
    return path


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Two and a half turns of a disc that needs 12 frames for one."""
    folder = tmp_path / "run"
    folder.mkdir()
    rows, columns = np.indices(SIDES, np.float32)
    for number in range(30):
        angle = 2 * np.pi * number / 12
        away = np.hypot(rows - 24 - 12 * np.sin(angle), columns - 32 - 16 * np.cos(angle))
        picture = np.full((*SIDES, 4), 0.2, np.float32)
        picture[..., :3] += 0.7 * np.clip(8 - away, 0, 1)[..., None]
        (folder / f"{number}.png").write_bytes(encode(picture, 8, "RGB"))
    return folder


def pixels(path: Path) -> np.ndarray:
    return decode(path.read_bytes()).pixels


def test_a_still_flows_in_its_mask_and_nowhere_else(
    still: Path, mask: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    done = tweencel(
        *("loop", still, "--mask", mask, "--stroke", "20,24,44,24,2", "-n", 8, "--cycles", 1),
        *("--magnitude", 1.5, "--out", out, "--out", tmp_path / "loop.gif"),
    )
    assert done.returncode == 0, done.stderr
    assert files(out) == [*(f"000{n}.png" for n in range(1, 9)), "tweencel.json"]
    outside = pixels(mask)[..., 0] == 0
    frames = [pixels(out / f"000{n}.png") for n in range(1, 9)]
    for frame in frames:
        np.testing.assert_array_equal(frame[outside], pixels(still)[outside])
    np.testing.assert_array_equal(frames[0], pixels(still))
    assert np.abs(frames[4] - frames[0]).max() > 0.1
    with Image.open(tmp_path / "loop.gif") as animation:
        assert (animation.n_frames, animation.info["loop"]) == (8, 0)
    record = json.loads((out / "tweencel.json").read_text())
    assert record["params"]["magnitude"] == 1.5
    assert record["task"]["regions"][0]["strokes"][0]["speed"] == 2


def test_a_layer_is_clear_outside_the_mask_though_the_still_is_not(
    still: Path, mask: Path, tmp_path: Path
) -> None:
    words = ("loop", still, "-m", mask, "--preset", "clouds", "-n", 4, "--layer")
    done = tweencel(*words, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    outside = pixels(mask)[..., 0] == 0
    made = decode((tmp_path / "out" / "0003.png").read_bytes())
    assert made.channels == "RGBA"
    assert not made.pixels[outside, 3].any()
    assert made.pixels[20:30, 25:40, 3].min() == 1


def test_the_best_length_of_a_run_is_found_and_plotted(run: Path, tmp_path: Path) -> None:
    out, plot = tmp_path / "loop.webp", tmp_path / "plot.png"
    done = tweencel(
        "loop", run, "--from", 8, "--to", 20, "--plot", plot, "--set", "edge=0", "-o", out
    )
    assert done.returncode == 0, done.stderr
    assert "The best loop has 12 frames." in done.stdout
    with Image.open(out) as animation:
        assert animation.n_frames == 12
    assert pixels(plot).shape == (540, 960, 4)
    assert files(tmp_path) == ["loop.webp", "plot.png", "run"]


def test_a_movie_is_a_run_and_keeps_its_pace(run: Path, tmp_path: Path) -> None:
    source, out = tmp_path / "source.mp4", tmp_path / "loop.apng"
    assert tweencel("export", run, source, "--fps", 10).returncode == 0
    done = tweencel("loop", source, "-n", 12, "--mode", "fade", "--begin", 4, "-o", out, "--json")
    assert done.returncode == 0, done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert events[-1] == {"files": [str(out)]}
    with Image.open(out) as animation:
        assert (animation.n_frames, animation.info["duration"]) == (12, 100)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("run", "--stroke", "1,1,9,9"), "--stroke is for a still"),
        (("still.png", "--from", "4"), "--from is for a run"),
        (("still.png", "--stroke", "1,1,9"), "goes nowhere"),
        (("still.png", "--preset", "lava"), "does not know"),
        (("still.png", "--mask", "none.png"), "cannot be read"),
        (("run", "--begin", "31"), "start is frame 30 of 30"),
        (("still.png", "-o", "loop.tiff"), "no kind of file"),
        (("nowhere",), "no file or folder"),
    ],
)
@pytest.mark.usefixtures("still", "run")
def test_what_does_not_go_together_is_refused(
    words: tuple[str, ...], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["loop", *words, "-n", "12", "--out", "out"])
    assert isinstance(result.exception, TweencelError)
    assert exit_code(result.exception) in (1, 2)
    assert told in str(result.exception)
    assert not files(tmp_path / "out")


def test_strokes_are_read_with_and_without_a_speed() -> None:
    assert read_stroke("0,0,48,0,3").speed == 3
    bent = read_stroke("0,0,24,0,24,24")
    assert bent.line == (Point(0, 0), Point(24, 0), Point(24, 24))
    assert bent.speed == 2  # the way in 24 frames
    assert read_line("3,4") == (Point(3, 4),)
    for text in ("", "a,b", "1", "1,2", "1,2,3", "nan,0,1,1", "1e9,0,1,1"):
        with pytest.raises(BadParameter):
            read_stroke(text)
    with pytest.raises(BadParameter):
        read_line("1,2,3")


def test_regions_of_a_file_have_strokes_speeds_and_periods_of_their_own(tmp_path: Path) -> None:
    file = tmp_path / "regions.json"
    strokes = [{"line": [[1, 2], [30, 2]], "speed": 1.5}]
    regions = [
        {"mask": "a.png", "strokes": strokes, "period": 20, "speed": 0.5},
        {"mask": "b.png", "motion": "hair", "period": 31},
    ]
    file.write_text(json.dumps({"regions": regions, "anchors": [[[5, 5]]]}))
    first, second = marked([], [], ["1,1"], "clouds", file)
    assert first.mask == tmp_path / "a.png"
    assert first.strokes[0].line == (Point(1, 2), Point(30, 2))
    assert (first.motion, second.motion) == ("clouds", "hair")
    assert first.anchors == second.anchors == ((Point(1, 1),), (Point(5, 5),))
    fitted, closing = closed([first, second], tolerance=5)
    assert closing is not None
    for region, asked in zip(fitted, (20, 31), strict=True):
        assert closing.length / region.period == round(closing.length / region.period)
        assert region.period == pytest.approx(asked, rel=0.05)


def test_a_file_that_is_no_strokes_is_told(tmp_path: Path) -> None:
    file = tmp_path / "strokes.json"
    with pytest.raises(MissingFile):
        marked([], [], [], "auto", file)
    for text in ("[1]", "{", '{"stroke": []}', '{"strokes": [{"line": [], "speed": 1}]}'):
        file.write_text(text)
        with pytest.raises(BadInput, match="strokes"):
            marked([], [], [], "auto", file)


def test_a_run_is_closed_by_in_betweens_and_its_doubled_end_left_out(
    run: Path, tmp_path: Path
) -> None:
    for number in range(10, 30):
        (run / f"{number}.png").unlink()
    (run / "10.png").write_bytes((run / "0.png").read_bytes())  # two steps are lacking
    done = tweencel("loop", run, "--close", 2, "--engine", "crossfade", "-o", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert "it is left out" in done.stdout
    assert files(tmp_path / "out")[:-1] == [f"{n:04d}.png" for n in range(1, 13)]
    for number in range(10):
        np.testing.assert_array_equal(
            pixels(tmp_path / "out" / f"{number + 1:04d}.png"), pixels(run / f"{number}.png")
        )
