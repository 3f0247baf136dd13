# SPDX-License-Identifier: GPL-3.0-or-later
"""What this installation can make: `engines`."""

from __future__ import annotations

from rich.table import Table

from backend import registry

from .options import Json
from .terminal import out, print_json


def engines(json: Json = False) -> None:
    """List the engines and their settings."""
    if json:
        for spec in registry.specs():
            print_json(spec)
        return
    table = Table("engine", "what it does", "settings", "weights")
    for spec in registry.specs():
        settings = "\n".join(f"{param.name}: {param.help or param.label}" for param in spec.params)
        weights = "\n".join(
            f"{w.name} ({w.licence}){', missing' if w.missing else ''}" for w in spec.weights
        )
        table.add_row(f"{spec.id}\n{spec.version}", spec.summary, settings, weights or "none")
    out.print(table)
