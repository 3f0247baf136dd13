# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a backend is found and with which key: the connection string and the connection file.

The file holds the key that lets its reader talk to the backend, so only its owner may read it.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import sys
from pathlib import Path
from typing import NamedTuple

import msgspec

from .errors import BackendNotRunning, BadInput

_CONNECTION = re.compile(r"\A(tcp://[^\s#]+:\d{1,5})#([0-9a-f]{64})\.([0-9a-f]{64})\Z")
_QUERY_LIMITED_INFORMATION = 0x1000
_LOOPBACK = re.compile(
    # ::ffff: is how a socket that speaks both families writes an IPv4 address
    r"\Atcp://(127(\.\d{1,3}){3}|localhost|\[::1\]|\[::ffff:127(\.\d{1,3}){3}\]):\d{1,5}\Z"
)


class Endpoint(NamedTuple):
    """A backend's address, its public CURVE key and the client's secret one (32 bytes, hex)."""

    address: str
    server_key: str
    client_secret: str

    @property
    def loopback(self) -> bool:
        return bool(_LOOPBACK.match(self.address))

    def __str__(self) -> str:
        return f"{self.address}#{self.server_key}.{self.client_secret}"


def parse_endpoint(text: str) -> Endpoint:
    """Read the string that `tweencel pair` prints: tcp://HOST:PORT#KEY.SECRET. Raises BadInput."""
    found = _CONNECTION.match(text.strip())
    if not found or not 0 < int(found[1].rpartition(":")[2]) < 65536:
        raise BadInput(
            "That is not the address of a backend.",
            fix="Paste the whole line that `tweencel pair` prints: tcp://HOST:PORT#KEY.SECRET.",
        )
    return Endpoint(found[1], found[2], found[3])


class Connection(msgspec.Struct, frozen=True, kw_only=True):
    """What a running local backend writes down for its clients."""

    address: str
    server_key: str
    client_secret: str
    pid: int
    server_id: str

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint(self.address, self.server_key, self.client_secret)


def connection_file() -> Path:
    """The usual place; TWEENCEL_CONNECTION_FILE overrides it."""
    if chosen := os.environ.get("TWEENCEL_CONNECTION_FILE"):
        return Path(chosen)
    return state_folder() / "connection.json"


def state_folder() -> Path:
    """The folder of this user for what a backend keeps; TWEENCEL_HOME overrides it."""
    if chosen := os.environ.get("TWEENCEL_HOME"):
        return Path(chosen)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData/Local")) / "Tweencel"
    if sys.platform == "darwin":
        return Path.home() / "Library/Application Support/Tweencel"
    return Path(os.environ.get("XDG_STATE_HOME", Path.home() / ".local/state")) / "tweencel"


def may_live(pid: int) -> bool:
    """Whether there is a process of that number on this machine: False is certain, True is not."""
    if sys.platform == "win32":
        return _may_live_on_windows(pid)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _may_live_on_windows(pid: int) -> bool:
    # os.kill would end the process there.
    kernel = ctypes.CDLL("kernel32")
    handle = kernel.OpenProcess(_QUERY_LIMITED_INFORMATION, False, pid)
    return bool(handle and kernel.CloseHandle(handle))


def write_connection(path: Path, connection: Connection) -> None:
    """Write the file whole, readable by its owner only (mode 0600)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_name(f"{path.name}.{os.getpid()}.part")
    with contextlib.suppress(FileNotFoundError):
        half.unlink()
    handle = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(msgspec.json.encode(connection))
    half.replace(path)


def read_connection(path: Path) -> Connection:
    """The connection file's content. Raises BackendNotRunning if there is none to read."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Connection)
    except FileNotFoundError:
        raise BackendNotRunning("No local backend is running.") from None
    except (OSError, ValueError) as problem:
        raise BackendNotRunning(f"The connection file cannot be read: {problem}.") from None
