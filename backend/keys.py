# SPDX-License-Identifier: GPL-3.0-or-later
"""The backend's CURVE key pair: made once, kept in a file that only its owner may read."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import zmq
from zmq.utils import z85

from protocol.errors import BackendBroken

from .disk import disk_errors


class KeyPair(NamedTuple):
    """Public and secret CURVE key, 32 bytes each."""

    public: bytes
    secret: bytes


def load_or_make(path: Path) -> KeyPair:
    """The key pair in the file (64 bytes in hex), made at the first call.

    Raises BackendBroken if the file is there but holds something else.
    """
    try:
        raw = bytes.fromhex(path.read_text("ascii").strip())
    except FileNotFoundError:
        return _make(path)
    except ValueError:
        raw = b""
    if len(raw) != 64:
        raise BackendBroken(
            f"The key file {path} is damaged.", fix="Delete it; clients then connect anew."
        )
    return KeyPair(raw[:32], raw[32:])


def _make(path: Path) -> KeyPair:
    public, secret = (z85.decode(key) for key in zmq.curve_keypair())
    half = path.with_name(f"{path.name}.part")
    with disk_errors():
        path.parent.mkdir(parents=True, exist_ok=True)
        half.unlink(missing_ok=True)
        # zmq.auth.create_certificates writes the secret with mode 0644
        handle = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write((public + secret).hex())
            file.flush()
            os.fsync(file.fileno())
        half.replace(path)
    return KeyPair(public, secret)
