# SPDX-License-Identifier: GPL-3.0-or-later
"""The jobs of making loops: from a still with moving regions, and from a run of frames."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from .errors import BadJob, TooFewKeys
from .limits import Limits
from .slots import Digest, Point, Slot

Length = Annotated[int, Meta(ge=2, le=100_000)]
"""Of a loop, in frames."""
Frames = Annotated[float, Meta(ge=0.0, le=100_000.0)]
Line = Annotated[tuple[Point, ...], Meta(min_length=1, max_length=1000)]


class Stroke(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A way that the picture flows: along `line`, `speed` pixels for each frame."""

    line: Line
    speed: Annotated[float, Meta(gt=0.0, le=10_000.0)]


class Region(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A part of a still that moves. `mask` is grey, of the still's size: how much it moves."""

    mask: Digest
    motion: Annotated[str, Meta(max_length=40)] = "auto"
    """How it moves where no stroke says it: a name that the engine publishes."""
    strokes: Annotated[tuple[Stroke, ...], Meta(max_length=1000)] = ()
    anchors: Annotated[tuple[Line, ...], Meta(max_length=1000)] = ()
    """Lines that stay where they are."""
    speed: Annotated[float, Meta(ge=0.0, le=100.0)] = 1.0
    """A factor on all motion of the region."""
    period: Frames = 0.0
    """Frames after which it repeats; the length must be a whole number of them. 0: the length."""


class StillLoop(msgspec.Struct, frozen=True, kw_only=True, tag="still_loop", omit_defaults=True):
    """A loop of `length` frames from one still. The frame after the last is the first."""

    still: Digest
    regions: tuple[Region, ...]
    length: Length
    layer: bool = False
    """Frames hold what moves alone, with alpha: laid over the still they are what they would be
    without it."""

    @property
    def under(self) -> str:
        """The digest of the picture over which a layer is to be laid."""
        return self.still

    @property
    def marks(self) -> tuple[str, ...]:
        """Digests of the masks that say where it may move."""
        return tuple(region.mask for region in self.regions)

    def inputs(self) -> list[str]:
        """Digests of the files that the job needs, each once, in order of first use."""
        return list(dict.fromkeys((self.still, *self.marks)))

    def pictures(self) -> list[str]:
        """Digests of the files that decide how frames are written."""
        return [self.still]

    def name_of(self, digest: str) -> str:
        """How a reader knows an input of the job."""
        if digest == self.still:
            return "The still"
        marks = self.marks
        return "The mask" if len(marks) == 1 else f"Mask {marks.index(digest) + 1}"

    def slots(self) -> list[Slot]:
        """The pictures to make, in order."""
        return [Slot(index, 0, index / self.length) for index in range(self.length)]

    def check(self, limits: Limits) -> None:
        """Raise BadJob if the job makes no sense or is too big."""
        if not self.regions:
            raise BadJob("No region may move.", fix="Mark with a mask what is to move.")
        if len(self.regions) > limits.max_keys:
            raise BadJob(f"The job has {len(self.regions)} regions.", fix="Use fewer masks.")
        _check_length(self.length, limits)
        for number, region in enumerate(self.regions, start=1):
            cycles = self.length / region.period if region.period else 1.0
            if abs(cycles - round(cycles)) > 1e-6 * cycles or cycles < 1:
                raise BadJob(
                    f"Region {number} repeats after {region.period:g} frames, which does not go "
                    f"into {self.length} frames a whole number of times.",
                    fix="Choose a length that is a multiple of each region's period.",
                )


class _FromRun(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A job that looks at a run of frames that follow each other."""

    frames: tuple[Digest, ...]
    masks: tuple[Digest, ...] = ()
    """Grey pictures, white where it may move: none (everything), or some; each connected part is
    looped by itself."""

    def inputs(self) -> list[str]:
        """Digests of the files that the job needs, each once, in order of first use."""
        return list(dict.fromkeys((*self.frames, *self.masks)))

    def pictures(self) -> list[str]:
        """Digests of the files that decide how frames are written; all are of one size."""
        return list(dict.fromkeys(self.frames))

    def name_of(self, digest: str) -> str:
        """How a reader knows an input of the job."""
        if digest in self.frames:
            return f"Frame {self.frames.index(digest) + 1}"
        return "The mask" if len(self.masks) == 1 else f"Mask {self.masks.index(digest) + 1}"


class ClipLoop(_FromRun, frozen=True, kw_only=True, tag="clip_loop", omit_defaults=True):
    """A loop of `length` frames cut out of a run of frames.

    What all masks leave black is held as in frame `plate`. `start` is the frame of the run with
    which the loop begins, None: the best one.
    """

    length: Length
    start: Annotated[int, Meta(ge=0)] | None = None
    plate: Annotated[int, Meta(ge=0)] = 0
    layer: bool = False
    """As of a StillLoop, to be laid over the plate."""

    @property
    def under(self) -> str:
        """The digest of the picture over which a layer is to be laid."""
        return self.frames[self.plate]

    @property
    def marks(self) -> tuple[str, ...]:
        """Digests of the masks that say where it may move; none: everywhere."""
        return self.masks

    def slots(self) -> list[Slot]:
        """The pictures to make, in order."""
        return [Slot(index, 0, index / self.length) for index in range(self.length)]

    def check(self, limits: Limits) -> None:
        """Raise TooFewKeys or BadJob if the job makes no sense or is too big."""
        _check_run(self.frames, limits)
        _check_length(self.length, limits)
        for name, number in (("start", self.start or 0), ("plate", self.plate)):
            if number >= len(self.frames):
                raise BadJob(
                    f"The {name} is frame {number} of {len(self.frames)}.",
                    fix=f"Number the frames from 0 to {len(self.frames) - 1}.",
                )


class LoopGap(_FromRun, frozen=True, kw_only=True, tag="loop_gap", omit_defaults=True):
    """A loop of a run whose last frame shall meet the first: all frames of the run, then `between`
    more that lead from the last to the first. No frame is there twice.

    What all masks leave black is held as in the first frame, in all frames.
    """

    between: Annotated[int, Meta(ge=0, le=10_000)]
    even_light: bool = True
    """What the run's colours have steadily drifted is taken out: all have the light of the first
    frame."""
    layer: bool = False
    """As of a StillLoop, to be laid over the first frame."""

    @property
    def under(self) -> str:
        """The digest of the picture over which a layer is to be laid."""
        return self.frames[0]

    @property
    def marks(self) -> tuple[str, ...]:
        """Digests of the masks that say where it may move; none: everywhere."""
        return self.masks

    def slots(self) -> list[Slot]:
        """The pictures to make, in order: those of the run first."""
        length = len(self.frames) + self.between
        return [Slot(index, 0, index / length) for index in range(length)]

    def check(self, limits: Limits) -> None:
        """Raise TooFewKeys or BadJob if the job makes no sense or is too big."""
        if len(self.frames) < 2:
            raise TooFewKeys(
                f"The run has {len(self.frames)} frame{'s' * (len(self.frames) != 1)}.",
                fix="Give two frames or more.",
            )
        if self.frames[0] == self.frames[-1]:
            raise BadJob(
                "The last frame of the run is its first once more.",
                fix="Leave it out: the loop shows it when it begins again.",
            )
        _check_length(len(self.frames) + self.between, limits)


AnyLoop = StillLoop | ClipLoop | LoopGap
"""Any job whose frames are a loop."""


class SeamPlot(_FromRun, frozen=True, kw_only=True, tag="seam_plot", omit_defaults=True):
    """What a loop of each length between `shortest` and `longest` would cost at its seam.

    The one frame that is made is a picture of the curve; the numbers are in its PNG text chunk
    "tweencel".
    """

    shortest: Length
    longest: Length

    def slots(self) -> list[Slot]:
        """The one picture to make."""
        return [Slot(0, 0, 0.0)]

    def check(self, limits: Limits) -> None:
        """Raise TooFewKeys or BadJob if the job makes no sense or is too big."""
        _check_run(self.frames, limits)
        if not self.shortest <= self.longest <= len(self.frames):
            raise BadJob(
                f"A length between {self.shortest} and {self.longest} frames is asked for; "
                f"the run has {len(self.frames)}.",
                fix="Give a shortest and a longest length, neither longer than the run.",
            )


def _check_length(length: int, limits: Limits) -> None:
    if length > limits.max_frames:
        raise BadJob(
            f"The loop has {length} frames; the backend makes {limits.max_frames}.",
            fix="Choose a shorter loop.",
        )


def _check_run(frames: tuple[str, ...], limits: Limits) -> None:
    if len(frames) < 3:
        raise TooFewKeys(
            f"The run has {len(frames)} frame{'s' * (len(frames) != 1)}.",
            fix="Give a run of three frames or more.",
        )
    if len(frames) > limits.max_frames:
        raise BadJob(
            f"The run has {len(frames)} frames; the backend takes {limits.max_frames}.",
            fix="Choose a shorter run.",
        )
