# SPDX-License-Identifier: GPL-3.0-or-later
# safetensors annotates save_file only in part.
# pyright: reportUnknownVariableType=false
"""From published checkpoints to one safetensors file for each network.

Names stay the published ones, so that a converted file is loaded by the same road.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from backend.models.cinemagraph import keys
from backend.models.cinemagraph.checkpoint import Checkpoint
from backend.models.cinemagraph.sizes import FULL, dump
from backend.models.files import SIZES


def convert(
    checkpoint: Checkpoint, folder: Path, dtype: torch.dtype = torch.float32
) -> Iterator[Path]:
    """Write every network that the checkpoint holds into the folder; yields after each file.

    In float16 the told network and the text tower take half the space; the others are small.
    Vectors stay float32: norms depend on them. Raises OverflowError, and
    leaves no such file, if a value does not fit `dtype`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    said = {} if checkpoint.sizes == FULL else {SIZES: dump(checkpoint.sizes)}
    for network in filter(checkpoint.holds, keys.NETWORKS):
        values = {
            name: _narrowed(name, value, dtype) for name, value in checkpoint.tensors(network)
        }
        path = folder / f"{network}.safetensors"
        part = path.with_suffix(".part")
        save_file(values, part, said)
        part.replace(path)
        yield path


def _narrowed(name: str, value: Tensor, dtype: torch.dtype) -> Tensor:
    if value.dim() < 2 or not value.is_floating_point():
        return value.contiguous()
    narrow = value.to(dtype).contiguous()
    if not narrow.isfinite().all():
        raise OverflowError(f"{name} has values that {dtype} cannot hold")
    return narrow
