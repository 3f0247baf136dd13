# SPDX-License-Identifier: GPL-3.0-or-later
"""Says which system libraries bpy would miss here, as the names of Debian's packages, one a line.

Without an EGL driver bpy aborts in the middle of a render, so the driver is started as well. Run it
in a process of its own: loading graphics drivers is nothing to do in a process that lives on.
"""

from __future__ import annotations

import ctypes
import sys

PACKAGES = {
    "libEGL.so.1": "libegl1",
    "libEGL_mesa.so.0": "libegl-mesa0",
    "libGL.so.1": "libgl1",
    "libX11.so.6": "libx11-6",
    "libXi.so.6": "libxi6",
    "libXxf86vm.so.1": "libxxf86vm1",
    "libXfixes.so.3": "libxfixes3",
    "libXrender.so.1": "libxrender1",
    "libxkbcommon.so.0": "libxkbcommon0",
    "libSM.so.6": "libsm6",
    "libICE.so.6": "libice6",
}
DRIVER = "libgl1-mesa-dri"
EGL_PLATFORM_SURFACELESS_MESA = 0x31DD


def loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def driver_starts() -> bool:
    """A display without a screen, as bpy opens it for a render without a window."""
    egl = ctypes.CDLL("libEGL.so.1")
    pointer = ctypes.c_void_p
    egl.eglGetPlatformDisplay.restype = pointer
    egl.eglGetPlatformDisplay.argtypes = [ctypes.c_uint, pointer, pointer]
    egl.eglInitialize.argtypes = [pointer, pointer, pointer]
    display = egl.eglGetPlatformDisplay(EGL_PLATFORM_SURFACELESS_MESA, None, None)
    return bool(display) and bool(egl.eglInitialize(display, None, None))


def missing() -> list[str]:
    packages = [package for library, package in PACKAGES.items() if not loads(library)]
    if {"libegl1", "libegl-mesa0"} & set(packages) or not driver_starts():
        packages.append(DRIVER)
    return packages


if __name__ == "__main__":
    # Elsewhere bpy brings what it needs.
    for package in missing() if sys.platform == "linux" else []:
        print(package)
