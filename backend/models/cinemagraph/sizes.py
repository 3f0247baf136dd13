# SPDX-License-Identifier: GPL-3.0-or-later
"""How wide each network is. The published sizes are the defaults; it knows no torch."""

from dataclasses import dataclass, field

import msgspec

#: Tokens of a prompt.
TOKENS = 77


@dataclass(frozen=True)
class HintedSize:
    """The motion network that is told directions. Sides it sees are multiples of 256."""

    base: int = 32


@dataclass(frozen=True)
class ToldSize:
    """The motion network that is told a text. Sides it sees are multiples of 64."""

    base: int = 320
    context: int = 768
    heads: int = 8


@dataclass(frozen=True)
class VideoSize:
    """The network that draws frames. Sides it sees are multiples of 4."""

    base: int = 64


@dataclass(frozen=True)
class TextSize:
    """CLIP ViT-L/14's text tower, as in Stable Diffusion 1."""

    width: int = 768
    heads: int = 12
    depth: int = 12
    vocabulary: int = 49408


@dataclass(frozen=True)
class Sizes:
    """All networks. `side`: pixels of the square to which the motion networks' picture is fitted;
    text2cinemagraph was trained at 512, 3D-Cinemagraphy at 768."""

    hinted: HintedSize = field(default_factory=HintedSize)
    told: ToldSize = field(default_factory=ToldSize)
    video: VideoSize = field(default_factory=VideoSize)
    text: TextSize = field(default_factory=TextSize)
    side: int = 512


#: What was published.
FULL = Sizes()


def dump(sizes: Sizes) -> str:
    """As JSON, to be kept with weights."""
    return msgspec.json.encode(sizes).decode()


def parse(text: str) -> Sizes:
    """The opposite of `dump`. Raises msgspec.ValidationError if it is none."""
    return msgspec.json.decode(text, type=Sizes)
