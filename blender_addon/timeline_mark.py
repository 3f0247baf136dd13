# SPDX-License-Identifier: GPL-3.0-or-later
"""The custom properties by which strips that we made are known, also in a saved .blend file."""

from __future__ import annotations

from typing import Any

JOB = "tweencel_job"
ENGINE = "tweencel_engine"
GENERATED = "tweencel_generated"
"""One character for each frame: `k` a key, `g` generated."""
PROVENANCE = "tweencel_provenance"
OPEN = "tweencel_open"
"""There while the strip's job is open: what has landed since it was saved is to be shown."""


def is_ours(strip: Any) -> bool:
    return JOB in strip


def job_of(strip: Any) -> str:
    """The id of the job that fills the strip, or an empty text."""
    return str(strip.get(JOB, ""))
