# SPDX-License-Identifier: GPL-3.0-or-later
"""The custom properties by which strips that we made are known, also in a saved .blend file."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

JOB = "tweencel_job"
ENGINE = "tweencel_engine"
GENERATED = "tweencel_generated"
"""One character for each frame: `k` a key, `g` generated."""
PROVENANCE = "tweencel_provenance"
BEGIN = "tweencel_begin"
"""The frame on which the result began when it was made: one that begins elsewhere was moved."""
OPEN = "tweencel_open"
"""There while the strip's job is open: what has landed since it was saved is to be shown."""

BEFORE = "tweencel_before"
"""What a result showed before it was made again, as JSON, while the new version is not finished."""
VARIATIONS = "tweencel_variations"
"""The same for all results of which the artist is to pick one."""
LOOP = "tweencel_loop"
"""On a loop: how many frames it has before it begins anew."""


_Kind = TypeVar("_Kind")


def is_ours(strip: Any) -> bool:
    return JOB in strip


def job_of(strip: Any) -> str:
    """The id of the job that fills the strip, or an empty text."""
    return str(strip.get(JOB, ""))


def is_loop(strip: Any) -> bool:
    """Whether it is a loop of ours, and not in-betweens."""
    return LOOP in strip


def noted(owner: Any, kind: type[_Kind]) -> _Kind | None:
    """What BEFORE says; None if that was spoiled."""
    try:
        return msgspec.json.decode(str(owner[BEFORE]), type=kind)
    except ValueError:
        return None
