# SPDX-License-Identifier: GPL-3.0-or-later
"""One flowing picture, drawn frame by frame by the video network, in tiles.

Every pixel depends only on its surroundings, so a tile with enough around it is exactly what the
whole picture would give, and memory does not grow with the picture.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator

from torch import Tensor

from backend.models.cinemagraph.loop import Moved
from backend.models.cinemagraph.video import (
    BLOCKS,
    DECODER_REACH,
    ENCODER_REACH,
    FEATURES,
    MULTIPLE,
    Decoder,
    Encoder,
    seen,
)

#: Pixels along a tile's side, without its surroundings.
TILE = 512

_Steps = Callable[[Tensor], Generator[None, None, Tensor]]


class Painter:
    """Nothing is computed before the first frame is asked for."""

    def __init__(
        self, networks: tuple[Encoder, Decoder], picture: Tensor, flow: Tensor, period: float
    ) -> None:
        """picture: (1, 3, H, W), -1..1. flow: (1, 2, H, W), pixels per frame, x then y. Both have
        sides that are multiples of 4. period: frames."""
        self._encoder, self._decoder = networks
        self._picture, self._flow, self._period = picture, flow, period
        self._moved: Moved | None = None

    @property
    def bytes_held(self) -> int:
        """Memory that is kept while the loop plays."""
        moved = 0 if self._moved is None else self._moved.bytes_held
        return self._picture.nbytes + self._flow.nbytes + moved

    def steps(self, frame: float) -> Generator[float, None, Tensor]:
        """The picture (1, 3, H, W), -1..1, at a frame, 0..period; yields the share done, 0..1."""
        if self._moved is None:
            found = yield from tiled(
                self._encoder.steps, self._picture, FEATURES + 1, ENCODER_REACH, TILE
            )
            self._moved = Moved(seen(found), self._flow, self._period)
        for _ in self._moved.reaching(frame):
            yield 0.0
        features = self._moved.at(frame)
        made = yield from tiled(self._decoder.steps, features, 3, DECODER_REACH, TILE)
        return made.tanh_()


def tiled(
    work: _Steps, x: Tensor, channels: int, reach: int, tile: int
) -> Generator[float, None, Tensor]:
    """What `work` makes of x (1, C, H, W), as (1, channels, H, W); yields the share done.

    reach: pixels around a pixel on which it depends. Tiles and reach are multiples of MULTIPLE.
    """
    answer = x.new_empty(1, channels, *x.shape[2:])
    rows, columns = (list(_spans(side, tile, reach)) for side in x.shape[2:])
    count, total = 0, len(rows) * len(columns) * BLOCKS
    for row, wide_row in rows:
        for column, wide_column in columns:
            steps = work(x[..., wide_row, wide_column])
            while True:
                try:
                    next(steps)
                except StopIteration as end:
                    part: Tensor = end.value
                    break
                count += 1
                yield count / total
            answer[..., row, column] = part[
                ..., _within(row, wide_row), _within(column, wide_column)
            ]
    return answer


def _spans(side: int, tile: int, reach: int) -> Iterator[tuple[slice, slice]]:
    """Each tile along a side, and with its surroundings."""
    around = -(-reach // MULTIPLE) * MULTIPLE
    for start in range(0, side, tile):
        stop = min(start + tile, side)
        yield slice(start, stop), slice(max(0, start - around), min(side, stop + around))


def _within(inner: slice, outer: slice) -> slice:
    return slice(inner.start - outer.start, inner.stop - outer.start)
