# SPDX-License-Identifier: GPL-3.0-or-later
# torch annotates load, and safetensors get_slice, only in part.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
"""Files of learned numbers, in the forms in which they are published. Nothing in a file is run.

Files are mapped into memory, not read: values are copied when and where they are needed.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, cast

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from protocol.errors import EngineFailed

Shape = tuple[int, ...]

#: The name under which reduced weights, such as the tests', say their sizes.
SIZES = "tweencel_sizes"
#: What a file that does not fit asks for.
AGAIN = "Get the file again from the source that its page names, or choose another one."
#: Characters that a run saved by deepspeed puts before every name.
_DEEPSPEED = 16
#: Where the weights of a file lie in it, if not at its top.
_INNER = ("state_dict", "netG")


class File(Protocol):
    """One file: what it holds, and a value when it is asked for."""

    @property
    def shapes(self) -> Mapping[str, Shape]: ...

    @property
    def sizes(self) -> str | None: ...

    def tensor(self, name: str) -> Tensor:
        """The stored value, perhaps in mapped memory."""
        ...


class TorchFile:
    """What torch.save wrote: {"state_dict": ...}, {"netG": ...}, deepspeed's {"module": ...}, or
    bare names."""

    def __init__(self, path: Path) -> None:
        content = _torch_content(path)
        said = content.pop(SIZES, None)
        self.sizes = said if isinstance(said, str) else None
        if isinstance(module := content.get("module"), dict):
            inner = cast("dict[str, Any]", module)
            content = {name[_DEEPSPEED:]: value for name, value in inner.items()}
        else:
            inners = [content[name] for name in _INNER if isinstance(content.get(name), dict)]
            content = cast("dict[str, Any]", inners[0]) if inners else content
        self._tensors = {k: v for k, v in content.items() if isinstance(v, Tensor)}
        self.shapes = {name: tuple(value.shape) for name, value in self._tensors.items()}

    def tensor(self, name: str) -> Tensor:
        return self._tensors[name]


def _torch_content(path: Path) -> dict[str, Any]:
    if not zipfile.is_zipfile(path):
        raise EngineFailed(f"{path.name} is no checkpoint, or was cut off.", fix=AGAIN)
    try:
        strange = torch.serialization.get_unsafe_globals_in_checkpoint(path)
        if strange:
            raise EngineFailed(
                f"{path.name} holds code beside its numbers: {', '.join(sorted(strange))}.",
                fix=AGAIN,
            )
        content = torch.load(path, map_location="cpu", mmap=True, weights_only=True)
    except (RuntimeError, EOFError, zipfile.BadZipFile) as problem:
        raise EngineFailed(f"{path.name} is damaged: {problem}", fix=AGAIN) from problem
    if not isinstance(content, dict):
        raise EngineFailed(f"{path.name} holds no named weights.", fix=AGAIN)
    return cast("dict[str, Any]", content)


class SafetensorsFile:
    """A safetensors file: a repack, or what a conversion wrote."""

    def __init__(self, path: Path) -> None:
        try:
            self._file = safe_open(path, framework="pt", device="cpu")
        except SafetensorError as problem:
            raise EngineFailed(f"{path.name} is damaged: {problem}", fix=AGAIN) from problem
        self.sizes = (self._file.metadata() or {}).get(SIZES)
        names = cast("list[str]", self._file.keys())
        self.shapes: dict[str, Shape] = {
            name: tuple(self._file.get_slice(name).get_shape()) for name in names
        }

    def tensor(self, name: str) -> Tensor:
        return self._file.get_tensor(name)


def opened(path: Path) -> File:
    """A file by what its name ends with.

    Raises EngineFailed if it is missing, damaged, or holds anything but numbers.
    """
    if not path.is_file():
        raise EngineFailed(f"There are no weights at {path}.", fix=AGAIN)
    return SafetensorsFile(path) if path.suffix == ".safetensors" else TorchFile(path)


def written(shape: Shape) -> str:
    """A shape as a reader reads it."""
    return " x ".join(map(str, shape)) or "a single number"
