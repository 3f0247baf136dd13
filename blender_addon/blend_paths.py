# SPDX-License-Identifier: GPL-3.0-or-later
"""Paths as a .blend file keeps them: they still hold when the project is moved as a whole."""

from __future__ import annotations

import contextlib
from pathlib import Path

import bpy


def stored(path: Path) -> str:
    """Relative to the .blend file once that is saved, where the system has such a path."""
    if bpy.data.filepath:
        with contextlib.suppress(ValueError):  # another drive
            return bpy.path.relpath(str(path))
    return str(path)
