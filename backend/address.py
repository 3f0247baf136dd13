# SPDX-License-Identifier: GPL-3.0-or-later
"""Host names and addresses: as people give them, as ZeroMQ wants them, as clients are told them."""

from __future__ import annotations

import ipaddress
import re
import socket
from typing import NamedTuple

_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}
_ADDRESS = re.compile(r"\Atcp://(.+):(\d+)\Z")


class Interface(NamedTuple):
    """Where to listen. `host` is numeric where it can be, an IPv6 address in brackets."""

    host: str
    v6: bool


def interface(host: str) -> Interface:
    """What a host name, an address or "*" (all interfaces) stands for.

    A name that cannot be resolved stays as it is: it may be that of a network device.
    """
    if host in ("", "*"):
        return Interface("0.0.0.0", False)
    bare = host.removeprefix("[").removesuffix("]")
    try:
        found = socket.getaddrinfo(bare, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return Interface(host, False)
    # IPv4 first: a client then needs no IPv6 to come in
    numeric = sorted({(family != socket.AF_INET, str(place[0])) for family, *_, place in found})
    v6, address = numeric[0]
    return Interface(bracketed(address), v6)


def bracketed(host: str) -> str:
    """A bare IPv6 address in brackets, anything else as it is."""
    try:
        return f"[{host}]" if ipaddress.ip_address(host).version == 6 else host
    except ValueError:
        return host


def from_this_machine(address: str) -> str:
    """How a client on this machine reaches what listens at tcp://HOST:PORT."""
    host, port = _split(address)
    return f"tcp://{_EVERYWHERE.get(host, host)}:{port}"


def from_elsewhere(address: str, host: str) -> str:
    """How another machine reaches it: under `host`, or if that is empty as well as we know it."""
    bound, port = _split(address)
    known = socket.gethostname() if bound in _EVERYWHERE else bound
    return f"tcp://{bracketed(host) or known}:{port}"


def _split(address: str) -> tuple[str, str]:
    found = _ADDRESS.match(address)
    assert found is not None, address
    return found[1], found[2]
