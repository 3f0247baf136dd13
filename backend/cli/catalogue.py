# SPDX-License-Identifier: GPL-3.0-or-later
"""What this installation has: `engines` and `weights`."""

from __future__ import annotations

import msgspec
import typer
from rich.table import Table

from backend import registry
from backend.weights import shelf
from protocol.engines import Weights
from protocol.errors import BackendBroken

from .options import Json
from .terminal import TROUBLE, out, print_json, size


class WeightsState(msgspec.Struct, frozen=True, kw_only=True):
    """A file of weights. `sha256` is what it must have; `state` is "ok" or what is wrong."""

    name: str
    engines: tuple[str, ...]
    licence: str
    size: int
    sha256: str
    source: str
    state: str


def engines(json: Json = False) -> None:
    """List the engines and their settings."""
    if json:
        for spec in registry.specs():
            print_json(spec)
        return
    table = Table("engine", "what it does", "settings", "weights")
    for spec in registry.specs():
        settings = "\n".join(f"{param.name}: {param.help or param.label}" for param in spec.params)
        weights = "\n".join(f"{w.name} ({w.licence})" for w in spec.weights) or "none"
        table.add_row(f"{spec.id}\n{spec.version}", spec.summary, settings, weights)
    out.print(table)


def weights(json: Json = False) -> None:
    """List the weights: their licence, size, and whether their bytes are the pinned ones."""
    found = states()
    if json:
        for state in found:
            print_json(state)
    else:
        table = Table("weights", "engines", "licence", "size", "sha256", "state", box=None)
        for state in found:
            names = ", ".join(state.engines)
            row = (state.name, names, state.licence, size(state.size), state.sha256[:16])
            table.add_row(*row, state.state)
        out.print(table)
    if any(state.state != "ok" for state in found):
        raise typer.Exit(TROUBLE)


def states() -> list[WeightsState]:
    """All weights that the engines need, each once."""
    users: dict[str, list[str]] = {}
    records: dict[str, Weights] = {}
    for spec in registry.specs():
        for record in spec.weights:
            records[record.name] = record
            users.setdefault(record.name, []).append(spec.id)
    return [
        WeightsState(
            name=name,
            engines=tuple(users[name]),
            licence=record.licence,
            size=record.size,
            sha256=record.sha256,
            source=record.source,
            state=_state(record),
        )
        for name, record in records.items()
    ]


def _state(record: Weights) -> str:
    if not record.embedded:
        return "the engine's own"
    try:
        shelf.read(record.name)
    except BackendBroken as problem:
        return problem.text
    return "ok"
