# SPDX-License-Identifier: GPL-3.0-or-later
"""Loops from stills, measured beside a plain crossfade and a forward splat of the same flow.

Samples are folders with `image.png` or `image.jpg`, `mask.png` and `image.json` (labelme: lines
labelled "hint..." are strokes), and folders with `0.png` and `mask_*.png`. Times are CPU seconds of
this process, on one thread, without writing files.
"""

from __future__ import annotations

import json
import re
import time
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np

from backend.imaging import seam
from backend.imaging.alpha import Array
from backend.imaging.codecs import decode
from backend.imaging.looping import Flow
from backend.imaging.sampling import coarser, floats
from backend.imaging.stillness import Loop, Moving
from protocol.jobs import Point, Stroke

from . import sheets

LENGTH = 60
SEAM, DETAIL, GAIN, SECONDS = 1.05, 0.85, 1.5, 6.0
"""The bars of every sample: seam at most, detail at least, so many times that of a crossfade, CPU
seconds."""
_HINT_FRAMES = 50
"""A stroke of these samples is the way of so many frames."""
_SPLATS = 5
"""Frames that are splatted to time it: one takes as long as another."""
Made = TypeVar("Made")
_ANY = 2 / 255


@dataclass(frozen=True)
class Sample:
    """A still with what moves in it."""

    name: str
    still: Array
    region: Moving


@dataclass(frozen=True)
class Row:
    """What was measured of one sample. Seconds are for all frames, setting up included."""

    name: str
    size: str
    ours: seam.Measures
    plain: seam.Measures
    splat_detail: float
    seconds: float
    plain_seconds: float
    splat_seconds: float
    held: int

    @property
    def gain(self) -> float:
        return self.ours.detail / self.plain.detail

    @property
    def misses(self) -> list[str]:
        """The bars that this sample does not reach."""
        bars = {
            "seam": self.ours.seam <= SEAM,
            "detail": self.ours.detail >= DETAIL,
            "gain": self.gain >= GAIN,
            "static": self.ours.static == 0,
            "splat": self.seconds < self.splat_seconds,
            "seconds": self.seconds <= SECONDS,
        }
        return [name for name, holds in bars.items() if not holds]

    def __str__(self) -> str:
        ours = self.ours
        return (
            f"{self.name:22} {self.size:>9} {ours.seam:5.3f} {ours.roughness:5.3f} "
            f"{ours.detail:6.3f} {ours.pulse:6.3f} {ours.static:6d} | {self.plain.seam:5.3f} "
            f"{self.plain.detail:6.3f} {self.gain:5.2f}x | {self.splat_detail:6.3f} | "
            f"{self.seconds:6.2f} {self.plain_seconds:6.2f} {self.splat_seconds:6.2f} | "
            f"{self.held / 2**20:5.0f} MiB {' '.join(self.misses)}"
        )


HEAD = (
    f"{'sample':22} {'size':>9} {'seam':>5} {'max':>5} {'detail':>6} {'pulse':>6} {'static':>6} | "
    f"{'seam':>5} {'detail':>6} {'gain':>6} | {'detail':>6} | {'ours':>6} {'plain':>6} {'splat':>6}"
)


def samples(folder: Path) -> Iterator[Sample]:
    """Every sample below a folder, and those with strokes again at 512 pixels' width."""
    for notes in sorted(folder.rglob("image.json")):
        picture = next(notes.parent.glob("image.[pj][np]g"))
        for width in (None, 512):
            name = f"{notes.parent.name}-{width or 'full'}"
            yield _with_strokes(name, picture, notes, width)
    for mask in sorted(folder.rglob("mask_*.png")):
        still = decode((mask.parent / "0.png").read_bytes()).pixels
        grey = decode(mask.read_bytes()).pixels[..., 0].copy()
        yield Sample(mask.stem.removeprefix("mask_"), still, Moving(grey, "waterfall"))


def _with_strokes(name: str, picture: Path, notes: Path, width: int | None) -> Sample:
    still = decode(picture.read_bytes()).pixels
    mask = decode((notes.parent / "mask.png").read_bytes()).pixels[..., 0].copy()
    scale = (width or still.shape[1]) / still.shape[1]
    if width:
        size = (width, round(still.shape[0] * scale))
        still = coarser(still, size[1], size[0])
        mask = coarser(mask, size[1], size[0])
    shapes = json.loads(notes.read_text(encoding="utf-8"))["shapes"]
    lines = [np.array(one["points"]) * scale for one in shapes if one["label"].startswith("hint")]
    strokes = [
        Stroke(
            line=tuple(Point(x, y) for x, y in line.tolist()),
            speed=float(np.hypot(*(line[-1] - line[0])) / _HINT_FRAMES),
        )
        for line in lines
    ]
    return Sample(name, still, Moving(mask, strokes=strokes))


