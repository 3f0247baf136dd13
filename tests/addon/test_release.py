# SPDX-License-Identifier: GPL-3.0-or-later
"""The add-on says the version of its distribution."""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_version_that_frames_are_marked_with_is_that_of_the_release() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    tree = ast.parse((ROOT / "blender_addon" / "live.py").read_text("utf-8"))
    said = [
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "VERSION"
    ]
    assert said == [project["version"]]
