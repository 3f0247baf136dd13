# SPDX-License-Identifier: GPL-3.0-or-later
"""The weights that come inside the package: their records, and their bytes once checked."""

import hashlib
from functools import cache
from importlib.resources import files

import msgspec

from protocol.engines import Weights
from protocol.errors import BackendBroken

_DATA = files("backend.weights").joinpath("data")
_REINSTALL = "Install tweencel again: `pipx reinstall tweencel`."


def record(name: str) -> Weights:
    """What `data/manifest.json` pins about a file. Raises KeyError if it pins no such file."""
    return _manifest()[name]


def read(name: str) -> bytes:
    """The bytes of a safetensors file, exactly those that the manifest pins.

    Raises BackendBroken if the file is missing or differs.
    """
    pinned = record(name)
    try:
        content = _DATA.joinpath(f"{name}.safetensors").read_bytes()
    except OSError as problem:
        raise BackendBroken(
            f"The weights {name} are missing from the installation.", fix=_REINSTALL
        ) from problem
    if hashlib.sha256(content).hexdigest() != pinned.sha256:
        raise BackendBroken(f"The weights {name} are damaged.", fix=_REINSTALL)
    return content


def licence(name: str) -> str:
    """The licence notice that must go with the file."""
    return _DATA.joinpath(f"{name}.LICENSE.txt").read_text(encoding="utf-8")


@cache
def _manifest() -> dict[str, Weights]:
    content = _DATA.joinpath("manifest.json").read_bytes()
    pins = msgspec.json.decode(content, type=list[Weights])
    return {pin.name: pin for pin in pins}
