# SPDX-License-Identifier: GPL-3.0-or-later
# torch annotates split, unflatten and from_numpy only in part.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
"""Reading ToonCrafter's checkpoints, in every form they come in, one network at a time.

Files are mapped into memory, not read: values are copied when and where they are needed, and only
one network is in the making at a time. Nothing in a file is run.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import torch
from torch import Tensor, nn

from backend.models.files import AGAIN, File, opened, written
from backend.models.tooncrafter import keys
from backend.models.tooncrafter.keys import Shape
from backend.models.tooncrafter.layers import FullPrecision
from backend.models.tooncrafter.sizes import FULL, Sizes, parse
from protocol.errors import EngineFailed


class Checkpoint:
    """One file or several that complete each other, seen as one."""

    def __init__(self, paths: Sequence[Path], sizes: Sizes | None = None) -> None:
        """A folder stands for the safetensors files in it.

        sizes: other than those published, or than what the files say. Raises EngineFailed if a
        file is missing, damaged or not what it should be.
        """
        self._homes: dict[str, File] = {}
        said: str | None = None
        for path in _files(paths):
            file = opened(path)
            said = said or file.sizes
            # A name in an earlier file counts: that is the one asked for first.
            self._homes |= {name: file for name in file.shapes if name not in self._homes}
        self.shapes = {name: file.shapes[name] for name, file in self._homes.items()}
        self.sizes = sizes or _sizes(said)

    def holds(self, network: str) -> bool:
        return keys.prefix_of(network, self.shapes) is not None

    def tensor(self, name: str) -> Tensor:
        return self._homes[name].tensor(name)

    def names(self, network: str, module: nn.Module) -> dict[str, str]:
        """Our names of the network's parameters, and the stored ones."""
        prefix = keys.prefix_of(network, self.shapes)
        if prefix is None:
            raise EngineFailed(f"The weights hold no {_title(network)}.", fix=_missing(network))
        return keys.public_names(network, module, prefix)

    def check(self, needed: Sequence[str] = keys.NEEDED) -> None:
        """Raises EngineFailed that names everything missing, superfluous or of the wrong shape."""
        for network in needed:
            if not self.holds(network):
                raise EngineFailed(
                    f"This is not ToonCrafter: there is no {_title(network)}.", fix=AGAIN
                )
        known: set[str] = set()
        faults: list[str] = []
        for network in filter(self.holds, keys.NETWORKS):
            faults += self._faults(network, known)
        for name, shape in keys.unused(self.sizes):
            if name in self.shapes and name not in known:
                known.add(name)
                faults += self._misshapen(name, shape)
        faults += [f"{name} is unknown" for name in sorted(self.shapes.keys() - known)]
        if faults:
            text = f"The weights do not fit ToonCrafter in {len(faults)} places: "
            raise EngineFailed(text + "; ".join(faults) + ".", fix=AGAIN)

    def _faults(self, network: str, known: set[str]) -> Iterator[str]:
        module = keys.meta(network, self.sizes)
        names = self.names(network, module)
        known.update(names.values())
        for ours, parameter in module.named_parameters():
            if names[ours] in self.shapes:
                yield from self._misshapen(names[ours], tuple(parameter.shape))
            else:
                yield f"{names[ours]} is missing"

    def _misshapen(self, name: str, shape: Shape) -> Iterator[str]:
        if self.shapes[name] != shape:
            yield f"{name} is {written(self.shapes[name])} and should be {written(shape)}"

    def load(self, network: str, device: torch.device, dtype: torch.dtype) -> nn.Module:
        """A network with its values on the device; norms stay float32, the rest is `dtype`."""
        module = keys.meta(network, self.sizes)
        names = self.names(network, module)
        for place, part in module.named_modules():
            precision = torch.float32 if isinstance(part, FullPrecision) else dtype
            for name, _ in list(part.named_parameters(recurse=False)):
                stored = self.tensor(names[f"{place}.{name}" if place else name])
                # `copy`: the file may be replaced while the network is in use.
                value = stored.to(device, precision, copy=True)
                setattr(part, name, nn.Parameter(value, requires_grad=False))
        return module


def _files(paths: Sequence[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from sorted(path.glob("*.safetensors"))
        elif path.is_file():
            yield path
        else:
            raise EngineFailed(f"There are no weights at {path}.", fix=AGAIN)


def _sizes(said: str | None) -> Sizes:
    if said is None:
        return FULL
    try:
        return parse(said)
    except msgspec.ValidationError as problem:
        raise EngineFailed(f"The weights say strange sizes: {problem}", fix=AGAIN) from problem


def _title(network: str) -> str:
    return keys.NETWORKS[network].title


def _missing(network: str) -> str:
    match network:
        case "text" | "image":
            return "Add OpenCLIP ViT-H/14's weights, which this repack leaves out."
        case "sketch":
            return "Add sketch_encoder.ckpt, or draw no sketches."
        case _:
            return AGAIN
