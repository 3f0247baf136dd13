# SPDX-License-Identifier: GPL-3.0-or-later
"""The record in which a backend describes an engine: what it can do, needs and offers to set."""

from __future__ import annotations

import msgspec

from .params import Name, Param


class Weights(msgspec.Struct, frozen=True, kw_only=True):
    """Learned numbers, one file or several under one name. `size` in bytes, 0 if it is not known.

    `sha256`: hex, of the whole file or over the digests of several; empty until they are there.
    """

    name: str
    sha256: str
    size: int
    licence: str
    source: str = ""
    embedded: bool = False
    """True if it comes inside the package, so that nothing is ever downloaded."""
    optional: bool = False
    """True if the engine runs without it too, and does more with it."""
    missing: bool = False
    """True if it is not on the backend's machine: see the request `weights`."""


class Needs(msgspec.Struct, frozen=True, kw_only=True):
    """What a machine must have. Memory in GiB of the device."""

    vram_gb: float = 0.0
    gpu: bool = False


class Abilities(msgspec.Struct, frozen=True, kw_only=True):
    """What an artist may expect of the engine."""

    any_t: bool = True
    alpha: bool = True
    depth16: bool = True
    sketches: bool = False
    """Takes rough sketches between the keys as guidance."""
    seeds: bool = True
    """Another seed gives other frames."""
    independent: bool = True
    """Each frame depends only on the two keys of its gap, its time, the settings and the seed, so a
    frame that was made once need never be made again."""


class EngineSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One engine as the add-on shows it. `jobs` are tags of protocol.jobs records."""

    id: Name
    label: str
    summary: str
    version: str
    jobs: tuple[str, ...]
    params: tuple[Param, ...] = ()
    needs: Needs = Needs()
    can: Abilities = Abilities()
    weights: tuple[Weights, ...] = ()
    licence: str = "GPL-3.0-or-later"
    unavailable: str = ""
    """Empty, or the sentence that says why this machine cannot run it now."""
