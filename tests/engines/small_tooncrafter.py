# SPDX-License-Identifier: GPL-3.0-or-later
"""ToonCrafter's weights for tests: random, few and small, installed as the real ones are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from backend import installing
from backend.models.files import SIZES
from backend.models.tooncrafter.sizes import dump
from backend.weights import catalogue
from tests.parity.test_tooncrafter_weights import made
from tests.parity.tooncrafter import TINY

SMALL = replace(TINY, text=replace(TINY.text, vocabulary=49408))
"""A few blocks of each network, and all words."""
FAST = {"steps": 1, "size": 25, "guidance": 1.0}
"""The settings that take least time."""


def install(root: Path, *, sketch: bool = True) -> None:
    """Small checkpoints, in the published container, converted into the folder of all weights."""
    root.mkdir(parents=True, exist_ok=True)
    files = {"tooncrafter": ("model.ckpt", False)}
    if sketch:
        files["tooncrafter-sketch"] = ("sketch_encoder.ckpt", True)
    for name, (file, is_sketch) in files.items():
        path = root / file
        torch.save({SIZES: dump(SMALL), "state_dict": made(is_sketch, SMALL)}, path)
        installing.add(catalogue.find(name, root), [path], root, lambda *_: None)
        path.unlink()
