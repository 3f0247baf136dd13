# SPDX-License-Identifier: GPL-3.0-or-later
"""How the add-on's imports of the protocol become relative ones."""

from __future__ import annotations

import ast
from pathlib import Path, PurePosixPath

import pytest

import build_addon
from build_addon import BuildError, vendored

TOP = PurePosixPath("session.py")
NESTED = PurePosixPath("operators/generate.py")


@pytest.mark.parametrize(
    ("where", "written", "expected"),
    [
        (TOP, "from protocol import jobs\n", "from .protocol import jobs\n"),
        (TOP, "from protocol.jobs import Task\n", "from .protocol.jobs import Task\n"),
        (NESTED, "from protocol import jobs\n", "from ..protocol import jobs\n"),
        (NESTED, "from protocol.a.b import C as D\n", "from ..protocol.a.b import C as D\n"),
        (PurePosixPath("a/b/c.py"), "from protocol import x\n", "from ...protocol import x\n"),
        (PurePosixPath("panels/__init__.py"), "from protocol import x", "from ..protocol import x"),
        (TOP, "if x:\n    from protocol import y\n", "if x:\n    from .protocol import y\n"),
        (
            TOP,
            "from protocol import (\n    a,\n    b,\n)\n",
            "from .protocol import (\n    a,\n    b,\n)\n",
        ),
        (TOP, "x = 'é'; from protocol import y\n", "x = 'é'; from .protocol import y\n"),
        (TOP, "a = '\x0c'\nfrom protocol import y\r\n", "a = '\x0c'\nfrom .protocol import y\r\n"),
    ],
)
def test_both_forms_become_relative(where: PurePosixPath, written: str, expected: str) -> None:
    assert vendored(written, where) == expected


def test_nothing_else_is_touched() -> None:
    source = '"""from protocol import x"""\nfrom protocols import y\nfrom .protocol import z\n'
    assert vendored(source, TOP) == source


@pytest.mark.parametrize(
    "line",
    [
        "import protocol",
        "import protocol.jobs",
        "import os, protocol.jobs as jobs",
        "jobs = importlib.import_module('protocol.jobs')",
        "jobs = __import__('protocol')",
        "from blender_addon.link import Link",
        "import backend.server",
    ],
)
def test_any_other_form_is_refused_with_file_and_line(line: str) -> None:
    with pytest.raises(BuildError, match=r"^operators/generate\.py:3: "):
        vendored(f"import os\n\n{line}\n", NESTED)


def test_a_file_that_is_no_python_is_named(tmp_path: Path) -> None:
    with pytest.raises(SyntaxError) as caught:
        vendored("def (:\n", NESTED)
    assert caught.value.filename == "operators/generate.py"


def test_the_staged_addon_holds_the_protocol_and_imports_it_relatively(tmp_path: Path) -> None:
    build_addon.stage_sources(tmp_path)
    staged = {str(inside) for _, inside in build_addon.source_files(tmp_path)}
    assert {"__init__.py", "LICENSE", "protocol/__init__.py", "protocol/messages.py"} <= staged
    for path in tmp_path.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        assert not list(build_addon.absolute_imports(tree, "protocol")), path


def test_the_protocols_copy_is_the_protocol(tmp_path: Path) -> None:
    build_addon.stage_sources(tmp_path)
    for original in build_addon.PROTOCOL.glob("*.py"):
        assert (tmp_path / "protocol" / original.name).read_bytes() == original.read_bytes()
