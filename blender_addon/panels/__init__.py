# SPDX-License-Identifier: GPL-3.0-or-later
"""What the artist sees: one file for each panel, and what is added to Blender's menus."""

from __future__ import annotations

from . import (
    backend,
    chart,
    engine_menu,
    inbetween,
    jobs,
    loop,
    loop_looks,
    loop_make,
    main_menu,
    presets,
    result,
    seam_chart,
    source,
    status_bar,
    timing,
    weights,
)

CLASSES = (
    *presets.CLASSES,
    *main_menu.CLASSES,
    *engine_menu.CLASSES,
    *backend.CLASSES,
    *source.CLASSES,
    *inbetween.CLASSES,
    *result.CLASSES,
    *loop.CLASSES,
    *loop_looks.CLASSES,
    *loop_make.CLASSES,
    *jobs.CLASSES,
    *timing.CLASSES,
    *weights.CLASSES,
)


def register() -> None:
    main_menu.register()
    status_bar.register()


def unregister() -> None:
    status_bar.unregister()
    main_menu.unregister()
    chart.unregister()
    seam_chart.unregister()
