# SPDX-License-Identifier: GPL-3.0-or-later
"""On which device a network computes."""

from __future__ import annotations

import re
from pathlib import Path

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


def free(device: torch.device) -> int | None:
    """Bytes that this process may still take on the device; None if that cannot be known."""
    if device.type == "cuda":
        # What torch holds in reserve for this process is free too.
        return torch.cuda.mem_get_info(device)[0] + torch.cuda.memory_reserved(device)
    if device.type == "mps":
        return torch.mps.recommended_max_memory() - torch.mps.current_allocated_memory()
    return free_on_host()


def free_on_host() -> int | None:
    """The same of the machine's own memory."""
    try:
        text = Path("/proc/meminfo").read_text("utf-8")
    except OSError:
        return None
    found = re.search(r"^MemAvailable:\s*(\d+) kB", text, re.MULTILINE)
    return int(found[1]) * 1024 if found else None
