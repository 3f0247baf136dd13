# SPDX-License-Identifier: GPL-3.0-or-later
"""Which engines there are: the files of backend/engines/ and the entry points `tweencel.engines`.

Finding an engine reads its record only; torch stays out of the process that asks.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from importlib.metadata import entry_points
from types import ModuleType

from protocol.engines import EngineSpec
from protocol.errors import UnknownEngine

from .engine import EngineEntry, Registry

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
        return engines()[engine]
    except KeyError:
        raise UnknownEngine(
            f"This backend has no engine called {engine!r}.",
            fix=f"Choose one of: {', '.join(engines())}.",
        ) from None


def specs() -> tuple[EngineSpec, ...]:
    """The records of all engines, as they are sent to clients."""
    return tuple(entry.spec for entry in engines().values())


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
