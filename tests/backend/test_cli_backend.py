# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands that talk to a running backend, as a user types them."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from backend.cli.terminal import duration, size
from backend.metrics import Exporter
from protocol import messages as m
from protocol.endpoint import parse_endpoint, read_connection
from protocol.jobs import Inbetween
from tests.backend.test_server import Client

ROOT = Path(__file__).parents[2]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Studio:
    """A started backend with the abusive engine, the commands that are typed beside it, an artist
    who hands in jobs."""

    def __init__(self, home: Path, plugin_path: str) -> None:
        self.home = home
        self.metrics_port = free_port()
        self.environment = {
            **os.environ,
            "COLUMNS": "200",
            "PYTHONPATH": f"{plugin_path}:{ROOT}",
            "TWEENCEL_HOME": str(home),
        }
        words = ("serve", "--threads", 1, "--device", "cpu", "--metrics-port", self.metrics_port)
        self.process = self.start(*words)
        while not (home / "connection.json").exists():
            assert self.process.poll() is None, self.process.communicate()
            time.sleep(0.02)
        self.artist = Client(read_connection(home / "connection.json").endpoint)
        pictures = [np.full((8, 8, 4), 60 * i, np.uint8) for i in (1, 2)]
        files = [cv2.imencode(".png", picture)[1].tobytes() for picture in pictures]
        self.keys = tuple(map(self.artist.upload, files))

    def start(self, *words: object) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "backend", *map(str, words)],
            env=self.environment,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def ask(self, *words: object, code: int = 0) -> str:
        """What a command prints: stdout, or stderr if it is to end with another code than 0."""
        process = self.start(*words)
        out, err = process.communicate(timeout=60)
        assert process.returncode == code, (out, err)
        return (out + err if code == 1 else err) if code else out

    def records(self, *words: object, code: int = 0) -> list[dict[str, Any]]:
        process = self.start(*words, "--json")
        out, err = process.communicate(timeout=60)
        assert process.returncode == code, (out, err)
        return [json.loads(line) for line in out.splitlines()]

    def submit(self, job: str, frames: int = 1, deed: str = "work", level: float = 0.5) -> str:
        """Hand in a job whose frames take 0.3 s each if its deed is "slow"."""
        task = Inbetween(
            keys=self.keys, gaps=(tuple((i + 1) / (frames + 1) for i in range(frames)),)
        )
        params: dict[str, Any] = {"deed": deed, "level": level}
        submit = m.Submit(rid=5, job=job, engine="abusive", params=params, task=task)
        self.artist.ask(submit, m.Accepted)
        return job

    def end(self) -> None:
        self.artist.close()
        self.process.kill()
        self.process.communicate()


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory, plugin_path: str) -> Iterator[Studio]:
    studio = Studio(tmp_path_factory.mktemp("home"), plugin_path)
    yield studio
    studio.end()


@pytest.fixture(scope="module")
def done(studio: Studio) -> str:
    """A job that has ended well."""
    job = studio.submit("d0" * 16, frames=2)
    studio.ask("show", job, "--follow")
    return job


@pytest.fixture(scope="module")
def failed(studio: Studio) -> str:
    job = studio.submit("fa" * 16, frames=2, deed="raise", level=0.4)
    studio.ask("show", job, "--follow", code=1)
    return job


def test_status_tells_how_the_backend_is(studio: Studio, done: str) -> None:
    told = studio.ask("status")
    assert "tweencel 0.1.0, up for" in told
    assert "abusive is idle" in told
    (report,) = studio.records("status")
    assert report["type"] == "report"
    assert report["done"] >= 1
    assert report["clients"][0]["name"] == "local"


def test_jobs_are_listed_oldest_first(studio: Studio, done: str, failed: str) -> None:
    rows = {row["job"]: row for row in studio.records("jobs", "--all")}
    assert list(rows)[:2] == [done, failed]
    assert (rows[done]["state"], rows[done]["made"], rows[done]["total"]) == ("done", 2, 2)
    assert rows[failed]["error"]["code"] == "engine_failed"
    told = studio.ask("jobs")
    assert done[:12] in told
    assert "ZeroDivisionError" in told


def test_a_job_is_shown_by_the_beginning_of_its_id(studio: Studio, done: str) -> None:
    assert studio.records("show", done[:3])[0]["job"] == done
    told = studio.ask("show", done[:3])
    assert done in told
    assert "2 of 2" in told


