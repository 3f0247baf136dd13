# SPDX-License-Identifier: GPL-3.0-or-later
"""What the artist sees: one file for each panel of the sequencer's sidebar."""

from __future__ import annotations

from .backend import TWEENCEL_PT_backend
from .engine_menu import TWEENCEL_MT_engine
from .inbetween import TWEENCEL_PT_inbetween
from .jobs import TWEENCEL_PT_jobs

CLASSES = (
    TWEENCEL_MT_engine,
    TWEENCEL_PT_backend,
    TWEENCEL_PT_inbetween,
    TWEENCEL_PT_jobs,
)
