# SPDX-License-Identifier: GPL-3.0-or-later
"""The weights that can be had: from where, how large, under which licence. It opens no connection.

What a page states is here; what it does not is left empty: a digest that nobody published is not
made up but recorded when the file first arrives (see `library`). Sizes that pages round are not
`exact`: a file may differ from them by a hundredth.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from protocol.engines import Weights
from protocol.errors import BadInput

CATALOGUE = "catalogue.json"
"""In the folder of the weights: a studio's own offers, which go before ours of the same name."""
_TOLERANCE = 0.01

Name = Annotated[str, Meta(pattern=r"\A[a-z0-9][a-z0-9._-]{0,79}\Z")]
FileName = Annotated[str, Meta(pattern=r"\A\w[\w.-]{0,119}\Z")]


class Form(StrEnum):
    """What the files are, and so what is made of them."""

    TOONCRAFTER = "tooncrafter"
    """One checkpoint, or several that complete each other: a safetensors file for each network."""
    SKETCH = "tooncrafter_sketch"
    """ToonCrafter's sketch encoder: kept as it is."""
    CINEMAGRAPH = "cinemagraph"
    """Networks of learned motion, alone or in a tar: a safetensors file for each."""


class File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One published file. `size` in bytes, 0 if its page does not tell it; `urls`, best first."""

    name: FileName
    urls: tuple[str, ...] = ()
    size: int = 0
    exact: bool = False
    sha256: str = ""

    def fits(self, size: int) -> bool:
        """Whether a file of that size may be it."""
        if self.size == 0:
            return size > 0
        return abs(size - self.size) <= (0 if self.exact else self.size * _TOLERANCE)

    @property
    def most(self) -> int:
        """Bytes after which it cannot be it."""
        return int(self.size * (1 + (0 if self.exact else _TOLERANCE))) if self.size else 2**36


class Offer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a user gets under one name. `gives` is what engines call it: offers may give the same.

    `kept`: bytes on disk in the end, as far as it is known.
    """

    name: Name
    gives: Name
    title: str
    form: Form
    files: tuple[File, ...]
    page: str
    licence: str
    licence_url: str
    notice: str = ""
    kept: int = 0

    @property
    def size(self) -> int:
        """Bytes to download; 0 if that is not known."""
        return sum(file.size for file in self.files)

    @property
    def fetchable(self) -> bool:
        return all(file.urls for file in self.files)


_HUB = "https://huggingface.co"
_TOONCRAFTER = f"{_HUB}/Doubiiu/ToonCrafter"
_APACHE = "https://www.apache.org/licenses/LICENSE-2.0"
_NOTICE = (
    "By Jinbo Xing and others (ToonCrafter, 2024). The authors publish model and code under "
    "Apache-2.0. It was trained on film clips and on WebVid: whether that bounds what you may do "
    "with results is for you to judge."
)

