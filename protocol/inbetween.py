# SPDX-License-Identifier: GPL-3.0-or-later
"""The job of making in-betweens: keys, gaps, and what else the artist drew to guide them."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated

import msgspec
from msgspec import Meta

from .errors import BadJob, NothingToMake, TooFewKeys
from .limits import Limits
from .slots import Digest, Slot, Time


class Guide(msgspec.Struct, frozen=True, kw_only=True):
    """A rough sketch of how the drawing should be at time `t` of a gap.

    The file has the size of the keys: dark lines on white, or lines over transparency.
    """

    gap: Annotated[int, Meta(ge=0)]
    t: Time
    sketch: Digest
    strength: Annotated[float, Meta(ge=0.0, le=2.0)] = 1.0


class Inbetween(msgspec.Struct, frozen=True, tag="inbetween", omit_defaults=True):
    """In-betweens for the gaps between neighbouring keys.

    `keys` are digests of image files in the order of the shot. `gaps[i]` holds the times, rising
    inside (0, 1), that are to be made between keys i and i + 1; an empty gap stays as it is. A
    cycle names its first key once more at the end.
    """

    keys: tuple[Digest, ...]
    gaps: tuple[tuple[Time, ...], ...]
    breakdowns: tuple[Annotated[int, Meta(ge=0)], ...] = ()
    """Which keys are breakdowns: passed through, but trusted less than the keys around them (an
    engine need not match its colours to them)."""
    guides: tuple[Guide, ...] = ()
    """Only for engines that take sketches (Abilities.sketches)."""
    masks: tuple[Digest, ...] = ()
    """Empty: everything may change. One for all frames, or one for each slot: grey pictures of the
    keys' size, white where the drawing may change, black where the key before is held as it is."""
    even_motion: bool = False
    """The times count measured motion, not the engine's own time: at 0.5 half of the way between
    the keys is done, however the engine moves."""

    def inputs(self) -> list[str]:
        """Digests of the files that the job needs, each once, in order of first use."""
        sketches = [guide.sketch for guide in self.guides]
        return list(dict.fromkeys((*self.keys, *self.masks, *sketches)))

    def pictures(self) -> list[str]:
        """Digests of the files that decide how frames are written; all are of one size."""
        return list(dict.fromkeys(self.keys))

    def name_of(self, digest: str) -> str:
        """How a reader knows an input of the job."""
        if digest in self.keys:
            return f"Key {self.keys.index(digest) + 1}"
        if digest in self.masks:
            return "The mask" if len(self.masks) == 1 else f"Mask {self.masks.index(digest) + 1}"
        sketches = [guide.sketch for guide in self.guides]
        return f"Sketch {sketches.index(digest) + 1}"

    def slots(self) -> list[Slot]:
        """The pictures to make, in order."""
        times = [(gap, t) for gap, row in enumerate(self.gaps) for t in row]
        return [Slot(index, gap, t) for index, (gap, t) in enumerate(times)]

    def mask_of(self, slot: Slot) -> str:
        """The digest of the mask for a slot, or an empty text."""
        if not self.masks:
            return ""
        return self.masks[0] if len(self.masks) == 1 else self.masks[slot.index]

    def alone(self, slot: Slot) -> Inbetween:
        """The job that makes this slot and no other; its picture is the same."""
        mask = self.mask_of(slot)
        return Inbetween(
            keys=self.keys[slot.gap : slot.gap + 2],
            gaps=((slot.t,),),
            breakdowns=tuple(n - slot.gap for n in self.breakdowns if 0 <= n - slot.gap <= 1),
            guides=tuple(
                msgspec.structs.replace(guide, gap=0)
                for guide in self.guides
                if guide.gap == slot.gap
            ),
            masks=(mask,) if mask else (),
            even_motion=self.even_motion,
        )

    def check(self, limits: Limits) -> None:
        """Raise TooFewKeys, NothingToMake or BadJob if the job makes no sense or is too big."""
        if len(self.keys) < 2:
            raise TooFewKeys(f"The job has {len(self.keys)} key{'s' * (len(self.keys) != 1)}.")
        if len(self.gaps) != len(self.keys) - 1:
            raise BadJob(
                f"{len(self.keys)} keys have {len(self.keys) - 1} gaps, "
                f"but the job describes {len(self.gaps)}.",
                fix="Give one list of times for each gap.",
            )
        wanted = sum(map(len, self.gaps))
        if wanted == 0:
            raise NothingToMake("No in-between is asked for in any gap.")
        self._check_size(limits, wanted)
        for number, times in enumerate(self.gaps, start=1):
            if any(b <= a for a, b in pairwise(times)):
                raise BadJob(
                    f"The times of gap {number} do not rise.",
                    fix="Give each gap's times in rising order, none twice.",
                )
        self._check_extras(wanted)

    def _check_size(self, limits: Limits, wanted: int) -> None:
        if wanted > limits.max_frames:
            raise BadJob(
                f"The job asks for {wanted} in-betweens; the backend takes {limits.max_frames}.",
                fix="Split the shot into several jobs.",
            )
        if len(self.keys) + len(self.guides) > limits.max_keys:
            raise BadJob(
                f"The job has {len(self.keys)} keys and {len(self.guides)} sketches; "
                f"the backend takes {limits.max_keys} in all.",
                fix="Split the shot into several jobs.",
            )

    def _check_extras(self, wanted: int) -> None:
        if len(self.masks) not in (0, 1, wanted):
            raise BadJob(
                f"The job has {len(self.masks)} masks for {wanted} in-betweens.",
                fix="Give no mask, one for all in-betweens, or one for each.",
            )
        if any(number >= len(self.keys) for number in self.breakdowns):
            raise BadJob(
                "A breakdown is named that is not among the keys.", fix="Number the keys from 0."
            )
        if any(guide.gap >= len(self.gaps) for guide in self.guides):
            raise BadJob(
                "A sketch lies in a gap that the job does not have.", fix="Number the gaps from 0."
            )
