# SPDX-License-Identifier: GPL-3.0-or-later
"""Work that can be left between its parts: a generator that returns the answer."""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeVar

Answer = TypeVar("Answer")


def finish(steps: Generator[object, None, Answer]) -> Answer:
    """The answer of a generator, run to its end."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value
