# SPDX-License-Identifier: GPL-3.0-or-later
"""`tweencel run` and `tweencel engines` as a user types them, in processes of their own."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

ROOT = Path(__file__).parents[2]


def tweencel(*words: object, path: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "backend", *map(str, words)],
        env={**os.environ, "COLUMNS": "200", "PYTHONPATH": f"{path}:{ROOT}"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


@pytest.fixture
def drawings(tmp_path: Path, keys: list[bytes]) -> list[Path]:
    paths = [tmp_path / f"key {i}.png" for i in range(len(keys))]
    for path, key in zip(paths, keys, strict=True):
        path.write_bytes(key)
    return paths


def run(drawings: list[Path], *words: object) -> subprocess.CompletedProcess[str]:
    out = drawings[0].parent / "out"
    return tweencel("run", *drawings, "--engine", "crossfade", "--out", out, *words)


def test_keys_are_copied_and_the_frames_between_are_made(
    drawings: list[Path], keys: list[bytes]
) -> None:
    done = run(drawings, "-n", "2,1")
    assert done.returncode == 0, done.stderr
    out = drawings[0].parent / "out"
    assert files(out) == [*(f"000{i}.png" for i in range(1, 7)), "tweencel.json"]
    for number, key in zip((1, 4, 6), keys, strict=True):
        assert (out / f"000{number}.png").read_bytes() == key
    middle = cv2.imread(str(out / "0005.png"), cv2.IMREAD_UNCHANGED)
    assert middle.shape == (24, 40, 4)
    assert 0 < middle[12, 15, 3] < 255
    record = json.loads((out / "tweencel.json").read_text())
    assert [row["t"] for row in record["drawings"]] == pytest.approx([0, 1 / 3, 2 / 3, 0, 0.5, 0])
    assert "2/3" not in done.stdout
    assert "3 in-betweens, 6 drawings" in done.stdout


def test_a_job_file_says_the_same(drawings: list[Path]) -> None:
    folder = drawings[0].parent
    run(drawings, "-n", "2,1", "--spacing", "slow_out")
    job = folder / "job.toml"
    job.write_text(
        'keys = ["key 0.png", "key 1.png", "key 2.png"]\nkey_frames = [1, 4, 6]\n'
        'spacing = "slow_out"\nengine = "crossfade"\nout = "from file"\n'
    )
    done = tweencel("run", job)
    assert done.returncode == 0, done.stderr
    for name in files(folder / "out")[:-1]:
        assert (folder / "out" / name).read_bytes() == (folder / "from file" / name).read_bytes()


def test_json_lines_tell_machines_what_happens(drawings: list[Path]) -> None:
    done = run(drawings[:2], "-n", 1, "--json")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert [event["state"] for event in events if event["type"] == "status"] == ["running", "done"]
    assert [event["index"] for event in events if event["type"] == "frame_made"] == [0]


def huge_png() -> bytes:
    head = b"IHDR" + struct.pack(">IIBBBBB", 30_000, 30_000, 8, 6, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n\0\0\0\x0d" + head + struct.pack(">I", zlib.crc32(head))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot be read"),
        (b"Dear diary", "not a picture"),
        (b"", "empty"),
        (huge_png(), "30000 x 30000"),
        (cv2.imencode(".png", np.zeros((24, 41, 4), np.uint8))[1].tobytes(), "41 x 24"),
    ],
    ids=["missing", "text", "empty", "huge", "another size"],
)
def test_a_bad_key_is_refused_by_name_and_nothing_is_written(
    drawings: list[Path], content: bytes | None, words: str
) -> None:
    if content is None:
        drawings[1].unlink()
    else:
        drawings[1].write_bytes(content)
    done = run(drawings)
    assert done.returncode == 2
    assert "key 1.png" in done.stderr
    assert words in done.stderr
    assert len(done.stderr.strip().splitlines()) == 2, "what happened, then what to do"
    assert files(drawings[0].parent / "out") == []


@pytest.mark.parametrize(
    ("count", "options", "words"),
    [
        (1, (), "1 key"),
        (2, ("-n", 0), "No in-between"),
        (3, ("-n", "1,2,3"), "2 gaps"),
        (2, ("-n", "many"), "not a number"),
        (2, ("-n", "-1"), "negative"),
        (2, ("--engine", "nobody"), "no engine called"),
        (2, ("--set", "level=3"), "not a setting"),
    ],
)
def test_a_job_that_makes_no_sense_is_refused_with_what_to_do(
    drawings: list[Path], count: int, options: tuple, words: str
) -> None:
    done = run(drawings[:count], *options)
    assert done.returncode == 2
    assert words in done.stderr
    assert len(done.stderr.strip().splitlines()) == 2
    assert files(drawings[0].parent / "out") == []


def test_a_broken_picture_behind_a_good_header_fails_its_job(
    drawings: list[Path], keys: list[bytes]
) -> None:
    drawings[1].write_bytes(keys[1][: len(keys[1]) // 2])
    done = run(drawings[:2])
    assert done.returncode in (1, 2)
    assert "Key 2" in done.stderr


def test_files_that_are_there_are_not_replaced_unless_told(drawings: list[Path]) -> None:
    assert run(drawings[:2]).returncode == 0
    again = run(drawings[:2])
    assert again.returncode == 2
    assert "--overwrite" in again.stderr
    assert run(drawings[:2], "--overwrite").returncode == 0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("keys = 3", "keys"),
        ('keys = ["a.png", "b.png"]', "once"),
        ('keys = ["a.png", "b.png"]\ninbetweens = 1\nfps = 3', "fps"),
        ("[", "not a job"),
    ],
)
def test_a_job_file_with_a_mistake_is_refused_by_name(
    tmp_path: Path, text: str, words: str
) -> None:
    job = tmp_path / "job.toml"
    job.write_text(text)
    done = tweencel("run", job)
    assert done.returncode == 2
    assert words in done.stderr


def test_engines_are_listed_with_the_embedded_default_first() -> None:
    specs = [json.loads(line) for line in tweencel("engines", "--json").stdout.splitlines()]
    assert specs[0]["id"] == "rife"
    assert "crossfade" in {spec["id"] for spec in specs}
    assert all(weights["licence"] for spec in specs for weights in spec["weights"])
    assert "rife" in tweencel("engines").stdout


def test_a_plugged_in_engine_is_listed_too(plugin_path: str) -> None:
    assert '"abusive"' in tweencel("engines", "--json", path=plugin_path).stdout


def test_times_may_be_given_themselves(drawings: list[Path]) -> None:
    done = run(drawings, "--spacing", "0.1,0.35,0.8", "--even-motion", "--step", 2, "--ping-pong")
    assert done.returncode == 0, done.stderr
    record = json.loads((drawings[0].parent / "out" / "tweencel.json").read_text())
    times = [0, 0.1, 0.35, 0.8]
    assert [row["t"] for row in record["drawings"]][:9] == [*times, *times, 0]
    assert len(record["drawings"]) == 16
    assert record["even_motion"] is True
    assert record["drawings"][1]["frame"] == 3


@pytest.mark.parametrize("spacing", ["fast", "0.5,0.2", "0,0.5", "nan"])
def test_a_spacing_that_is_none_is_refused_with_those_there_are(
    drawings: list[Path], spacing: str
) -> None:
    done = run(drawings, "--spacing", spacing)
    assert done.returncode == 2
    assert "slow_in_out" in done.stderr
