# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run is said to need is what the published networks' operations need, and little more."""

from __future__ import annotations

import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import pytest
import torch

from backend.models.tooncrafter import keys
from backend.models.tooncrafter.needs import PARAMETERS, RESERVE, Keep, need
from backend.models.tooncrafter.sizes import FULL
from benchmarks.tooncrafter import counted


def test_the_parameters_are_those_of_the_networks() -> None:
    for network, count in PARAMETERS.items():
        module = keys.meta(network, FULL)
        assert sum(value.numel() for value in module.parameters()) == count, network


@pytest.mark.parametrize("half", [True, False])
@pytest.mark.parametrize(("width", "height"), [(512, 320), (1024, 576)])
def test_a_run_needs_what_was_counted(width: int, height: int, half: bool) -> None:
    dtype = torch.float16 if half else torch.float32
    given = Namespace(width=width, height=height, frames=16, dtype=dtype)
    worst = max(sum(counted(network, given, plain=False)) for network in ("unet", "decoder"))
    said = need(width, height, half=half).device - RESERVE
    assert worst <= said < 1.1 * worst


def test_the_native_size_fits_cards_of_eight_gigabytes() -> None:
    assert need(512, 320).device < 5e9
    assert need(512, 320, sketched=True, fused=False).device < 8e9
    assert need(512, 320, keep=Keep.DEVICE).device > 8e9


def test_what_waits_in_host_memory_is_counted_there() -> None:
    kept = need(512, 320, keep=Keep.HOST)
    assert kept.device == need(512, 320).device
    assert kept.host == 2 * (sum(PARAMETERS.values()) - PARAMETERS["sketch"])


def test_needs_and_prompts_are_known_without_torch() -> None:
    code = (
        "import sys; from backend.models.tooncrafter import needs, prompt, sizes;"
        "prompt.tokens('a line'); assert 'torch' not in sys.modules"
    )
    root = Path(__file__).parents[2]
    subprocess.run([sys.executable, "-c", code], cwd=root, check=True)
