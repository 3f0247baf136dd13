# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run is said to need is what the published networks' operations need, and little more."""

from __future__ import annotations

import subprocess
import sys
from argparse import Namespace
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from backend.models.tooncrafter import keys
from backend.models.tooncrafter.needs import PARAMETERS, RESERVE, Keep, need
from backend.models.tooncrafter.sizes import FULL
from backend.models.tooncrafter.tiers import Room, Wish, fitting
from benchmarks.tooncrafter import counted
from protocol.errors import EngineFailed


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


# What is done with the numbers --------------------------------------------------------------------


def room(device: float, host: float = 64) -> Room:
    return Room("cuda:0", int(device * 1e9), int(host * 1e9))


WISH = Wish(512, 320, half=True)


@pytest.mark.parametrize(
    ("device", "host", "keep"),
    [(24, 64, Keep.DEVICE), (8, 64, Keep.HOST), (8, 4, Keep.FILE)],
)
def test_networks_wait_where_it_is_fastest_and_fits(device: int, host: int, keep: Keep) -> None:
    assert fitting(WISH, room(device, host)) is keep


def test_a_way_that_was_asked_for_is_kept_or_refused_but_not_changed() -> None:
    wish = replace(WISH, keep=Keep.DEVICE)
    assert fitting(wish, room(24)) is Keep.DEVICE
    with pytest.raises(EngineFailed, match="GB") as caught:
        fitting(wish, room(8))
    assert caught.value.fix.startswith("Set Memory to Smallest")


@pytest.mark.parametrize(
    ("wish", "device", "words"),
    [
        (replace(WISH, half=False), 6, "Set Precision to Half"),
        (replace(WISH, width=1024, height=640), 8, "make Working Size"),
        (WISH, 2, "--device cpu"),
    ],
)
def test_a_refusal_says_what_would_fit(wish: Wish, device: int, words: str) -> None:
    with pytest.raises(EngineFailed) as caught:
        fitting(wish, room(device))
    assert words.lower() in caught.value.fix.lower()
    assert f"{device}.0 GB are free" in caught.value.text


def test_on_the_host_networks_are_read_again_and_its_memory_is_what_counts() -> None:
    cpu = Room("cpu", 30_000_000_000, 30_000_000_000)
    assert fitting(replace(WISH, half=False), cpu) is Keep.FILE
    with pytest.raises(EngineFailed, match="Free some memory"):
        fitting(replace(WISH, half=False), replace(cpu, device=2_000_000_000))


def test_where_free_memory_is_unknown_nothing_is_refused() -> None:
    assert fitting(WISH, Room("mps", None, None)) is Keep.DEVICE


def table() -> list[str]:
    """What docs/tooncrafter.md says of memory."""
    ways = {"on the device": Keep.DEVICE, "elsewhere (main memory, disk)": Keep.FILE}
    rows = [
        "| numbers, networks that wait | 512 x 320 | with sketches | 1024 x 640 | with sketches |",
        "|---|---|---|---|---|",
    ]
    for half, number in ((True, "half"), (False, "float32")):
        for where, keep in ways.items():
            sizes = [
                need(*size, half=half, keep=keep, sketched=sketched).device / 1e9
                for size in ((512, 320), (1024, 640))
                for sketched in (False, True)
            ]
            cells = " | ".join(f"{size:.1f} GB" for size in sizes)
            rows.append(f"| {number}, {where} | {cells} |")
    return rows


def test_the_page_says_what_is_computed() -> None:
    page = (Path(__file__).parents[2] / "docs" / "tooncrafter.md").read_text("utf-8")
    assert "\n".join(table()) in page
