# SPDX-License-Identifier: GPL-3.0-or-later
"""How the end of a run meets its beginning."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from backend.footage.meeting import frames_between, is_same
from backend.imaging.codecs import encode


def wave(folder: Path, count: int, period: int = 24) -> list[Path]:
    """Soft stripes that go on by one period in so many frames."""
    columns = np.indices((40, 60), np.float32)[1]
    files = []
    for number in range(count):
        picture = np.ones((40, 60, 4), np.float32)
        phase = columns / 60 - number / period
        picture[..., :3] = 0.5 + 0.4 * np.sin(2 * np.pi * phase)[..., None]
        files.append(folder / f"{number}.png")
        files[-1].write_bytes(encode(picture, 8, "L"))
    return files


@pytest.mark.parametrize("lacking", [1, 2, 3, 5])
def test_a_gap_is_guessed_to_a_frame(lacking: int, tmp_path: Path) -> None:
    assert abs(frames_between(wave(tmp_path, 24 - lacking)) - lacking) <= 1


def test_two_keys_have_one_frame_between_and_so_does_what_stands_still(tmp_path: Path) -> None:
    files = wave(tmp_path, 8)
    assert frames_between(files[:2]) == 1
    assert frames_between([files[0]] * 5) == 1


def test_the_same_picture_in_another_file_is_the_same(tmp_path: Path) -> None:
    first, second, *_ = wave(tmp_path, 3)
    copy = tmp_path / "copy.png"
    copy.write_bytes(first.read_bytes())
    assert is_same(first, copy)
    assert not is_same(first, second)
