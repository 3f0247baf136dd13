# SPDX-License-Identifier: GPL-3.0-or-later
"""A session on a backend in memory, and keys for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from blender_addon.session import Session
from tests.addon.bench import Bench
from tests.fakes.backend import FakeBackend, png


@pytest.fixture
def backend() -> FakeBackend:
    return FakeBackend()


@pytest.fixture
def bench(backend: FakeBackend, tmp_path: Path) -> Iterator[Bench]:
    session = Session(backend.connect, {"add-on": "test"})
    yield Bench(session, backend, tmp_path)
    session.close()


@pytest.fixture
def keys(tmp_path: Path) -> list[Path]:
    """Three small drawings."""
    folder = tmp_path / "keys"
    folder.mkdir()
    paths = [folder / f"key_{number}.png" for number in range(3)]
    for number, path in enumerate(paths):
        path.write_bytes(png(grey=100 + number))
    return paths
