# SPDX-License-Identifier: GPL-3.0-or-later
"""What the generated manifests say."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

import build_addon
from build_addon import BuildError, Target


def all_targets(*arguments: str) -> list[Target]:
    return build_addon.targets(build_addon.parse(arguments))


def names(*arguments: str) -> list[str]:
    return [target.zip_name() for target in all_targets(*arguments)]


def test_six_zips_say_version_blender_and_platform() -> None:
    version = build_addon.version()
    assert names() == [
        f"tweencel-{version}-blender4.5-5.0-linux-x64.zip",
        f"tweencel-{version}-blender4.5-5.0-windows-x64.zip",
        f"tweencel-{version}-blender4.5-5.0-macos-arm64.zip",
        f"tweencel-{version}-blender5.1-up-linux-x64.zip",
        f"tweencel-{version}-blender5.1-up-windows-x64.zip",
        f"tweencel-{version}-blender5.1-up-macos-arm64.zip",
    ]


@pytest.mark.parametrize("target", all_targets(), ids=Target.zip_name)
def test_a_manifest_is_complete(target: Target) -> None:
    manifest = tomllib.loads(build_addon.manifest_text(target, ["__init__.py"]))
    assert not list(build_addon.manifest_faults(manifest, target))
    assert manifest["license"] == ["SPDX:GPL-3.0-or-later"]
    assert manifest["build"]["paths"] == ["__init__.py"]
    assert len(manifest["wheels"]) == 2


def test_the_series_meet_without_a_gap_or_an_overlap() -> None:
    assert build_addon.SERIES["A"].blender_max == build_addon.SERIES["B"].blender_min


def test_each_permission_has_a_short_reason_without_a_final_period() -> None:
    permissions = tomllib.loads((build_addon.ADDON / build_addon.MANIFEST).read_text())[
        "permissions"
    ]
    assert sorted(permissions) == ["files", "network"]
    for reason in permissions.values():
        assert len(reason) <= 64
        assert reason[-1].isalnum()


def test_a_manifest_without_its_mark_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / build_addon.MANIFEST).write_text('id = "tweencel"\n')
    monkeypatch.setattr(build_addon, "ADDON", tmp_path)
    with pytest.raises(BuildError, match="has lost its line"):
        build_addon.manifest_text(all_targets()[0], [])


def test_a_test_variant_has_a_name_of_its_own() -> None:
    arguments = ("--series", "B", "--platform", "linux-x64", "--blender-min", "4.3.0")
    assert names(*arguments)[0].endswith("-blender4.3-up-cp313-linux-x64.zip")
    arguments = ("--series", "B", "--platform", "linux-x64", "--python-tag", "cp314")
    assert names(*arguments)[0].endswith("-blender5.1-up-cp314-linux-x64.zip")


def test_a_test_variant_starts_from_one_series(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        build_addon.parse(["--blender-min", "4.3.0"])
    assert "add --series A or --series B" in capsys.readouterr().err
