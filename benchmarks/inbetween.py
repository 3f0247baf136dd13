# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes an engine's in-betweens for a benchmark of drawings whose true in-betweens are known.

    python benchmarks/inbetween.py MANIFEST OUT [--engine rife] [--set name=value] [--mid]
                                   [--only REGEX] [--through-cli] [--times FILE]

MANIFEST is JSON: {"items": [{"id", "frames": [file, ...], "times": [t, ...]}, ...]}; files lie
beside it, the first and the last frame are the keys. OUT/<id>/<NN>.png gets the in-between of
frame NN. It only makes them: scoring is another program's work.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from backend import registry
from backend.engine import Context, Engine, Frame
from backend.imaging import codecs
from protocol.jobs import Inbetween
from protocol.params import Value, Values, complete

Maker = Callable[["Item", Values], list[bytes]]


@dataclass(frozen=True)
class Item:
    """Two keys, and for each wanted in-between its number in the shot and its time."""

    name: str
    keys: tuple[Path, Path]
    wanted: tuple[tuple[int, float], ...]

    @property
    def times(self) -> tuple[float, ...]:
        return tuple(t for _, t in self.wanted)


def read_items(manifest: Path, only: str, middle: bool) -> Iterator[Item]:
    """The items whose id matches `only`; with `middle`, just the frame nearest to t = 0.5."""
    for item in json.loads(manifest.read_text(encoding="utf-8"))["items"]:
        if not re.search(only, item["id"]):
            continue
        frames = [manifest.parent / frame for frame in item["frames"]]
        wanted = list(enumerate(item["times"]))[1:-1]
        if middle:
            wanted = [min(wanted, key=lambda pair: abs(pair[1] - 0.5))]
        yield Item(item["id"], (frames[0], frames[-1]), tuple(wanted))


def make_here(engine: Engine, item: Item, params: Values) -> list[bytes]:
    """PNG files of an item, made by an engine loaded in this process."""
    digests = ("0" * 64, "1" * 64)
    pictures = {
        digest: codecs.decode(key.read_bytes(), name=key.name)
        for digest, key in zip(digests, item.keys, strict=True)
    }
    depth = max(picture.depth for picture in pictures.values())
    kinds = {picture.channels for picture in pictures.values()}
    colour = "RGB" if kinds & {"RGB", "RGBA"} else "L"
    alpha = "A" if kinds & {"LA", "RGBA"} else ""
    steps = engine.run(
        Inbetween(keys=digests, gaps=(item.times,)),
        Context(lambda digest: pictures[digest].pixels, params),
    )
    return [
        codecs.encode(step.pixels, depth, colour + alpha)
        for step in steps
        if isinstance(step, Frame)
    ]


def make_through_cli(engine: str, device: str, item: Item, params: Values) -> list[bytes]:
    """PNG files of an item, made by `tweencel run` with a job file."""
    with tempfile.TemporaryDirectory() as folder:
        job, out = Path(folder) / "job.json", Path(folder) / "out"
        keys = [str(key.resolve()) for key in item.keys]
        plan = {"keys": keys, "times": [item.times], "engine": engine, "params": params}
        job.write_text(json.dumps({**plan, "out": str(out)}), encoding="utf-8")
        command = [sys.executable, "-m", "backend", "run", str(job), "--json", "--device", device]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        drawings = sorted(out.glob("*.png"))
        return [drawing.read_bytes() for drawing in drawings[1:-1]]


def write(out: Path, item: Item, files: Iterable[bytes]) -> None:
    """Replace OUT/<id> by these in-betweens."""
    folder = out / item.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for (number, _), file in zip(item.wanted, files, strict=True):
        (folder / f"{number:02d}.png").write_bytes(file)


def main() -> None:
    options = _options()
    spec = registry.find(options.engine)
    params = complete(spec.spec.params, dict(_setting(text) for text in options.set))
    make = _maker(options.engine, options.device, options.through_cli)
    spent: dict[str, float] = {}
    for item in read_items(options.manifest, options.only, options.mid):
        started = time.process_time() if not options.through_cli else time.perf_counter()
        files = make(item, params)
        now = time.process_time() if not options.through_cli else time.perf_counter()
        write(options.out, item, files)
        spent[item.name] = (now - started) / len(files)
        print(f"{item.name:20s} {len(files):3d} in-betweens, {spent[item.name]:.2f} s each")
    kind = "wall seconds, start of the program included" if options.through_cli else "CPU seconds"
    print(f"{len(spent)} items, median {sorted(spent.values())[len(spent) // 2]:.2f} {kind}")
    if options.times:
        options.times.write_text(json.dumps(spent, indent=1), encoding="utf-8")


def _maker(engine: str, device: str, through_cli: bool) -> Maker:
    if through_cli:
        return lambda item, params: make_through_cli(engine, device, item, params)
    loaded = registry.find(engine).load(device)
    return lambda item, params: make_here(loaded, item, params)


def _setting(text: str) -> tuple[str, Value]:
    name, _, value = text.partition("=")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Make an engine's in-betweens for a benchmark.")
    parser.add_argument("manifest", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--engine", default=registry.DEFAULT_ENGINE)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--mid", action="store_true", help="only the frame nearest to t = 0.5")
    parser.add_argument("--only", default="", metavar="REGEX", help="ids to make")
    parser.add_argument("--through-cli", action="store_true", help="run `tweencel run` for each")
    parser.add_argument("--times", type=Path, help="write seconds per in-between as JSON")
    return parser.parse_args()


if __name__ == "__main__":
    main()
