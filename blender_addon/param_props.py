# SPDX-License-Identifier: GPL-3.0-or-later
"""An engine's published settings as values in the scene, with sliders and tooltips from the record.

Data only: nothing that a backend sends is ever run. The values are custom properties, so engines
may come, change and go while the .blend file keeps what the artist set for each.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any, NamedTuple

from protocol.engines import EngineSpec
from protocol.errors import BadParameter
from protocol.params import (
    BoolParam,
    ChoiceParam,
    FloatParam,
    IntParam,
    Param,
    TextParam,
    Value,
    Values,
    check_value,
    complete,
)

_PREFIX = "set_"
"""Keeps a setting called `name` apart from the name of the collection's item."""


class Row(NamedTuple):
    """One line of the panel: the custom property to draw, and its label."""

    path: str
    label: str


def fit(settings: Any, specs: Sequence[EngineSpec]) -> None:
    """Make the scene's values match what the engines publish; good values stay."""
    for spec in specs:
        item = settings.engines.get(spec.id)
        if item is None:
            item = settings.engines.add()
            item.name = spec.id
        for param in spec.params:
            _fit_value(item, param)


def fits(settings: Any, specs: Sequence[EngineSpec]) -> bool:
    """Whether every setting of every engine has a value in the scene."""
    return all(
        (item := settings.engines.get(spec.id)) is not None
        and all(_key(param) in item for param in spec.params)
        for spec in specs
    )


def rows(settings: Any, spec: EngineSpec) -> list[Row]:
    """What the panel draws for an engine, in the engine's order."""
    item = settings.engines.get(spec.id)
    if item is None:
        return []
    return [Row(f'["{_key(p)}"]', _label(p)) for p in spec.params if _key(p) in item]


def values(settings: Any, spec: EngineSpec) -> Values:
    """The settings to send. Raises BadParameter if one is not what the engine takes."""
    item = settings.engines.get(spec.id)
    stored: dict[str, Value] = {}
    for param in spec.params:
        if item is not None and _key(param) in item:
            stored[param.name] = _from_stored(param, item[_key(param)])
    return complete(spec.params, stored)


def set_value(settings: Any, spec: EngineSpec, name: str, value: Value) -> None:
    """Set one value, as the panel does. Raises BadParameter."""
    fit(settings, [spec])
    for param in spec.params:
        if param.name == name:
            settings.engines[spec.id][_key(param)] = _to_stored(param, check_value(param, value))
            return
    complete(spec.params, {name: value})


def _key(param: Param) -> str:
    return _PREFIX + param.name


def _label(param: Param) -> str:
    unit = param.unit if isinstance(param, IntParam | FloatParam) else ""
    return f"{param.label} ({unit})" if unit else param.label


def _fit_value(item: Any, param: Param) -> None:
    key = _key(param)
    try:
        check_value(param, _from_stored(param, item[key]))
    except (KeyError, BadParameter):
        if key in item:
            del item[key]  # so that its type may change
        item[key] = _to_stored(param, param.default)
    item.id_properties_ui(key).update(**_look(param))


def _look(param: Param) -> dict[str, Any]:
    look: dict[str, Any] = {"description": param.help}
    match param:
        case IntParam() | FloatParam():
            look |= {"min": param.minimum, "max": param.maximum, "default": param.default}
            look |= {"soft_min": param.minimum, "soft_max": param.maximum}
        case ChoiceParam():
            look["items"] = [(c.id, c.label, c.help, 0, _number(c.id)) for c in param.choices]
            look["default"] = _number(param.default)
        case BoolParam() | TextParam():
            look["default"] = param.default
    return look


def _number(choice: str) -> int:
    """Blender stores a choice as a number. Made from its id it keeps its meaning when a newer
    engine lists its choices in another order."""
    return zlib.crc32(choice.encode()) & 0x7FFFFFFF


def _to_stored(param: Param, value: Value) -> Value:
    return _number(str(value)) if isinstance(param, ChoiceParam) else value


def _from_stored(param: Param, stored: Any) -> Value:
    match param:
        case ChoiceParam():
            by_number = {_number(choice.id): choice.id for choice in param.choices}
            return by_number.get(stored, f"choice {stored}")
        case BoolParam():
            return bool(stored) if stored in (0, 1) else stored
        case _:
            return stored
