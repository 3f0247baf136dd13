# SPDX-License-Identifier: GPL-3.0-or-later
"""What `pip install` or `pipx install` of the backend brings."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy: setuptools leaves a build/ folder that would leak into the next wheel."""
    source = tmp_path_factory.mktemp("source")
    for name in ("protocol", "backend", "blender_addon", "tests"):
        shutil.copytree(ROOT / name, source / name)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "-w", str(source / "dist"), str(source)], check=True, timeout=90)
    (path,) = (source / "dist").glob("tweencel-*.whl")
    return path


def contents(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_it_holds_both_packages_and_the_command(wheel: Path) -> None:
    names = contents(wheel)
    assert {"protocol/messages.py", "backend/cli/__init__.py", "backend/engines/rife.py"} <= names
    with zipfile.ZipFile(wheel) as archive:
        (points,) = (name for name in names if name.endswith("entry_points.txt"))
        assert "tweencel = backend.cli:main" in archive.read(points).decode()


def test_it_brings_the_default_engines_weights_with_their_licence(wheel: Path) -> None:
    inside = {
        Path(name).name for name in contents(wheel) if name.startswith("backend/weights/data/")
    }
    assert inside >= {path.name for path in (ROOT / "backend" / "weights" / "data").iterdir()}
    assert any(name.endswith(".safetensors") for name in inside)


def test_it_holds_nothing_else(wheel: Path) -> None:
    tops = {name.partition("/")[0] for name in contents(wheel)}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"backend", "protocol"}
