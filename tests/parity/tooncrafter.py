# SPDX-License-Identifier: GPL-3.0-or-later
"""Reduced ToonCrafter networks with the reference's weights, and what the reference made of them.

The recordings lie beside some checkouts, in shared/reference/tooncrafter. Where they are absent,
the tests that compare with them are skipped; everything else runs on weights made here.
"""

from __future__ import annotations

import csv
import hashlib
import json
import re
import zlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from backend.models.tooncrafter import keys
from backend.models.tooncrafter.sizes import (
    ImageSize,
    ResamplerSize,
    Sizes,
    SketchSize,
    TextSize,
    UNetSize,
    VaeSize,
)

REFERENCE = Path(__file__).parents[3] / "shared" / "reference" / "tooncrafter"
FIXTURES = REFERENCE / "fixtures"

#: The recordings' own tolerance on the class of machine that made them.
CLOSE = 5e-6

needs_shared = [
    pytest.mark.shared,
    pytest.mark.skipif(
        not FIXTURES.is_dir(),
        reason="no ../shared/reference/tooncrafter beside this checkout: nothing to compare with",
    ),
]

TINY = Sizes(
    unet=UNetSize(base=32, multiples=(1, 2), depth=1, attended=(1,), head=4, context=16),
    vae=VaeSize(base=32, multiples=(1, 1, 1, 1), depth=1),
    resampler=ResamplerSize(width=32, depth=2, heads=3, head=8, seen=24, context=16),
    text=TextSize(width=16, heads=2, stored=3, vocabulary=128),
    image=ImageSize(width=24, heads=3, depth=3),
    sketch=SketchSize(base=32, multiples=(1, 2), depth=1, attended=(1,), head=8, context=16),
)
#: As many levels and blocks as the published networks: all of their keys, narrow.
NARROW = Sizes(
    unet=UNetSize(base=32, head=4, context=16),
    vae=VaeSize(base=32),
    resampler=ResamplerSize(width=16, heads=2, head=8, seen=16, context=16),
    text=TextSize(width=16, heads=2, vocabulary=49408),
    image=ImageSize(width=16, heads=2),
    sketch=SketchSize(base=32, head=8, context=16),
)


def io(name: str) -> dict[str, Tensor]:
    return load_file(FIXTURES / f"{name}.safetensors")


def difference(made: Tensor, wanted: Tensor) -> float:
    """max |made - wanted| / max |wanted|."""
    assert made.shape == wanted.shape, f"{tuple(made.shape)} is not {tuple(wanted.shape)}"
    return float((made.float() - wanted.float()).abs().max() / wanted.float().abs().max())


def value_for(key: str, shape: tuple[int, ...]) -> Tensor:
    """The reference's recipe: a value that depends only on a parameter's public name and shape."""
    stream = np.random.RandomState(zlib.crc32(key.encode()) & 0x7FFFFFFF)
    value = stream.standard_normal(int(np.prod(shape))).reshape(shape)
    last = key.rsplit(".", 1)[-1]
    if len(shape) >= 2 and last not in ("latents", "positional_embedding", "class_embedding"):
        value = value * (1 / np.sqrt(int(np.prod(shape[1:]))))
    elif last == "latents":
        value = value / np.sqrt(shape[-1])
    elif last in ("positional_embedding", "class_embedding"):
        value = value * 0.1
    elif last == "mix_factor":
        value = value * 0.5
    elif last == "logit_scale":
        value = np.full(shape, 2.6592)
    else:
        value = 1 + 0.1 * value if last == "weight" else 0.05 * value
    return torch.from_numpy(np.ascontiguousarray(value.astype(np.float32))).bfloat16().float()


def filled(network: str, sizes: Sizes, stored: Mapping[str, Tensor] | None = None) -> nn.Module:
    """A network with the recipe's values, or with the stored ones, under its public names."""
    module = keys.meta(network, sizes)
    shapes = {name: tuple(value.shape) for name, value in module.state_dict().items()}
    prefix = "encoder." if network == "encoder" else "decoder." if network == "decoder" else ""
    names = keys.public_names(network, module, prefix)
    values = {
        ours: value_for(public, shapes[ours]) if stored is None else stored[public].float()
        for ours, public in names.items()
    }
    module.load_state_dict(values, strict=True, assign=True)
    return module.eval().requires_grad_(False)


def stored(name: str) -> dict[str, Tensor]:
    """A recording's weights by their public names."""
    weights = load_file(FIXTURES / f"{name}.weights.safetensors")
    return {key.removeprefix("model."): value.float() for key, value in weights.items()}


def digest(weights: Mapping[str, Tensor]) -> str:
    """As MANIFEST.json counts it."""
    total = hashlib.sha256()
    for key in sorted(weights):
        total.update(key.encode())
        total.update(weights[key].contiguous().numpy().tobytes())
    return total.hexdigest()


@cache
def manifest() -> dict[str, Any]:
    return json.loads((FIXTURES / "MANIFEST.json").read_text())


def published(table: str) -> dict[str, tuple[int, ...]]:
    """Every key of a published checkpoint with its shape."""
    with (REFERENCE / table).open(newline="") as file:
        rows = csv.DictReader(file, delimiter="\t")
        return {row["key"]: tuple(map(int, re.findall(r"\d+", row["shape"]))) for row in rows}
