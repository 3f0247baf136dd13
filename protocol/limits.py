# SPDX-License-Identifier: GPL-3.0-or-later
"""The bounds that keep a peer from exhausting the other side. Sizes in bytes."""

from __future__ import annotations

import msgspec

MAX_HEADER = 512 * 1024
"""Of an encoded message without its body."""
MAX_CHUNK = 1024 * 1024
"""Of one body."""
MAX_PARTS = 2
CHUNK = 256 * 1024
"""What is sent at a time."""
WINDOW = 4 * 1024 * 1024
"""How far a sender may be ahead of what the receiver has confirmed."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What a backend takes; it tells them in its welcome."""

    max_side: int = 16384
    """Pixels on the longer side of a picture."""
    max_pixels: int = 64 * 1024 * 1024
    max_file: int = 512 * 1024 * 1024
    max_frames: int = 10_000
    """In-betweens of one job."""
    max_keys: int = 1_000
