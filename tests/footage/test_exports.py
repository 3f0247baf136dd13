# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs of pictures as files that others play: every frame once, at its time, as often as asked."""

from __future__ import annotations

import importlib
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageSequence

from backend.footage import animations, found, movies
from backend.footage.exports import Export, export
from backend.imaging.codecs import decode, encode
from protocol.errors import BadImage, BadInput, BadParameter, MissingFile, SizeMismatch

COUNT = 11
SIDES = (61, 83)


def picture(number: int, alpha: bool = False) -> np.ndarray:
    """A bright disc that moves over colours that stand still."""
    rows, columns = np.indices(SIDES, np.float32)
    made = np.ones((*SIDES, 4), np.float32)
    made[..., :3] = np.dstack((columns / 110, rows / 80, np.full(SIDES, 0.3)))
    disc = np.hypot(rows - 30, columns - 10 - 5 * number) < 9
    made[disc, :3] = (0.9, 0.8, 0.2)
    if alpha:
        made[..., 3] = np.clip((columns - 2) / 12, 0, 1)
    return made


def run_in(folder: Path, alpha: bool = False, count: int = COUNT) -> list[Path]:
    folder.mkdir()
    files = [folder / f"loop_{number}.png" for number in range(count)]
    for number, file in enumerate(files):
        channels = "RGBA" if alpha else "RGB"
        file.write_bytes(encode(picture(number, alpha), 8, channels))
    return files


