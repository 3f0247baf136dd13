# SPDX-License-Identifier: GPL-3.0-or-later
"""On which device a network computes."""

from __future__ import annotations

import torch

from protocol.errors import EngineFailed


def choose(name: str) -> torch.device:
    """The torch device of that name ("cpu", "cuda", "cuda:1", "mps"); "auto" takes the fastest.

    Raises EngineFailed if this machine has no such device.
    """
    if name == "auto":
        name = _fastest()
    try:
        return torch.zeros(1, device=name).device
    except (AssertionError, RuntimeError) as problem:
        raise EngineFailed(
            f"PyTorch cannot use the device {name!r} on this machine.",
            fix="Choose another device, or cpu, which is always there.",
        ) from problem


def _fastest() -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"
