# SPDX-License-Identifier: GPL-3.0-or-later
"""Learned Loop: networks guess how marked regions of a still flow, from strokes or from a text.

Everything outside the masks is the still, value for value, as in Flow Loop. The guessed flow
carries the still's own pixels, unless the video network is asked to draw. See
backend/models/cinemagraph.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING

import numpy as np

from backend.engine import Context, Engine, Frame, Pixels, Progress
from backend.imaging import alpha, strokes
from backend.imaging.alpha import Array
from backend.imaging.geodesic import Mask
from backend.imaging.held import mask_of
from backend.imaging.looping import Flow, Window
from backend.imaging.motions import MOTIONS, still_life
from backend.imaging.sampling import coarser, finer, floats
from backend.imaging.stillness import CELLS, Flowing, Loop, Moving
from backend.imaging.views import view_of
from backend.weights import catalogue, library
from protocol.engines import EngineSpec, Needs
from protocol.errors import BadJob, BadParameter, SizeMismatch
from protocol.jobs import Region, StillLoop
from protocol.params import BoolParam, Choice, ChoiceParam, FloatParam, IntParam, TextParam

if TYPE_CHECKING:
    import torch

    from backend.models.cinemagraph.pipeline import Networks

NETWORKS, TEXT, OTHER = "text2cinemagraph", "clip-vit-l-14", "3d-cinemagraphy"
"""The weights. Only the first are needed: prompts need the second, and the third are a choice."""

_BETWEEN = 0.5
"""Frames: what the network draws is sharpest when nothing has moved, so that moment falls between
two frames and does not flash once in each cycle."""
_FLOWING = {name: motion for name, motion in MOTIONS.items() if not motion.swings}
_ANY = 2 / 255
"""Grey above this belongs to a mask."""

SPEC = EngineSpec(
    id="learned_loop",
    label="Learned Loop",
    summary="Networks guess how marked parts of a still flow, from strokes or from a text.",
    version="1",
    jobs=("still_loop",),
    params=(
        ChoiceParam(
            name="told_by",
            label="Told By",
            help="What tells the network how things flow",
            default="strokes",
            choices=(
                Choice("strokes", "Strokes", "Each region's strokes, or its motion if it has none"),
                Choice("strokes_3d", "Strokes, 3D", "The same, as 3D-Cinemagraphy learned it"),
                Choice("prompt", "Prompt", "A text; strokes and motions are not looked at"),
            ),
        ),
        TextParam(
            name="prompt",
            label="Prompt",
            help="What flows, and how: a waterfall in a green valley, water flowing downwards",
        ),
        ChoiceParam(
            name="motion",
            label="Motion",
            help="How a region moves where neither it nor a stroke says it.",
            default="auto",
            choices=tuple(Choice(name, motion.label) for name, motion in _FLOWING.items()),
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
        ChoiceParam(
            name="drawn_by",
            label="Drawn By",
            help="What makes the pixels of a moving region",
            default="still",
            choices=(
                Choice("still", "Still", "The still's own pixels, moved: sharp, any size, fast"),
                Choice("network", "Network", "The video network: soft, and slow without a GPU"),
            ),
        ),
        IntParam(
            name="detail",
            label="Detail",
            help="Long side of the picture that the video network draws; it is enlarged after.",
            default=512,
            minimum=64,
            maximum=1024,
            unit="px",
        ),
    ),
    needs=Needs(vram_gb=4.0),
    weights=(
        catalogue.weights(NETWORKS),
        catalogue.weights(TEXT, optional=True),
        catalogue.weights(OTHER, optional=True),
    ),
)


def load(device: str) -> Engine[StillLoop]:
    """The engine on a device: "auto", "cpu", "cuda", "cuda:1", "mps".

    Raises EngineFailed if this machine has no such device or a file is not what it should be,
    WeightsMissing if there is none.
    """
    from backend.models import device as devices

    return LearnedLoop(devices.choose(device))


class LearnedLoop:
    """Makes each frame when it is asked for. A motion network is in memory while it is asked."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._networks = self._open(NETWORKS)

    def _open(self, *names: str) -> Networks:
        from backend.models.cinemagraph.pipeline import Networks

        return Networks([path for name in names for path in library.paths(name)], self._device)

    def run(self, task: StillLoop, context: Context) -> Iterator[Frame | Progress]:
        still = context.pictures(task.still)
        slots = context.slots(task)
        _check_prompt(context)
        moving: list[Moving] = []
        for number, region in enumerate(task.regions):
            yield Progress("asking how it flows", number / len(task.regions))
            mask = mask_of(context.pictures(region.mask))
            _check(mask, still, number + 1)
            asking = self._moving(still, mask, region, context)
            moving.append((yield from _each(asking, number / len(task.regions))))
        loop = Loop(still, moving, task.length)
        for slot in slots:
            yield from _painted(loop, slot.index)
            yield Frame(slot.index, loop.frame(slot.index), cover=loop.cover)

    def _moving(
        self, still: Pixels, mask: Array, region: Region, context: Context
    ) -> Generator[None, None, Moving]:
        params = context.params
        flowing = self._painting(int(params["detail"]))
        field = yield from self._field(still, mask, region, context)
        return Moving(
            mask=mask,
            anchors=region.anchors,
            speed=region.speed * float(params["magnitude"]),
            period=region.period,
            cycles=int(params["cycles"]),
            snap=bool(params["snap"]),
            field=field,
            flowing=flowing if params["drawn_by"] == "network" else Flow,
        )

    def _field(
        self, still: Pixels, mask: Array, region: Region, context: Context
    ) -> Generator[None, None, Array]:
        """Velocities (S, S, 2) in pixels of the still per frame, for all of it."""
        told = context.params["told_by"] == "prompt"
        networks = self._asked(str(context.params["told_by"]))
        side = networks.side("told" if told else "hinted")
        # 3D-Cinemagraphy learned with soft masks, Text2Cinemagraph with hard ones.
        share = _fitted((mask > _ANY).astype(np.float32), side)
        where = share if networks.soft else _hard(share)
        if not where.any():
            return np.zeros((side, side, 2), np.float32)
        grey = alpha.contrasting_grey((still,))
        shown = np.clip(_fitted(alpha.over(still, grey), side), 0, 1) * 2 - 1
        picture, place = self._tensor(shown), self._tensor(where[..., None])
        scale = np.array((side / still.shape[1], side / still.shape[0]), np.float32)
        if told:
            flow = yield from networks.told(picture, place, str(context.params["prompt"]))
        else:
            motion = _motion(region, context)
            hint = self._hint(mask, place, region, motion, scale)
            flow = networks.hinted(picture, place, hint)
        return floats(_array(flow) / scale)

    def _asked(self, told_by: str) -> Networks:
        """Opened anew: weights may have come, or gone, since the last job."""
        match told_by:
            case "prompt":
                return self._open(NETWORKS, TEXT)
            case "strokes_3d":
                return self._open(OTHER)
            case _:
                return self._networks

    def _hint(
        self, mask: Array, where: torch.Tensor, region: Region, motion: str, scale: Array
    ) -> torch.Tensor:
        """(1, 2, S, S), pixels of the network's picture per frame."""
        import torch

        from backend.models.cinemagraph.hints import dense

        side = where.shape[-1]
        places, velocities = strokes.hints(region.strokes, max(mask.shape))
        if not len(places):
            field = _fitted(_still_life(mask, motion), side) * scale
            return self._tensor(field) * where
        at = torch.as_tensor((places + np.float32(0.5)) * scale - np.float32(0.5))
        ways = torch.as_tensor(velocities * scale)
        return dense(at, ways, where.cpu(), side / len(places)).to(where.device)

    def _painting(self, detail: int) -> Flowing:
        def make(
            still: Array, inside: Mask, velocity: Array, window: Window, period: float
        ) -> _Painted:
            return _Painted(self._networks, detail, still, inside, velocity, window, period)

        return make

    def _tensor(self, array: Array) -> torch.Tensor:
        return _tensor(array, self._device)


