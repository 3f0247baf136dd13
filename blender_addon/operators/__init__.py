# SPDX-License-Identifier: GPL-3.0-or-later
"""What the artist can do: one file for each verb."""

from __future__ import annotations

from . import (
    cancel,
    choose_engine,
    connect,
    disconnect,
    dismiss,
    export_loop,
    fetch_weights,
    fit_gaps,
    generate,
    loop,
    loop_looks,
    make_again,
    mark,
    open_folder,
    presets,
    start_backend,
    stop_backend,
    stop_weights,
)

CLASSES = (
    *start_backend.CLASSES,
    *stop_backend.CLASSES,
    *connect.CLASSES,
    *disconnect.CLASSES,
    *choose_engine.CLASSES,
    *fit_gaps.CLASSES,
    *mark.CLASSES,
    *generate.CLASSES,
    *make_again.CLASSES,
    *loop.CLASSES,
    *loop_looks.CLASSES,
    *export_loop.CLASSES,
    *cancel.CLASSES,
    *dismiss.CLASSES,
    *open_folder.CLASSES,
    *presets.CLASSES,
    *fetch_weights.CLASSES,
    *stop_weights.CLASSES,
)
