# SPDX-License-Identifier: GPL-3.0-or-later
"""Which wheels go into which zip, and that they are the pinned files."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from pathlib import Path

import pytest

import build_addon
from build_addon import PLATFORMS, SERIES, BuildError, Wheel, choose_wheels, collect, read_lock

WHEEL = Wheel(
    "zmq", "1", "cp311", "cp311", "linux-x64", "zmq.whl", hashlib.sha256(b"x").hexdigest()
)


@pytest.mark.parametrize("platform", sorted(PLATFORMS))
@pytest.mark.parametrize("letter", sorted(SERIES))
def test_a_release_zip_gets_one_wheel_of_each_made_for_its_python(
    letter: str, platform: str
) -> None:
    series = SERIES[letter]
    wheels = choose_wheels(read_lock(), series, platform)
    assert [wheel.distribution for wheel in wheels] == ["msgspec", "pyzmq"]
    assert {(wheel.python, wheel.abi) for wheel in wheels} == {(series.python, series.python)}


def test_a_distribution_has_the_same_version_in_every_release_zip() -> None:
    versions = {
        (wheel.distribution, wheel.version)
        for series in SERIES.values()
        for platform in PLATFORMS
        for wheel in choose_wheels(read_lock(), series, platform)
    }
    assert len(versions) == 2


def test_every_row_pins_a_file_of_its_own_distribution_by_sha256() -> None:
    for wheel in read_lock():
        assert wheel.file.startswith(
            f"{wheel.distribution}-{wheel.version}-{wheel.python}-{wheel.abi}-"
        )
        assert re.fullmatch(r"[0-9a-f]{64}", wheel.sha256)


def test_the_lock_is_written_as_it_was_read(tmp_path: Path) -> None:
    copy = tmp_path / "lock.toml"
    copy.write_bytes(build_addon.LOCK.read_bytes())
    build_addon.write_lock(read_lock(copy), copy)
    assert copy.read_bytes() == build_addon.LOCK.read_bytes()


def test_tests_of_the_sources_run_with_the_libraries_of_the_zips() -> None:
    pins = (build_addon.ROOT / "constraints" / "addon.txt").read_text(encoding="utf-8").split()
    for wheel in choose_wheels(read_lock(), SERIES["A"], "linux-x64"):
        assert f"{wheel.distribution}=={wheel.version}" in pins


def test_a_variant_for_python_314_falls_back_to_the_stable_abi() -> None:
    series = replace(SERIES["B"], python="cp314")
    wheels = choose_wheels(read_lock(), series, "linux-x64")
    assert [(wheel.distribution, wheel.abi) for wheel in wheels] == [
        ("msgspec", "cp314"),
        ("pyzmq", "abi3"),
    ]


def test_a_variant_can_prefer_the_stable_abi() -> None:
    series = replace(SERIES["B"], abi="abi3")
    wheels = choose_wheels(read_lock(), series, "linux-x64")
    assert [wheel.abi for wheel in wheels] == ["cp313", "abi3"]


def test_a_stable_abi_wheel_is_not_offered_to_an_older_python() -> None:
    assert not replace(WHEEL, python="cp312", abi="abi3").runs_on("cp311")


def test_tags_without_a_wheel_are_named() -> None:
    series = replace(SERIES["B"], python="cp309")
    with pytest.raises(BuildError, match="no msgspec for cp309 on macos-arm64"):
        choose_wheels(read_lock(), series, "macos-arm64")


def test_the_pinned_file_is_taken_from_the_cache(tmp_path: Path) -> None:
    (tmp_path / "zmq.whl").write_bytes(b"x")
    assert collect(WHEEL, tmp_path) == tmp_path / "zmq.whl"


def test_another_file_under_that_name_is_refused_and_removed(tmp_path: Path) -> None:
    (tmp_path / "zmq.whl").write_bytes(b"y")
    with pytest.raises(BuildError, match="other sha256"):
        collect(WHEEL, tmp_path)
    assert not list(tmp_path.iterdir())
