# SPDX-License-Identifier: GPL-3.0-or-later
"""The local backend as a process: found, started detached, stopped only by who started it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from blender_addon import backend_process
from blender_addon.backend_process import LocalBackend, find_program, running_backend
from protocol.endpoint import Connection, Endpoint, write_connection
from protocol.errors import BackendFailure, BackendNotFound

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the stand-ins are shell scripts")


@pytest.fixture(autouse=True)
def bare_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setenv("TWEENCEL_CONNECTION_FILE", str(tmp_path / "connection.json"))
    for name in ("TWEENCEL_EXECUTABLE", "PIPX_HOME"):
        monkeypatch.delenv(name, raising=False)


def program(path: Path, script: str = "exit 0") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def write(tmp_path: Path, pid: int, server_id: str = "one") -> Endpoint:
    connection = Connection(
        address="tcp://127.0.0.1:4000",
        server_key="ab" * 32,
        client_secret="cd" * 32,
        pid=pid,
        server_id=server_id,
    )
    write_connection(tmp_path / "connection.json", connection)
    return connection.endpoint


def test_no_program_is_said_so_with_what_to_do() -> None:
    with pytest.raises(BackendNotFound, match="not found") as caught:
        find_program()
    assert "pipx install tweencel" in caught.value.fix


def test_a_wrong_path_in_the_preferences_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(BackendNotFound, match="There is no program"):
        find_program(str(tmp_path / "nowhere"))


def test_the_program_is_looked_for_where_people_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipx = program(tmp_path / ".local/share/pipx/venvs/tweencel/bin/tweencel")
    assert find_program() == pipx
    local = program(tmp_path / ".local/bin/tweencel")
    assert find_program() == local
    on_path = program(tmp_path / "somewhere/tweencel")
    monkeypatch.setenv("PATH", str(on_path.parent))
    assert find_program() == on_path
    named = program(tmp_path / "named")
    monkeypatch.setenv("TWEENCEL_EXECUTABLE", str(named))
    assert find_program() == named
    chosen = program(tmp_path / "chosen")
    assert find_program(str(chosen)) == chosen


def test_a_connection_file_of_a_dead_backend_is_no_backend(tmp_path: Path) -> None:
    assert running_backend() is None
    write(tmp_path, pid=2**22 - 3)
    assert running_backend() is None
    endpoint = write(tmp_path, pid=os.getpid())
    assert running_backend() == endpoint


def test_a_backend_that_ends_at_once_leaves_its_last_words(tmp_path: Path) -> None:
    script = program(tmp_path / "t", "echo first; echo 'the disk is full' >&2; exit 3")
    backend = LocalBackend(script, tmp_path / "log" / "backend.log")
    with pytest.raises(BackendFailure, match="the disk is full"):
        poll_for(backend, 10)


def test_a_program_that_cannot_be_run_is_said_so(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_text("not a program")
    with pytest.raises(BackendNotFound, match="cannot be run"):
        LocalBackend(plain, tmp_path / "backend.log")


def test_an_old_connection_file_is_not_taken_for_the_new_backend(tmp_path: Path) -> None:
    write(tmp_path, pid=1, server_id="old")
    backend = LocalBackend(program(tmp_path / "t", "exec sleep 60"), tmp_path / "backend.log")
    try:
        assert backend.poll() is None
        endpoint = write(tmp_path, pid=2, server_id="new")
        assert backend.poll() == endpoint
    finally:
        end(backend)


def test_it_gets_arguments_and_an_environment_without_blenders_python(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", "/blender")
    script = program(tmp_path / "t", 'echo "$@ [$PYTHONPATH]"; exit 1')
    backend = LocalBackend(script, tmp_path / "backend.log")
    with pytest.raises(BackendFailure, match=r"serve --idle-exit 30 \[\]"):
        poll_for(backend, 10)


def test_a_backend_that_never_speaks_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backend_process, "PATIENCE", 0.0)
    backend = LocalBackend(program(tmp_path / "t", "exec sleep 60"), tmp_path / "backend.log")
    try:
        with pytest.raises(BackendFailure, match="has been starting"):
            poll_for(backend, 10)
    finally:
        end(backend)


def test_it_leads_a_session_of_its_own_so_that_it_outlives_blender(tmp_path: Path) -> None:
    backend = LocalBackend(program(tmp_path / "t", "exec sleep 60"), tmp_path / "backend.log")
    try:
        pid = backend._process.pid
        assert os.getsid(pid) == pid != os.getsid(0)
    finally:
        end(backend)


def test_only_an_end_that_nobody_asked_for_is_a_crash(tmp_path: Path) -> None:
    crashed = LocalBackend(program(tmp_path / "t", "echo oh no; exit 7"), tmp_path / "log")
    wait_for(lambda: not crashed.alive)
    crash = crashed.crash()
    assert crash is not None
    assert "oh no" in crash.text
    idle = LocalBackend(program(tmp_path / "t", "exit 0"), tmp_path / "log")
    wait_for(lambda: not idle.alive)
    assert idle.crash() is None
    stopped = LocalBackend(program(tmp_path / "t", "exec sleep 60"), tmp_path / "log")
    assert stopped.crash() is None
    stopped.stop()
    wait_for(lambda: not stopped.alive)
    assert stopped.crash() is None


def test_one_that_ignores_the_first_stop_is_ended_by_the_second(tmp_path: Path) -> None:
    script = program(tmp_path / "t", "trap '' TERM; echo ready; while :; do sleep 0.1; done")
    backend = LocalBackend(script, tmp_path / "backend.log")
    wait_for(lambda: "ready" in (tmp_path / "backend.log").read_text())
    backend.stop()
    time.sleep(0.2)
    assert backend.alive
    backend.stop()
    wait_for(lambda: not backend.alive)


def poll_for(backend: LocalBackend, seconds: float) -> None:
    stop = time.monotonic() + seconds
    while time.monotonic() < stop:
        backend.poll()
        time.sleep(0.01)


def wait_for(done: Callable[[], bool]) -> None:
    stop = time.monotonic() + 10
    while not done():
        assert time.monotonic() < stop
        time.sleep(0.01)


def end(backend: LocalBackend) -> None:
    backend._process.kill()
    backend._process.wait()
