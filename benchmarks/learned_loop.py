# SPDX-License-Identifier: GPL-3.0-or-later
"""What Learned Loop costs with networks of the published sizes, whose weights are random here.

    python -m benchmarks.learned_loop [--size 512x512] [--length 60] [--frames 2] [WAY ...]

WAY: strokes, prompt, drawn (all three if none is given). Prints seconds of this process (on one
thread CPU seconds) for getting ready, which includes the first frame, and for each further frame;
the longest step between two points to cancel at; and how much memory was taken at most, beside
what the files map. It writes 1.9 GB of weights into a temporary folder. Linux only.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import threading
import time
from collections.abc import Callable
from math import prod
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from backend import installing
from backend.engine import Context, Frame
from backend.engines import learned_loop
from backend.models.cinemagraph import keys
from backend.models.cinemagraph.sizes import FULL
from backend.weights import catalogue
from protocol.jobs import Point, Region, StillLoop, Stroke
from protocol.params import Values, complete

STILL, MASK = "0" * 64, "1" * 64
WAYS: dict[str, Values] = {
    "strokes": {},
    "prompt": {"told_by": "prompt", "prompt": "a river that flows to the right"},
    "drawn": {"drawn_by": "network"},
}
_FILES = {
    learned_loop.NETWORKS: (("hinted",), ("told",), ("encoder", "decoder")),
    learned_loop.TEXT: (("text",),),
}


def install(folder: Path) -> None:
    """Random weights under the published names."""
    torch.manual_seed(0)
    for name, files in _FILES.items():
        paths: list[Path] = []
        for networks in files:
            shapes = {k: s for n in networks for k, s in keys.stored(n, FULL).items()}
            values = {
                key: torch.randn(shape) / max(1, prod(shape[1:])) ** 0.5
                if "stored_var" not in key
                else torch.ones(shape)
                for key, shape in shapes.items()
            }
            paths.append(folder / f"{networks[0]}.safetensors")
            save_file(values, paths[-1])
        installing.add(catalogue.find(name, folder), paths, folder, lambda *_: None)
        for path in paths:
            path.unlink()


class Memory(threading.Thread):
    """Watches what this process holds beside mapped files, in GB."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak = 0.0

    def run(self) -> None:
        while True:
            lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
            now = next(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))
            self.peak = max(self.peak, now / 1e6)
            time.sleep(0.02)


def measure(way: str, size: tuple[int, int], length: int, count: int) -> str:
    width, height = size
    noise = np.random.default_rng(1).random((height, width, 4), np.float32)
    noise[..., 3] = 1
    mask = np.zeros_like(noise)
    mask[height // 5 : -height // 5, width // 5 : -width // 5] = 1
    stroke = Stroke(
        line=(Point(width * 0.3, height / 2), Point(width * 0.7, height / 2)), speed=0.5
    )
    task = StillLoop(still=STILL, regions=(Region(mask=MASK, strokes=(stroke,)),), length=length)
    context = Context(
        {STILL: noise, MASK: mask}.__getitem__,
        complete(learned_loop.SPEC.params, WAYS[way]),
        wanted=frozenset(range(1, count + 1)),
    )
    marks, longest, memory = [time.process_time()], 0.0, Memory()
    memory.start()
    last = time.monotonic()
    for step in learned_loop.load("cpu").run(task, context):
        longest, last = max(longest, time.monotonic() - last), time.monotonic()
        if isinstance(step, Frame):
            marks.append(time.process_time())
    each = (marks[-1] - marks[1]) / max(1, len(marks) - 2)
    return (
        f"{way:8} ready {marks[1] - marks[0]:6.2f} s, each {each:6.2f} s, "
        f"longest step {longest:5.1f} s, at most {memory.peak:.2f} GB"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("ways", nargs="*", choices=[[], *WAYS], metavar="WAY")
    parser.add_argument("--size", default="512x512")
    parser.add_argument("--length", type=int, default=60)
    parser.add_argument("--frames", type=int, default=2)
    args = parser.parse_args()
    width, height = map(int, args.size.split("x"))
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TWEENCEL_WEIGHTS"] = folder
        install(Path(folder))
        for way in args.ways or WAYS:
            in_a_process(
                lambda way=way: print(measure(way, (width, height), args.length, args.frames))
            )


def show(way: str, size: tuple[int, int], length: int, count: int) -> None:
    print(measure(way, size, length, count), flush=True)


def in_a_process(work: Callable[[], None]) -> None:
    """So that one way's memory does not count for the next."""
    child = os.fork()
    if child == 0:
        work()
        os._exit(0)
    os.waitpid(child, 0)


if __name__ == "__main__":
    main()
