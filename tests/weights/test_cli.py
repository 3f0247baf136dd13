# SPDX-License-Identifier: GPL-3.0-or-later
"""`tweencel weights` as a user types it, in processes of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fakes.mirror import Manners, Mirror, write_catalogue

from . import narrow

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.usefixtures("folder")


def start(*words: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "backend", "weights", *map(str, words)],
        env={**os.environ, "COLUMNS": "200", "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def weights(*words: object, code: int = 0) -> tuple[str, str]:
    process = start(*words)
    out, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    return out, err


def test_a_licence_is_shown_and_must_be_agreed_to_before_anything_is_fetched(folder: Path) -> None:
    content = narrow.checkpoint()
    with Mirror(content) as mirror:
        write_catalogue(folder, narrow.offer(narrow.file("model.ckpt", content, mirror.url())))
        _, err = weights("get", "tooncrafter", code=2)
        assert "CC0-1.0" in err
        assert "https://narrow.example" in err
        assert "--agree" in err
        assert mirror.asked == []
        out, _ = weights("show", "tooncrafter")
        assert "https://creativecommons.org/publicdomain/zero/1.0" in out
        assert mirror.url() in out
        out, _ = weights("get", "tooncrafter", "--agree", "--json")
        assert json.loads(out)["agreed"] == "CC0-1.0"
    rows = {row["name"]: row for row in map(json.loads, weights("list", "--json")[0].splitlines())}
    assert rows["tooncrafter"]["state"] == "ok"
    assert rows["tooncrafter-sketch"]["state"] == "missing"
    assert rows["tooncrafter-fp16"]["state"] == "tooncrafter is here instead"
    assert rows["rife-4.25"]["state"] == "ok"
    assert "All bytes are right" in weights("verify", "tooncrafter")[0]
    assert "is removed" in weights("remove", "tooncrafter")[0]
    assert "is not here" in weights("remove", "tooncrafter")[0]


def test_a_checkpoint_is_converted_to_files_with_their_digests(folder: Path) -> None:
    path = folder.parent / "model.ckpt"
    path.write_bytes(narrow.checkpoint())
    out, _ = weights("convert", "tooncrafter", path, "--out", folder.parent / "converted")
    lines = [line.split("  ") for line in out.splitlines()]
    assert len(lines) == 6
    for digest, file in lines:
        assert narrow.sha256(Path(file).read_bytes()) == digest
    assert not folder.exists()
    weights("convert", "tooncrafter", path)
    assert (folder / "tooncrafter" / "weights.json").is_file()


@pytest.mark.skipif(sys.platform == "win32", reason="sends a signal")
def test_stopped_by_a_person_it_goes_on_where_it_was(folder: Path) -> None:
    content = narrow.checkpoint()
    with Mirror(content, Manners(pace=0.03)) as mirror:
        write_catalogue(folder, narrow.offer(narrow.file("model.ckpt", content, mirror.url())))
        process = start("get", "tooncrafter", "--agree")
        part = folder / ".fetching" / "tooncrafter" / "model.ckpt.part"
        while not (part.exists() and part.stat().st_size > 200_000):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
        assert process.returncode == 130
        assert "have arrived" in weights("list")[0]
        mirror.manners.pace = 0
        weights("get", "tooncrafter", "--agree")
    assert mirror.asked[0] == ""
    assert mirror.asked[1].startswith("bytes=")


def test_an_unknown_name_is_refused_with_those_there_are() -> None:
    _, err = weights("get", "toonmaker", "--agree", code=2)
    assert "There are: tooncrafter, tooncrafter-fp16" in err


def test_what_is_in_the_package_shows_its_licence_notice_too() -> None:
    out, _ = weights("show", "rife-4.25")
    assert "MIT" in out
    assert "Copyright (c) 2021 hzwer" in out


def test_weights_without_an_address_say_how_to_come_by_them() -> None:
    _, err = weights("get", "3d-cinemagraphy", "--agree", code=3)
    assert "tweencel weights add 3d-cinemagraphy" in err
    assert "https://github.com/xingyi-li/3d-cinemagraphy" in err
