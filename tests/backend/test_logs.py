# SPDX-License-Identifier: GPL-3.0-or-later
"""The log file: one record a line, private, of bounded size, and readable while it is written."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend import logs
from backend.config import Log

JOB = "ab" * 16
log = logging.getLogger("backend.scheduler")


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """The handlers that a test adds go when it ends."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    root.setLevel(logging.INFO)
    yield
    for handler in set(root.handlers) - set(before):
        root.removeHandler(handler)
        with contextlib.suppress(OSError):  # what a full disk did not take
            handler.close()
    root.setLevel(level)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "log" / "backend.jsonl"
    logs.to_file(path, Log(size=2000, files=3))
    return path


def test_a_line_is_one_record_with_its_job(path: Path) -> None:
    log.warning("two\nlines, %d job", 1, extra={"job": JOB})
    log.info("no job")
    first, second = map(json.loads, path.read_text().splitlines())
    assert first.pop("time").endswith("+00:00")
    assert first == {
        "level": "warning",
        "room": "scheduler",
        "text": "two lines, 1 job",
        "job": JOB,
    }
    assert "job" not in second


def test_a_defect_is_logged_with_its_trace(path: Path) -> None:
    try:
        raise ZeroDivisionError("a defect")
    except ZeroDivisionError:
        log.exception("it failed")
    with logs.Reader(path) as reader:
        (line,) = reader.news()
    assert "ZeroDivisionError: a defect" in line.trace
    assert "Traceback" in str(line)


def test_people_read_the_time_the_beginning_of_the_job_and_the_text(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs.to_terminal("info")
    log.debug("not at this level")
    log.info("accepted", extra={"job": JOB})
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith(" info    [abababab] accepted")


@pytest.mark.skipif(os.name != "posix", reason="POSIX modes")
def test_the_file_and_its_folder_are_private(path: Path) -> None:
    log.info("x" * 1000)
    for _ in range(5):
        log.info("y" * 1000)
    for each in path.parent.iterdir():
        assert stat.S_IMODE(each.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_the_log_keeps_to_its_size_and_drops_the_oldest_lines(path: Path) -> None:
    for number in range(300):
        log.info("line %d", number)
    names = sorted(file.name for file in path.parent.iterdir())
    assert names == ["backend.jsonl", *(f"backend.jsonl.{i}" for i in (1, 2, 3))]
    assert all(file.stat().st_size <= 2000 for file in path.parent.iterdir())
    with logs.Reader(path) as reader:
        numbers = [int(line.text[5:]) for line in (*reader.old(), *reader.news())]
    assert numbers == list(range(numbers[0], 300))


def test_a_reader_hears_each_line_once_though_the_file_is_replaced_meanwhile(path: Path) -> None:
    reader = logs.Reader(path)
    heard: list[str] = []
    for number in range(100):
        log.info("line %d", number)
        if number % 7 == 0:  # at most one file is filled in between
            heard += [line.text for line in reader.news()]
    heard += [line.text for line in reader.news()]
    assert heard == [f"line {number}" for number in range(100)]
    reader.close()


def test_a_line_that_is_being_written_is_told_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "backend.jsonl"
    reader = logs.Reader(path)
    assert list(reader.news()) == [], "there is no file yet"
    whole = b'{"time":"2026-01-01T00:00:00+00:00","level":"info","room":"x","text":"whole"}\n'
    path.write_bytes(b"cut by a crash\n" + whole[:20])
    assert list(reader.news()) == []
    with path.open("ab") as file:
        file.write(whole[20:])
    assert [line.text for line in reader.news()] == ["whole"]
    reader.close()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a disk that is always full")
def test_a_full_disk_is_told_once_and_ends_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "backend.jsonl"
    path.symlink_to("/dev/full")
    logs.to_file(path, Log())
    for _ in range(3):
        log.info("is anybody there?")
    (line,) = capsys.readouterr().err.splitlines()
    assert "No space left" in line
