# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests in this folder run inside a real bpy, one process for each module."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.blender)


@pytest.fixture(scope="session")
def blender_profile() -> Path:
    """The empty folder that Blender takes for the user's settings in this process."""
    return Path(os.environ["BLENDER_USER_RESOURCES"])
