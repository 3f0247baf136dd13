# SPDX-License-Identifier: GPL-3.0-or-later
"""`tweencel export` as a program calls it: one line in, one exit code out."""

from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner

from backend.cli import app
from protocol.errors import BadInput
from tests.backend.test_cli import files, tweencel


def folder_of(keys: list[bytes], folder: Path) -> Path:
    folder.mkdir()
    for number, key in enumerate(keys, 1):
        (folder / f"loop_{number}.png").write_bytes(key)
    return folder


def test_a_folder_becomes_a_movie_and_a_movie_a_folder(keys: list[bytes], tmp_path: Path) -> None:
    source = folder_of(keys, tmp_path / "run")
    done = tweencel("export", source, tmp_path / "a.mp4", "--fps", "23.976", "--times", 2)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"3 frames in {tmp_path / 'a.mp4'}\n"
    done = tweencel("export", tmp_path / "a.mp4", tmp_path / "back", "--json")
    assert done.returncode == 0, done.stderr
    assert files(tmp_path / "back") == [f"000{n}.png" for n in range(1, 7)]
    assert [Path(f).name for f in json.loads(done.stdout)["files"]] == files(tmp_path / "back")


def test_what_is_wrong_ends_with_two_and_says_why(keys: list[bytes], tmp_path: Path) -> None:
    source = folder_of(keys, tmp_path / "run")
    done = tweencel("export", source, tmp_path / "a.bmp")
    assert done.returncode == 2
    assert "tells no kind of file" in done.stderr
    for words, told in (
        ((tmp_path / "nowhere", tmp_path / "a.gif"), "no file or folder"),
        ((source, tmp_path / "a.mp4", "--times", 0), "for ever"),
        ((source, tmp_path / "a.gif", "--fps", "fast"), "frames a second"),
        ((source, tmp_path / "a.mp4", "--under", "red"), "no colour"),
    ):
        result = CliRunner().invoke(app, ["export", *map(str, words)])
        assert isinstance(result.exception, BadInput)
        assert told in str(result.exception)
    assert files(tmp_path) == ["run"]
