# SPDX-License-Identifier: GPL-3.0-or-later
"""Engines under test, loaded once, on one thread: the same answer on every machine's count."""

import pytest
import torch

from backend.engine import Engine
from backend.engines import crossfade, rife

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def rife_engine() -> Engine:
    return rife.load("cpu")


@pytest.fixture(scope="session", params=[rife, crossfade], ids=["rife", "crossfade"])
def engine(request: pytest.FixtureRequest) -> Engine:
    """Each engine that comes with the package."""
    return request.param.load("cpu")
