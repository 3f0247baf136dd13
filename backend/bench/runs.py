# SPDX-License-Identifier: GPL-3.0-or-later
"""Loops from runs of frames: known periods, drawn cycles, and clips.

Samples are `clips/*.mp4`, and `periods/manifest.json` with one whole period of a drawn cycle each,
which is shown three times with noise.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import msgspec
import numpy as np

from backend.engine import Context, Frame
from backend.engines import video_loop
from backend.footage import movies
from backend.imaging import clips, periods, seam
from backend.imaging.alpha import Array
from backend.imaging.codecs import decode
from protocol.jobs import ClipLoop, SeamPlot
from protocol.params import complete

from . import sheets
from .scenes import Scene

SEAM = 1.05
"""The bar of the seam. What is outside the masks may not differ at all."""
_MASK = "f" * 64
_NOISE = 0.6 / 255
_SCENES = {
    "known-60": Scene([((40, 60, 150, 200), 60)], 150, drift=0.06, noise=0.02),
    "known-37-53": Scene([((30, 20, 150, 110), 37), ((30, 130, 150, 220), 53)], 170),
}


@dataclass(frozen=True)
class Sample:
    """A run: how its frames are had, what may move (H, W), what is known of its periods."""

    name: str
    count: int
    read: Callable[[int], Array]
    mask: Array | None
    periods: tuple[int, ...] = ()
    lengths: tuple[int, int] = (24, 90)
    fps: int = 25


@dataclass(frozen=True)
class Row:
    """What was measured of one run. `cut` is the seam if its ends were just put together."""

    name: str
    size: str
    wanted: tuple[int, ...]
    found: tuple[int, ...]
    length: int
    seam: float
    cut: float
    static: int
    seconds: float

    @property
    def misses(self) -> list[str]:
        """The bars that this run does not reach."""
        bars = {
            "period": not self.wanted or self.found == self.wanted,
            "seam": self.seam <= SEAM,
            "static": self.static == 0,
        }
        return [name for name, holds in bars.items() if not holds]

    def __str__(self) -> str:
        wanted = ",".join(map(str, self.wanted)) or "-"
        found = ",".join(map(str, self.found))
        return (
            f"{self.name:16} {self.size:>9} {wanted:>6} {found:>6} {self.length:6d} "
            f"{self.seam:6.3f} {self.cut:6.3f} {self.static:6d} {self.seconds:7.2f} "
            f"{' '.join(self.misses)}"
        )


HEAD = (
    f"{'run':16} {'size':>9} {'period':>6} {'found':>6} {'length':>6} {'seam':>6} {'as is':>6} "
    f"{'static':>6} {'seconds':>7}"
)


def samples(folder: Path, scratch: Path) -> Iterator[Sample]:
    """The known ones, every drawn cycle and every clip."""
    for name, scene in _SCENES.items():
        known = tuple(period for _, period in scene.moving)
        # Both periods of the second go into 106, one of them a little stretched.
        lengths = (known[0], known[0]) if len(known) == 1 else (106, 106)
        yield Sample(name, scene.count, scene.frame, scene.mask(), known, lengths)
    for manifest in sorted(folder.rglob("manifest.json")):
        for item in json.loads(manifest.read_text(encoding="utf-8"))["items"]:
            yield _cycle(item, manifest.parent)
    for movie in sorted(folder.rglob("*.mp4")):
        place = scratch / movie.stem
        place.mkdir()
        files = movies.unpacked(movie, place)
        yield Sample(movie.stem, len(files), _reader(files), None)


def _cycle(item: dict[str, object], folder: Path) -> Sample:
    record = msgspec.convert(item, _Item)
    read = _reader([folder / name for name in record.frames])
    period = len(record.frames)

    def noisy(number: int) -> Array:
        frame = read(number % period).copy()
        chance = np.random.default_rng(number).normal(0, _NOISE, frame[..., :3].shape)
        frame[..., :3] = np.clip(frame[..., :3] + chance, 0, 1)
        return frame

    lengths = (period, period)
    return Sample(record.id, 3 * period, noisy, None, (period,), lengths, record.fps)


class _Item(msgspec.Struct):
    id: str
    frames: list[str]
    fps: int = 12


def _reader(files: Sequence[Path]) -> Callable[[int], Array]:
    @lru_cache(maxsize=8)
    def read(number: int) -> Array:
        return decode(files[number].read_bytes()).pixels

    return read


def score(sample: Sample) -> tuple[Row, list[Array]]:
    """Find the periods, make the best loop and measure it; and its frames."""
    started = time.process_time()
    best = _best(sample) if sample.lengths[0] < sample.lengths[1] else sample.lengths[0]
    frames = _made(sample, best)
    seconds = time.process_time() - started
    plate = sample.read(0)
    inside = np.ones(plate.shape[:2], np.bool_) if sample.mask is None else sample.mask > 0
    measured = seam.measure(plate, inside, frames)
    row = Row(
        name=sample.name,
        size=f"{plate.shape[1]}x{plate.shape[0]}",
        wanted=sample.periods,
        found=_found(sample),
        length=best,
        seam=measured.seam,
        cut=_as_is(sample, best, inside),
        static=measured.static if sample.mask is not None else 0,
        seconds=seconds,
    )
    return row, frames


def _found(sample: Sample) -> tuple[int, ...]:
    masks = [] if sample.mask is None else [sample.mask]
    parts = clips.parts_of(masks, sample.read(0).shape[:2], 3.0)
    survey = clips.Survey(parts, sample.count)
    for number in range(sample.count):
        survey.take(number, sample.read(number))
    found = [periods.period_of(periods.curve(rows, sample.count)).period for rows in survey.rows]
    lefts = [int(part.columns.start) for part in parts]
    return tuple(period for _, period in sorted(zip(lefts, found, strict=True)))


def _as_is(sample: Sample, length: int, inside: clips.Mask) -> float:
    """The seam of the first frames of the run, put end to end without any care."""
    run = [sample.read(number) for number in range(min(length, sample.count))]
    steps = [seam.difference(a, b, inside) for a, b in pairwise(run)]
    return seam.difference(run[-1], run[0], inside) / max(float(np.median(steps)), 1e-12)


def _digests(sample: Sample) -> tuple[str, ...]:
    return tuple(f"{number:064x}" for number in range(sample.count))


def _masks(sample: Sample) -> tuple[str, ...]:
    return () if sample.mask is None else (_MASK,)


def _context(sample: Sample) -> Context:
    def pictures(digest: str) -> Array:
        if digest != _MASK or sample.mask is None:
            return sample.read(int(digest, 16))
        return np.dstack((*(3 * [sample.mask]), np.ones_like(sample.mask)))

    return Context(pictures, complete(video_loop.SPEC.params, {}))


def _best(sample: Sample) -> int:
    shortest, longest = sample.lengths
    task = SeamPlot(
        frames=_digests(sample), masks=_masks(sample), shortest=shortest, longest=longest
    )
    (frame,) = (
        step
        for step in video_loop.load("cpu").run(task, _context(sample))
        if isinstance(step, Frame)
    )
    return int(msgspec.json.decode(frame.text)["best"])


def _made(sample: Sample, length: int) -> list[Array]:
    task = ClipLoop(frames=_digests(sample), masks=_masks(sample), length=length)
    steps = video_loop.load("cpu").run(task, _context(sample))
    return [step.pixels for step in steps if isinstance(step, Frame)]


def run(folder: Path, only: str, out: Path | None, say: Callable[[str], None]) -> list[str]:
    """Say the table; the names of runs that missed a bar."""
    cv2.setNumThreads(1)
    say(HEAD)
    missed: list[str] = []
    with TemporaryDirectory(prefix="tweencel-") as scratch:
        for sample in samples(folder, Path(scratch)):
            if not re.search(only, sample.name):
                continue
            row, frames = score(sample)
            say(str(row))
            missed += [f"{sample.name}: {bar}" for bar in row.misses]
            if out:
                sheets.write(out, f"run_{sample.name}", frames, sample.fps)
    return missed
