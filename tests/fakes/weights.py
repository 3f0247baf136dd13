# SPDX-License-Identifier: GPL-3.0-or-later
"""An engine that lacks its weights, and the offer of them."""

from __future__ import annotations

import msgspec

from protocol.engines import EngineSpec, Weights
from protocol.messages import WeightsOffer
from tests.fakes.backend import ENGINE

_NEEDED = Weights(name="toon", sha256="", size=10**10, licence="MIT", missing=True)
_LIKED = Weights(name="sketch", sha256="", size=10**9, licence="MIT", missing=True, optional=True)

LACKING: EngineSpec = msgspec.structs.replace(
    ENGINE,
    id="toon",
    label="Toon",
    weights=(_LIKED, _NEEDED),
    unavailable="weights missing: toon",
)
ABLE: EngineSpec = msgspec.structs.replace(
    LACKING,
    weights=(_LIKED, msgspec.structs.replace(_NEEDED, missing=False, sha256="a" * 64)),
    unavailable="",
)
TOON = WeightsOffer(
    name="toon-fp16",
    gives="toon",
    title="Toon 512",
    licence="MIT",
    licence_url="https://toon.example/licence",
    page="https://toon.example",
    notice="By somebody, for everybody. " * 8,
    hosts=("files.example",),
    size=10_500_000_000,
    kept=5_140_000_000,
)
SKETCH = msgspec.structs.replace(TOON, name="sketch", gives="sketch", title="Sketches", size=0)
OFFERS = {offer.name: offer for offer in (SKETCH, TOON)}
