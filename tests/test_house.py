# SPDX-License-Identifier: GPL-3.0-or-later
"""The laws of the house that import-linter and ruff cannot hold, read off the sources."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backend.config import SOFTWARE
from backend.engine import Context
from protocol.jobs import Inbetween

ROOT = Path(__file__).parents[1]
PRODUCT = ("protocol", "backend", "blender_addon")
LICENCE = "SPDX-License-Identifier: GPL-3.0-or-later"


def sources(*folders: str, pattern: str = "*.py") -> list[Path]:
    found = [path for folder in folders for path in sorted((ROOT / folder).rglob(pattern))]
    assert found, f"no {pattern} in {folders}: this test would prove nothing"
    return found


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def imports(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Every absolute import of a module, wherever it stands: its line and its first name."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from ((node.lineno, name.name.partition(".")[0]) for name in names)
            case ast.ImportFrom(module=str(module), level=0):
                yield node.lineno, module.partition(".")[0]
            case _:
                pass


def foreign(folder: str, *allowed: str) -> list[str]:
    """Imports of the folder that are neither the standard library's nor allowed."""
    known = {*sys.stdlib_module_names, *allowed}
    return [
        f"{name_of(path)}:{line} imports {module}"
        for path in sources(folder)
        for line, module in imports(tree_of(path))
        if module not in known
    ]


def in_a_fresh_process(code: str) -> str:
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_source_file_starts_with_its_licence() -> None:
    files = sources(*PRODUCT, "tests", "demo") + list(ROOT.glob("*.py"))
    files += [*sources("tests", pattern="*.sh"), ROOT / "Makefile", ROOT / "pyproject.toml"]
    bare = [
        name_of(path)
        for path in files
        if path.stat().st_size
        and LICENCE not in "\n".join(path.read_text(encoding="utf-8").splitlines()[:2])
    ]
    assert bare == []


def test_every_module_of_the_product_says_what_it_knows() -> None:
    silent = [
        name_of(path)
        for path in sources(*PRODUCT)
        if path.name != "__main__.py" and not ast.get_docstring(tree_of(path))
    ]
    assert silent == []


def test_the_protocol_knows_only_the_standard_library_and_msgspec() -> None:
    assert foreign("protocol", "msgspec") == []


def test_the_addon_knows_only_what_its_zip_and_blender_hold() -> None:
    blender = ("bl_operators", "bl_ui", "bpy", "bpy_extras", "mathutils", "numpy")
    assert foreign("blender_addon", "protocol", "msgspec", "zmq", *blender) == []


def test_the_addon_starts_no_thread_no_pool_and_no_event_loop() -> None:
    forbidden = {"threading", "_thread", "concurrent", "multiprocessing", "asyncio"}
    found = [
        f"{name_of(path)}:{line}"
        for path in sources("blender_addon")
        for line, module in imports(tree_of(path))
        if module in forbidden
    ]
    assert found == []


def test_the_addon_leaves_the_import_path_alone() -> None:
    """Blender's rules for extensions; site-packages is shared by all of them."""
    touching = [
        f"{name_of(path)}:{node.lineno}"
        for path in sources("blender_addon")
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Attribute) and ast.unparse(node) in {"sys.path", "sys.meta_path"}
    ]
    assert touching == []


def code_runners(tree: ast.Module) -> Iterator[int]:
    """Lines that turn bytes from elsewhere into code or objects."""
    harmless = {node.lineno for node in tree.body if names_an_error(node)}
    for line, module in imports(tree):
        if line in harmless:
            continue
        if module in {"pickle", "dill", "cloudpickle", "shelve", "marshal", "joblib"}:
            yield line
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(attr="send_pyobj" | "recv_pyobj" | "send_serialized"):
                yield node.lineno
            case ast.Call(func=ast.Name(id="eval" | "exec")):
                yield node.lineno
            case ast.Call() if ast.unparse(node.func) == "torch.load" and not weights_only(node):
                yield node.lineno
            case ast.keyword(arg="allow_pickle", value=ast.Constant(value=True)):
                yield node.value.lineno
            case _:
                pass


def names_an_error(node: ast.stmt) -> bool:
    """torch.load raises pickle's error also where it loads nothing but weights."""
    return ast.unparse(node) == "from pickle import UnpicklingError"


def weights_only(call: ast.Call) -> bool:
    return any(
        keyword.arg == "weights_only" and ast.unparse(keyword.value) == "True"
        for keyword in call.keywords
    )


