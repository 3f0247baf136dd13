# SPDX-License-Identifier: GPL-3.0-or-later
"""EXR files as other programs write them, by the library's own writer."""

import io
from typing import Any

import numpy as np
import OpenEXR

Planes = dict[str, np.ndarray]
COMPRESSIONS = ["NO", "RLE", "ZIPS", "ZIP", "PIZ", "PXR24", "B44", "B44A", "DWAA", "DWAB"]


def write_exr(planes: Planes, compression: str = "ZIP", **header: Any) -> bytes:
    """`planes`: channels by name, half or float, (H, W)."""
    stream = io.BytesIO()
    told = {
        "compression": getattr(OpenEXR, f"{compression}_COMPRESSION"),
        "type": OpenEXR.scanlineimage,
        **header,
    }
    OpenEXR.File(told, dict(planes), num_threads=0).write(stream)
    return stream.getvalue()


def read_exr(content: bytes) -> Planes:
    file = OpenEXR.File(io.BytesIO(content), separate_channels=True, num_threads=0)
    return {name: channel.pixels for name, channel in file.channels().items()}
