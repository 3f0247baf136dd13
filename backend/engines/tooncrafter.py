# SPDX-License-Identifier: GPL-3.0-or-later
"""ToonCrafter: a video diffusion model draws sixteen frames between two keys, or along sketches.

It decides which clips are drawn, of what, and which of their frames are wanted; networks know only
clips, and `imaging.restoring` makes them as true as the keys. torch is imported only where it
computes.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby, pairwise
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from backend.engine import Context, Engine, Frame, Paced, Pixels, Progress
from backend.imaging.canvas import canvas
from backend.imaging.evenness import Numbers
from backend.imaging.ink import lines
from backend.imaging.pacing import lengths_of, positions
from backend.imaging.plates import plate
from backend.imaging.restoring import Clip
from backend.models.tooncrafter.needs import Keep, need
from backend.models.tooncrafter.sizes import FRAMES, MULTIPLE
from backend.models.tooncrafter.tiers import Room, Wish, fitting
from backend.weights import catalogue, library, shelf
from protocol.engines import Abilities, EngineSpec, Needs
from protocol.errors import BadParameter, EngineFailed
from protocol.jobs import Inbetween, Slot
from protocol.params import (
    BoolParam,
    Choice,
    ChoiceParam,
    FloatParam,
    IntParam,
    TextParam,
    Values,
    complete,
)

if TYPE_CHECKING:
    import torch

    from backend.models.mover import Mover
    from backend.models.tooncrafter.checkpoint import Checkpoint
    from backend.models.tooncrafter.drawing import Artist, Drawn

_WEIGHTS = "tooncrafter"
_SKETCH = "tooncrafter-sketch"
_LORAS = "tooncrafter-loras"
_MOVER = "rife-4.25"
_HEIGHT, _WIDTH = 320, 512
"""What the model was trained on: it draws worse at other sizes."""
_PICKED = FRAMES - 2
"""Frames of a clip that are not the keys. For more in-betweens a gap is split."""

SPEC = EngineSpec(
    id="tooncrafter",
    label="ToonCrafter",
    summary=(
        "Draws what happens between two keys, along sketches if there are any. It wants a GPU: "
        "on a CPU a clip takes hours."
    ),
    version="1",
    jobs=("inbetween", "loop_gap"),
    params=(
        TextParam(
            name="prompt",
            label="Prompt",
            help="What is seen, in English. May be empty",
            default="an anime scene",
        ),
        IntParam(
            name="steps",
            label="Steps",
            help="50 as published. Time goes with it; 15 to 25 for a look, with less detail",
            default=50,
            minimum=1,
            maximum=60,
        ),
        IntParam(
            name="fs",
            label="Motion (fs)",
            help="The frame rate it is told: low for large motion, high for small",
            default=10,
            minimum=5,
            maximum=30,
        ),
        FloatParam(
            name="guidance",
            label="Guidance",
            help="How closely keys and prompt are followed. 1 takes half the time, and drifts",
            default=7.5,
            minimum=1.0,
            maximum=15.0,
        ),
        FloatParam(
            name="picture_guidance",
            label="Picture Guidance",
            help="Weighs the first key apart from the prompt, for half as much time again. 0: off",
            default=0.0,
            minimum=0.0,
            maximum=15.0,
        ),
        FloatParam(
            name="rescale",
            label="Guidance Rescale",
            help="How much of the contrast that guidance adds is taken back",
            default=0.7,
            minimum=0.0,
            maximum=1.0,
        ),
        FloatParam(
            name="eta",
            label="Fresh Noise",
            help="New noise at each step: 1 as published, 0 none",
            default=1.0,
            minimum=0.0,
            maximum=1.0,
        ),
        IntParam(
            name="size",
            label="Working Size",
            help="100 is about 512 x 320 pixels, what the model was trained on",
            default=100,
            minimum=25,
            maximum=200,
            unit="%",
        ),
        ChoiceParam(
            name="pace",
            label="Pace",
            help="What the times of the in-betweens count. Sketches keep their own times",
            default="motion",
            choices=(
                Choice("motion", "Motion", "At 0.5, half of the way between the keys is done"),
                Choice("own", "Its Own", "As the model moves: it may wait and then hurry"),
            ),
        ),
        ChoiceParam(
            name="between",
            label="Between Its Frames",
            help="What to show at a time at which the model drew nothing",
            default="move",
            choices=(
                Choice("move", "Moved", "The frames around it, moved to that time"),
                Choice("nearest", "Nearest", "The nearest frame as it was drawn: crisper lines"),
            ),
        ),
        BoolParam(
            name="detail",
            label="Detail of the Keys",
            help="Bring the keys' fine detail back, moved along with the drawing",
            default=True,
        ),
        BoolParam(
            name="tone",
            label="Colours of the Keys",
            help="Take back the tint that the model adds",
            default=True,
        ),
        FloatParam(
            name="sketch_weight",
            label="Sketches",
            help="How much all sketches count, times the strength of each",
            default=0.6,
            minimum=0.0,
            maximum=2.0,
        ),
        ChoiceParam(
            name="sketch_context",
            label="Sketches See",
            help="What the sketch encoder is told besides the lines. Nobody published which",
            default="text",
            choices=(
                Choice("text", "The Prompt", "As it began: it never saw pictures"),
                Choice("whole", "Prompt and Key", "As some other programs do"),
            ),
        ),
        ChoiceParam(
            name="precision",
            label="Precision",
            help="Of the numbers",
            default="auto",
            choices=(
                Choice("auto", "Automatic", "Half on a GPU, full on a CPU"),
                Choice("half", "Half", "float16: half the memory, the smallest loss"),
                Choice("bfloat16", "bfloat16", "Half the memory, never overflows, loses more"),
                Choice("float32", "Full", "float32: the published numbers"),
            ),
        ),
        ChoiceParam(
            name="memory",
            label="Memory",
            help="Where networks wait while others compute",
            default="auto",
            choices=(
                Choice("auto", "Automatic", "The fastest that fits"),
                Choice("device", "On the Device", "Fastest, and largest"),
                Choice("host", "In Main Memory", "Moved over when needed"),
                Choice("file", "Smallest", "Read from disk when needed"),
            ),
        ),
        TextParam(
            name="lora",
            label="LoRA",
            help="The name of a folder in the backend's weights/tooncrafter-loras. Empty: none",
            max_length=100,
        ),
        FloatParam(
            name="lora_strength",
            label="LoRA Strength",
            default=1.0,
            minimum=-2.0,
            maximum=2.0,
        ),
    ),
    weights=(
        catalogue.weights(_WEIGHTS),
        catalogue.weights(_SKETCH, optional=True),
        shelf.record(_MOVER),
    ),
    needs=Needs(vram_gb=round(need(_WIDTH, _HEIGHT).device / 2**30, 1)),
    # How a gap is split depends on how many are wanted in it.
    can=Abilities(sketches=True, independent=False),
)


def load(device: str) -> Engine[Inbetween]:
    """The engine on a device; networks are read when they are first used.

    Raises EngineFailed if this machine has no such device or the weights do not fit, and
    WeightsMissing.
    """
    from backend.models import device as devices
    from backend.models.tooncrafter.checkpoint import Checkpoint

    where = devices.choose(device)
    paths = library.paths(_WEIGHTS)
    if library.installed(_SKETCH):
        paths += library.paths(_SKETCH)
    checkpoint = Checkpoint(paths)
    checkpoint.check()
    return ToonCrafter(checkpoint, where)


class ToonCrafter(Paced):
    """The opened weights. Networks stay warm between jobs where the job before left them."""

    def __init__(
        self, checkpoint: Checkpoint, device: torch.device, room: Room | None = None
    ) -> None:
        """room: the memory there is; None asks the machine before each job."""
        from backend.models.tooncrafter.pipeline import ToonCrafter as Model

        self._room, self._device = room, device
        self._mover: Mover | None = None
        self._models = Model(checkpoint, device, _dtype("auto", device), Keep.FILE)

    def run(self, task: Inbetween, context: Context) -> Iterator[Frame | Progress]:
        shot = _Shot(self, task, context)
        for gap, wanted in groupby(context.slots(task), key=lambda slot: slot.gap):
            yield from shot.gap(gap, list(wanted))

    def artist(self, values: Values, seed: int, size: tuple[int, int], sketched: bool) -> Artist:
        """Who draws in that manner. Raises EngineFailed if there is no memory for it."""
        from backend.models.tooncrafter.drawing import Artist, Manner
        from backend.models.tooncrafter.pipeline import Guidance, Setting
        from backend.models.tooncrafter.pipeline import ToonCrafter as Model

        dtype = _dtype(str(values["precision"]), self._device)
        keep = self._keep(values, size, dtype.itemsize == 2, sketched)
        before = self._models
        if (before.dtype, before.keep) != (dtype, keep):
            before.forget()
            self._models = Model(before.checkpoint, self._device, dtype, keep)
        if sketched and not self._models.can_sketch:
            raise EngineFailed(
                "The sketch encoder's weights are not installed.",
                fix=f"Get them with `tweencel weights get {_SKETCH}`, or draw no sketches.",
            )
        guidance = Guidance(
            float(values["guidance"]),
            float(values["picture_guidance"]) or None,
            float(values["rescale"]),
        )
        setting = Setting(
            int(values["steps"]), float(values["eta"]), int(values["fs"]), guidance=guidance
        )
        name = str(values["lora"])
        manner = Manner(
            prompt=str(values["prompt"]),
            seed=seed,
            setting=setting,
            whole=values["sketch_context"] == "whole",
            weight=float(values["sketch_weight"]),
            lora=_lora(name) if name else None,
            lora_strength=float(values["lora_strength"]),
        )
        return Artist(self._models, manner)

    @property
    def mover(self) -> Mover:
        """Who knows what lies between two frames."""
        from backend.models.mover import Mover

        self._mover = self._mover or Mover(shelf.read(_MOVER))
        return self._mover

    def _keep(self, values: Values, size: tuple[int, int], half: bool, sketched: bool) -> Keep:
        from backend.models.tooncrafter.keys import counts

        height, width = size
        asked = str(values["memory"])
        wish = Wish(width, height, half, None if asked == "auto" else Keep(asked), sketched)
        room = self._room or _room(self._device)
        return fitting(wish, room, counts(self._models.checkpoint.sizes))


class _Sketch(NamedTuple):
    """A sketch at a time of what is being drawn, a gap or a piece of one."""

    t: float
    digest: str
    strength: float


@dataclass(frozen=True)
class _Part:
    """A clip that was drawn, and where in it the wanted times lie."""

    clip: Clip
    promised: dict[int, float]
    by_motion: bool

    @cached_property
    def _lengths(self) -> Numbers | None:
        return lengths_of(self.clip.frames) if self.by_motion else None

    def positions(self, times: Sequence[float]) -> list[float]:
        return positions(times, FRAMES, self._lengths, self.promised)

    def breakdowns(self, pieces: int) -> list[tuple[float, Pixels]]:
        """Frames that share the way out into pieces, each with its time."""
        found = self.positions([piece / pieces for piece in range(1, pieces)])
        numbers = sorted({min(max(round(p), 1), _PICKED) for p in found})
        grid = np.linspace(0, 1, 257)
        times = np.interp(numbers, self.positions(grid.tolist()), grid)
        return [(float(t), self.clip.picture(n)) for t, n in zip(times, numbers, strict=True)]


class _Shot:
    """One job: its settings, and the one who draws."""

    def __init__(self, engine: ToonCrafter, task: Inbetween, context: Context) -> None:
        self._engine, self._task, self._context = engine, task, context
        self._values = complete(SPEC.params, context.params)
        self._artist: Artist | None = None

    def gap(self, gap: int, wanted: list[Slot]) -> Iterator[Frame | Progress]:
        digests = self._task.keys[gap : gap + 2]
        sketches = [
            _Sketch(guide.t, guide.sketch, guide.strength)
            for guide in sorted(self._task.guides, key=lambda guide: guide.t)
            if guide.gap == gap and guide.strength > 0
        ]
        first, last = (self._context.pictures(digest) for digest in digests)
        if digests[0] == digests[1] and not sketches:
            yield from (Frame(slot.index, first) for slot in wanted)
            return
        if not first[..., 3].any() and not last[..., 3].any():
            yield from (Frame(slot.index, np.zeros_like(first)) for slot in wanted)
            return
        # Counted over all of the gap, so that a job that goes on splits as it began.
        pieces = min(ceil((len(self._task.gaps[gap]) + 1) / (_PICKED + 1)), _PICKED + 1)
        whole = yield from self._part(first, last, sketches, f"gap {gap + 1}")
        if pieces == 1:
            yield from self._frames(whole, wanted, 0.0, 1.0)
            return
        stops = [(0.0, first), *whole.breakdowns(pieces), (1.0, last)]
        del whole
        for number, ((begins, start), (ends, end)) in enumerate(pairwise(stops), 1):
            inside = [slot for slot in wanted if begins <= slot.t < ends]
            if inside and inside[0].t == begins:
                yield Frame(inside.pop(0).index, start)
            if inside:
                near = _within(sketches, begins, ends)
                where = f"gap {gap + 1}, piece {number} of {len(stops) - 1}"
                part = yield from self._part(start, end, near, where)
                yield from self._frames(part, inside, begins, ends)

    def _frames(
        self, part: _Part, wanted: Sequence[Slot], begins: float, ends: float
    ) -> Iterator[Frame]:
        places = part.positions([(slot.t - begins) / (ends - begins) for slot in wanted])
        for slot, place in zip(wanted, places, strict=True):
            if self._values["between"] == "nearest":
                place = min(max(round(place), 1), _PICKED)  # an in-between is no key
            yield Frame(slot.index, part.clip.picture(place))

    def _part(
        self, first: Pixels, last: Pixels, sketches: Sequence[_Sketch], where: str
    ) -> Generator[Progress, None, _Part]:
        """Draw a clip."""
        height, width = first.shape[:2]
        share = int(self._values["size"]) / 100
        laid = canvas(height, width, round(_HEIGHT * _WIDTH * share**2), MULTIPLE)
        if self._artist is None:
            sketched = any(guide.strength > 0 for guide in self._task.guides)
            self._artist = self._engine.artist(
                self._values, self._context.seed, laid.size, sketched
            )
        ground = plate(first, last)
        small = [np.clip(laid.scaled(ground.behind(key)), 0, 1) for key in (first, last)]
        drawn: dict[int, Drawn] = {}
        promised: dict[int, float] = {}
        for sketch in sketches:
            number = min(max(round(sketch.t * (FRAMES - 1)), 1), _PICKED)
            ink = lines(self._context.pictures(sketch.digest), laid)
            drawn[number] = _added(drawn.get(number), ink, sketch.strength)
            promised.setdefault(number, sketch.t)
        padded = [laid.padded(key) for key in small]
        frames = yield from self._told(self._artist, padded, small[0], drawn, where)
        clip = Clip(
            [laid.cropped(frame) for frame in frames],
            (first, last),
            ground,
            laid,
            ways=self._engine.mover.ways if self._values["between"] == "move" else None,
            tone=bool(self._values["tone"]),
            detail=bool(self._values["detail"]),
        )
        by_motion = self._task.even_motion or self._values["pace"] == "motion"
        return _Part(clip, promised, by_motion)

    def _told(
        self,
        artist: Artist,
        keys: Sequence[Pixels],
        seen: Pixels,
        drawn: dict[int, Drawn],
        where: str,
    ) -> Generator[Progress, None, list[Pixels]]:
        steps = artist.draw(keys[0], keys[1], seen, drawn)
        try:
            while True:
                phase, share = next(steps)
                yield Progress(f"{phase} ({where})", share)
        except StopIteration as end:
            return end.value
        finally:
            steps.close()


def _within(sketches: Sequence[_Sketch], begins: float, ends: float) -> list[_Sketch]:
    """Those inside a piece of a gap, at the piece's own times."""
    return [
        sketch._replace(t=(sketch.t - begins) / (ends - begins))
        for sketch in sketches
        if begins < sketch.t < ends
    ]


def _added(before: Drawn | None, ink: Pixels, strength: float) -> Drawn:
    """Two sketches for the same frame are drawn over each other."""
    from backend.models.tooncrafter.drawing import Drawn

    if before is None:
        return Drawn(ink, strength)
    return Drawn(np.maximum(before.lines, ink), max(before.strength, strength))


def _dtype(precision: str, device: torch.device) -> torch.dtype:
    import torch

    if precision == "auto":
        precision = "float32" if device.type == "cpu" else "half"
    kinds = {"half": torch.float16, "bfloat16": torch.bfloat16, "float32": torch.float32}
    return kinds[precision]


def _room(device: torch.device) -> Room:
    """What is free on this machine now."""
    from backend.models import device as devices

    host = devices.free_on_host()
    return Room(str(device), devices.free(device), host, fused=device.type != "mps")


def _lora(name: str) -> Path:
    """A folder by its name only: no job may look at other files of this machine."""
    if name in (".", "..") or any(sign in name for sign in "/\\:\0"):
        raise BadParameter(
            "LoRA is not the name of a folder.",
            fix=f"Copy the LoRA's folder into weights/{_LORAS} and give its name.",
        )
    return library.root() / _LORAS / name
