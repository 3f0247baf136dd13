# SPDX-License-Identifier: GPL-3.0-or-later
"""The artist's template names the folder of each version."""

from __future__ import annotations

from pathlib import Path

import pytest

from blender_addon.naming import USUAL, named
from blender_addon.storage import Folder
from protocol.errors import BadInput

WORDS = {
    "blend": "ep 01",
    "scene": "sc_010",
    "shot": "hop",
    "layer": "Ink/Paint",
    "engine": "rife",
}


def made(parent: Path, template: str) -> Path:
    naming = named(template, WORDS)
    return Folder.make(parent / naming.within, "hop", naming.name).path


@pytest.mark.parametrize(
    ("template", "paths"),
    [
        (USUAL, ["hop_v001", "hop_v002"]),
        ("", ["hop_v001", "hop_v002"]),
        ("{blend}/{scene}/{shot}_v{version}", ["ep_01/sc_010/hop_v001", "ep_01/sc_010/hop_v002"]),
        ("{shot}_{layer}_{version}", ["hop_Ink_Paint_001", "hop_Ink_Paint_002"]),
        ("{scene}\\{shot}", ["sc_010/hop_v001", "sc_010/hop_v002"]),
        ("v{version}_{engine}", ["v001_rife", "v002_rife"]),
        ("{shot} {version} final", ["hop_001_final", "hop_002_final"]),
        ("../../{shot}", ["hop_v001", "hop_v002"]),
        ("/etc/{shot}", ["etc/hop_v001", "etc/hop_v002"]),
        ("{shot}/{version}", ["hop/001", "hop/002"]),
    ],
)
def test_words_are_filled_in_and_versions_counted(
    tmp_path: Path, template: str, paths: list[str]
) -> None:
    found = [made(tmp_path, template).relative_to(tmp_path).as_posix() for _ in range(2)]
    assert found == paths


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{shott}_v{version}", "{shott} in the folder's name stands for nothing"),
        ("{shot}_v{version", "no partner"),
        ("{version}/{shot}", "once, in the last part"),
        ("{version}_{version}", "once, in the last part"),
        ("{}", "stands for nothing"),
    ],
)
def test_a_template_that_cannot_be_read_is_said_so(template: str, text: str) -> None:
    with pytest.raises(BadInput) as problem:
        named(template, WORDS)
    assert text in problem.value.text
    assert problem.value.fix


def test_a_word_without_a_meaning_here_leaves_no_trace(tmp_path: Path) -> None:
    naming = named("{layer}/{shot}_v{version}", {**WORDS, "layer": ""})
    path = Folder.make(tmp_path / naming.within, "hop", naming.name).path
    assert path.relative_to(tmp_path).as_posix() == "hop_v001"


@pytest.mark.parametrize("scene", ["Aux", "con", "COM1"])
def test_no_folder_has_a_name_that_windows_keeps_for_itself(scene: str) -> None:
    assert str(named("{scene}/{shot}", WORDS | {"scene": scene}).within) == f"{scene}_"


def test_long_names_in_any_script_make_a_folder(tmp_path: Path) -> None:
    words = WORDS | {"scene": "海" * 80, "shot": "波" * 80}
    naming = named("{scene}/{scene}_{version}_{shot}", words)
    assert Folder.make(tmp_path / naming.within, "hop", naming.name).path.is_dir()


def test_a_folder_that_was_made_for_nothing_leaves_no_folders_around_it(tmp_path: Path) -> None:
    naming = named("{blend}/{scene}/{shot}", WORDS)
    (tmp_path / "ep_01").mkdir()
    Folder.make(tmp_path / naming.within, "hop", naming.name).discard(also_parent=True)
    assert [path.name for path in tmp_path.rglob("*")] == ["ep_01"]
