# SPDX-License-Identifier: GPL-3.0-or-later
"""The cinemagraph networks with the reference's weights, and what the reference made of them.

The recordings lie beside some checkouts, in shared/reference/cinemagraph. Where they are absent,
the tests that compare with them are skipped; everything else runs on weights made here.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from backend.models.cinemagraph import keys
from backend.models.cinemagraph.checkpoint import Checkpoint
from backend.models.cinemagraph.sizes import (
    FULL,
    HintedSize,
    Sizes,
    TextSize,
    ToldSize,
    VideoSize,
    dump,
)
from backend.models.files import SIZES, Shape

FIXTURES = Path(__file__).parents[3] / "shared" / "reference" / "cinemagraph" / "fixtures"
CPU = torch.device("cpu")

#: The recordings' own tolerances: for splats, courses and loops, and for networks.
CLOSE, NET_CLOSE = 1e-5, 1e-4

needs_shared = [
    pytest.mark.shared,
    pytest.mark.skipif(
        not FIXTURES.is_dir(),
        reason="no ../shared/reference/cinemagraph beside this checkout: nothing to compare with",
    ),
]

#: The recordings' reduced networks.
TINY = Sizes(told=ToldSize(base=16, context=24), video=VideoSize(base=8))
#: All networks, narrow, with all of their names.
NARROW = Sizes(
    hinted=HintedSize(base=4),
    told=ToldSize(base=16, context=16),
    video=VideoSize(base=8),
    text=TextSize(width=16, heads=2),
    side=256,
)


def io(name: str) -> dict[str, Tensor]:
    return {k: v.float() for k, v in load_file(FIXTURES / f"{name}.safetensors").items()}


def published(table: str) -> dict[str, Shape]:
    """Every key of a published checkpoint with its shape."""
    content = json.loads((FIXTURES / f"keys_{table}.json").read_text())
    return {name: tuple(shape) for name, shape in content.items()}


def off(made: Tensor, wanted: Tensor) -> float:
    """max |made - wanted|."""
    assert made.shape == wanted.shape, f"{tuple(made.shape)} is not {tuple(wanted.shape)}"
    return float((made.float() - wanted.float()).abs().max())


def noise(name: str, shape: Shape) -> NDArray[np.float64]:
    return np.random.RandomState(zlib.crc32(name.encode())).standard_normal(shape)


def value_for(name: str, shape: Shape) -> NDArray[np.float32]:
    """The reference's recipe: a value that depends only on a parameter's public name and shape."""
    value = noise(name, shape).astype(np.float32)
    match name.rpartition(".")[2]:
        case "stored_mean":
            return np.float32(0.1) * value
        case "stored_var":
            return np.float32(0.5) + np.abs(value)
        case "accumulation_counter":
            return np.zeros_like(value)
        case "bias":
            return np.float32(0.05) * value
        case _ if len(shape) == 1:
            return 1 + np.float32(0.1) * value
        case _:
            return value / np.float32(np.sqrt(np.prod(shape[1:])))


def values_for(shapes: Mapping[str, Shape]) -> dict[str, Tensor]:
    """Such values for all names; the vectors that norm a weight belong to it."""
    made = {
        name: torch.from_numpy(np.asarray(value_for(name, shape), np.float32))
        for name, shape in shapes.items()
        if not name.endswith((".weight_u", ".weight_v"))
    }
    for name in [name for name in made if name.endswith(".weight_orig")]:
        place = name.removesuffix("_orig")
        u, v = _norming(place, made[name].flatten(1).double().numpy())
        made |= {place + "_u": u, place + "_v": v}
    return made


def _norming(place: str, weight: NDArray[np.float64]) -> tuple[Tensor, Tensor]:
    u = noise(place + "_u", weight.shape[:1])
    u, v = u / np.linalg.norm(u), np.zeros(weight.shape[1])
    for _ in range(20):
        v = weight.T @ u
        v /= np.linalg.norm(v)
        u = weight @ v
        u /= np.linalg.norm(u)
    return torch.from_numpy(u).float(), torch.from_numpy(v).float()


def weights_of(networks: tuple[str, ...], sizes: Sizes) -> dict[str, Tensor]:
    shapes: dict[str, Shape] = {}
    for network in networks:
        shapes |= keys.stored(network, sizes)
    return values_for(shapes)


def write(path: Path, weights: Mapping[str, Tensor], sizes: Sizes) -> Path:
    """A safetensors file that says its sizes."""
    save_file(dict(weights), path, {} if sizes == FULL else {SIZES: dump(sizes)})
    return path


def loaded(network: str, weights: Mapping[str, Tensor], sizes: Sizes, folder: Path) -> nn.Module:
    """A network by way of a file, as everywhere."""
    checkpoint = Checkpoint([write(folder / f"{network}.safetensors", weights, sizes)])
    return checkpoint.load(network, CPU, torch.float32)
