# SPDX-License-Identifier: GPL-3.0-or-later
"""The schema in which an engine publishes its settings, and the check of values against it.

It is data only: the add-on draws its panel from it, the backend validates with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

import msgspec
from msgspec import Meta

from .errors import BadParameter

Name = Annotated[str, Meta(pattern=r"\A[a-z][a-z0-9_]{0,39}\Z")]
Value = bool | int | float | str
Values = dict[str, Value]


class _Param(msgspec.Struct, frozen=True, kw_only=True):
    name: Name
    label: str
    help: str = ""


class IntParam(_Param, frozen=True, kw_only=True, tag="int"):
    """A whole number, `minimum` <= value <= `maximum`."""

    default: int
    minimum: int
    maximum: int
    unit: str = ""


class FloatParam(_Param, frozen=True, kw_only=True, tag="float"):
    """A finite number, `minimum` <= value <= `maximum`."""

    default: float
    minimum: float
    maximum: float
    unit: str = ""


class BoolParam(_Param, frozen=True, kw_only=True, tag="bool"):
    """A switch."""

    default: bool


class Choice(msgspec.Struct, frozen=True):
    """One entry of a ChoiceParam."""

    id: Name
    label: str
    help: str = ""


class ChoiceParam(_Param, frozen=True, kw_only=True, tag="choice"):
    """One of a few named ways."""

    default: str
    choices: tuple[Choice, ...]


class TextParam(_Param, frozen=True, kw_only=True, tag="text"):
    """Free text of at most `max_length` characters."""

    default: str = ""
    max_length: int = 1000


Param = IntParam | FloatParam | BoolParam | ChoiceParam | TextParam


def check_value(param: Param, value: Value) -> Value:
    """The value in the parameter's own type. Raises BadParameter with what is allowed."""
    match param:
        case BoolParam():
            fits = isinstance(value, bool)
            wanted = "on or off"
        case IntParam():
            fits = (
                isinstance(value, int)
                and not isinstance(value, bool)
                and param.minimum <= value <= param.maximum
            )
            wanted = f"a whole number between {param.minimum} and {param.maximum}"
        case FloatParam():
            fits = (
                isinstance(value, int | float)
                and not isinstance(value, bool)
                and param.minimum <= value <= param.maximum
            )
            wanted = f"a number between {param.minimum} and {param.maximum}"
        case ChoiceParam():
            allowed = [choice.id for choice in param.choices]
            fits = value in allowed
            wanted = f"one of {', '.join(allowed)}"
        case TextParam():
            fits = isinstance(value, str) and len(value) <= param.max_length
            wanted = f"a text of at most {param.max_length} characters"
    if not fits:
        raise BadParameter(f"{param.label} is {_quoted(value)}.", fix=f"It must be {wanted}.")
    return float(value) if isinstance(param, FloatParam) else value


def complete(params: Sequence[Param], values: Mapping[str, Value]) -> Values:
    """All of an engine's settings: those given, checked, and defaults for the rest.

    Raises BadParameter for a name the engine does not publish or a value out of range.
    """
    known = {param.name for param in params}
    if unknown := sorted(set(values) - known):
        raise BadParameter(
            f"The engine has no setting named {_quoted(', '.join(unknown))}.",
            fix=f"Its settings are: {', '.join(sorted(known)) or 'none'}.",
        )
    return {
        param.name: check_value(param, values.get(param.name, param.default)) for param in params
    }


def _quoted(value: Value) -> str:
    """As in Python, but never long: it may be anything that a peer sent."""
    text = repr(value[:80] if isinstance(value, str) else value)
    return text if len(text) <= 80 else f"{text[:76]} ..."
