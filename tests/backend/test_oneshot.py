# SPDX-License-Identifier: GPL-3.0-or-later
"""From files to files: keys come back as they are, and frames are of their kind."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from backend import oneshot
from backend.config import Settings
from backend.imaging.codecs import decode, encode
from protocol.errors import BadImage, BadInput, BadJob, MissingFile, SizeMismatch
from tests.imaging.png_writer import write_png

COUNTS = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4, "P": 1}
MATRIX = [
    ("L", 8, (9, 14), "L"),
    ("L", 16, (8, 13), "L"),
    ("LA", 8, (5, 3), "LA"),
    ("P", 8, (7, 9), "RGB"),
    ("RGB", 8, (13, 21), "RGB"),
    ("RGB", 16, (1, 9), "RGB"),
    ("RGBA", 8, (1, 1), "RGBA"),
    ("RGBA", 8, (9, 1), "RGBA"),
    ("RGBA", 16, (37, 53), "RGBA"),
    ("EXR", 16, (37, 53), "RGBA"),
    ("EXR", 32, (1, 1), "RGBA"),
    ("EXR", 16, (5, 8), "L"),
]


def drawing(kind: str, bits: int, size: tuple[int, int], channels: str, seed: int) -> bytes:
    chance = np.random.default_rng(seed)
    if kind == "EXR":
        return encode(chance.random((*size, 4), np.float32) * 1.5, bits, channels, "EXR")
    samples = chance.integers(0, 16 if kind == "P" else 2**bits, (*size, COUNTS[kind]))
    palette = bytes(range(200, 248)) if kind == "P" else b""
    return write_png(samples.astype(np.uint16), kind, bits, palette=palette)


def keys_in(
    folder: Path,
    count: int = 2,
    kind: str = "RGBA",
    bits: int = 8,
    size: tuple[int, int] = (6, 10),
    channels: str = "RGBA",
) -> tuple[Path, ...]:
    paths = []
    for number in range(count):
        path = folder / f"key {number}{'.exr' if kind == 'EXR' else '.png'}"
        path.write_bytes(drawing(kind, bits, size, channels, number))
        paths.append(path)
    return tuple(paths)


def run(folder: Path, keys: tuple[Path, ...], counts: int | list[int] = 1, **more) -> list[Path]:
    cycle = more.get("cycle", False)
    gaps = more.pop("gaps", None) or oneshot.gaps_for(
        len(keys) + cycle, counts, oneshot.Spacing.EVEN
    )
    plan = oneshot.Plan(keys, gaps, "crossfade", {}, 0, folder / "out", **more)
    return oneshot.run(plan, Settings(device="cpu", threads=1), lambda event: None)


def record(folder: Path) -> dict:
    return json.loads((folder / "out" / "tweencel.json").read_text())


@pytest.mark.parametrize(
    ("kind", "bits", "size", "channels"), MATRIX, ids=lambda value: str(value).replace(" ", "")
)
def test_keys_are_the_same_bytes_and_frames_of_their_size_depth_and_channels(
    tmp_path: Path, kind: str, bits: int, size: tuple[int, int], channels: str
) -> None:
    keys = keys_in(tmp_path, 2, kind, bits, size, channels)
    first, between, second = run(tmp_path, keys)
    assert (first.read_bytes(), second.read_bytes()) == tuple(key.read_bytes() for key in keys)
    made = decode(between.read_bytes())
    assert made.pixels.shape == (*size, 4)
    wanted = ("EXR" if kind == "EXR" else "PNG", bits, channels)
    assert (made.format, made.depth, made.channels) == wanted
    assert between.suffix == keys[0].suffix


def test_a_cycle_goes_back_to_the_first_key_and_does_not_show_it_twice(tmp_path: Path) -> None:
    keys = keys_in(tmp_path, 3)
    made = run(tmp_path, keys, 1, cycle=True)
    assert len(made) == 6
    assert [made[i].read_bytes() for i in (0, 2, 4)] == [key.read_bytes() for key in keys]
    last, first = (decode(keys[i].read_bytes()).pixels for i in (2, 0))
    alpha = (last[..., 3] + first[..., 3]) / 2
    np.testing.assert_allclose(decode(made[5].read_bytes()).pixels[..., 3], alpha, atol=0.003)


def test_there_and_back_doubles_no_end(tmp_path: Path) -> None:
    made = [path.read_bytes() for path in run(tmp_path, keys_in(tmp_path), 2, ping_pong=True)]
    assert len(made) == 6
    assert made[4:] == [made[2], made[1]]
    assert len(set(made)) == 4


def test_what_the_engine_does_not_make_is_refused_before_anything_is_written(
    tmp_path: Path,
) -> None:
    keys = keys_in(tmp_path)
    plan = oneshot.Plan(keys, ((0.5,),), "flow_loop", {}, 0, tmp_path / "out")
    with pytest.raises(BadJob, match="does not make") as refused:
        oneshot.run(plan, Settings(device="cpu", threads=1), lambda event: None)
    assert "rife" in refused.value.fix
    assert not (tmp_path / "out").exists()


def test_a_shot_is_not_a_cycle_and_there_and_back_at_once(tmp_path: Path) -> None:
    with pytest.raises(BadJob, match="not both"):
        run(tmp_path, keys_in(tmp_path), 1, cycle=True, ping_pong=True)


def test_holds_are_noted_and_not_written_twice(tmp_path: Path) -> None:
    made = run(tmp_path, keys_in(tmp_path), 2, step=2)
    assert len(made) == 4
    rows = record(tmp_path)["drawings"]
    assert [(row["frame"], row["hold"]) for row in rows] == [(1, 2), (3, 2), (5, 2), (7, 2)]


def test_under_a_black_mask_the_frame_is_the_key_before(tmp_path: Path) -> None:
    mask = tmp_path / "mask.png"
    mask.write_bytes(write_png(np.zeros((6, 10, 1), np.uint16), "L", 8))
    keys = keys_in(tmp_path)
    _, held, _ = run(tmp_path, keys, masks=(mask,))
    key = decode(keys[0].read_bytes()).pixels
    np.testing.assert_array_equal(decode(held.read_bytes()).pixels, key)
    assert record(tmp_path)["masks"] == ["mask.png"]


def test_a_mask_of_another_size_is_refused_by_its_name(tmp_path: Path) -> None:
    mask = tmp_path / "mask.png"
    mask.write_bytes(write_png(np.zeros((6, 11, 1), np.uint16), "L", 8))
    with pytest.raises(SizeMismatch, match=r"mask\.png is 11 x 6"):
        run(tmp_path, keys_in(tmp_path), masks=(mask,))
    assert not (tmp_path / "out").exists()


def test_exr_and_png_keys_are_refused_by_name(tmp_path: Path) -> None:
    keys = (*keys_in(tmp_path, 1), *keys_in(tmp_path, 2, "EXR", 16)[1:])
    with pytest.raises(BadImage, match=r"key 0\.png is PNG, but key 1\.exr is EXR"):
        run(tmp_path, keys)


def test_a_pattern_finds_masks_in_the_order_of_their_names(tmp_path: Path) -> None:
    for name in ("b.png", "a.png", "c.txt"):
        (tmp_path / name).touch()
    found = oneshot.find_masks(["*.png", "c.txt"], tmp_path)
    assert [path.name for path in found] == ["a.png", "b.png", "c.txt"]
    with pytest.raises(MissingFile, match=r"\*\.jpg"):
        oneshot.find_masks(["*.jpg"], tmp_path)


def test_a_job_file_says_all_that_the_command_line_can(tmp_path: Path) -> None:
    (tmp_path / "m.png").touch()
    job = tmp_path / "job.toml"
    job.write_text(
        'keys = ["a.png", "b.png", "c.png"]\ninbetweens = [1, 2, 3]\ncycle = true\nstep = 2\n'
        'even_motion = true\nmasks = "*.png"\nbreakdowns = [2]\n'
    )
    plan = oneshot.read_job_file(job)
    assert list(map(len, plan.gaps)) == [1, 2, 3]
    assert (plan.cycle, plan.step, plan.even_motion, plan.breakdowns) == (True, 2, True, (1,))
    assert plan.masks == (tmp_path / "m.png",)


def test_a_breakdown_that_is_no_key_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="breakdown"):
        run(tmp_path, keys_in(tmp_path), breakdowns=(7,))
