# SPDX-License-Identifier: GPL-3.0-or-later
"""The values of `--set name=value`, in the types that an engine publishes."""

from __future__ import annotations

from backend import registry
from protocol.errors import BadParameter
from protocol.params import BoolParam, FloatParam, IntParam, Param, Value


def read_params(engine: str, settings: list[str]) -> dict[str, Value]:
    """Raises BadParameter for what the engine does not publish, UnknownEngine."""
    params = {param.name: param for param in registry.find(engine).spec.params}
    values: dict[str, Value] = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals or name not in params:
            raise BadParameter(
                f"--set {setting!r} is not a setting of {engine}.",
                fix=f"Its settings are: {', '.join(params) or 'none'} (name=value).",
            )
        values[name] = _read_value(params[name], text)
    return values


def _read_value(param: Param, text: str) -> Value:
    try:
        match param:
            case IntParam():
                return int(text)
            case FloatParam():
                return float(text)
            case BoolParam():
                return {"on": True, "true": True, "off": False, "false": False}[text.lower()]
            case _:
                return text
    except (ValueError, KeyError):
        raise BadParameter(
            f"{param.label} cannot be {text!r}.", fix="See `tweencel engines`."
        ) from None