@pytest.mark.parametrize(
    ("prefix", "words"), [("0", "No job begins with '0'"), ("0" * 32, "is not among the newest")]
)
def test_an_id_that_no_job_has_is_bad_input(studio: Studio, prefix: str, words: str) -> None:
    told = studio.ask("show", prefix, code=2)
    assert words in told
    assert len(told.splitlines()) == 2, "what happened, then what to do"


def test_an_ambiguous_id_is_refused_with_those_that_it_fits(studio: Studio) -> None:
    twins = [studio.submit("e" * 31 + letter) for letter in "ab"]
    told = studio.ask("cancel", "eee", code=2)
    assert "2 jobs begin with 'eee'" in told
    for twin in twins:
        assert studio.ask("show", twin, "--follow")


def test_following_shows_the_frames_as_they_are_made(studio: Studio) -> None:
    job = studio.submit("51" * 16, frames=4, deed="slow", level=0.3)
    summary, *events = studio.records("show", job, "--follow")
    assert summary["job"] == job
    made = [event["index"] for event in events if event["type"] == "frame_made"]
    assert made == list(range(summary["made"], 4))
    assert events[-1]["state"] == "done"


def test_a_failed_job_ends_with_one_and_says_why(studio: Studio, failed: str) -> None:
    told = studio.ask("show", failed, "--follow", code=1)
    assert "It is failed." in told
    assert "ZeroDivisionError: a defect" in told
    studio.ask("show", failed)


def test_cancel_stops_that_job_and_no_other(studio: Studio) -> None:
    first = studio.submit("c1" * 16, frames=40, deed="slow", level=0.1)
    second = studio.submit("c2" * 16)
    assert studio.records("cancel", first[:2])[0] == {"type": "accepted", "rid": 3, "job": first}
    assert "It is cancelled." in studio.ask("show", first, "--follow", code=1)
    studio.ask("show", second, "--follow")
    assert "is cancelled already" in studio.ask("cancel", first, code=2)
    assert "does not know that job" in studio.ask("cancel", "0" * 32, code=2)


def test_an_interrupted_command_ends_with_130_and_the_job_goes_on(studio: Studio) -> None:
    job = studio.submit("11" * 16, frames=30, deed="slow", level=0.2)
    process = studio.start("show", job, "--follow", "--json")
    assert process.stdout is not None
    while "progress" not in process.stdout.readline():
        pass
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert studio.records("show", job)[0]["state"] == "running"
    assert "The engine is at work" in studio.ask("unload", code=3)
    studio.ask("cancel", job)
    studio.ask("show", job, "--follow", code=1)


def test_pairing_prints_one_line_that_lets_another_machine_in_and_unpairing_ends_it(
    studio: Studio,
) -> None:
    told = studio.ask("pair", "attic", "--host", "::1")
    (line,) = told.splitlines()
    endpoint = parse_endpoint(line)
    assert endpoint.address.startswith("tcp://[::1]:")
    here = endpoint._replace(address=read_connection(studio.home / "connection.json").address)
    attic = Client(here)
    assert attic.welcome.name == "attic"
    attic.close()
    assert "is let in already" in studio.ask("pair", "attic", code=2)
    assert "attic is let in no more" in studio.ask("unpair", "attic")
    assert "No client called attic" in studio.ask("unpair", "attic", code=2)
    log = (studio.home / "log" / "backend.jsonl").read_text()
    assert endpoint.client_secret not in log


def test_a_pairing_that_nobody_could_use_is_warned_of_beside_the_line(studio: Studio) -> None:
    process = studio.start("pair", "cellar")
    out, err = process.communicate(timeout=20)
    assert parse_endpoint(out).loopback
    assert "--host 0.0.0.0" in err
    studio.records("unpair", "cellar")


@pytest.mark.parametrize("words", [("pair", "a b"), ("pair", "a", "--host", "a/b"), ("unpair", "")])
def test_a_name_that_cannot_be_one_is_bad_input(studio: Studio, words: tuple[str, ...]) -> None:
    assert "cannot be a" in studio.ask(*words, code=2)


def test_unload_gives_the_engines_memory_back(studio: Studio) -> None:
    studio.ask("show", studio.submit("ab" * 16, level=0.7), "--follow")
    assert studio.records("status")[0]["workers"][0]["pid"]
    assert "Nothing is loaded" in studio.ask("unload")
    assert studio.records("status")[0]["workers"][0]["pid"] == 0


def test_gc_tells_what_it_swept(studio: Studio) -> None:
    assert studio.records("gc")[0]["type"] == "collected"
    assert "Swept 0 files (0 bytes) and 0 jobs." in studio.ask("gc")


