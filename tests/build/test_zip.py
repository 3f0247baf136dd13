# SPDX-License-Identifier: GPL-3.0-or-later
"""A real zip, made by Blender's own builder, where one is at hand."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

import build_addon
from build_addon import BuildError, Target

LINUX = ["--series", "A", "--platform", "linux-x64"]


@pytest.fixture
def builder() -> Path:
    found = list(build_addon.installed_builders())
    if not found:
        pytest.skip("no bpy wheel or Blender here, so no blender_ext.py (nox -s zip brings one)")
    return found[0]


@pytest.fixture
def target() -> Target:
    return build_addon.targets(build_addon.parse(LINUX))[0]


def built(target: Target, builder: Path, out: Path) -> Path:
    return build_addon.build(target, builder, out, build_addon.ROOT / "build" / "wheels")


@pytest.mark.network
def test_the_same_sources_give_the_same_bytes(
    builder: Path, target: Target, tmp_path: Path
) -> None:
    first = built(target, builder, tmp_path / "1")
    second = built(target, builder, tmp_path / "2")
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.network
def test_blender_accepts_the_zip_and_so_does_the_check(
    builder: Path, target: Target, tmp_path: Path
) -> None:
    build_addon.check(built(target, builder, tmp_path), target, builder)


@pytest.mark.network
def test_what_blender_refuses_is_told_in_its_own_words(
    builder: Path, target: Target, tmp_path: Path
) -> None:
    path = built(target, builder, tmp_path)
    with zipfile.ZipFile(path) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    manifest = contents[build_addon.MANIFEST].decode()
    contents[build_addon.MANIFEST] = manifest.replace("back on your timeline", "back.").encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in contents.items():
            archive.writestr(name, data)
    with pytest.raises(BuildError, match="must not end with punctuation"):
        build_addon.check(path, target, builder)


def test_the_builder_is_taken_out_of_a_bpy_wheel(tmp_path: Path) -> None:
    wheel = tmp_path / "bpy-5.0.1-cp311-cp311-manylinux_2_28_x86_64.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(f"bpy/5.0/{build_addon.EXTENSION_BUILDER}", "print('built')")
    found = build_addon.find_builder(None, wheel, tmp_path)
    assert found.read_text() == "print('built')"


def test_a_wheel_without_a_builder_is_refused(tmp_path: Path) -> None:
    wheel = tmp_path / "other.whl"
    with zipfile.ZipFile(wheel, "w"):
        pass
    with pytest.raises(BuildError, match="is it a bpy wheel"):
        build_addon.builder_in_wheel(wheel, tmp_path)


def test_a_failed_build_ends_with_a_sentence_and_status_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wheel = tmp_path / "none.zip"
    with zipfile.ZipFile(wheel, "w"):
        pass
    assert build_addon.main(["--check", "--out", str(tmp_path), "--bpy-wheel", str(wheel)]) == 1
    assert capsys.readouterr().err.startswith("build_addon.py: ")