class _Painted:
    """A flowing layer whose colours the video network draws; its alpha is the still's, moved."""

    starts_as_still = False

    def __init__(
        self,
        networks: Networks,
        detail: int,
        still: Array,
        inside: Mask,
        velocity: Array,
        window: Window,
        period: float,
    ) -> None:
        """Given what Flow is given. detail: pixels along the long side of what the network sees."""
        from backend.models.cinemagraph.painter import Painter
        from backend.models.cinemagraph.video import DECODER_REACH, ENCODER_REACH, MULTIPLE

        opaque = still.shape[2] == 3
        self._flow = None if opaque else Flow(still, inside, velocity, window, period)
        self._view = view_of(window, detail, ENCODER_REACH + DECODER_REACH, MULTIPLE)
        colours = still if opaque else alpha.bleed(alpha.unpremultiply(still))
        picture = self._view.seen(np.clip(colours[..., :3], 0, 1)) * 2 - 1
        where = self._view.seen(inside.astype(np.float32)) > 0.5
        speed = self._view.spread(window.cut(velocity)) * floats(self._view.scale)
        motion = floats(speed * where[..., None])
        shown = _tensor(floats(picture), networks.device)
        moved = _tensor(motion, networks.device)
        self._painter = Painter(networks.video(), shown, moved, period)
        self._period = period
        self._made: tuple[float, Array] | None = None

    @property
    def bytes_held(self) -> int:
        flow = 0 if self._flow is None else self._flow.bytes_held
        return self._painter.bytes_held + flow

    def steps(self, frames: float) -> Generator[float, None, Array]:
        """Like `at`; yields the share that is done, 0..1."""
        frames = (frames + _BETWEEN) % self._period
        if self._made is None or self._made[0] != frames:
            drawn = yield from self._painter.steps(frames)
            pixels = self._view.given_back(floats((_array(drawn) + 1) / 2))
            self._made = (frames, floats(np.clip(pixels, 0, 1)))
        colours = self._made[1]
        if self._flow is None:
            return colours
        opacity = np.clip(self._flow.at(frames)[..., 3:], 0, 1)
        return floats(np.concatenate((colours * opacity, opacity), axis=2))

    def at(self, frames: float) -> Array:
        """The layer (h, w, C) in its window, premultiplied, 0..period."""
        steps = self.steps(frames)
        while True:
            try:
                next(steps)
            except StopIteration as end:
                return end.value


