# SPDX-License-Identifier: GPL-3.0-or-later
"""How much memory a run needs on its device, from parameters and activations; it knows no torch.

Activations are counted, not guessed: the factors are the most that lived at once when the published
networks were run through with shapes only (benchmarks/tooncrafter.py), per cell of the latents. No
allowance is measured on a GPU; RESERVE stands for what the driver and the kernels take.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from backend.models.tooncrafter.sizes import CELL, FRAMES

#: Parameters of the published networks.
PARAMETERS = {
    "text": 340_387_840,
    "image": 630_763_520,
    "resampler": 48_787_456,
    "encoder": 34_163_664,
    "sketch": 364_227_952,
    "unet": 1_438_854_980,
    "decoder": 65_778_223,
}
#: Numbers alive at once, for each cell of each frame's latents.
_UNET, _SKETCH, _DECODER = 6_200, 2_500, 39_000
#: The same for the encoder, whose two frames are all it sees.
_ENCODER = 50_000
#: Bytes for the driver, kernels' workspaces and what an allocator cannot use.
RESERVE = 1_000_000_000
#: Bytes more where attention writes its scores down: no fused kernel.
SCORES = 512 * 2**20


class Keep(StrEnum):
    """Where a network waits when it is not needed."""

    DEVICE = "device"
    HOST = "host"
    #: Nowhere: it is read from the file again.
    FILE = "file"


@dataclass(frozen=True)
class Need:
    """Bytes on the device at the run's worst moment, and which moment that is; bytes of host memory
    that networks wait in."""

    device: int
    phase: str
    host: int


def need(
    width: int,
    height: int,
    *,
    frames: int = FRAMES,
    half: bool = True,
    keep: Keep = Keep.FILE,
    sketched: bool = False,
    fused: bool = True,
    parameters: Mapping[str, int] | None = None,
) -> Need:
    """Of one run at so many pixels, both sides multiples of 64.

    parameters: of each network, if they are not the published ones.
    """
    number = 2 if half else 4
    cells = width * height // CELL**2
    clip = cells * frames
    weights = {name: count * number for name, count in (parameters or PARAMETERS).items()}
    if not sketched:
        weights.pop("sketch", None)
    sampling = clip * (_UNET + _SKETCH * sketched)
    phases = {
        "reading the prompt": (("text",), 0),
        "looking at the first key": (("image",), 0),
        "encoding the keys": (("encoder",), 2 * cells * _ENCODER),
        "sampling": (("unet", "sketch") if sketched else ("unet",), sampling),
        "decoding": (("decoder",), clip * _DECODER),
    }
    totals = {
        phase: numbers * number
        + sum(weights.get(name, 0) for name in (weights if keep is Keep.DEVICE else present))
        for phase, (present, numbers) in phases.items()
    }
    worst = max(totals, key=totals.__getitem__)
    device = totals[worst] + RESERVE + (0 if fused else SCORES)
    return Need(device, worst, sum(weights.values()) if keep is Keep.HOST else 0)
