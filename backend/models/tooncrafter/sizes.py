# SPDX-License-Identifier: GPL-3.0-or-later
"""How wide and deep each network is. The published sizes are the defaults; it knows no torch."""

from dataclasses import dataclass, field

import msgspec

#: Frames that the model was trained on; its image tokens are made for exactly so many.
FRAMES = 16
#: Tokens of a prompt; the image's tokens come after them.
TEXT_TOKENS = 77
#: Image tokens for each frame.
FRAME_TOKENS = 16
#: Pixels along one side of a latent's cell.
CELL = 8
#: Sides of a picture must be multiples of this: the U-Net halves the latents three times.
MULTIPLE = 64


@dataclass(frozen=True)
class UNetSize:
    """The 3D U-Net. `attended` are the shrink factors of the levels with attention."""

    base: int = 320
    multiples: tuple[int, ...] = (1, 2, 4, 4)
    depth: int = 2
    attended: tuple[int, ...] = (1, 2, 4)
    head: int = 64
    context: int = 1024


@dataclass(frozen=True)
class SketchSize(UNetSize):
    """The sketch encoder: the first half of such a U-Net, without anything along time."""


@dataclass(frozen=True)
class VaeSize:
    """The picture encoder and the video decoder."""

    base: int = 128
    multiples: tuple[int, ...] = (1, 2, 4, 4)
    depth: int = 2


@dataclass(frozen=True)
class ResamplerSize:
    """From the image tower's tokens to the U-Net's."""

    width: int = 1024
    depth: int = 4
    heads: int = 12
    head: int = 64
    seen: int = 1280
    context: int = 1024


@dataclass(frozen=True)
class TextSize:
    """OpenCLIP ViT-H/14's text tower; `stored` blocks, all but the last of which are used."""

    width: int = 1024
    heads: int = 16
    stored: int = 24
    vocabulary: int = 49408


@dataclass(frozen=True)
class ImageSize:
    """OpenCLIP ViT-H/14's image tower. It sees 224 x 224 pixels in patches of 14."""

    width: int = 1280
    heads: int = 16
    depth: int = 32


@dataclass(frozen=True)
class Sizes:
    """All networks of one checkpoint."""

    unet: UNetSize = field(default_factory=UNetSize)
    vae: VaeSize = field(default_factory=VaeSize)
    resampler: ResamplerSize = field(default_factory=ResamplerSize)
    text: TextSize = field(default_factory=TextSize)
    image: ImageSize = field(default_factory=ImageSize)
    sketch: SketchSize = field(default_factory=SketchSize)


#: What was published.
FULL = Sizes()


def dump(sizes: Sizes) -> str:
    """As JSON, to be kept with weights."""
    return msgspec.json.encode(sizes).decode()


def parse(text: str) -> Sizes:
    """The opposite of `dump`. Raises msgspec.ValidationError if it is none."""
    return msgspec.json.decode(text, type=Sizes)