def _each(
    asking: Generator[None, None, Moving], fraction: float
) -> Generator[Progress, None, Moving]:
    """Each part of the asking as a sign of life, and a point to cancel at."""
    while True:
        try:
            next(asking)
        except StopIteration as end:
            return end.value
        yield Progress("asking how it flows", fraction)


def _painted(loop: Loop, number: int) -> Iterator[Progress]:
    """What the network has to draw for a frame, step by step: each is a point to cancel at."""
    for layer in loop.layers:
        if isinstance(layer.moving, _Painted):
            steps = layer.moving.steps(number % layer.period)
            yield from (Progress("drawing", share) for share in steps)


def _motion(region: Region, context: Context) -> str:
    motion = str(context.params["motion"]) if region.motion == "auto" else region.motion
    if motion not in _FLOWING:
        raise BadJob(
            f"A region is to move like {motion[:40]!r}, which Learned Loop does not know.",
            fix=f"Choose one of {', '.join(_FLOWING)}, or Flow Loop.",
        )
    return motion


def _still_life(mask: Array, motion: str) -> Array:
    """How a motion flows of itself: (h, w, 2), pixels of the still per frame."""
    long = max(mask.shape)
    height, width = (max(1, round(side * min(1.0, CELLS / long))) for side in mask.shape)
    inside = coarser((mask > _ANY).astype(np.float32), height, width) > 0
    return still_life(inside, motion, long)


def _hard(share: Array) -> Array:
    """Shares of pixels that a mask covers, as 0 or 1; never nothing of something."""
    covered = share > 0.5 if (share > 0.5).any() else share > 0
    return covered.astype(np.float32)


def _fitted(picture: Array, side: int) -> Array:
    """(H, W[, C]) to a square: where a side shrinks, each pixel is the mean of what it covers."""
    height, width = (min(side, whole) for whole in picture.shape[:2])
    return finer(coarser(picture, height, width), side, side)


def _check_prompt(context: Context) -> None:
    if context.params["told_by"] == "prompt" and not str(context.params["prompt"]).strip():
        raise BadParameter(
            "The network is to be told by a prompt, and there is none.",
            fix="Write what flows and how, or let it be told by strokes.",
        )


def _check(mask: Array, still: Pixels, number: int) -> None:
    if mask.shape != still.shape[:2]:
        raise SizeMismatch(
            f"The mask of region {number} is {mask.shape[1]} x {mask.shape[0]} pixels, the still "
            f"{still.shape[1]} x {still.shape[0]}.",
            fix="Make the mask as large as the still.",
        )


def _tensor(array: Array, device: torch.device) -> torch.Tensor:
    """(H, W, C) to (1, C, H, W) on the device."""
    import torch

    planes = np.ascontiguousarray(array.transpose(2, 0, 1))
    return torch.as_tensor(planes, device=device)[None]


def _array(tensor: torch.Tensor) -> Array:
    """(1, C, H, W) to (H, W, C)."""
    return floats(tensor[0].permute(1, 2, 0).contiguous().cpu().numpy())
