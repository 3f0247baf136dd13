# SPDX-License-Identifier: GPL-3.0-or-later
"""Narrow ToonCrafters under every published name, and offers of them from mirrors of our own."""

from __future__ import annotations

import io
from functools import cache

import torch
from safetensors.torch import save

from backend.models.files import SIZES
from backend.models.tooncrafter.sizes import dump
from tests.fakes.mirror import file, offer, sha256
from tests.parity.test_tooncrafter_weights import made
from tests.parity.tooncrafter import NARROW

__all__ = ["checkpoint", "file", "offer", "repack", "sha256"]


@cache
def checkpoint(sketch: bool = False) -> bytes:
    """As torch saves it."""
    saved = io.BytesIO()
    torch.save({SIZES: dump(NARROW), "state_dict": made(sketch)}, saved)
    return saved.getvalue()


@cache
def repack() -> tuple[bytes, bytes]:
    """In halves: without the towers as float16 safetensors, and the towers as OpenCLIP has them."""
    towers = ("cond_stage_model.model.", "embedder.model.")
    weights = made()
    rest = {k: v.half() for k, v in weights.items() if not k.startswith(towers)}
    clip = {k.split(".model.", 1)[1]: v for k, v in weights.items() if k.startswith(towers)}
    saved = io.BytesIO()
    torch.save(clip, saved)
    return save(rest, {SIZES: dump(NARROW)}), saved.getvalue()
