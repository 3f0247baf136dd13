# SPDX-License-Identifier: GPL-3.0-or-later
# torch annotates split, unflatten and from_numpy only in part.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
"""From a published checkpoint to one safetensors file for each network, with their sha256.

Names stay the published ones. It writes tensor by tensor, so host memory stays near the largest
tensor.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import BinaryIO, Protocol

import torch
from torch import Tensor

from backend.models.files import SIZES
from backend.models.tooncrafter import keys
from backend.models.tooncrafter.checkpoint import Checkpoint
from backend.models.tooncrafter.sizes import dump

#: The file beside the converted ones that says what they are.
MANIFEST = "tooncrafter.json"


class _Digest(Protocol):
    def update(self, data: bytes | memoryview, /) -> None: ...


_NAMES = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16"}


@dataclass(frozen=True)
class Converted:
    """A written file."""

    network: str
    path: Path
    size: int
    sha256: str


def convert(
    checkpoint: Checkpoint, folder: Path, dtype: torch.dtype = torch.float16
) -> Iterator[Converted]:
    """Write every network that the checkpoint holds into the folder; yields after each file.

    float16 keeps three more bits than bfloat16 and halves the size. The manifest is written last:
    a folder without one is unfinished. Raises EngineFailed if the checkpoint does not fit, and
    OverflowError if a value does not fit `dtype`.
    """
    checkpoint.check()
    folder.mkdir(parents=True, exist_ok=True)
    written: list[Converted] = []
    for network in filter(checkpoint.holds, keys.NETWORKS):
        written.append(_write(checkpoint, network, folder, dtype))
        yield written[-1]
    files = [
        {"network": w.network, "file": w.path.name, "size": w.size, "sha256": w.sha256}
        for w in written
    ]
    (folder / MANIFEST).write_text(json.dumps({"files": files}, indent=1) + "\n", encoding="utf-8")


def damaged(folder: Path) -> Iterator[tuple[str, bool]]:
    """Each file that the manifest names, and whether its bytes are not those that were written.

    Raises OSError if a file or the manifest cannot be read.
    """
    for entry in json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["files"]:
        with (folder / entry["file"]).open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        yield entry["file"], found != entry["sha256"]


def _write(checkpoint: Checkpoint, network: str, folder: Path, dtype: torch.dtype) -> Converted:
    module = keys.meta(network, checkpoint.sizes)
    names = sorted(checkpoint.names(network, module).values())
    path = folder / f"{network}.safetensors"
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        digest = hashlib.sha256()
        _put(file, digest, _header(checkpoint, names, dtype))
        for name in names:
            _put(file, digest, _bytes(name, checkpoint.tensor(name), dtype))
        size = file.tell()
    part.replace(path)
    return Converted(network, path, size, digest.hexdigest())


def _header(checkpoint: Checkpoint, names: list[str], dtype: torch.dtype) -> bytes:
    """https://github.com/huggingface/safetensors#format"""
    entries: dict[str, object] = {"__metadata__": {SIZES: dump(checkpoint.sizes)}}
    start = 0
    for name in names:
        shape = checkpoint.shapes[name]
        stop = start + prod(shape) * dtype.itemsize
        entries[name] = {
            "dtype": _NAMES[dtype],
            "shape": list(shape),
            "data_offsets": [start, stop],
        }
        start = stop
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def _bytes(name: str, value: Tensor, dtype: torch.dtype) -> memoryview:
    value = value.to(dtype).contiguous()
    if not value.isfinite().all():
        raise OverflowError(f"{name} has values that {_NAMES[dtype]} cannot hold")
    return value.reshape(-1).view(torch.uint8).numpy().data


def _put(file: BinaryIO, digest: _Digest, content: bytes | memoryview) -> None:
    file.write(content)
    digest.update(content)
