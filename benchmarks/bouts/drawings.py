# SPDX-License-Identifier: GPL-3.0-or-later
"""Small keys that no job before has seen, and the in-betweens that the backend must make of them.

What a job must give is computed here with the engine itself, in this process.
"""

from __future__ import annotations

import hashlib
import random

import numpy as np

from backend.engine import Context, Frame
from backend.engines import crossfade
from backend.imaging import codecs
from protocol.jobs import Inbetween
from protocol.messages import Submit

WIDTH, HEIGHT = 32, 24


def drawing(number: int, *, ballast: int = 0) -> bytes:
    """A PNG of its own for each number, with about `ballast` bytes that do not compress."""
    dice = np.random.default_rng(number)
    height = max(HEIGHT, ballast // (WIDTH * 4))
    pixels = dice.random((height, WIDTH, 4), np.float32)
    if not ballast:
        pixels[:, :, :] = pixels[0, 0]
        pixels[: number % HEIGHT + 1, :, 3] = 1.0
    return codecs.encode(pixels, 8, "RGBA")


def digest_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def job_of(keys: list[bytes], name: str, frames: int, *, start: float = 0.0) -> Submit:
    """A crossfade with so many in-betweens in each gap, at times that `start` (0..1) shifts."""
    times = tuple((i + 1 - start / 2) / (frames + 1) for i in range(frames))
    digests = tuple(map(digest_of, keys))
    task = Inbetween(keys=digests, gaps=(times,) * (len(keys) - 1))
    return Submit(rid=0, job=name, engine="crossfade", task=task)


def name_of(dice: random.Random) -> str:
    """An id for a job."""
    return f"{dice.getrandbits(128):032x}"


def truth(submit: Submit, keys: list[bytes]) -> list[str]:
    """The digests of the files that the job must give, in order."""
    pictures = {digest_of(key): codecs.decode(key, name="key").pixels for key in keys}
    steps = crossfade.Crossfade().run(submit.task, Context(pictures.__getitem__, {}))
    files = [codecs.encode(step.pixels, 8, "RGBA") for step in steps if isinstance(step, Frame)]
    return [digest_of(file) for file in files]
