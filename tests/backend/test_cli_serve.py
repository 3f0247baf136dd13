# SPDX-License-Identifier: GPL-3.0-or-later
"""`tweencel serve` and its surroundings: config, interfaces, service manager; the doctor alone."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend import address
from backend.client import connect
from backend.systemd import ServiceManager
from protocol.endpoint import Connection, parse_endpoint, read_connection, write_connection
from protocol.errors import BackendNotRunning

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "docs" / "systemd" / "tweencel.service"


class Machine:
    """A home folder and the commands that are typed for it."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.file = home / "connection.json"
        self.environment = {**os.environ, "COLUMNS": "200", "TWEENCEL_HOME": str(home)}
        self.processes: list[subprocess.Popen[str]] = []

    def start(self, *words: object) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "backend", *map(str, words)],
            env=self.environment,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.processes.append(process)
        return process

    def serve(self, *words: object) -> tuple[subprocess.Popen[str], Connection]:
        process = self.start("serve", *words)
        while not self.file.exists():
            assert process.poll() is None, process.communicate()
            time.sleep(0.02)
        return process, read_connection(self.file)

    def ask(self, *words: object, code: int = 0) -> tuple[str, str]:
        process = self.start(*words)
        out, err = process.communicate(timeout=60)
        assert process.returncode == code, (out, err)
        return out, err

    def end(self) -> None:
        for process in self.processes:
            process.kill()
            process.communicate()


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    for name in ("TWEENCEL_CONFIG", "TWEENCEL_CONNECTION_FILE"):
        monkeypatch.delenv(name, raising=False)
    machine = Machine(tmp_path / "home")
    machine.home.mkdir(mode=0o700)
    yield machine
    machine.end()


# Config and interfaces -----------------------------------------------------------------------


def test_a_mistake_in_the_config_ends_the_start_with_the_key_and_the_file(machine: Machine) -> None:
    (machine.home / "config.toml").write_text("[quota]\nstorage = 3\n")
    _, err = machine.ask("serve", code=2)
    first, second = err.splitlines()
    assert first == f"{machine.home / 'config.toml'}: quota.storage: there is no such setting."
    assert "quota.stored" in second
    assert not (machine.home / "ledger.sqlite3").exists()


def test_the_config_reaches_the_backend_and_flags_override_it(machine: Machine) -> None:
    config = machine.home / "studio.toml"
    config.write_text('host = "no.such.name.invalid"\nstore_cap = "3 GiB"\n[log]\nlevel="warning"')
    machine.serve("--config", config, "--host", "127.0.0.1")
    out, _ = machine.ask("status", "--json")
    assert json.loads(out)["store_cap"] == 3 * 2**30
    assert (machine.home / "log" / "backend.jsonl").read_text() == ""


def test_an_interface_that_is_not_there_is_told(machine: Machine) -> None:
    _, err = machine.ask("serve", "--host", "no.such.name.invalid", code=3)
    assert "no.such.name.invalid:* cannot be had" in err
    assert "--host" in err


def test_a_port_that_is_taken_is_told(machine: Machine) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        _, err = machine.ask("serve", "--port", port, code=3)
        assert f"127.0.0.1:{port} cannot be had" in err
        _, err = machine.ask("serve", "--metrics-port", port, code=3)
        assert f"127.0.0.1:{port} cannot be had for the metrics" in err
    assert not machine.file.exists()


@pytest.mark.parametrize(
    ("host", "there"),
    [
        ("localhost", "tcp://127.0.0.1:"),
        ("0.0.0.0", "tcp://127.0.0.1:"),
        ("::1", "tcp://[::1]:"),
        ("::", "tcp://[::1]:"),
    ],
)
def test_the_local_user_reaches_whatever_interface_is_chosen(
    machine: Machine, host: str, there: str
) -> None:
    if ":" in host and not has_ipv6():
        pytest.skip("this machine has no IPv6")
    (machine.home / "config.toml").write_text('advertise = "paintbox.example"')
    _, connection = machine.serve("--host", host)
    assert connection.address.startswith(there)
    machine.ask("status")
    out, _ = machine.ask("pair", "attic")
    port = connection.address.rpartition(":")[2]
    assert parse_endpoint(out).address == f"tcp://paintbox.example:{port}"


def has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


