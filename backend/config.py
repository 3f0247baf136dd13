# SPDX-License-Identifier: GPL-3.0-or-later
"""The settings of one backend: where it keeps things and how it runs, and the file they stand in.

Times are in seconds and sizes in bytes, unless a name says otherwise.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from protocol.endpoint import connection_file, state_folder
from protocol.errors import BadInput
from protocol.limits import Limits

SOFTWARE = "tweencel 0.1.0"


@dataclass(frozen=True)
class Quota:
    """What one client may have. Sizes in bytes."""

    open_jobs: int = 200
    stored: int = 20 * 2**30


@dataclass(frozen=True)
class Log:
    """The log file: what is written to it, and how much of it is kept (`size` bytes a file)."""

    level: str = "info"
    size: int = 10 * 2**20
    files: int = 5


@dataclass(frozen=True)
class Settings:
    """How a backend runs. `threads` 0 leaves the choice to the engine's library."""

    home: Path = field(default_factory=state_folder)
    connection: Path = field(default_factory=connection_file)
    host: str = "127.0.0.1"
    """The interface to listen on. Clients need a key on each of them, loopback included."""
    port: int = 0
    """0: the one of the last time if it is free, else any."""
    advertise: str = ""
    """The host under which other machines find this one; empty: the one it listens on."""
    metrics_port: int = 0
    """Where Prometheus may ask on this machine; 0: nowhere."""
    device: str = "auto"
    threads: int = 0
    limits: Limits = field(default_factory=Limits)
    quota: Quota = field(default_factory=Quota)
    log: Log = field(default_factory=Log)
    tries: int = 3
    """How many workers a job may lose in a row without having made a frame."""
    silence: float = 1800.0
    """After that long without a sign of life a worker counts as hung and is killed."""
    cancel_grace: float = 10.0
    """How long an engine may take to its next step before its process is killed."""
    worker_idle: float = 600.0
    """After that long without a job the engine's process ends and gives its memory back."""
    keep: float = 31 * 86400.0
    """How long files and ended jobs are kept after they were last used."""
    store_cap: int = 50 * 2**30
    """Bytes that the store may hold; beyond, what was used least recently goes first."""
    clients_may_fetch: bool = True
    """Whether paired clients may have weights downloaded, those on offer here and no others."""
    idle_exit: float = 0.0
    """After that long without a client and a job the backend ends; 0: never."""

    @property
    def store(self) -> Path:
        return self.home / "store"

    @property
    def database(self) -> Path:
        return self.home / "ledger.sqlite3"

    @property
    def key_file(self) -> Path:
        return self.home / "server.key"

    @property
    def local_key_file(self) -> Path:
        """The key pair of this machine's own user."""
        return self.home / "local.key"

    @property
    def port_file(self) -> Path:
        return self.home / "port"

    @property
    def log_file(self) -> Path:
        return self.home / "log" / "backend.jsonl"


def make_private(folder: Path) -> None:
    """Make the folder if it is not there, open to its owner only."""
    folder.mkdir(parents=True, exist_ok=True)
    if os.name == "posix":
        folder.chmod(0o700)


# The file ------------------------------------------------------------------------------------


class Size(int):
    """Bytes, written as a number or as a text such as "50 GiB"."""


class Device(str):
    """Where torch computes: "auto", "cpu", "mps", "cuda", "cuda:1"."""


class Level(str):
    """The least important lines that are logged."""


_BINARY = {"": 1, "B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
_UNITS = {**_BINARY, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]*)", re.ASCII)

_Positive = Annotated[int, Meta(ge=1, lt=2**53)]
_Port = Annotated[int, Meta(ge=0, le=65535)]
_Wait = Annotated[float, Meta(ge=0, le=1e9)]
_LEVELS = ("debug", "info", "warning", "error")
_DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d+)?", re.ASCII)