_OWN = (
    Offer(
        name="tooncrafter",
        gives="tooncrafter",
        title="ToonCrafter 512",
        form=Form.TOONCRAFTER,
        # 2,625,430,449 numbers of four bytes; the container adds well below a hundredth.
        files=(
            File(
                name="model.ckpt",
                urls=(f"{_TOONCRAFTER}/resolve/main/model.ckpt",),
                size=10_501_721_796,
            ),
        ),
        page=_TOONCRAFTER,
        licence="Apache-2.0",
        licence_url=_APACHE,
        notice=_NOTICE,
        kept=5_140_000_000,
    ),
    Offer(
        name="tooncrafter-fp16",
        gives="tooncrafter",
        title="ToonCrafter 512, half precision",
        form=Form.TOONCRAFTER,
        files=(
            # What the original has without the towers: 1,587,597,743 numbers of two bytes.
            File(
                name="tooncrafter_512_interp-fp16.safetensors",
                urls=(
                    f"{_HUB}/Kijai/DynamiCrafter_pruned/resolve/main/"
                    "tooncrafter_512_interp-fp16.safetensors",
                ),
                size=3_175_195_486,
            ),
            File(
                name="open_clip_pytorch_model.bin",
                urls=(
                    f"{_HUB}/laion/CLIP-ViT-H-14-laion2B-s32B-b79K/resolve/main/"
                    "open_clip_pytorch_model.bin",
                ),
                size=3_944_437_764,
            ),
        ),
        page=f"{_HUB}/Kijai/DynamiCrafter_pruned",
        licence="Apache-2.0 and MIT",
        licence_url=f"{_HUB}/laion/CLIP-ViT-H-14-laion2B-s32B-b79K",
        notice=f"{_NOTICE} The towers are OpenCLIP ViT-H/14 by LAION (MIT).",
        kept=5_140_000_000,
    ),
    Offer(
        name="tooncrafter-sketch",
        gives="tooncrafter-sketch",
        title="ToonCrafter's sketch encoder",
        form=Form.SKETCH,
        # 364,227,952 numbers of four bytes.
        files=(
            File(
                name="sketch_encoder.ckpt",
                urls=(f"{_TOONCRAFTER}/resolve/main/sketch_encoder.ckpt",),
                size=1_456_911_808,
            ),
        ),
        page=_TOONCRAFTER,
        licence="Apache-2.0",
        licence_url=_APACHE,
        notice=_NOTICE,
        kept=1_456_911_808,
    ),
    Offer(
        name="text2cinemagraph",
        gives="text2cinemagraph",
        title="Text2Cinemagraph: motion from hints, motion from text, frames",
        form=Form.CINEMAGRAPH,
        files=(
            File(
                name="checkpoints.tar",
                urls=(
                    "https://drive.usercontent.google.com/download"
                    "?id=1Cx64SC12wXzDjg8U0ujnKx8V2G6SbCIb&export=download&confirm=t",
                ),
            ),
        ),
        page="https://github.com/text2cinemagraph/text2cinemagraph",
        licence="MIT",
        licence_url="https://github.com/text2cinemagraph/text2cinemagraph/blob/master/LICENSE",
        notice=(
            "By Aniruddha Mahapatra and others (2023). The licence is that of the code; the page "
            "says nothing of its own about the weights."
        ),
    ),
    Offer(
        name="clip-vit-l-14",
        gives="clip-vit-l-14",
        title="CLIP ViT-L/14, whose text tower motion from text listens to",
        form=Form.CINEMAGRAPH,
        # 427,616,513 numbers of four bytes.
        files=(
            File(
                name="model.safetensors",
                urls=(f"{_HUB}/openai/clip-vit-large-patch14/resolve/main/model.safetensors",),
                size=1_710_466_052,
            ),
        ),
        page=f"{_HUB}/openai/clip-vit-large-patch14",
        licence="MIT",
        licence_url="https://github.com/openai/CLIP/blob/main/LICENSE",
        notice="By OpenAI (2021). Only the text tower is kept.",
        kept=493_000_000,
    ),
    Offer(
        name="3d-cinemagraphy",
        gives="3d-cinemagraphy",
        title="3D-Cinemagraphy: motion from hints, other parameters",
        form=Form.CINEMAGRAPH,
        files=(File(name="sceneflow_model.pth"),),
        page="https://github.com/xingyi-li/3d-cinemagraphy",
        licence="Apache-2.0",
        licence_url=_APACHE,
        notice="By Xingyi Li and others (2023). Its page keeps it where programs cannot fetch it.",
    ),
)


def offers(folder: Path) -> dict[str, Offer]:
    """All offers by name, with those that the folder's own catalogue changes or adds.

    Raises BadInput if that catalogue cannot be read.
    """
    found = {offer.name: offer for offer in _OWN}
    path = folder / CATALOGUE
    try:
        own = msgspec.json.decode(path.read_bytes(), type=tuple[Offer, ...])
    except FileNotFoundError:
        return found
    except (OSError, ValueError) as problem:
        raise BadInput(f"The catalogue {path} cannot be read: {problem}.") from None
    return found | {offer.name: offer for offer in own}


def find(name: str, folder: Path) -> Offer:
    """Raises BadInput, naming what there is."""
    known = offers(folder)
    try:
        return known[name]
    except KeyError:
        raise BadInput(
            f"There are no weights called {name!r}.", fix=f"There are: {', '.join(known)}."
        ) from None


def weights(gives: str, *, optional: bool = False) -> Weights:
    """For an engine's record: the weights that it needs, or takes if they are there."""
    offer = next(offer for offer in _OWN if offer.gives == gives)
    return Weights(
        name=gives,
        sha256="",
        size=offer.size,
        licence=offer.licence,
        source=offer.page,
        optional=optional,
    )
