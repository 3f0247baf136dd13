# SPDX-License-Identifier: GPL-3.0-or-later
"""The artist's settings as plain data for a record, and back. It knows no single setting.

Datablocks are named, not copied: what is not there any more when it is brought back stays unset.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import bpy

from . import charts

_PLAIN = frozenset(("BOOLEAN", "INT", "FLOAT", "STRING", "ENUM"))
_CURVE = "curve_points"
"""Where the points of a curve stand: the property `curve` is only its name in this file."""
_COLLECTIONS = {"Mask": "masks", "Image": "images", "Object": "objects"}


def plain(group: Any, without: frozenset[str] = frozenset()) -> dict[str, Any]:
    """What a group of properties holds, with its collections and the names of its datablocks."""
    found: dict[str, Any] = {}
    for prop in _settable(group, without):
        value = getattr(group, prop.identifier)
        if prop.type in _PLAIN:
            found[prop.identifier] = value
        elif prop.type == "COLLECTION":
            found[prop.identifier] = [plain(item) for item in value]
        elif value is not None:
            found[prop.identifier] = value.name
    if points := _points(group):
        found[_CURVE] = points
    return found


def bring_back(
    group: Any, values: Mapping[str, Any], without: frozenset[str] = frozenset()
) -> None:
    """Set what `plain` gave. What this release does not know or take stays as it is."""
    for prop in _settable(group, without):
        value = values.get(prop.identifier)
        if prop.type == "POINTER":
            setattr(group, prop.identifier, _datablock(prop, value))
        elif value is None:
            continue
        elif prop.type == "COLLECTION":
            _refill(getattr(group, prop.identifier), value)
        else:
            _set(group, prop.identifier, value)
    if isinstance(points := values.get(_CURVE), list):
        charts.set_points(group, points)


def _settable(group: Any, without: frozenset[str]) -> Iterator[Any]:
    skipped = without | {"rna_type", "name", "curve"}
    for prop in group.bl_rna.properties:
        is_tree = prop.type == "POINTER" and prop.fixed_type.identifier not in _COLLECTIONS
        if prop.identifier not in skipped and not is_tree:
            yield prop


def _points(group: Any) -> list[list[Any]]:
    return charts.points_of(group) if "curve" in group.bl_rna.properties else []


def _refill(items: Any, values: Any) -> None:
    items.clear()
    for value in values if isinstance(values, list) else ():
        bring_back(items.add(), value)


def _datablock(prop: Any, name: Any) -> Any:
    known = getattr(bpy.data, _COLLECTIONS[prop.fixed_type.identifier])
    return known.get(name) if isinstance(name, str) else None


def _set(group: Any, name: str, value: Any) -> None:
    try:
        setattr(group, name, value)
    except (TypeError, ValueError):  # of another release, or the record was tampered with
        return
