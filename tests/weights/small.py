# SPDX-License-Identifier: GPL-3.0-or-later
"""A small ToonCrafter in the published container, as a file: `python -m tests.weights.small FILE`.

Tests in Blender have no torch to make one with.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

import torch

from backend.models.files import SIZES
from backend.models.tooncrafter.sizes import dump
from tests.engines.small_tooncrafter import SMALL
from tests.parity.test_tooncrafter_weights import made


def checkpoint() -> bytes:
    """As torch saves it; about 20 MB."""
    file = io.BytesIO()
    torch.save({SIZES: dump(SMALL), "state_dict": made(False, SMALL)}, file)
    return file.getvalue()


if __name__ == "__main__":
    Path(sys.argv[1]).write_bytes(checkpoint())
