# SPDX-License-Identifier: GPL-3.0-or-later
"""The sum at the end of `make test` is honest."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

import build_addon

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def noxfile() -> ModuleType:
    """noxfile.py as a module; nox allows only one registration of its sessions in a process."""
    pytest.importorskip("nox", reason="nox is not in this environment")
    spec = importlib.util.spec_from_file_location("noxfile_under_test", ROOT / "noxfile.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def tasks(noxfile: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The tasks with their reports in an empty folder."""
    monkeypatch.setattr(noxfile, "REPORTS", tmp_path)
    return noxfile


def report(folder: Path, step: str, **counts: int) -> None:
    (folder / step).mkdir(exist_ok=True)
    attributes = " ".join(f'{key}="{value}"' for key, value in counts.items())
    name = f"{len(list((folder / step).iterdir()))}.xml"
    (folder / step / name).write_text(f"<testsuites><testsuite {attributes}/></testsuites>")


def test_the_reports_of_a_step_are_added_up(tasks: ModuleType, tmp_path: Path) -> None:
    report(tmp_path, "unit", tests=10, failures=1, errors=1, skipped=2)
    report(tmp_path, "unit", tests=5, failures=0, errors=0, skipped=0)
    tasks.record("unit", "failed", 1.0)
    assert tasks.step_result("unit")[1] == (11, 2, 2)


def test_a_step_without_a_result_counts_as_failed(tasks: ModuleType) -> None:
    row, counts = tasks.step_result("unit")
    assert row["outcome"] == "no result"
    assert counts == (0, 1, 0)


def test_a_failed_step_without_a_failed_test_counts_as_failed(
    tasks: ModuleType, tmp_path: Path
) -> None:
    tasks.record("check", "failed", 1.0)
    assert tasks.step_result("check")[1] == (0, 1, 0)


def test_a_step_that_could_not_be_run_counts_as_skipped(tasks: ModuleType) -> None:
    tasks.record("bpy(5.2)", "skipped", 0.0, "no Python 3.13")
    assert tasks.step_result("bpy(5.2)")[1] == (0, 0, 1)


def test_a_step_that_raises_is_recorded_as_failed(tasks: ModuleType) -> None:
    with pytest.raises(RuntimeError), tasks.recorded("zip"):
        raise RuntimeError("broken")
    assert tasks.step_result("zip")[0]["outcome"] == "failed"


def test_every_blender_takes_a_zip_that_is_built(tasks: ModuleType) -> None:
    for blender in tasks.BLENDERS.values():
        assert build_addon.SERIES[blender.series].blender == blender.zips