def test_the_doctor_finds_this_machine_and_the_backend_well(studio: Studio, done: str) -> None:
    records = studio.records("doctor", "--verify")
    findings = {row["subject"]: row for row in records if "subject" in row}
    assert {row["state"] for row in findings.values()} == {"ok"}
    assert {"python", "torch", "zeromq", "weights rife-4.25", "disk", "home"} <= set(findings)
    assert "files are true to their names" in findings["store"]["text"]
    assert records[-1]["type"] == "report"


def test_the_doctor_names_a_damaged_file_and_ends_with_three(studio: Studio, done: str) -> None:
    digest = studio.keys[0]
    path = studio.home / "store" / "objects" / digest[:2] / digest[2:]
    content = path.read_bytes()
    path.write_bytes(b"rust")
    try:
        rows = studio.records("doctor", "--verify", code=3)
    finally:
        path.write_bytes(content)
    (broken,) = [row for row in rows if row.get("state") == "broken"]
    assert broken["text"] == f"1 file is damaged: {digest[:12]}."


def test_the_log_has_the_jobs_id_in_every_line_about_it(studio: Studio, done: str) -> None:
    lines = studio.records("logs", done[:4])
    assert {line["job"] for line in lines} == {done}
    assert [line["text"] for line in lines] == ["accepted, 2 frames", "done"]
    assert f"[{done[:8]}] done" in studio.ask("logs", done)
    whole = studio.records("logs", "--lines", 0)
    assert whole[0]["text"].startswith("listening on")
    assert len(studio.records("logs", "--lines", 2)) == 2
    assert "no job that begins with" in studio.ask("logs", "0000", code=2)


def test_the_log_is_followed_until_it_is_interrupted(studio: Studio) -> None:
    process = studio.start("logs", "--follow", "--json", "--lines", 1)
    assert process.stdout is not None
    process.stdout.readline()
    job = studio.submit("1f" * 16, level=0.8)
    while '"text":"done"' not in (line := process.stdout.readline()):
        assert line
    assert json.loads(line)["job"] == job
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == 130


def metrics(port: int) -> dict[str, float]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=20) as answer:
        lines = answer.read().decode().splitlines()
    pairs = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    return {name: float(value) for name, value in pairs}


def test_prometheus_hears_the_numbers_that_status_tells(studio: Studio, failed: str) -> None:
    before = metrics(studio.metrics_port)
    studio.ask("show", studio.submit("ac" * 16, frames=3, level=0.9), "--follow")
    studio.ask("show", studio.submit("5e" * 16, deed="kill", frames=2, level=0.6), "-f", code=1)
    after = metrics(studio.metrics_port)
    (report,) = studio.records("status")
    grown = {name: value - before.get(name, 0) for name, value in after.items()}
    assert grown["tweencel_frames_made_total"] == 3 + 1
    assert grown['tweencel_jobs{state="done"}'] == 1
    assert grown["tweencel_worker_deaths_total"] == 3
    assert grown["tweencel_loop_turn_seconds_count"] > 0
    assert after["tweencel_store_bytes"] == report["stored"]
    assert after["tweencel_up"] == 1
    assert after["tweencel_queue_length"] == 0
    assert 0 < after["tweencel_uptime_seconds"] < 1000


def test_prometheus_hears_that_the_loop_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backend.metrics._PATIENCE", 0.2)
    port = free_port()
    exporter = Exporter(port, lambda: pytest.fail("the loop does not turn"))
    numbers = metrics(port)
    exporter.close()
    assert numbers["tweencel_up"] == 0
    assert "tweencel_queue_length" not in numbers


def test_failures_are_records_too_for_machines(studio: Studio) -> None:
    process = studio.start("show", "0", "--json")
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (2, "")
    assert json.loads(err)["code"] == "bad_input"


@pytest.mark.parametrize(
    ("count", "words"),
    [(0, "0 bytes"), (1023, "1023 bytes"), (1536, "1.5 KiB"), (2**30 * 50, "50 GiB")],
)
def test_sizes_are_readable(count: int, words: str) -> None:
    assert size(count) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.4, "0 s"),
        (59.6, "1 min 0 s"),
        (200, "3 min 20 s"),
        (18720, "5 h 12 min"),
        (9e4, "1 d 1 h"),
    ],
)
def test_durations_are_readable(seconds: float, words: str) -> None:
    assert duration(seconds) == words
