# SPDX-License-Identifier: GPL-3.0-or-later
"""The add-on comes and goes without a trace."""

from __future__ import annotations

import os
import time
from pathlib import Path

import bpy
import pytest

import blender_addon
from blender_addon import live
from tests.blender.stage import stage


def ours() -> set[str]:
    verbs = {name for name in dir(bpy.ops.tweencel) if not name.startswith("_")}
    return verbs | {name for name in dir(bpy.types) if name.startswith("TWEENCEL_")}


def test_it_can_be_enabled_and_disabled_again_and_again(tmp_path: Path) -> None:
    before = ours()
    for _ in range(3):
        with stage(tmp_path) as at:
            at.connect()
            assert "TWEENCEL_PT_inbetween" in ours()
            assert bpy.ops.tweencel.generate.poll()
        assert ours() == before
        assert not hasattr(bpy.types.Scene, "tweencel")


def test_a_hundred_reloads_leave_no_file_and_no_thread_open(tmp_path: Path) -> None:
    def count() -> tuple[int, int]:
        return len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))

    if not Path("/proc/self/fd").exists():
        pytest.skip("there is no /proc here")
    from protocol.endpoint import Endpoint

    counts = []
    slowest = 0.0
    for _ in range(100):
        blender_addon.register()
        live.get().session.connect(Endpoint("tcp://127.0.0.1:9", "ab" * 32, "cd" * 32))
        live.beat()
        began = time.perf_counter()
        blender_addon.unregister()
        slowest = max(slowest, time.perf_counter() - began)
        counts.append(count())
    print(f"slowest unregister {slowest * 1000:.1f} ms")
    assert counts[-1] == counts[10]


def test_nothing_runs_by_itself_in_background_mode(tmp_path: Path) -> None:
    """bpy 4.5 never ends while a timer of ours is registered."""
    with stage(tmp_path):
        assert not bpy.app.timers.is_registered(live.beat)


def test_every_verb_says_what_it_does(tmp_path: Path) -> None:
    from blender_addon import operators

    with stage(tmp_path):
        for verb in operators.CLASSES:
            assert verb.bl_description
            assert verb.bl_idname.startswith("tweencel.")
