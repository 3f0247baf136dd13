# SPDX-License-Identifier: GPL-3.0-or-later
"""The Blender that the other tests run in is the one they expect, and it lets go at the end."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import bpy

LEAVES_AN_OPERATOR_BEHIND = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("rule", sys.argv[1])
rule = importlib.util.module_from_spec(spec)
spec.loader.exec_module(rule)
process = rule.BlenderProcess()
process.status = 7

import bpy

class TWEENCEL_OT_left_behind(bpy.types.Operator):
    bl_idname = "tweencel.left_behind"
    bl_label = "Left behind"

bpy.utils.register_class(TWEENCEL_OT_left_behind)
"""


def test_the_profile_is_fresh_and_blender_uses_it(blender_profile: Path) -> None:
    assert Path(bpy.utils.resource_path("USER")).is_relative_to(blender_profile)
    assert bpy.context.preferences.addons.find("bl_ext.user_default.tweencel") == -1


def test_the_version_is_the_one_that_was_asked_for() -> None:
    asked = os.environ.get("TWEENCEL_BLENDER")
    assert asked in (None, bpy.app.version_string.rpartition(".")[0])


def test_a_process_that_leaves_an_operator_registered_still_ends_with_its_own_status(
    tmp_path: Path,
) -> None:
    """The exit trap: under bpy 4.5 this process hangs for ever without the rule."""
    rule = Path(__file__).parents[1] / "conftest.py"
    command = [sys.executable, "-c", LEAVES_AN_OPERATOR_BEHIND, str(rule)]
    variables = {**os.environ, "TMPDIR": str(tmp_path)}
    assert subprocess.run(command, timeout=40, check=False, env=variables).returncode == 7