class _Strict(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """Only what stands in the file; the defaults are those of the records above."""

    def given(self) -> dict[str, Any]:
        found = {name: getattr(self, name) for name in self.__struct_fields__}
        return {name: _plain(value) for name, value in found.items() if value is not UNSET}


def _plain(value: Any) -> Any:
    """Settings go over the wire, which knows none of our own kinds of number and text."""
    match value:
        case Size():
            return int(value)
        case Device() | Level():
            return str(value)
        case _:
            return value


class _Limits(_Strict, frozen=True, kw_only=True):
    max_side: _Positive | UnsetType = UNSET
    max_pixels: _Positive | UnsetType = UNSET
    max_file: Size | UnsetType = UNSET
    max_frames: _Positive | UnsetType = UNSET
    max_keys: Annotated[int, Meta(ge=2, lt=2**53)] | UnsetType = UNSET


class _Quota(_Strict, frozen=True, kw_only=True):
    open_jobs: _Positive | UnsetType = UNSET
    stored: Size | UnsetType = UNSET


class _Log(_Strict, frozen=True, kw_only=True):
    level: Level | UnsetType = UNSET
    size: Size | UnsetType = UNSET
    files: Annotated[int, Meta(ge=1, le=1000)] | UnsetType = UNSET


class File(_Strict, frozen=True, kw_only=True):
    """The whole of config.toml."""

    host: Annotated[str, Meta(min_length=1, max_length=253)] | UnsetType = UNSET
    port: _Port | UnsetType = UNSET
    advertise: Annotated[str, Meta(max_length=253)] | UnsetType = UNSET
    metrics_port: _Port | UnsetType = UNSET
    device: Device | UnsetType = UNSET
    threads: Annotated[int, Meta(ge=0, le=1024)] | UnsetType = UNSET
    tries: Annotated[int, Meta(ge=1, le=100)] | UnsetType = UNSET
    silence: Annotated[float, Meta(ge=1, le=1e9)] | UnsetType = UNSET
    cancel_grace: _Wait | UnsetType = UNSET
    worker_idle: _Wait | UnsetType = UNSET
    idle_exit: _Wait | UnsetType = UNSET
    clients_may_fetch: bool | UnsetType = UNSET
    keep_days: Annotated[float, Meta(gt=0, le=1e5)] | UnsetType = UNSET
    store_cap: Size | UnsetType = UNSET
    limits: _Limits = _Limits()
    quota: _Quota = _Quota()
    log: _Log = _Log()


_TABLES: dict[str, type[_Strict]] = {"limits": _Limits, "quota": _Quota, "log": _Log}


def read_settings(home: Path | None = None, file: Path | None = None) -> Settings:
    """The settings that the file gives; the defaults where it gives none.

    The file is `file`, else the one that TWEENCEL_CONFIG names, else `config.toml` in the home,
    which need not be there. Raises BadInput with the path of the key and of the file.
    """
    settings = Settings() if home is None else Settings(home=home)
    named = file or _from_environment()
    path = named or settings.home / "config.toml"
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        if named is None:
            return settings
        raise BadInput(f"There is no config file {path}.", fix="Correct its path.") from None
    except (OSError, UnicodeDecodeError) as problem:
        raise BadInput(f"The config file {path} cannot be read: {problem}.") from None
    return _apply(settings, parse(text, path))


def parse(text: str, path: Path) -> File:
    """What stands in a config file. `path` is how the reader knows it. Raises BadInput."""
    try:
        return msgspec.toml.decode(text, type=File, dec_hook=_read)
    except msgspec.ValidationError as problem:
        raise _explain(str(problem), path) from None
    except ValueError as problem:
        raise BadInput(f"{path} is not TOML: {problem}.", fix="Correct that line.") from None


def keys(kind: type[msgspec.Struct] = File, before: str = "") -> list[str]:
    """The paths of all keys that a config file may have."""
    found: list[str] = []
    for entry in msgspec.structs.fields(kind):
        path = before + entry.name
        table = _TABLES.get(path)
        found += keys(table, f"{path}.") if table else [path]
    return found


def _apply(settings: Settings, file: File) -> Settings:
    given = file.given()
    if "keep_days" in given:
        given["keep"] = given.pop("keep_days") * 86400.0
    limits, quota, log = (given.pop(name).given() for name in ("limits", "quota", "log"))
    return replace(
        settings,
        **given,
        limits=msgspec.structs.replace(settings.limits, **limits),
        quota=replace(settings.quota, **quota),
        log=replace(settings.log, **log),
    )


def override(settings: Settings, flags: Mapping[str, object]) -> Settings:
    """The settings with those of the flags that were given (not None)."""
    known = {entry.name for entry in fields(Settings)}
    given: dict[str, Any] = {name: value for name, value in flags.items() if value is not None}
    assert given.keys() <= known, given
    return replace(settings, **given)


def _from_environment() -> Path | None:
    chosen = os.environ.get("TWEENCEL_CONFIG")
    return Path(chosen) if chosen else None


def _read(kind: type, value: object) -> object:
    """msgspec's question how to read a type that it does not know."""
    if kind is Size:
        return _read_size(value)
    text = value if isinstance(value, str) else ""
    if kind is Device and not _DEVICE.fullmatch(text):
        raise ValueError(f"{value!r} is no device: write auto, cpu, mps, cuda or cuda:1")
    if kind is Level and text not in _LEVELS:
        raise ValueError(f"{value!r} is none of {', '.join(_LEVELS)}")
    return kind(text)


def _read_size(value: object) -> Size:
    if isinstance(value, int) and not isinstance(value, bool):
        amount = value
    else:
        found = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
        if found is None or found[2] not in _UNITS:
            raise ValueError(f"{value!r} is not a size: write a number of bytes, or '50 GiB'")
        amount = int(float(found[1]) * _UNITS[found[2]])
    if not 0 < amount < 2**53:
        raise ValueError(f"{value!r} is not a size that can be used")
    return Size(amount)


def _explain(problem: str, path: Path) -> BadInput:
    """msgspec's sentence, with the key first: "limits.max_side: Expected `int`, got `str`"."""
    text, _, place = problem.partition(" - at `$")
    place = place.strip("`.")
    unknown = re.fullmatch(r"Object contains unknown field `(.*)`", text)
    if unknown is None:
        return BadInput(f"{path}: {place}: {text}.", fix="Correct that setting.")
    key = f"{place}.{unknown[1]}".strip(".")
    siblings = [known for known in keys() if known.rpartition(".")[0] == place]
    return BadInput(
        f"{path}: {key}: there is no such setting.", fix=f"There are: {', '.join(siblings)}."
    )