def score(sample: Sample) -> tuple[Row, list[Array]]:
    """Measure a sample three ways; and the frames of ours."""
    inside = sample.region.mask > _ANY
    loop, setting_up = _timed(lambda: Loop(sample.still, [sample.region], LENGTH))
    frames, making = _timed(lambda: list(loop))
    faded, fading = _timed(lambda: [_other(loop, n, _crossfade) for n in range(LENGTH)])
    some = range(LENGTH // (2 * _SPLATS), LENGTH, LENGTH // _SPLATS)
    splatted, splatting = _timed(lambda: [_other(loop, n, _splat) for n in some])
    base = seam.detail(sample.still, inside)
    height, width = inside.shape
    row = Row(
        name=sample.name,
        size=f"{width}x{height}",
        ours=seam.measure(sample.still, inside, frames),
        plain=seam.measure(sample.still, inside, faded),
        splat_detail=min(seam.detail(frame, inside) for frame in splatted) / base,
        seconds=setting_up + making,
        plain_seconds=setting_up + fading,
        splat_seconds=setting_up + splatting * LENGTH / len(some),
        held=loop.bytes_held,
    )
    return row, frames


def _timed(work: Callable[[], Made]) -> tuple[Made, float]:
    started = time.process_time()
    made = work()
    return made, time.process_time() - started


def _other(loop: Loop, number: int, way: Callable[[Loop, float], Array]) -> Array:
    """A frame of the loop with its layer made another way, laid over the still as ours is."""
    (layer,) = loop.layers
    result = loop.still.copy()
    if number:
        part = result[layer.window.rows, layer.window.columns, :3]
        part += (way(loop, float(number)) - part) * layer.cover[..., None]
    return result


def _flow(loop: Loop) -> Flow:
    flow = loop.layers[0].moving
    assert isinstance(flow, Flow)
    return flow


def _crossfade(loop: Loop, frames: float) -> Array:
    """Both look-ups, bicubic, each with its share of the time: what is usually done."""
    flow = _flow(loop)
    share = np.float32(frames / flow.period)
    back, ahead = (flow.look_up(way, cv2.INTER_CUBIC) for way in flow.ways(frames))
    return floats(np.clip(back * (1 - share) + ahead * share, 0, 1))


def _splat(loop: Loop, frames: float) -> Array:
    """Every pixel thrown along its own way, forwards and backwards, summed, and divided by weight.

    Symmetric splatting of Holynski et al. (CVPR 2021) on colours, without a learned weight. Holes
    keep the still.
    """
    flow, window = _flow(loop), loop.layers[0].window
    still = loop.still[window.rows, window.columns, :3]
    share = frames / flow.period
    total = np.zeros((still.shape[0] * still.shape[1], 4))
    ways = (flow.trajectories.ahead(frames), flow.trajectories.back(flow.period - frames))
    for way, weight in zip(ways, (1 - share, share), strict=True):
        _throw(total, still, flow.in_pixels(way), weight)
    weight = total[:, 3:].reshape(*still.shape[:2], 1)
    mixed = total[:, :3].reshape(still.shape) / np.maximum(weight, 1e-6)
    return np.where(weight > 1e-6, mixed, still).astype(np.float32)


def _throw(total: np.ndarray, still: Array, way: Array, weight: float) -> None:
    """Add each pixel to the four around its target, bilinear; what leaves the window is lost."""
    height, width = still.shape[:2]
    rows, columns = np.indices((height, width), np.float32)
    across, down = columns + way[..., 0], rows + way[..., 1]
    left, top = np.floor(across).astype(np.intp), np.floor(down).astype(np.intp)
    for right, below in ((0, 0), (1, 0), (0, 1), (1, 1)):
        x, y = left + right, top + below
        share = weight * (1 - np.abs(across - x)) * (1 - np.abs(down - y))
        lands = (x >= 0) & (x < width) & (y >= 0) & (y < height)
        at, share = (y * width + x)[lands], share[lands]
        for channel in range(3):
            thrown = still[..., channel][lands] * share
            total[:, channel] += np.bincount(at, thrown, len(total))
        total[:, 3] += np.bincount(at, share, len(total))


def memory(sample: Sample) -> list[str]:
    """Bytes held and the peak while frames are made, for growing lengths."""
    lines: list[str] = []
    for length in (60, 240, 960, 3840):
        loop = Loop(sample.still, [sample.region], length)
        tracemalloc.start()
        for number in range(1, 6):
            loop.frame(number * length // 6)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        held = loop.bytes_held
        lines.append(
            f"  {length:5d} frames: {held / 2**20:4.0f} MiB held, {peak / 2**20:4.0f} more"
        )
    return lines


def run(folder: Path, only: str, out: Path | None, say: Callable[[str], None]) -> list[str]:
    """Say the table; the names of samples that missed a bar."""
    say(HEAD)
    missed: list[str] = []
    gains: list[float] = []
    last = None
    for sample in samples(folder):
        if not re.search(only, sample.name):
            continue
        row, frames = score(sample)
        say(str(row))
        missed += [f"{sample.name}: {bar}" for bar in row.misses]
        gains.append(row.gain)
        last = sample
        if out:
            sheets.write(out, f"still_{sample.name}", frames)
    if last:
        say(f"detail against a crossfade: median {np.median(gains):.2f}x, least {min(gains):.2f}x")
        say(f"memory of {last.name}:")
        for line in memory(last):
            say(line)
    return missed