@pytest.mark.parametrize(
    ("bound", "host", "told"),
    [
        ("tcp://10.0.0.7:70", "", "tcp://10.0.0.7:70"),
        ("tcp://0.0.0.0:70", "", f"tcp://{socket.gethostname()}:70"),
        ("tcp://[::]:70", "", f"tcp://{socket.gethostname()}:70"),
        ("tcp://[::]:70", "paintbox", "tcp://paintbox:70"),
        ("tcp://[::]:70", "fd00::7", "tcp://[fd00::7]:70"),
        ("tcp://[::]:70", "[fd00::7]", "tcp://[fd00::7]:70"),
    ],
)
def test_other_machines_are_told_an_address_that_they_can_use(
    bound: str, host: str, told: str
) -> None:
    assert address.from_elsewhere(bound, host) == told


# The service manager -------------------------------------------------------------------------


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    """What systemd listens on."""
    if sys.platform == "win32":
        pytest.skip("systemd is a Linux thing")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind(str(tmp_path / "notify"))
        ear.settimeout(20)
        yield ear


def test_the_service_manager_hears_of_the_start_of_each_turn_and_of_the_end(
    machine: Machine, manager: socket.socket
) -> None:
    machine.environment |= {"NOTIFY_SOCKET": manager.getsockname(), "WATCHDOG_USEC": "300000"}
    process = machine.start("serve")
    ready = manager.recv(1000).decode()
    assert ready.startswith("READY=1\nSTATUS=Listening on tcp://127.0.0.1:")
    assert machine.file.exists(), "ready means that clients can come"
    began = time.monotonic()
    assert [manager.recv(1000) for _ in range(4)] == [b"WATCHDOG=1"] * 4
    assert time.monotonic() - began >= 0.3, "half of the interval lies between two"
    process.send_signal(signal.SIGTERM)
    while (word := manager.recv(1000)) == b"WATCHDOG=1":
        pass
    assert word == b"STOPPING=1"
    process.communicate(timeout=20)
    assert process.returncode == 0


def test_the_watchdog_hears_only_what_was_asked_of_this_process(manager: socket.socket) -> None:
    asked = {"NOTIFY_SOCKET": manager.getsockname(), "WATCHDOG_USEC": "1000000"}
    for environment, words in (
        ({**asked, "WATCHDOG_PID": "1"}, []),
        ({**asked, "WATCHDOG_PID": str(os.getpid())}, [b"WATCHDOG=1"] * 2),
    ):
        told = ServiceManager(environment)
        for now in (10.0, 10.1, 10.4, 10.6):
            told.turned(now)
        told.stopping()
        for word in (*words, b"STOPPING=1"):
            assert manager.recv(100) == word
        assert environment == {}, "the processes that we start have none of it"


def test_nobody_is_told_without_a_service_manager_and_a_deaf_one_ends_nothing(
    tmp_path: Path,
) -> None:
    ServiceManager({}).ready("here")
    ServiceManager({"NOTIFY_SOCKET": str(tmp_path / "gone")}).ready("here")


def unit_settings() -> dict[str, str]:
    rows = re.findall(r"^(\w+)=(.*)$", UNIT.read_text(), re.MULTILINE)
    return dict(rows)


def test_the_unit_watches_and_bounds_the_backend() -> None:
    unit = unit_settings()
    assert unit["Type"] == "notify"
    assert int(unit["WatchdogSec"]) >= 30, "a long sweep must not look like a hang"
    assert unit["OOMPolicy"] == "continue", "an engine that is ended must not end the server"
    assert {"MemoryMax", "NoNewPrivileges", "ProtectSystem"} <= unit.keys()
    assert unit["RestartPreventExitStatus"] == "2"


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd-analyze")
def test_systemd_understands_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("/opt/tweencel/bin/tweencel", "/bin/true"))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", unit],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert (done.returncode, done.stderr) == (0, "")


# Without a backend ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words", [("status",), ("jobs",), ("show", "a"), ("cancel", "a"), ("pair", "a"), ("gc",)]
)
def test_without_a_backend_a_command_says_how_to_start_one(
    machine: Machine, words: tuple[str, ...]
) -> None:
    _, err = machine.ask(*words, code=3)
    assert err.splitlines() == [
        "No local backend is running.",
        "Start one with `tweencel serve`, or in Blender.",
    ]


