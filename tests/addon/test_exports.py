# SPDX-License-Identifier: GPL-3.0-or-later
"""Exports by the local program: names, what it says, and what is left when it is stopped."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from blender_addon.exports import Export, target_of
from protocol.errors import BackendFailure, BackendNotFound


@pytest.mark.parametrize(
    ("given", "kind", "wanted"),
    [
        ("film", "MP4", "film.mp4"),
        ("film.mp4", "GIF", "film.gif"),
        ("film.v2.mp4", "WEBM", "film.v2.webm"),
        ("film_####.png", "EXR", "film_####.exr"),
        ("film", "PNG", "film_####.png"),
    ],
)
def test_a_target_ends_as_its_kind_asks(given: str, kind: str, wanted: str) -> None:
    assert target_of(Path("out", given), kind) == Path("out", wanted)


def program(folder: Path, body: str) -> Path:
    path = folder / "program"
    path.write_text(f"#!{sys.executable}\nimport sys, time\n{body}\n")
    path.chmod(0o755)
    return path


def ended(export: Export) -> bool:
    end = time.monotonic() + 20
    while not export.poll():
        assert time.monotonic() < end, "it never ended"
        time.sleep(0.01)
    return True


@pytest.mark.skipif(sys.platform == "win32", reason="the program is a script")
def test_the_program_is_told_what_to_write(tmp_path: Path) -> None:
    note = tmp_path / "note.txt"
    told = program(tmp_path, f"open({str(note)!r}, 'w').write(' '.join(sys.argv[1:]))")
    assert ended(Export(told, tmp_path, tmp_path / "x.gif", "24", 3))
    wanted = f"export {tmp_path} {tmp_path / 'x.gif'} --fps 24 --times 3 --overwrite --json"
    assert note.read_text() == wanted


@pytest.mark.skipif(sys.platform == "win32", reason="the program is a script")
def test_what_the_program_says_is_told(tmp_path: Path) -> None:
    said = (
        """sys.exit(print('{"text": "It is full.", "fix": "Make room."}', file=sys.stderr) or 2)"""
    )
    with pytest.raises(BackendFailure, match="It is full") as caught:
        ended(Export(program(tmp_path, said), tmp_path, tmp_path / "x.gif", "24", None))
    assert caught.value.fix == "Make room."
    silent = program(tmp_path, "sys.exit(3)")
    with pytest.raises(BackendFailure, match="it left no word"):
        ended(Export(silent, tmp_path, tmp_path / "x.gif", "24", None))


def test_a_program_that_cannot_be_run_is_told(tmp_path: Path) -> None:
    with pytest.raises(BackendNotFound, match="cannot be run"):
        Export(tmp_path / "gone", tmp_path, tmp_path / "x.gif", "24", None)


@pytest.mark.skipif(sys.platform == "win32", reason="the program is a script")
def test_an_export_is_ended_at_once(tmp_path: Path) -> None:
    export = Export(program(tmp_path, "time.sleep(60)"), tmp_path, tmp_path / "x.gif", "24", None)
    assert not export.poll()
    export.stop()
