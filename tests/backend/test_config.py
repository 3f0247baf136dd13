# SPDX-License-Identifier: GPL-3.0-or-later
"""The config file: what it may say, and how a mistake in it is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.config import File, Settings, keys, override, parse, read_settings
from protocol.errors import BadInput
from protocol.limits import Limits

ROOT = Path(__file__).parents[2]
EVERYTHING = """
host = "0.0.0.0"
port = 4711
advertise = "paintbox.studio.example"
metrics_port = 9400
device = "cuda:1"
threads = 4
tries = 5
silence = 60
cancel_grace = 2.5
worker_idle = 30
idle_exit = 0
clients_may_fetch = false
keep_days = 7
store_cap = "1.5 TiB"

[limits]
max_side = 8192
max_pixels = 1_000_000
max_file = "64 MiB"
max_frames = 100
max_keys = 10

[quota]
open_jobs = 3
stored = "2 GB"

[log]
level = "debug"
size = 4096
files = 2
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TWEENCEL_HOME", str(tmp_path))
    monkeypatch.delenv("TWEENCEL_CONFIG", raising=False)
    return tmp_path


def problem_with(text: str) -> BadInput:
    with pytest.raises(BadInput) as caught:
        parse(text, Path("studio/config.toml"))
    return caught.value


def test_without_a_file_the_defaults_hold(home: Path) -> None:
    assert read_settings() == Settings()


def test_every_key_reaches_the_settings_in_its_unit(home: Path) -> None:
    (home / "config.toml").write_text(EVERYTHING)
    settings = read_settings()
    assert (settings.host, settings.port, settings.device) == ("0.0.0.0", 4711, "cuda:1")
    assert settings.advertise == "paintbox.studio.example"
    assert (settings.metrics_port, settings.threads, settings.tries) == (9400, 4, 5)
    assert (settings.silence, settings.cancel_grace, settings.worker_idle) == (60.0, 2.5, 30.0)
    assert settings.clients_may_fetch is False
    assert settings.keep == 7 * 86400
    assert settings.store_cap == 1.5 * 2**40
    assert settings.limits == Limits(
        max_side=8192, max_pixels=1_000_000, max_file=2**26, max_frames=100, max_keys=10
    )
    assert (settings.quota.open_jobs, settings.quota.stored) == (3, 2 * 10**9)
    assert (settings.log.level, settings.log.size, settings.log.files) == ("debug", 4096, 2)
    given = (settings.store_cap, settings.quota.stored, settings.limits.max_file)
    assert {type(size) for size in given} == {int}, "they go over the wire"
    assert {type(text) for text in (settings.device, settings.log.level)} == {str}


def test_the_text_above_has_every_key_that_there_is() -> None:
    given = parse(EVERYTHING, Path("config.toml"))
    tables = {name: getattr(given, name) for name in ("limits", "quota", "log")}
    found = [name for name in given.given() if name not in tables]
    found += [f"{name}.{key}" for name, table in tables.items() for key in table.given()]
    assert sorted(found) == sorted(keys())


@pytest.mark.parametrize(
    ("text", "key", "words"),
    [
        ("colour = 3", "colour", "no such setting"),
        ("[limits]\nmax_sides = 3", "limits.max_sides", "no such setting"),
        ("[log.file]\nname = 1", "log.file", "no such setting"),
        ('port = "4711"', "port", "Expected `int"),
        ("port = 70000", "port", "65535"),
        ("threads = true", "threads", "got `bool`"),
        ("silence = nan", "silence", ">="),
        ("idle_exit = inf", "idle_exit", "<="),
        ("tries = 0", "tries", ">= 1"),
        ("limits = 3", "limits", "Expected `object`"),
        ('[limits]\nmax_side = "wide"', "limits.max_side", "got `str`"),
        ('store_cap = "50 GiBs"', "store_cap", "'50 GiBs' is not a size"),
        ('store_cap = ""', "store_cap", "not a size"),
        ("store_cap = -1", "store_cap", "-1 is not a size"),
        ("store_cap = true", "store_cap", "not a size"),
        ('[quota]\nstored = "lots"', "quota.stored", "'lots' is not a size"),
        ('device = "toaster"', "device", "'toaster' is no device"),
        ('[log]\nlevel = "loud"', "log.level", "'loud' is none of debug, info"),
    ],
)
def test_a_mistake_is_told_with_the_path_of_its_key_and_of_the_file(
    text: str, key: str, words: str
) -> None:
    problem = problem_with(text)
    assert problem.text.startswith(f"{Path('studio/config.toml')}: {key}: ")
    assert words in problem.text
    assert problem.fix


def test_an_unknown_key_is_told_with_those_that_there_are() -> None:
    inside = problem_with("[limits]\nmax = 3").fix
    assert "limits.max_side, limits.max_pixels" in inside
    assert "port" not in inside
    assert "port" in problem_with("maximum = 3").fix


def test_what_is_not_toml_is_told_with_its_line() -> None:
    problem = problem_with('port = 3\nhost "x"')
    assert "not TOML" in problem.text
    assert "line 2" in problem.text


def test_the_file_is_the_one_named_else_the_environments_else_the_homes(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, name in enumerate(("config.toml", "environment.toml", "named.toml"), start=1):
        (home / name).write_text(f"port = {number}")
    assert read_settings().port == 1
    monkeypatch.setenv("TWEENCEL_CONFIG", str(home / "environment.toml"))
    assert read_settings().port == 2
    assert read_settings(file=home / "named.toml").port == 3


def test_a_named_file_that_is_not_there_is_an_error(home: Path) -> None:
    with pytest.raises(BadInput, match="no config file"):
        read_settings(file=home / "nowhere.toml")


def test_flags_override_the_file_and_only_those_that_were_given(home: Path) -> None:
    (home / "config.toml").write_text('port = 1\nhost = "::"')
    settings = override(read_settings(), {"port": 0, "host": None})
    assert (settings.port, settings.host) == (0, "::")


def test_a_settings_record_made_by_hand_has_all_defaults(tmp_path: Path) -> None:
    assert parse("", tmp_path) == File()
    assert Settings(home=tmp_path, device="cpu").log_file == tmp_path / "log" / "backend.jsonl"


def test_the_manual_explains_every_key() -> None:
    manual = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
    assert [key for key in keys() if f"| `{key}` |" not in manual] == []
