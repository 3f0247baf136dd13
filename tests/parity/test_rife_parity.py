# SPDX-License-Identifier: GPL-3.0-or-later
"""Our network with the packaged weights makes what the weights' own package makes.

The pictures in rife/ were recorded from that package, in full precision, by record_rife.py. The
packaged kernels are in half precision: on this pair that costs less than half of one step of 8 bit.
Where the network is unsure it costs more: one step on this figure at twice the motion, up to five
steps in a few pixels of other drawings. In full precision our network is within 0.02 steps.
"""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load

from backend.engine import Pixels
from backend.engines import rife
from backend.imaging.codecs import decode
from backend.models.ifnet import IFNet
from backend.weights import shelf
from tests.engines.shots import between

FOLDER = Path(__file__).with_name("rife")
TIMES = {"25": 0.25, "50": 0.5, "80": 0.8}


def recorded(name: str) -> Pixels:
    return decode((FOLDER / f"{name}.png").read_bytes()).pixels


@pytest.mark.parametrize("name", TIMES)
def test_the_engine_agrees_with_the_weights_own_package_within_one_step(name: str) -> None:
    made = between(rife.load("cpu"), recorded("first"), recorded("second"), TIMES[name])
    np.testing.assert_allclose(made, recorded(f"t{name}"), rtol=0, atol=1 / 255)


def test_the_recorded_pictures_are_in_betweens_and_not_a_key() -> None:
    for name in TIMES:
        for key in ("first", "second"):
            assert np.abs(recorded(f"t{name}") - recorded(key)).max() > 0.3


def test_half_precision_stays_near_full_precision() -> None:
    stored = load(shelf.read("rife-4.25"))
    keys = [recorded(name)[..., :3].transpose(2, 0, 1) for name in ("first", "second")]
    pair = torch.tensor(np.stack(keys))
    full, half = IFNet().eval(), IFNet().eval().half()
    for network in (full, half):
        network.load_state_dict(stored)
    with torch.inference_mode():
        wanted = full(pair, full.encode(pair), 0.5)
        found = half(pair.half(), half.encode(pair.half()), 0.5)
    assert found.flows.dtype == found.mask.dtype == torch.float32
    assert (found.flows - wanted.flows).abs().mean() < 0.1
    assert (found.mask - wanted.mask).abs().mean() < 0.02
