# SPDX-License-Identifier: GPL-3.0-or-later
"""Video Loop: marked parts of a run of frames repeat for ever; nothing is learned.

Everything outside the masks is the plate, value for value. See backend/imaging/clips.py.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import msgspec
import numpy as np

from backend.engine import Context, Engine, Frame, Pixels, Progress
from backend.imaging import clips, periods, seam_plot, steadying
from backend.imaging.alpha import Array
from backend.imaging.held import mask_of
from protocol.engines import EngineSpec
from protocol.errors import BadJob, SizeMismatch
from protocol.jobs import ClipLoop, SeamPlot
from protocol.params import BoolParam, Choice, ChoiceParam, FloatParam, IntParam

SPEC = EngineSpec(
    id="video_loop",
    label="Video Loop",
    summary="Marked parts of a run of frames repeat in a loop; the rest is held.",
    version="1",
    jobs=("clip_loop", "seam_plot"),
    params=(
        ChoiceParam(
            name="mode",
            label="Seam",
            help="How the end of a loop becomes its beginning.",
            default="cut",
            choices=(
                Choice("cut", "Hidden Cut", "Each place changes over when it is seen least"),
                Choice("fade", "Crossfade", "Everything fades over slowly"),
                Choice("ping_pong", "Ping-Pong", "The frames run there and back"),
            ),
        ),
        IntParam(
            name="overlap",
            label="Overlap",
            help="Frames in which the end becomes the beginning. 0: it jumps.",
            default=12,
            minimum=0,
            maximum=240,
            unit="frames",
        ),
        FloatParam(
            name="feather",
            label="Change Over In",
            help="Frames in which one place changes over at a hidden cut.",
            default=3.0,
            minimum=1.0,
            maximum=60.0,
            unit="frames",
        ),
        FloatParam(
            name="edge",
            label="Soft Edge",
            help="Width over which a part fades in from the edge of its mask.",
            default=3.0,
            minimum=0.0,
            maximum=500.0,
            unit="px",
        ),
        BoolParam(
            name="even_light",
            label="Even Light",
            help="Spread slow changes of light over the loop, so that it does not jump.",
            default=True,
        ),
        BoolParam(
            name="steady",
            label="Steady Camera",
            help="Bring every frame to where what stands still lies in the plate.",
            default=False,
        ),
        ChoiceParam(
            name="between",
            label="Between Frames",
            help="What is shown where a part is played a little slower or faster to fit.",
            default="moved",
            choices=(
                Choice("moved", "Moved", "What moves is shown on its way"),
                Choice("mixture", "Mixture", "A mixture of the two frames"),
                Choice("nearest", "Nearest", "The nearer one: for drawn frames"),
            ),
        ),
    ),
)
_LONGEST = 1.0 + periods.RETIME


def load(device: str) -> Engine[ClipLoop | SeamPlot]:
    """The engine; it computes on the CPU whatever the device."""
    return VideoLoop()


class VideoLoop:
    """Looks at all frames once, then asks for those that a frame of the loop needs."""

    def run(self, task: ClipLoop | SeamPlot, context: Context) -> Iterator[Frame | Progress]:
        looked = yield from _look(task, context)
        if isinstance(task, SeamPlot):
            yield _plotted(task, looked)
            return
        ways = yield from _windows(task, looked, context)
        loop = clips.Laid(looked.plate, looked.parts, ways)
        for slot in context.slots(task):
            yield Frame(slot.index, loop.frame(slot.index), cover=loop.cover)


@dataclass(frozen=True)
class _Looked:
    """What is known of a run after all its frames were seen once."""

    plate: Pixels
    parts: Sequence[clips.Part]
    survey: clips.Survey
    read: clips.Read


def _look(task: ClipLoop | SeamPlot, context: Context) -> Generator[Progress, None, _Looked]:
    """Read every frame once."""
    plate = context.pictures(task.frames[task.plate if isinstance(task, ClipLoop) else 0])
    masks = [mask_of(context.pictures(mask)) for mask in task.masks]
    for number, mask in enumerate(masks, 1):
        _same_size(f"Mask {number}", mask, plate)
    parts = clips.parts_of(masks, plate.shape[:2], float(context.params["edge"]))
    survey = clips.Survey(parts, len(task.frames))
    tripod = _tripod(plate, masks) if context.params["steady"] else None
    moves: list[Array | None] = []
    for number, digest in enumerate(task.frames):
        yield Progress("looking at the frames", number / len(task.frames))
        frame = context.pictures(digest)
        _same_size(f"Frame {number + 1}", frame, plate)
        moves.append(tripod.move_of(frame) if tripod else None)
        survey.take(number, steadying.moved(frame, moves[-1]))

    @lru_cache(maxsize=4)
    def read(number: int) -> Pixels:
        return steadying.moved(context.pictures(task.frames[number]), moves[number])

    return _Looked(plate, parts, survey, read)


def _tripod(plate: Pixels, masks: Sequence[Array]) -> steadying.Tripod:
    if not masks:
        raise BadJob(
            "The camera cannot be steadied: without a mask nothing stands still.",
            fix="Mark with a mask what is to move, or switch Steady Camera off.",
        )
    return steadying.Tripod(plate, np.any([mask > 0 for mask in masks], axis=0))


def _windows(
    task: ClipLoop, looked: _Looked, context: Context
) -> Generator[Progress, None, list[clips.Window]]:
    """For each part, what it shows in each frame of the loop."""
    found: list[clips.Window] = []
    manner = _manner(context)
    for number, (part, rows) in enumerate(zip(looked.parts, looked.survey.rows, strict=True)):
        yield Progress("finding the loops", number / len(looked.parts))
        if context.params["mode"] == "ping_pong":
            found.append(_swing(task, part, rows, looked))
        else:
            found.append(_cycle(task, part, rows, looked, manner))
    return found


def _cycle(
    task: ClipLoop, part: clips.Part, rows: Array, looked: _Looked, manner: clips.Manner
) -> clips.Window:
    curve = periods.curve(rows, int(task.length * _LONGEST) + 1, task.start)
    join = periods.fitted(curve, task.length)
    if join is None:
        raise _no_loop(task)
    cycle = clips.Cycle(part, join, looked.read, len(task.frames), manner)
    return lambda frame: cycle.at(frame * join.cycles * join.period / task.length % join.period)


def _swing(task: ClipLoop, part: clips.Part, rows: Array, looked: _Looked) -> clips.Window:
    found = clips.swing_of(rows, task.length, task.start)
    if found is None:
        raise _no_loop(task)
    return clips.Swing(part, found[0], task.length, found[1], looked.read).at


def _manner(context: Context) -> clips.Manner:
    params = context.params
    return clips.Manner(
        overlap=int(params["overlap"]),
        cut=params["mode"] == "cut",
        feather=float(params["feather"]),
        even=bool(params["even_light"]),
        between=str(params["between"]),
    )


def _plotted(task: SeamPlot, looked: _Looked) -> Frame:
    lengths = list(range(task.shortest, task.longest + 1))
    costs: list[list[float]] = []
    for rows in looked.survey.rows:
        curve = periods.curve(rows, int(task.longest * _LONGEST) + 1)
        joins = [(periods.fitted(curve, length), length) for length in lengths]
        costs.append([255 * join.price(n) if join else float("inf") for join, n in joins])
    sums = np.sum(costs, axis=0) if costs else np.zeros(len(lengths))
    best = lengths[int(sums.argmin())]
    finite = [[cost if np.isfinite(cost) else None for cost in row] for row in costs]
    numbers = {"lengths": lengths, "costs": finite, "best": best}
    return Frame(0, seam_plot.drawn(lengths, costs, best), msgspec.json.encode(numbers).decode())


def _no_loop(task: ClipLoop) -> BadJob:
    return BadJob(
        f"{task.length} frames cannot be made of the {len(task.frames)} of the run"
        f"{f' from frame {task.start} on' if task.start else ''}: no part may be played more than "
        f"{periods.RETIME:.0%} slower or faster.",
        fix="Choose a shorter loop, an earlier start or a longer run.",
    )


def _same_size(name: str, picture: Array, plate: Pixels) -> None:
    if picture.shape[:2] != plate.shape[:2]:
        raise SizeMismatch(
            f"{name} is {picture.shape[1]} x {picture.shape[0]} pixels, the plate "
            f"{plate.shape[1]} x {plate.shape[0]}.",
            fix="Make all frames and masks equally large.",
        )
