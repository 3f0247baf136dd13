# SPDX-License-Identifier: GPL-3.0-or-later
"""The check finds what would make a zip unfit."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

import build_addon
from build_addon import SERIES, BuildError, Target, Wheel

Contents = dict[str, bytes]
WHEEL_BYTES = b"the bytes of a wheel"
WHEEL = Wheel(
    "zmq",
    "1",
    "cp311",
    "cp311",
    "linux-x64",
    "zmq-1-cp311-cp311-manylinux_2_28_x86_64.whl",
    hashlib.sha256(WHEEL_BYTES).hexdigest(),
)
IN_ZIP = f"wheels/{WHEEL.file}"
TARGET = Target(SERIES["A"], "linux-x64", (WHEEL,))


def sound() -> Contents:
    files = {
        "__init__.py": b"from .protocol import jobs\n",
        "operators/generate.py": b"from ..protocol import jobs\n",
        "protocol/__init__.py": b"",
    }
    manifest = build_addon.manifest_text(TARGET, files)
    return {build_addon.MANIFEST: manifest.encode(), IN_ZIP: WHEEL_BYTES, **files}


def zipped(folder: Path, contents: Contents) -> Path:
    path = folder / TARGET.zip_name()
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in contents.items():
            archive.writestr(name, data)
    return path


def changed(name: str, data: bytes) -> Callable[[Contents], object]:
    return lambda contents: contents.update({name: data})


def removed(name: str) -> Callable[[Contents], object]:
    return lambda contents: contents.pop(name)


def renamed_version(contents: Contents) -> None:
    manifest = contents[build_addon.MANIFEST].decode()
    contents[build_addon.MANIFEST] = manifest.replace(build_addon.version(), "9.9.9").encode()


def test_a_sound_zip_has_no_fault(tmp_path: Path) -> None:
    assert not list(build_addon.faults(zipped(tmp_path, sound()), TARGET))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (removed(IN_ZIP), f"{IN_ZIP} is missing"),
        (changed(IN_ZIP, b"another"), f"{IN_ZIP} is not the file that"),
        (changed("wheels/other.whl", b""), "wheels/other.whl does not belong in the zip"),
        (removed("operators/generate.py"), "operators/generate.py is missing"),
        (removed(build_addon.MANIFEST), f"{build_addon.MANIFEST} is missing"),
        (renamed_version, "says version = '9.9.9'"),
        (changed("__init__.py", b"from protocol import jobs\n"), "__init__.py:1: 'from protocol"),
        (changed("__init__.py", b"import backend\n"), "cannot work inside the extension"),
        (changed("__init__.py", b"type X = int\n"), "__init__.py: "),
        (changed("__pycache__/a.cpython-311.pyc", b""), "__pycache__/a.cpython-311.pyc is a cache"),
        (changed("../evil.py", b""), "../evil.py would be unpacked outside"),
        (changed("/etc/evil", b""), "/etc/evil would be unpacked outside"),
    ],
)
def test_a_damaged_zip_is_found_out(
    tmp_path: Path, damage: Callable[[Contents], object], said: str
) -> None:
    contents = sound()
    damage(contents)
    assert said in "\n".join(build_addon.faults(zipped(tmp_path, contents), TARGET))


def test_a_missing_zip_is_a_fault(tmp_path: Path) -> None:
    assert list(build_addon.faults(tmp_path / "none.zip", TARGET)) == [
        "the file is missing; run build_addon.py"
    ]


def test_a_zip_with_flipped_bytes_is_a_fault(tmp_path: Path) -> None:
    path = zipped(tmp_path, sound())
    path.write_bytes(path.read_bytes().replace(WHEEL_BYTES, WHEEL_BYTES[::-1]))
    assert f"{IN_ZIP} is damaged" in list(build_addon.faults(path, TARGET))


def test_the_check_names_the_zip_and_every_fault(tmp_path: Path) -> None:
    contents = sound()
    removed(IN_ZIP)(contents)
    changed("stray.txt", b"")(contents)
    with pytest.raises(BuildError) as caught:
        build_addon.check(zipped(tmp_path, contents), TARGET, builder=tmp_path)
    assert TARGET.zip_name() in str(caught.value)
    assert IN_ZIP in str(caught.value)
    assert "stray.txt" in str(caught.value)
