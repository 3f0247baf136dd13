# SPDX-License-Identifier: GPL-3.0-or-later
"""What the artist sees: one file for each panel of the sequencer's sidebar."""

from __future__ import annotations

from . import (
    backend,
    engine_menu,
    inbetween,
    jobs,
)

CLASSES = (
    *engine_menu.CLASSES,
    *backend.CLASSES,
    *inbetween.CLASSES,
    *jobs.CLASSES,
)
