# SPDX-License-Identifier: GPL-3.0-or-later
"""Connection strings, connection files, versions and errors."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from protocol import errors
from protocol.endpoint import Connection, parse_endpoint, read_connection, write_connection
from protocol.version import PROTOCOL_VERSION, require_compatible

KEY = "0f" * 32
SECRET = "f0" * 32
CONNECTION = Connection(
    address="tcp://127.0.0.1:5555", server_key=KEY, client_secret=SECRET, pid=1, server_id="x"
)


def test_a_printed_endpoint_is_read_back() -> None:
    endpoint = parse_endpoint(f"  {CONNECTION.endpoint}\n")
    assert endpoint == CONNECTION.endpoint
    assert endpoint.loopback


@pytest.mark.parametrize(
    "host", ["10.0.0.2", "box", "127.0.0.1.example", "example#tcp://127.0.0.1"]
)
def test_only_this_machine_is_loopback(host: str) -> None:
    try:
        endpoint = parse_endpoint(f"tcp://{host}:5555#{KEY}.{SECRET}")
    except errors.BadInput:
        return
    assert not endpoint.loopback


@pytest.mark.parametrize(
    "text",
    [
        "",
        "127.0.0.1:5555",
        "tcp://h:5555",
        f"tcp://h:5555#{KEY}",
        f"tcp://h:70000#{KEY}.{SECRET}",
        f"ipc://h:1#{KEY}.{SECRET}",
    ],
)
def test_anything_else_is_refused_with_where_to_find_it(text: str) -> None:
    with pytest.raises(errors.BadInput) as refusal:
        parse_endpoint(text)
    assert "tweencel pair" in refusal.value.fix


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX's")
def test_the_connection_file_is_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "run" / "connection.json"
    write_connection(path, CONNECTION)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_connection(path) == CONNECTION
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("content", [None, b"", b"{}", b'{"address": 3}'])
def test_no_connection_file_means_no_backend(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "connection.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(errors.BackendNotRunning) as refusal:
        read_connection(path)
    assert "Start Local Backend" in refusal.value.fix


def test_another_minor_version_is_understood() -> None:
    require_compatible((PROTOCOL_VERSION[0], 99), ours_is="backend", theirs_is="add-on")


@pytest.mark.parametrize(("major", "side"), [(0, "add-on"), (2, "backend")])
def test_another_major_version_is_refused_and_the_older_side_named(major: int, side: str) -> None:
    with pytest.raises(errors.VersionMismatch) as refusal:
        require_compatible((major, 0), ours_is="backend", theirs_is="add-on")
    assert refusal.value.fix == f"Update the {side}, then connect again."


def test_each_error_has_a_code_of_its_own_and_survives_the_wire() -> None:
    assert len(errors.BY_CODE) == len({kind.code for kind in errors.BY_CODE.values()})
    for kind in errors.BY_CODE.values():
        failure = errors.from_info(kind("What happened.", fix="Do this.").info())
        assert type(failure) is kind
        assert (failure.text, failure.fix) == ("What happened.", "Do this.")


def test_every_error_class_of_the_tree_is_printed_in_the_tree() -> None:
    tree = errors.__doc__ or ""
    missing = [kind.__name__ for kind in errors.BY_CODE.values() if kind.__name__ not in tree]
    assert missing == []


def test_every_error_that_can_be_raised_says_what_to_do_next() -> None:
    families = {
        errors.TweencelError,
        errors.ProtocolFailure,
        errors.TransferFailure,
        errors.JobFailure,
    }
    silent = [
        kind.__name__
        for kind in errors.BY_CODE.values()
        if kind not in families and not kind("It failed.").fix
    ]
    assert silent == []


def test_an_unknown_error_code_is_still_an_error() -> None:
    failure = errors.from_info(errors.ErrorInfo("from_the_future", "Odd.", "Wait."))
    assert type(failure) is errors.TweencelError
