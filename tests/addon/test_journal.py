# SPDX-License-Identifier: GPL-3.0-or-later
"""The notes of open jobs: whole or not there, and in one pair of hands at a time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from blender_addon.journal import Journal

ROOT = Path(__file__).parents[2]
HOLDS_A_JOB = """
import sys, time
from pathlib import Path
from blender_addon.journal import Journal
journal = Journal(Path(sys.argv[1]))
journal.keep("aa", b"note")
print("held", flush=True)
time.sleep(60)
"""


def every(note: bytes) -> bool:
    return True


def test_a_note_is_held_by_one_session_until_it_lets_go(tmp_path: Path) -> None:
    first, second = Journal(tmp_path), Journal(tmp_path)
    first.keep("aa", b"note")
    assert list(second.claim(every)) == []
    first.close()
    assert list(second.claim(every)) == [("aa", b"note")]
    assert list(first.claim(every)) == []
    second.drop("aa")
    assert list(tmp_path.iterdir()) == []
    assert list(first.claim(every)) == []


def test_a_note_of_a_process_that_was_killed_is_taken_over(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLDS_A_JOB, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        journal = Journal(tmp_path)
        assert list(journal.claim(every)) == []
        other.send_signal(signal.SIGKILL)
        other.wait()
        assert list(journal.claim(every)) == [("aa", b"note")]
        journal.close()


def test_only_the_wanted_notes_are_taken(tmp_path: Path) -> None:
    first = Journal(tmp_path)
    first.keep("aa", b"mine")
    first.keep("bb", b"yours")
    first.close()
    second, third = Journal(tmp_path), Journal(tmp_path)
    assert list(second.claim(lambda note: note == b"mine")) == [("aa", b"mine")]
    assert list(third.claim(every)) == [("bb", b"yours")]
    second.close()
    third.close()


def test_a_newer_note_takes_the_place_of_the_older(tmp_path: Path) -> None:
    first = Journal(tmp_path)
    first.keep("aa", b"old")
    first.keep("aa", b"new")
    first.close()
    second = Journal(tmp_path)
    assert list(second.claim(every)) == [("aa", b"new")]
    second.close()


def test_what_is_held_costs_one_open_file_and_is_closed(tmp_path: Path) -> None:
    def count() -> int:
        return len(os.listdir("/proc/self/fd"))

    if not Path("/proc/self/fd").exists():
        pytest.skip("there is no /proc here")
    before = count()
    journal = Journal(tmp_path)
    for job in ("aa", "bb", "cc"):
        journal.keep(job, b"note")
    assert count() == before + 3
    journal.drop("aa")
    journal.close()
    assert count() == before


def test_a_folder_that_cannot_be_written_stands_in_nobodys_way(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("no folder")
    journal = Journal(file / "jobs")
    journal.keep("aa", b"note")
    assert list(journal.claim(every)) == []
    journal.drop("aa")
    journal.close()
