# SPDX-License-Identifier: GPL-3.0-or-later
"""Narrow ToonCrafters under every published name, and offers of them from mirrors of our own."""

from __future__ import annotations

import hashlib
import io
from functools import cache

import torch
from safetensors.torch import save

from backend.models.files import SIZES
from backend.models.tooncrafter.sizes import dump
from tests.parity.test_tooncrafter_weights import made
from tests.parity.tooncrafter import NARROW


@cache
def checkpoint(sketch: bool = False) -> bytes:
    """As torch saves it."""
    file = io.BytesIO()
    torch.save({SIZES: dump(NARROW), "state_dict": made(sketch)}, file)
    return file.getvalue()


@cache
def repack() -> tuple[bytes, bytes]:
    """In halves: without the towers as float16 safetensors, and the towers as OpenCLIP has them."""
    towers = ("cond_stage_model.model.", "embedder.model.")
    weights = made()
    rest = {k: v.half() for k, v in weights.items() if not k.startswith(towers)}
    clip = {k.split(".model.", 1)[1]: v for k, v in weights.items() if k.startswith(towers)}
    file = io.BytesIO()
    torch.save(clip, file)
    return save(rest, {SIZES: dump(NARROW)}), file.getvalue()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def file(name: str, content: bytes, *urls: str, digest: bool = True) -> dict[str, object]:
    """A published file, as a catalogue has it."""
    told = {"sha256": sha256(content)} if digest else {}
    return {"name": name, "urls": urls, "size": len(content), "exact": True, **told}


def offer(*files: dict[str, object], name: str = "tooncrafter", **other: str) -> dict[str, object]:
    """An offer, as a catalogue has it."""
    return {
        "name": name,
        "gives": "tooncrafter",
        "title": "A narrow ToonCrafter",
        "form": "tooncrafter",
        "files": files,
        "page": "https://narrow.example",
        "licence": "CC0-1.0",
        "licence_url": "https://creativecommons.org/publicdomain/zero/1.0",
        **other,
    }