def test_nothing_from_elsewhere_becomes_code() -> None:
    found = [
        f"{name_of(path)}:{line}"
        for path in sources(*PRODUCT)
        for line in code_runners(tree_of(path))
    ]
    assert found == []


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "from marshal import loads",
        "socket.recv_pyobj()",
        "eval(text)",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "np.load(path, allow_pickle=True)",
    ],
)
def test_the_search_for_code_runners_finds_them(code: str) -> None:
    assert list(code_runners(ast.parse(code))) == [1]


def broad_handlers(tree: ast.Module) -> Iterator[int]:
    broad = {"Exception", "BaseException"}
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler):
            names = {part.id for part in ast.walk(node.type or node) if isinstance(part, ast.Name)}
            if node.type is None or names & broad:
                yield node.lineno


def test_a_broad_except_stands_only_at_the_four_borders() -> None:
    borders = ("backend/server.py", "backend/worker.py", "blender_addon/session.py")
    found = [
        f"{name_of(path)}:{line}"
        for path in sources(*PRODUCT)
        for line in broad_handlers(tree_of(path))
        if not name_of(path).startswith((*borders, "blender_addon/operators/"))
    ]
    assert found == []


def test_discovering_engines_imports_no_torch() -> None:
    code = (
        "import sys; from backend import registry; specs = registry.specs(); "
        "print(len(specs), 'torch' in sys.modules)"
    )
    count, torch_is_there = in_a_fresh_process(code).split()
    assert int(count) >= 1
    assert torch_is_there == "False"


def test_the_process_that_talks_imports_no_torch() -> None:
    code = "import sys, backend.server; print('torch' in sys.modules)"
    assert in_a_fresh_process(code).split() == ["False"]


def test_the_addons_rooms_without_blender_import_without_it() -> None:
    code = "import sys, blender_addon.session, blender_addon.wording; print('bpy' in sys.modules)"
    assert in_a_fresh_process(code).split() == ["False"]


def test_the_backend_says_the_version_of_its_distribution() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert f"tweencel {project['version']}" == SOFTWARE


def bases(node: ast.ClassDef) -> set[str]:
    return {ast.unparse(base).rpartition(".")[2] for base in node.bases}


def registrable(tree: ast.Module) -> Iterator[str]:
    kinds = {"Operator", "Panel", "PropertyGroup", "UIList", "Menu", "AddonPreferences", "Header"}
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and bases(node) & kinds:
            yield node.name


def listed(tree: ast.Module) -> set[str]:
    """The names in the module's explicit tuple of classes."""
    for node in tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id="CLASSES")], value=value):
                return {part.id for part in ast.walk(value) if isinstance(part, ast.Name)}
            case ast.AnnAssign(target=ast.Name(id="CLASSES"), value=ast.expr() as value):
                return {part.id for part in ast.walk(value) if isinstance(part, ast.Name)}
            case _:
                pass
    return set()


def test_every_class_for_blender_stands_in_its_modules_tuple() -> None:
    """One that is missing would silently not be registered."""
    classes = [
        (path, name) for path in sources("blender_addon") for name in registrable(tree_of(path))
    ]
    assert classes, "no class for Blender at all: this test would prove nothing"
    forgotten = [
        f"{name_of(path)}: {name}" for path, name in classes if name not in listed(tree_of(path))
    ]
    assert forgotten == []


def test_blender_names_carry_the_products_prefix() -> None:
    """Registered names live in one space for all add-ons."""
    stray = [
        f"{name_of(path)}: {name}"
        for path in sources("blender_addon")
        for name in registrable(tree_of(path))
        if not name.lower().startswith("tweencel")
    ]
    assert stray == []


def test_the_engine_in_the_contributing_guide_works_as_it_stands() -> None:
    guide = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    recipe: dict[str, Any] = {}
    exec(guide.partition("```python\n")[2].partition("```")[0], recipe)
    task = Inbetween(keys=("a" * 64, "b" * 64), gaps=((0.25, 0.5, 0.75),))
    pictures = {"a" * 64: np.zeros((2, 2, 4), np.float32), "b" * 64: np.ones((2, 2, 4), np.float32)}
    context = Context(
        pictures=pictures.__getitem__, params={"cut": recipe["SPEC"].params[0].default}
    )
    frames = list(recipe["load"]("cpu").run(task, context))
    assert [frame.index for frame in frames] == [0, 1, 2]
    assert [float(frame.pixels.mean()) for frame in frames] == [0.0, 1.0, 1.0]
