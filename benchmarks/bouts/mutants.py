# SPDX-License-Identifier: GPL-3.0-or-later
"""Messages as no honest client sends them, from a seed: the same ones at each run."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

from protocol.limits import MAX_CHUNK, MAX_HEADER

_VECTORS = Path(__file__).parents[2] / "tests" / "protocol" / "vectors"
_BOMBS = (
    b"\xdf\xff\xff\xff\xff",  # a map of 4 G entries
    b"\xdd\xff\xff\xff\xff",  # a list of 4 G
    b"\xc6\xff\xff\xff\xff",  # 4 GiB of bytes
    b"\x91" * 3000,  # lists in lists in lists
    b"\x81\xa4type" * 2000,
    b"\x81\xa4type\xa4ping" + b"\xa3rid\xcb\x7f\xf8\0\0\0\0\0\0",
    b"\xc7\xff\x01",
    b"",
)


def headers() -> list[bytes]:
    """One true header of each message of the protocol."""
    rows = [json.loads(path.read_text("utf-8")) for path in sorted(_VECTORS.glob("*.json"))]
    return [bytes.fromhex(row["header"]) for row in rows]


class Mutants:
    """An endless supply."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self._true = headers()
        self._kinds: list[tuple[Callable[[], list[bytes]], float]] = [
            (lambda: [self.header()], 40),
            (self._noise, 20),
            (self._truncated, 15),
            (self._wrong_body, 10),
            (self._unknown, 8),
            (self._bomb, 5),
            (self._many_parts, 1.5),
            (self._heavy, 0.2),
        ]

    def header(self) -> bytes:
        """A true header with some bytes changed, lost, doubled or swapped with another's."""
        dice = self.dice
        header = bytearray(dice.choice(self._true))
        for _ in range(dice.choice((1, 1, 2, 4, 16))):
            at = dice.randrange(len(header) + 1)
            match dice.randrange(5):
                case 0 if at < len(header):
                    header[at] = dice.randrange(256)
                case 1:
                    header[at:at] = dice.randbytes(dice.choice((1, 2, 9)))
                case 2:
                    del header[at : at + dice.choice((1, 2, 9))]
                case 3:
                    header[at:] = dice.choice(self._true)[at:]
                case _ if at < len(header):
                    header[at] ^= 1 << dice.randrange(8)
                case _:
                    pass
        return bytes(header)

    def message(self) -> list[bytes]:
        """The frames of one hostile message."""
        kinds, weights = zip(*self._kinds, strict=True)
        return self.dice.choices(kinds, weights)[0]()

    def _noise(self) -> list[bytes]:
        count = self.dice.choice((1, 1, 2, 2, 3, 5))
        return [self.dice.randbytes(self.dice.choice((0, 1, 20, 300))) for _ in range(count)]

    def _truncated(self) -> list[bytes]:
        header = self.dice.choice(self._true)
        return [header[: self.dice.randrange(len(header))]]

    def _wrong_body(self) -> list[bytes]:
        header = self.dice.choice(self._true)  # replies are among them
        return [header, self.dice.randbytes(self.dice.choice((0, 1, 1000, 40_000)))]

    def _unknown(self) -> list[bytes]:
        kind = self.dice.choice((b"dance", b"HELLO", b"hello ", b"__init__", b"\xff\xfe\xfd"))
        return [b"\x82\xa4type" + bytes([0xA0 + len(kind)]) + kind + b"\xa3rid\x07"]

    def _bomb(self) -> list[bytes]:
        return [self.dice.choice(_BOMBS)]

    def _many_parts(self) -> list[bytes]:
        return [b"part"] * self.dice.choice((3, 50, 1000, 5000))

    def _heavy(self) -> list[bytes]:
        header = self.dice.choice(self._true)
        return self.dice.choice(
            ([bytes(MAX_HEADER + 1)], [header, bytes(MAX_CHUNK + 1)], [header, bytes(MAX_CHUNK)])
        )
