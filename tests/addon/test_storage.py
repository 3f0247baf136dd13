# SPDX-License-Identifier: GPL-3.0-or-later
"""Files are read in slices, written whole or not at all, and no version is ever overwritten."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest

from blender_addon.storage import (
    SLICE,
    Folder,
    Part,
    hash_slices,
    inspect_keys,
    read_range,
    safe_name,
)
from protocol.errors import (
    BadImage,
    BadInput,
    ImageTooLarge,
    MissingFile,
    SizeMismatch,
)
from protocol.limits import Limits
from tests.fakes.backend import digest_of, png


def test_hashing_takes_one_step_for_each_slice(tmp_path: Path) -> None:
    content = os.urandom(2 * SLICE + 5)
    path = tmp_path / "big.bin"
    path.write_bytes(content)
    steps = hash_slices(path)
    for _ in range(3):
        next(steps)
    with pytest.raises(StopIteration) as end:
        next(steps)
    assert end.value.value == (hashlib.sha256(content).hexdigest(), len(content))


def test_keys_of_different_sizes_are_refused_with_both_names(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png(8, 4))
    (tmp_path / "b.png").write_bytes(png(8, 5))
    with pytest.raises(SizeMismatch, match=r"a.png is 8 x 4 .* b.png is 8 x 5") as caught:
        inspect_keys([tmp_path / "a.png", tmp_path / "b.png"], Limits())
    assert caught.value.fix


def test_a_text_called_png_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("Dear diary, today I drew nothing.")
    with pytest.raises(BadImage, match=r"a.png is not a picture"):
        inspect_keys([tmp_path / "a.png"], Limits())


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingFile, match=r"nowhere\.png is not there"):
        inspect_keys([tmp_path / "nowhere.png"], Limits())


def test_a_folder_in_the_place_of_a_drawing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingFile):
        inspect_keys([tmp_path], Limits())


def test_a_picture_of_thirty_thousand_pixels_is_refused_before_it_is_read(tmp_path: Path) -> None:
    (tmp_path / "wall.png").write_bytes(png(30_000, 30_000))
    with pytest.raises(ImageTooLarge, match=r"wall.png is 30000 x 30000") as caught:
        inspect_keys([tmp_path / "wall.png"], Limits())
    assert "16384" in caught.value.fix


def test_a_file_of_too_many_bytes_is_refused(tmp_path: Path) -> None:
    (tmp_path / "fat.png").write_bytes(png(filler=3_000_000))
    with pytest.raises(ImageTooLarge, match=r"fat.png has \d MiB"):
        inspect_keys([tmp_path / "fat.png"], Limits(max_file=1_000_000))


def test_a_file_that_became_shorter_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"12345")
    assert read_range(path, 1, 3) == b"234"
    with pytest.raises(BadInput, match="changed while it was being sent"):
        read_range(path, 3, 3)


def test_each_folder_gets_a_version_of_its_own(tmp_path: Path) -> None:
    names = [Folder.make(tmp_path, "hop").path.name for _ in range(3)]
    assert names == ["hop_v001", "hop_v002", "hop_v003"]
    (tmp_path / "hop_v007").mkdir()
    assert Folder.make(tmp_path, "hop").path.name == "hop_v008"
    assert Folder.make(tmp_path, "hop_high").path.name == "hop_high_v001"


@pytest.mark.parametrize(
    ("given", "safe"),
    [("a/b:c", "a_b_c"), ("..", "shot"), ("  ", "shot"), ("Fräulein 1", "Fräulein_1")],
)
def test_a_shots_name_becomes_a_file_name(given: str, safe: str) -> None:
    assert safe_name(given) == safe


def test_a_frame_appears_whole_under_its_name_and_not_before(tmp_path: Path) -> None:
    content = png(filler=1000)
    part = Part(tmp_path, digest_of(content))
    part.add(content[:300])
    assert list(tmp_path.glob("*.png")) == []
    part.add(content[300:])
    assert part.check()
    assert part.suffix() == ".png"
    part.land([tmp_path / "f_0001.png", tmp_path / "f_0002.png"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["f_0001.png", "f_0002.png"]
    assert {path.read_bytes() for path in tmp_path.iterdir()} == {content}


def test_a_damaged_frame_leaves_nothing_behind(tmp_path: Path) -> None:
    part = Part(tmp_path, digest_of(b"right"))
    part.add(b"wrong")
    assert not part.check()
    part.discard()
    assert list(tmp_path.iterdir()) == []


def test_a_copied_key_has_the_bytes_of_the_original(tmp_path: Path) -> None:
    source = tmp_path / "k.PNG"
    source.write_bytes(png(grey=7))
    folder = Folder.make(tmp_path, "hop")
    assert folder.keep(source, 0) == "hop_0001.png"
    assert (folder.path / "hop_0001.png").read_bytes() == source.read_bytes()


def test_a_job_without_a_frame_leaves_no_folder(tmp_path: Path) -> None:
    source = tmp_path / "k.png"
    source.write_bytes(png())
    folder = Folder.make(tmp_path / "out", "hop")
    folder.keep(source, 0)
    folder.write_provenance({"job": "x"})
    folder.discard()
    assert list((tmp_path / "out").iterdir()) == []


def test_a_folder_with_somebody_elses_file_stays(tmp_path: Path) -> None:
    folder = Folder.make(tmp_path, "hop")
    (folder.path / "notes.txt").write_text("mine")
    folder.discard()
    assert (folder.path / "notes.txt").read_text() == "mine"


def test_the_record_beside_the_frames_is_readable_json(tmp_path: Path) -> None:
    folder = Folder.make(tmp_path, "hop")
    path = folder.write_provenance({"name": "Fräulein"})
    assert json.loads(path.read_text("utf-8")) == {"name": "Fräulein"}


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write all")
def test_a_folder_that_may_not_be_written_is_said_so(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(MissingFile, match="cannot be written"):
        Folder.make(tmp_path, "hop")


def test_a_file_in_the_place_of_the_output_folder_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("I am a file")
    with pytest.raises(MissingFile, match="cannot be written") as caught:
        Folder.make(tmp_path / "out", "hop")
    assert "output folder" in caught.value.fix