def test_a_connection_file_that_was_left_behind_is_told_apart(machine: Machine) -> None:
    process, _ = machine.serve()
    process.kill()
    process.communicate()
    began = time.monotonic()
    with pytest.raises(BackendNotRunning, match=f"left {machine.file} behind"):
        connect(machine.file)
    assert time.monotonic() - began < 3
    out, _ = machine.ask("doctor", "--json")
    rows = [json.loads(line) for line in out.splitlines()]
    (warning,) = [row for row in rows if row["state"] != "ok"]
    assert (warning["subject"], warning["state"]) == ("backend", "warning")


def test_the_doctor_opens_the_home_itself_when_no_backend_runs(machine: Machine) -> None:
    process, _ = machine.serve()
    process.terminate()
    process.communicate(timeout=20)
    stray = machine.home / "store" / "objects" / "ab" / ("c" * 62)
    stray.parent.mkdir()
    stray.write_bytes(b"not what its name promises")
    out, _ = machine.ask("doctor", "--verify", code=3)
    assert "broken  store: 1 file is damaged: abcccccccccc." in out
    stray.unlink()
    stray.mkdir()  # what cannot be read, be it for a bad disk
    out, _ = machine.ask("doctor", "--verify", code=3)
    assert "1 file is damaged: abcccccccccc." in out
    stray.rmdir()
    out, _ = machine.ask("doctor", "--verify")
    assert "0 files are true to their names" in out
    machine.serve()


def test_the_doctor_names_a_ledger_that_is_none(machine: Machine) -> None:
    (machine.home / "ledger.sqlite3").write_bytes(b"rust" * 1000)
    out, _ = machine.ask("doctor", "--verify", code=3)
    (line,) = [line for line in out.splitlines() if line.startswith("broken")]
    assert "file is not a database" in line


@pytest.mark.skipif(os.name != "posix", reason="POSIX modes")
def test_the_doctor_prints_the_chmod_for_what_is_open_to_others(machine: Machine) -> None:
    process, _ = machine.serve()
    process.terminate()
    process.communicate(timeout=20)
    key = machine.home / "server.key"
    key.chmod(0o640)
    out, _ = machine.ask("doctor", code=3)
    assert f"broken  home: {key} is open to other users. chmod 600 {key}" in out


def test_the_doctor_goes_on_though_the_config_is_wrong(machine: Machine) -> None:
    (machine.home / "config.toml").write_text("port = true")
    out, _ = machine.ask("doctor", "--json", code=3)
    rows = {row["subject"]: row for row in map(json.loads, out.splitlines())}
    assert rows["config"]["state"] == "broken"
    assert "port: Expected `int`" in rows["config"]["text"]
    assert rows["python"]["state"] == "ok"


def test_the_doctor_says_that_a_hidden_backend_has_the_home(machine: Machine) -> None:
    machine.serve()
    machine.file.unlink()
    out, _ = machine.ask("doctor", "--verify", code=3)
    assert "broken  store: Another backend already works in" in out


def test_weights_are_listed_with_licence_and_state(machine: Machine) -> None:
    out, _ = machine.ask("weights", "--json")
    row, *others = map(json.loads, out.splitlines())
    assert (row["name"], row["licence"], row["state"]) == ("rife-4.25", "MIT", "ok")
    assert row["engines"] == ["rife", "tooncrafter"]
    assert others
    assert {other["state"].partition(";")[0] for other in others} == {"missing"}
    assert "12 MiB" in machine.ask("weights")[0]


def test_there_is_no_log_before_the_first_start(machine: Machine) -> None:
    _, err = machine.ask("logs", code=2)
    assert "There is no log" in err


def test_a_wrong_word_on_the_command_line_is_bad_input(machine: Machine) -> None:
    machine.ask("sing", code=2)
    machine.ask("serve", "--port", "many", code=2)
    assert "tweencel 0.1.0" in machine.ask("--version")[0]


def test_a_backend_that_does_not_let_us_in_is_not_waited_for_long(machine: Machine) -> None:
    _, connection = machine.serve()
    strange = Connection(
        address=connection.address,
        server_key=connection.server_key,
        client_secret="1" * 64,
        pid=connection.pid,
        server_id="x",
    )
    write_connection(machine.home / "stolen.json", strange)
    began = time.monotonic()
    _, err = machine.ask("status", "--connection-file", machine.home / "stolen.json", code=3)
    assert "No answer from" in err
    assert time.monotonic() - began < 12
