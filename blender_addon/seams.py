# SPDX-License-Identifier: GPL-3.0-or-later
"""What a loop of each length would cost at its seam, as a backend has measured it.

It knows no Blender.
"""

from __future__ import annotations

import math
import struct
from pathlib import Path
from typing import NamedTuple

import msgspec

from protocol.errors import BadImage

from .storage import reading

_NOTE = b"tEXttweencel\0"
_LONGEST = 4 << 20


class Seam(NamedTuple):
    """`costs` go with `lengths`, in grey levels of 255; None where no loop of that length is."""

    lengths: tuple[int, ...]
    costs: tuple[float | None, ...]
    best: int

    def cost(self, length: int) -> float | None:
        """That of a length; None if it was not measured."""
        return dict(zip(self.lengths, self.costs, strict=True)).get(length)

    def valleys(self, most: int) -> list[int]:
        """The lengths that cost less than both their neighbours, the cheapest first."""
        walled = [math.inf if cost is None else cost for cost in (None, *self.costs, None)]
        found = [
            (walled[n], length)
            for n, length in enumerate(self.lengths, 1)
            if walled[n] < math.inf and walled[n - 1] > walled[n] <= walled[n + 1]
        ]
        return [length for _, length in sorted(found)[:most]]


class _Numbers(msgspec.Struct):
    lengths: list[int]
    costs: list[list[float | None]]
    best: int


def read_seam(path: Path) -> Seam:
    """The numbers in the text of a seam plot. Raises MissingFile or BadImage."""
    with reading(path), path.open("rb") as file:
        content = file.read(_LONGEST)
    start = content.find(_NOTE)
    try:
        (size,) = struct.unpack(">I", content[start - 4 : start])
        text = content[start + len(_NOTE) : start + 4 + size]
        numbers = msgspec.json.decode(text, type=_Numbers)
        costs = tuple(map(_sum, zip(*numbers.costs, strict=True)))
        if len(costs) != len(numbers.lengths):
            raise ValueError("not as many costs as lengths")
    except (ValueError, struct.error):
        raise BadImage(f"{path.name} holds no numbers of seams.") from None
    return Seam(tuple(numbers.lengths), costs, numbers.best)


def _sum(costs: tuple[float | None, ...]) -> float | None:
    known = [cost for cost in costs if cost is not None]
    return sum(known) if len(known) == len(costs) else None
