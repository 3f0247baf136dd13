# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading the networks' checkpoints, in every form they come in, one network at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec
import torch
from torch import Tensor, nn

from backend.models.cinemagraph import keys
from backend.models.cinemagraph.sizes import FULL, Sizes, parse
from backend.models.files import AGAIN, File, Shape, opened, written
from protocol.errors import EngineFailed


class Checkpoint:
    """Files that hold one or some of the networks, each whole; seen as one."""

    def __init__(self, paths: Sequence[Path], sizes: Sizes | None = None) -> None:
        """sizes: other than those published, or than what the files say.

        Raises EngineFailed if a file is missing, damaged or not what it should be.
        """
        self._homes: dict[str, File] = {}
        self.sizes = sizes or FULL
        for path in paths:
            file = opened(path)
            if sizes is None and file.sizes is not None:
                self.sizes = _sizes(file.sizes)
            held = [
                network
                for network in keys.NETWORKS
                if keys.prefix_of(network, file.shapes) is not None
            ]
            if not held:
                raise EngineFailed(f"{path.name} holds none of the networks.", fix=AGAIN)
            self._check(path, file, held)
            # A network in an earlier file counts: that is the one asked for first.
            self._homes |= {name: file for name in held if name not in self._homes}

    def holds(self, network: str) -> bool:
        return network in self._homes

    def _check(self, path: Path, file: File, held: Sequence[str]) -> None:
        """Raises EngineFailed that names everything missing, superfluous or of the wrong shape."""
        wanted: dict[str, Shape] = {}
        faults: list[str] = []
        for network in held:
            own = keys.stored(network, self.sizes, keys.prefix_of(network, file.shapes))
            faults += _faults(network, own, file.shapes)
            wanted |= own
        if all(keys.NETWORKS[network].alone for network in held):
            faults += [f"{name} is unknown" for name in sorted(file.shapes.keys() - wanted.keys())]
        if faults:
            titles = " and ".join(keys.NETWORKS[network].title for network in held)
            text = f"{path.name} does not fit the {titles} in {len(faults)} places: "
            raise EngineFailed(text + "; ".join(faults) + ".", fix=AGAIN)

    def prefix(self, network: str) -> str:
        """What stands before the network's names: it tells whose parameters they are."""
        prefix = keys.prefix_of(network, self._home(network).shapes)
        assert prefix is not None
        return prefix

    def tensors(self, network: str) -> Iterator[tuple[str, Tensor]]:
        """Every stored value of a network with its published name."""
        file = self._home(network)
        names = keys.stored(network, self.sizes, self.prefix(network))
        return ((name, file.tensor(name)) for name in names if name in file.shapes)

    def load(self, network: str, device: torch.device, dtype: torch.dtype) -> nn.Module:
        """A network with its values on the device, in eval mode and without gradients."""
        file, prefix = self._home(network), self.prefix(network)
        module = keys.meta(network, self.sizes)
        values = {
            name: _value(file, prefix, name, network).to(device, dtype, copy=True)
            for name, _ in module.named_parameters()
        }
        module.load_state_dict(values, strict=True, assign=True)
        return module.requires_grad_(False)

    def _home(self, network: str) -> File:
        if network not in self._homes:
            title = keys.NETWORKS[network].title
            raise EngineFailed(f"The weights hold no {title}.", fix=f"Add a file with a {title}.")
        return self._homes[network]


def _value(file: File, prefix: str, name: str, network: str) -> Tensor:
    public = prefix + keys.public_name(name, network)
    if not keys.is_spectral(name, network):
        return file.tensor(public)
    # In double precision the order of sums, which depends on where a file lies, cannot be seen.
    weight, u, v = (file.tensor(public + end).double() for end in ("_orig", "_u", "_v"))
    return weight / torch.dot(u, torch.mv(weight.flatten(1), v))


def _faults(network: str, wanted: Mapping[str, Shape], found: Mapping[str, Shape]) -> Iterator[str]:
    for name, shape in wanted.items():
        if name not in found:
            if not keys.optional(network, name):
                yield f"{name} is missing"
        elif found[name] != shape:
            yield f"{name} is {written(found[name])} and should be {written(shape)}"


def _sizes(said: str) -> Sizes:
    try:
        return parse(said)
    except msgspec.ValidationError as problem:
        raise EngineFailed(f"The weights say strange sizes: {problem}", fix=AGAIN) from problem
