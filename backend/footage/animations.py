# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures that move: GIF, APNG, animated WebP, with how often they are played. Pillow writes them.

All frames are held until the file is written, as bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .shown import Bytes

if TYPE_CHECKING:
    from PIL import Image

KINDS = (".gif", ".apng", ".webp")

_COLOURS = 255
"""Of a GIF; one more is the transparent one."""
_SEEN = 8
"""So many frames, spread over all, choose a GIF's colours."""
_BAYER = np.array(
    [[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]], np.float32
) / np.float32(16) - np.float32(15 / 32)
_SPREAD = 12.0
"""Steps over which a GIF's few colours are spread in a fixed pattern. It is the same in all frames:
what stands still must not crawl, as it does when errors are passed on to neighbours."""


def write(pictures: Iterable[Bytes], to: Path, fps: Fraction, times: int, alpha: bool) -> None:
    """Write pictures (H, W, 4). times: how often they are played, 0 for ever."""
    kind = to.suffix.lower()
    if kind == ".gif":
        _write_gif(list(pictures), to, fps, times, alpha)
        return
    frames = [_image(picture, alpha) for picture in pictures]
    durations = _durations(len(frames), fps, 1)
    first, rest = frames[0], frames[1:]
    if kind == ".apng":
        first.save(
            to,
            "PNG",
            save_all=True,
            append_images=rest,
            duration=durations,
            loop=times,
        )
    else:
        first.save(
            to,
            "WEBP",
            save_all=True,
            append_images=rest,
            duration=durations,
            loop=times,
            quality=92,
            alpha_quality=100,
            method=4,
        )


def _image(picture: Bytes, alpha: bool) -> Image.Image:
    from PIL import Image

    return Image.fromarray(picture if alpha else np.ascontiguousarray(picture[..., :3]))


def _durations(count: int, fps: Fraction, unit: int) -> list[int]:
    """Milliseconds of each frame in whole units, so that all together are as long as they should
    be: 24 frames a second are 42, 41, 42 ... ms."""
    ends = [round(Fraction(1000 * n, unit) / fps) * unit for n in range(count + 1)]
    return [max(unit, end - start) for start, end in pairwise(ends)]


def _write_gif(pictures: Sequence[Bytes], to: Path, fps: Fraction, times: int, alpha: bool) -> None:
    colours = _colours(pictures)
    frames = [_few(picture, colours, alpha) for picture in pictures]
    # A GIF that has no word about repeating is played once; otherwise it says how often again.
    again = {} if times == 1 else {"loop": max(0, times - 1)}
    clear = {"transparency": _COLOURS, "disposal": 2} if alpha else {}
    frames[0].save(
        to,
        "GIF",
        save_all=True,
        append_images=frames[1:],
        duration=_durations(len(frames), fps, 10),
        optimize=False,
        **again,
        **clear,
    )


def _colours(pictures: Sequence[Bytes]) -> Image.Image:
    """A palette for all frames: with one for each, what stands still would flicker."""
    from PIL import Image

    some = [pictures[n * len(pictures) // _SEEN] for n in range(min(_SEEN, len(pictures)))]
    pixels = np.concatenate([p[::2, ::2][p[::2, ::2, 3] >= 128][:, :3] for p in some])
    if not len(pixels):
        pixels = np.zeros((1, 3), np.uint8)
    return Image.fromarray(pixels[None]).quantize(_COLOURS, Image.Quantize.MEDIANCUT)


def _few(picture: Bytes, colours: Image.Image, alpha: bool) -> Image.Image:
    """A picture in the palette; what is less than half opaque is the transparent colour."""
    from PIL import Image

    height, width = picture.shape[:2]
    pattern = np.tile(_BAYER, (-(-height // 4), -(-width // 4)))[:height, :width, None]
    spread = np.clip(np.rint(picture[..., :3] + _SPREAD * pattern), 0, 255).astype(np.uint8)
    few = Image.fromarray(spread).quantize(palette=colours, dither=Image.Dither.NONE)
    if not alpha:
        return few
    numbers = np.array(few)
    numbers[picture[..., 3] < 128] = _COLOURS
    result = Image.fromarray(numbers)
    result.putpalette(few.getpalette() or [])
    return result
