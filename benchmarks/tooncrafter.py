# SPDX-License-Identifier: GPL-3.0-or-later
"""What ToonCrafter's full-size networks need, beside the straightforward way of computing them.

    python benchmarks/tooncrafter.py                 peak memory, counted without computing
    python benchmarks/tooncrafter.py --run decoder   computes one on the CPU, with random weights
                                [--height 320 --width 512] [--frames 16] [--dtype float32]
    python benchmarks/tooncrafter.py --measure       computes both ways, each in its own process

The straightforward decoder is computed at half of each side only: at full size its scores alone
take 14 GB a frame at a time, 54 (float16) with all frames at once. Both ways run at both sizes
where that is possible, so that they can be compared.

Counted: every tensor of the network's own operations that is alive at once, on the meta device;
attention as fused kernels do it. Straightforward: scores written down, no pieces. What a
convolution uses inside is not counted; --run measures the whole process.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from backend.models.tooncrafter import keys, layers
from backend.models.tooncrafter.sizes import CELL, FULL

GIGA = 1e9


class Live(TorchDispatchMode):
    """Counts the bytes of all tensors that operations made and that still live."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.now = self.peak = 0
        # Views of a weight are no new memory.
        self._weights = {value.untyped_storage()._cdata for value in module.parameters()}
        self._known: dict[int, int] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        answer = func(*args, **(kwargs or {}))
        for value in tree_leaves(answer):
            if isinstance(value, Tensor):
                self._count(value.untyped_storage())
        return answer

    def _count(self, storage: torch.UntypedStorage) -> None:
        key = storage._cdata
        if key in self._known or key in self._weights:
            return
        self._known[key] = storage.nbytes()
        self.now += storage.nbytes()
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._free, key)

    def _free(self, key: int) -> None:
        self.now -= self._known.pop(key, 0)


def fused(q: Tensor, k: Tensor, v: Tensor, is_causal: bool = False) -> Tensor:
    """As large as what a fused kernel needs: its answer."""
    return torch.empty_like(q)


def written_down(q: Tensor, k: Tensor, v: Tensor, is_causal: bool = False) -> Tensor:
    """Plain attention: all scores at once."""
    return (q @ k.transpose(-1, -2)).softmax(-1) @ v


def inputs(name: str, args: argparse.Namespace, device: str) -> tuple[Any, ...]:
    height, width = args.height // CELL, args.width // CELL

    def some(*shape: int) -> Tensor:
        return torch.randn(shape, device=device)

    if name == "unet":
        when = torch.zeros(1, dtype=torch.long, device=device)
        context = some(1, 77 + 16 * args.frames, FULL.unet.context)
        return some(1, 8, args.frames, height, width), when, context, when
    seen = [
        some(1, 2, channels * FULL.vae.base, height * 8 // scale, width * 8 // scale)
        for channels, scale in ((1, 1), (2, 2), (4, 4), (4, 8), (1, 1))
    ]
    return some(1, args.frames, 4, height, width), seen


def network(name: str, device: str, dtype: torch.dtype) -> nn.Module:
    module = keys.meta(name, FULL)
    for part in module.modules():
        if not isinstance(part, layers.FullPrecision):
            for parameter in part.parameters(recurse=False):
                parameter.data = parameter.data.to(dtype)
    if device != "meta":
        module = module.to_empty(device=device)
        for parameter in module.parameters():
            parameter.normal_(0, 0.02)
    return module


def straightforward() -> None:
    """From here on: all frames and all queries at once, scores written down."""
    layers.PIECE = layers.SCORES = 2**62
    functional.scaled_dot_product_attention = written_down


def both_ways(args: argparse.Namespace) -> None:
    """A process for each, so that one's peak is not the other's."""
    full, half = (args.width, args.height), (args.width // 2, args.height // 2)
    rows = [("unet", full, ""), ("unet", full, "--plain")]
    rows += [("decoder", full, ""), ("decoder", half, ""), ("decoder", half, "--plain")]
    for name, (width, height), plain in rows:
        command = [sys.executable, __file__, "--quiet", "--run", name, "--width", str(width)]
        command += ["--height", str(height), "--frames", str(args.frames)]
        command += ["--dtype", str(args.dtype).removeprefix("torch."), *filter(None, [plain])]
        subprocess.run(command, check=True)


def counted(name: str, args: argparse.Namespace, plain: bool) -> tuple[int, int]:
    """Bytes of parameters and of activations at their peak."""
    module = network(name, "meta", args.dtype)
    size = sum(p.numel() * p.element_size() for p in module.parameters())
    given = inputs(name, args, "meta")
    before = layers.PIECE, layers.SCORES, functional.scaled_dot_product_attention
    functional.scaled_dot_product_attention = fused
    if plain:
        straightforward()
    try:
        with torch.inference_mode(), Live(module) as live:
            module(*given)
    finally:
        layers.PIECE, layers.SCORES, functional.scaled_dot_product_attention = before
    return size, live.peak


def measured(name: str, args: argparse.Namespace, say: Callable[[str], None]) -> None:
    if args.plain:
        straightforward()
    module, given = network(name, "cpu", args.dtype), inputs(name, args, "cpu")
    resting = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    start, busy = time.perf_counter(), time.process_time()
    with torch.inference_mode():
        module(*given)
    took, busy = time.perf_counter() - start, time.process_time() - busy
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    how = "straightforward" if args.plain else "ours"
    say(
        f"{name} {how} {args.width} x {args.height}: {took:.0f} s ({busy:.0f} s of CPU), "
        f"process {peak / GIGA:.2f} GB, {resting / GIGA:.2f} at rest"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", choices=("unet", "decoder"))
    parser.add_argument("--height", type=int, default=320)
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--dtype", type=lambda t: getattr(torch, t), default=torch.float32)
    parser.add_argument("--plain", action="store_true", help="--run the straightforward way")
    parser.add_argument("--quiet", action="store_true", help="count nothing")
    parser.add_argument("--measure", action="store_true")
    args = parser.parse_args()
    if args.quiet:
        measured(args.run, args, print)
        return
    print(f"{args.width} x {args.height}, {args.frames} frames, {args.dtype}", flush=True)
    for name in ("unet", "decoder"):
        for plain in (False, True):
            size, peak = counted(name, args, plain)
            how = "straightforward" if plain else "ours"
            total = (size + peak) / GIGA
            print(
                f"{name:8} {how:16} weights {size / GIGA:6.2f} GB, "
                f"activations {peak / GIGA:7.2f} GB, together {total:7.2f} GB"
            )
    scores = 8 * args.frames * (args.height // 4) * (args.width // 4)
    scores *= 2 * (args.height // 4) * (args.width // 4) * args.dtype.itemsize
    what = "scores of the decoder's widest attention, all frames at once"
    print(f"{what}: {scores / GIGA:.1f} GB", flush=True)
    if args.run:
        measured(args.run, args, print)
    if args.measure:
        both_ways(args)


if __name__ == "__main__":
    main()
