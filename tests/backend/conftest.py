# SPDX-License-Identifier: GPL-3.0-or-later
"""A plug-in engine installed for the tests as a package would be, and keys to run it on."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from backend import registry

PLUGIN = Path(__file__).with_name("plugin")


@pytest.fixture(scope="session")
def plugin_path(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder for PYTHONPATH in which the test engines are installed."""
    site = tmp_path_factory.mktemp("site")
    info = site / "abusive_engine-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: abusive-engine\nVersion: 1\n")
    (info / "entry_points.txt").write_text(
        "[tweencel.engines]\nabusive = abusive_engine\nstubborn = stubborn_engine\n"
    )
    return f"{site}:{PLUGIN}"


@pytest.fixture
def plugin(plugin_path: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The same, for this process and those it starts."""
    monkeypatch.setenv("PYTHONPATH", f"{plugin_path}:{Path.cwd()}")
    monkeypatch.setattr(sys, "path", [*plugin_path.split(":"), *sys.path])
    registry.engines.cache_clear()
    yield
    registry.engines.cache_clear()


@pytest.fixture
def keys() -> list[bytes]:
    """Three small RGBA drawings as PNG files: a disc that moves."""
    files = []
    for x in (12, 20, 28):
        picture = np.zeros((24, 40, 4), np.uint8)
        cv2.circle(picture, (x, 12), 6, (40, 90, 200, 255), -1, cv2.LINE_AA)
        files.append(cv2.imencode(".png", picture)[1].tobytes())
    return files
