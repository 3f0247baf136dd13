# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds for every test run: how a process with Blender in it begins and ends.

It must not import bpy, torch or any of our code: it is loaded first in every environment.
"""

from __future__ import annotations

import atexit
import importlib.util
import os
import shutil
import sys
import tempfile

import pytest

HAS_BPY = importlib.util.find_spec("bpy") is not None

# Without bpy these folders cannot even be collected. `nox -s bpy e2e` runs them where bpy is.
collect_ignore = [] if HAS_BPY else ["blender", "e2e"]


class BlenderProcess:
    """A pytest process that may import bpy: it has a Blender profile of its own, and ends hard.

    bpy 4.5 hangs for ever in its exit handlers when an operator, panel or timer of ours is still
    registered (4.2 crashes, 5.0 and later are fine), so the process must not reach those handlers.
    atexit functions run in reverse order: this one is registered before bpy is imported, so it is
    the last, after bpy's own, which disables the add-ons.
    """

    def __init__(self) -> None:
        self.status = int(pytest.ExitCode.INTERNAL_ERROR)
        self.folders = [tempfile.mkdtemp(prefix="tweencel-profile-")]
        os.environ["BLENDER_USER_RESOURCES"] = self.folders[0]
        atexit.register(self.end)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, exitstatus: int) -> None:
        self.status = int(exitstatus)
        if bpy := sys.modules.get("bpy"):
            self.folders.append(bpy.app.tempdir)

    def end(self) -> None:
        for folder in self.folders:
            shutil.rmtree(folder, ignore_errors=True)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(self.status)


def pytest_configure(config: pytest.Config) -> None:
    if HAS_BPY:
        config.pluginmanager.register(BlenderProcess(), "blender-process")


def pytest_report_header() -> str:
    if HAS_BPY:
        return "bpy: here, with a fresh Blender profile; the process ends without exit handlers"
    return "bpy: not in this environment, so tests/blender and tests/e2e are left out"
