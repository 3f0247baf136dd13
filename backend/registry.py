# SPDX-License-Identifier: GPL-3.0-or-later
"""Which engines there are: the files of backend/engines/ and the entry points `tweencel.engines`.

Finding an engine reads its record only; torch stays out of the process that asks. What a record
says of weights that are not in the package is looked up anew each time: they may arrive while a
backend runs.
"""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import replace
from functools import cache
from importlib.metadata import entry_points
from types import ModuleType

import msgspec

from protocol.engines import EngineSpec, Weights
from protocol.errors import UnknownEngine

from .engine import EngineEntry, Registry
from .weights import library

GROUP = "tweencel.engines"
DEFAULT_ENGINE = "rife"


@cache
def engines() -> Registry:
    """All engines by id, the default one first, then by label."""
    found = [_entry(module) for module in _own()]
    found += [_entry(point.load()) for point in entry_points(group=GROUP)]
    found.sort(key=lambda entry: (entry.spec.id != DEFAULT_ENGINE, entry.spec.label))
    return {entry.spec.id: entry for entry in found}


def find(engine: str) -> EngineEntry:
    """Raises UnknownEngine, naming those there are."""
    try:
        return _now(engines()[engine])
    except KeyError:
        raise UnknownEngine(
            f"This backend has no engine called {engine!r}.",
            fix=f"Choose one of: {', '.join(engines())}.",
        ) from None


def specs() -> tuple[EngineSpec, ...]:
    """The records of all engines, as they are sent to clients."""
    return tuple(_now(entry).spec for entry in engines().values())


def _now(entry: EngineEntry) -> EngineEntry:
    """The entry with its weights as they are on this machine now."""
    spec = entry.spec
    if all(weights.embedded for weights in spec.weights):
        return entry
    weights = tuple(_found(weights) for weights in spec.weights)
    missing = [w.name for w in weights if w.missing and not w.optional]
    reason = spec.unavailable or _lacking(missing)
    spec = msgspec.structs.replace(spec, weights=weights, unavailable=reason)
    return replace(entry, spec=spec)


def _lacking(missing: list[str]) -> str:
    if not missing:
        return ""
    return f"weights missing: {', '.join(missing)} (tweencel weights get {missing[0]})"


def _found(weights: Weights) -> Weights:
    if weights.embedded or weights.sha256:
        return weights  # an engine that pins a digest looks after its file itself
    found = library.installed(weights.name)
    if found is None:
        return msgspec.structs.replace(weights, missing=True)
    return msgspec.structs.replace(weights, sha256=found.sha256, size=found.size)


def _own() -> list[ModuleType]:
    package = importlib.import_module(".engines", __package__)
    names = [found.name for found in pkgutil.iter_modules(package.__path__)]
    return [
        importlib.import_module(f"{package.__name__}.{name}")
        for name in names
        if not name.startswith("_")
    ]


def _entry(module: ModuleType) -> EngineEntry:
    return EngineEntry(module.SPEC, module.load, module.__name__)