@pytest.fixture(params=[False, True], ids=["opaque", "alpha"])
def run(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[list[Path], bool]:
    return run_in(tmp_path / "run", request.param), request.param


def played(file: Path) -> tuple[list[np.ndarray], list[int], dict[str, Any]]:
    """The frames of an animation (RGBA), their milliseconds, and what is said of all."""
    frames, times = [], []
    with Image.open(file) as image:
        for frame in ImageSequence.Iterator(image):
            frames.append(np.asarray(frame.convert("RGBA")).copy())
            times.append(frame.info["duration"])
        return frames, times, dict(image.info)


def projected(file: Path, decoder: str = "") -> list[np.ndarray]:
    """The frames of a movie, RGB; RGBA from a decoder that is named."""
    av = importlib.import_module("av")
    with av.open(str(file)) as movie:
        if not decoder:
            return [frame.to_ndarray(format="rgb24") for frame in movie.decode(video=0)]
        context = av.CodecContext.create(decoder, "r")
        found = []
        for packet in movie.demux(video=0):
            found += [frame.to_ndarray(format="rgba64le") / 257 for frame in context.decode(packet)]
        return found


@pytest.mark.parametrize("kind", animations.KINDS)
def test_an_animation_holds_each_frame_once_and_lasts_as_long_as_it_should(
    run: tuple[list[Path], bool], kind: str, tmp_path: Path
) -> None:
    files, alpha = run
    out = tmp_path / f"loop{kind}"
    assert export(files, Export(out, Fraction(24))) == [out]
    frames, times, _ = played(out)
    assert len(frames) == COUNT
    assert sum(times) == pytest.approx(1000 * COUNT / 24, abs=5)
    assert min(times) >= 40
    for one, other in pairwise([*frames, frames[0]]):
        assert (one != other).any()
    error = {".gif": 25, ".apng": 0.01, ".webp": 6}[kind]
    for number, frame in enumerate(frames):
        wanted = np.rint(picture(number, alpha) * 255)
        seen = wanted[..., 3] > 200
        assert np.abs(frame[..., :3] - wanted[..., :3])[seen].mean() < error
        if kind == ".gif":
            np.testing.assert_array_equal(frame[..., 3] > 0, wanted[..., 3] >= 128)
        else:
            np.testing.assert_allclose(frame[..., 3], wanted[..., 3], atol=1)


@pytest.mark.parametrize(
    ("kind", "times", "said"),
    [
        (".gif", None, 0),
        (".gif", 0, 0),
        (".gif", 1, None),  # no word about repeating: once
        (".gif", 4, 3),  # three times again
        (".apng", None, 0),
        (".apng", 1, 1),
        (".apng", 4, 4),
        (".webp", None, 0),
        (".webp", 1, 1),
        (".webp", 4, 4),
    ],
)
def test_an_animation_says_how_often_it_is_played(
    kind: str, times: int | None, said: int | None, tmp_path: Path
) -> None:
    out = tmp_path / f"loop{kind}"
    export(run_in(tmp_path / "run", count=3), Export(out, times=times))
    assert played(out)[2].get("loop") == said


def test_what_stands_still_stays_still_in_a_gif(tmp_path: Path) -> None:
    out = tmp_path / "loop.gif"
    export(run_in(tmp_path / "run"), Export(out))
    frames, _, _ = played(out)
    for frame in frames:
        np.testing.assert_array_equal(frame[45:], frames[0][45:])


@pytest.mark.parametrize("kind", movies.KINDS)
def test_a_movie_has_each_frame_as_often_as_the_run_is_played(
    run: tuple[list[Path], bool], kind: str, tmp_path: Path
) -> None:
    files, alpha = run
    out = tmp_path / f"loop{kind}"
    export(files, Export(out, Fraction(25), times=2, under=(0.0, 0.0, 1.0)))
    frames = projected(out)
    assert len(frames) == 2 * COUNT
    assert movies.fps_of(out) == 25
    keeps = alpha and kind == ".webm"
    for number, frame in enumerate(frames):
        assert frame.shape == (62, 84, 3)  # even, as encoders want it
        wanted = picture(number % COUNT, alpha)
        if alpha:
            under = np.float32((0, 0, 1))
            wanted[..., :3] = wanted[..., :3] * wanted[..., 3:] + under * (1 - wanted[..., 3:])
        if not keeps:
            error = np.abs(frame[:61, :83] - wanted[..., :3] * 255)
            assert error.mean() < 4


def test_a_webm_keeps_alpha(tmp_path: Path) -> None:
    out = tmp_path / "loop.webm"
    export(run_in(tmp_path / "run", alpha=True), Export(out))
    frames = projected(out, "libvpx-vp9")
    assert len(frames) == COUNT
    for number, frame in enumerate(frames):
        wanted = picture(number, alpha=True)[..., 3] * 255
        assert np.abs(frame[:61, :83, 3] - wanted).mean() < 4


def test_a_movie_comes_back_frame_by_frame(tmp_path: Path) -> None:
    out = tmp_path / "loop.mp4"
    export(run_in(tmp_path / "run"), Export(out))
    (tmp_path / "back").mkdir()
    files = movies.unpacked(out, tmp_path / "back")
    assert files == found.pictures(tmp_path / "back")
    assert len(files) == COUNT
    for number, file in enumerate(files):
        error = np.abs(decode(file.read_bytes()).pixels[:61, :83] - picture(number))
        assert error[..., :3].mean() < 4 / 255


def test_a_folder_gets_the_same_bytes_under_new_numbers(tmp_path: Path) -> None:
    files = run_in(tmp_path / "run")
    made = export(found.pictures(tmp_path / "run"), Export(tmp_path / "out"))
    assert [path.name for path in made] == [f"{n:04d}.png" for n in range(1, COUNT + 1)]
    assert [path.read_bytes() for path in made] == [file.read_bytes() for file in files]


def test_a_sequence_of_another_kind_has_the_same_pixels(tmp_path: Path) -> None:
    files = run_in(tmp_path / "run", alpha=True, count=2)
    light = export(files, Export(tmp_path / "loop_###.exr"))
    assert [path.name for path in light] == ["loop_001.exr", "loop_002.exr"]
    back = export(light, Export(tmp_path / "back_#.png"))
    for number, path in enumerate(back):
        seen = picture(number, alpha=True)
        made = decode(path.read_bytes())
        assert made.depth == 16
        clear = seen[..., 3] > 0.1
        np.testing.assert_allclose(made.pixels[clear], seen[clear], atol=0.01)


def test_numbers_are_sorted_as_numbers_and_hidden_files_are_none(tmp_path: Path) -> None:
    for name in ("a10.png", "a2.png", "a1.PNG", ".a3.png.part", ".b.png", "notes.json"):
        (tmp_path / name).touch()
    assert [path.name for path in found.pictures(tmp_path)] == ["a1.PNG", "a2.png", "a10.png"]
    assert [path.name for path in found.pictures(tmp_path / "a?.*")] == ["a1.PNG", "a2.png"]


def test_a_file_that_is_there_is_kept_unless_it_may_be_replaced(tmp_path: Path) -> None:
    files = run_in(tmp_path / "run", count=2)
    out = tmp_path / "loop.gif"
    out.write_bytes(b"mine")
    with pytest.raises(BadInput, match="already there"):
        export(files, Export(out))
    assert out.read_bytes() == b"mine"
    export(files, Export(out, overwrite=True))
    assert len(played(out)[0]) == 2


def test_what_cannot_be_written_is_refused_before_anything_is(tmp_path: Path) -> None:
    files = run_in(tmp_path / "run", count=2)
    for name, error in (
        ("loop.tiff", BadInput),
        ("loop.png", BadInput),
        ("a_#_#.png", BadInput),
    ):
        with pytest.raises(error):
            export(files, Export(tmp_path / "out" / name))
    with pytest.raises(BadParameter, match="for ever"):
        export(files, Export(tmp_path / "out" / "loop.mp4", times=0))
    (tmp_path / "run" / "loop_1.png").write_bytes(encode(np.ones((5, 5, 4), np.float32), 8, "RGB"))
    with pytest.raises(SizeMismatch):
        export(files, Export(tmp_path / "out" / "loop.gif"))
    assert not (tmp_path / "out" / "loop.gif").exists()


def test_what_is_no_run_is_told(tmp_path: Path) -> None:
    with pytest.raises(MissingFile):
        found.pictures(tmp_path / "nowhere")
    with pytest.raises(MissingFile, match="no picture"):
        found.pictures(tmp_path)
    (tmp_path / "broken.mp4").write_bytes(b"no movie")
    with pytest.raises(BadImage, match=r"broken\.mp4"):
        movies.unpacked(tmp_path / "broken.mp4", tmp_path)


def test_a_broken_frame_leaves_no_half_file(tmp_path: Path) -> None:
    files = run_in(tmp_path / "run", count=3)
    files[2].write_bytes(files[2].read_bytes()[:200])
    for name in ("loop.webm", "loop.apng"):
        with pytest.raises(BadImage):
            export(files, Export(tmp_path / name))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run"]
