# SPDX-License-Identifier: GPL-3.0-or-later
"""Flow Loop: regions of a still flow, drift or sway for ever; nothing is learned.

Everything outside the masks is the still, value for value. See backend/imaging/stillness.py.
"""

from collections.abc import Iterator

from backend.engine import Context, Engine, Frame, Progress
from backend.imaging.held import mask_of
from backend.imaging.motions import MOTIONS
from backend.imaging.stillness import Loop, Moving
from protocol.engines import Abilities, EngineSpec
from protocol.errors import BadJob, SizeMismatch
from protocol.jobs import Region, StillLoop
from protocol.params import BoolParam, Choice, ChoiceParam, FloatParam, IntParam

SPEC = EngineSpec(
    id="flow_loop",
    label="Flow Loop",
    summary="Marked parts of a still flow, drift or sway in a loop; the rest stays as it is.",
    version="1",
    jobs=("still_loop",),
    params=(
        ChoiceParam(
            name="motion",
            label="Motion",
            help="How a region moves where neither it nor a stroke says it.",
            default="auto",
            choices=tuple(Choice(name, motion.label) for name, motion in MOTIONS.items()),
        ),
        FloatParam(
            name="magnitude",
            label="Magnitude",
            help="A factor on all motion.",
            default=1.0,
            minimum=0.0,
            maximum=8.0,
        ),
        IntParam(
            name="cycles",
            label="Cycles",
            help="How often a region repeats in its period. 0: so often that nothing looks double.",
            default=0,
            minimum=0,
            maximum=100,
        ),
        BoolParam(
            name="snap",
            label="Follow Edges",
            help="Draw the edge of each mask back to where the picture's colour changes.",
            default=True,
        ),
    ),
    can=Abilities(seeds=False),
)


def load(device: str) -> Engine[StillLoop]:
    """The engine; it computes on the CPU whatever the device."""
    return FlowLoop()


class FlowLoop:
    """Makes each frame when it is asked for: a long loop takes no more memory than a short one."""

    def run(self, task: StillLoop, context: Context) -> Iterator[Frame | Progress]:
        still = context.pictures(task.still)
        slots = context.slots(task)
        moving = [_moving(region, number, context) for number, region in enumerate(task.regions, 1)]
        for number, region in enumerate(moving, 1):
            if region.mask.shape != still.shape[:2]:
                raise _other_size(number, region, still.shape)
        yield Progress("finding the flow", 0.0)
        loop = Loop(still, moving, task.length)
        for slot in slots:
            yield Frame(slot.index, loop.frame(slot.index), cover=loop.cover)


def _moving(region: Region, number: int, context: Context) -> Moving:
    motion = str(context.params["motion"]) if region.motion == "auto" else region.motion
    if motion not in MOTIONS:
        raise BadJob(
            f"Region {number} is to move like {motion[:40]!r}, which Flow Loop does not know.",
            fix=f"Choose one of {', '.join(MOTIONS)}.",
        )
    return Moving(
        mask=mask_of(context.pictures(region.mask)),
        motion=motion,
        strokes=region.strokes,
        anchors=region.anchors,
        speed=region.speed * float(context.params["magnitude"]),
        period=region.period,
        cycles=int(context.params["cycles"]),
        snap=bool(context.params["snap"]),
    )


def _other_size(number: int, region: Moving, shape: tuple[int, ...]) -> SizeMismatch:
    height, width = region.mask.shape
    return SizeMismatch(
        f"The mask of region {number} is {width} x {height} pixels, the still "
        f"{shape[1]} x {shape[0]}.",
        fix="Make the mask as large as the still.",
    )
