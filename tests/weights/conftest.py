# SPDX-License-Identifier: GPL-3.0-or-later
"""A folder of weights of its own for each test, and no proxy before this machine."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "weights"
    monkeypatch.setenv("TWEENCEL_WEIGHTS", str(place))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return place
