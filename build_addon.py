# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the add-on's zips from blender_addon/ and protocol/; it knows no bpy and installs nothing.

    python build_addon.py            build and check the six zips in dist/
    python build_addon.py --check    check the zips that are there
    python build_addon.py --lock     renew names and sha256 in constraints/addon-wheels.toml

One zip holds one series of Blender versions (the wheels of one Python) for one platform.
Blender's own extension builder makes it; that script ships in every Blender and every bpy wheel.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

ROOT = Path(__file__).resolve().parent
ADDON = ROOT / "blender_addon"
PROTOCOL = ROOT / "protocol"
LOCK = ROOT / "constraints" / "addon-wheels.toml"
MANIFEST = "blender_manifest.toml"
GENERATED_HERE = "# <build_addon.py writes here>\n"
EXTENSION_BUILDER = "scripts/addons_core/bl_pkg/cli/blender_ext.py"
FROM_PROTOCOL = re.compile(rb"^from(\s+)protocol\b")
EPOCH = 315_532_800  # 1980-01-01, the first moment a zip can hold: same source, same zip


class BuildError(Exception):
    """What went wrong, to what, and what to do about it, in one text for the terminal."""


@dataclass(frozen=True)
class Series:
    """The Blender versions that one zip serves: those with the same Python.

    `blender_max` is the first version that is refused; `last` names the last one served.
    """

    letter: str
    python: str
    blender_min: str
    blender_max: str | None
    last: str
    abi: str | None = None

    @property
    def blender(self) -> str:
        return f"blender{self.blender_min.rpartition('.')[0]}-{self.last}"

    @property
    def label(self) -> str:
        """The part of a zip's name that tells the series; a test variant names its Python too."""
        variant = "" if self in SERIES.values() else f"-{self.abi or self.python}"
        return self.blender + variant


SERIES = {
    "A": Series("A", "cp311", "4.5.0", "5.1.0", "5.0"),
    "B": Series("B", "cp313", "5.1.0", None, "up"),
}
PLATFORMS = {
    "linux-x64": ("manylinux_2_28_x86_64", "manylinux_2_26_x86_64", "manylinux_2_17_x86_64"),
    "windows-x64": ("win_amd64",),
    "macos-arm64": ("macosx_11_0_arm64",),
}


@dataclass(frozen=True)
class Wheel:
    """One line of the lock: a file on the package index, by name and digest."""

    distribution: str
    version: str
    python: str
    abi: str
    platform: str
    file: str
    sha256: str

    def runs_on(self, python: str) -> bool:
        """Made for that CPython ("cp313"), or for the stable ABI of an older one."""
        if self.abi == "abi3":
            return int(self.python[2:]) <= int(python[2:])
        return self.python == python


@dataclass(frozen=True)
class Target:
    """One zip: a series on a platform, with the wheels that go in."""

    series: Series
    platform: str
    wheels: tuple[Wheel, ...]

    def zip_name(self) -> str:
        return f"tweencel-{version()}-{self.series.label}-{self.platform}.zip"


def version() -> str:
    """The product's version: pyproject.toml is the only place that says it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return str(project["version"])


# --- wheels -------------------------------------------------------------------------------------


def read_lock(path: Path = LOCK) -> list[Wheel]:
    rows = tomllib.loads(path.read_text(encoding="utf-8")).get("wheel", [])
    return [Wheel(**row) for row in rows]


def write_lock(wheels: Iterable[Wheel], path: Path = LOCK) -> None:
    head = path.read_text(encoding="utf-8").partition("[[wheel]]")[0]
    rows = "\n".join(
        "[[wheel]]\n" + "".join(f'{key} = "{value}"\n' for key, value in vars(wheel).items())
        for wheel in wheels
    )
    path.write_text(head + rows, encoding="utf-8")


def choose_wheels(lock: Sequence[Wheel], series: Series, platform: str) -> tuple[Wheel, ...]:
    """One wheel of each distribution; a wheel of exactly this Python before a stable-ABI one.

    `series.abi` turns that order round, for test variants.
    """
    chosen: list[Wheel] = []
    for distribution in sorted({wheel.distribution for wheel in lock}):
        fitting = [
            wheel
            for wheel in lock
            if wheel.distribution == distribution
            and wheel.platform == platform
            and wheel.runs_on(series.python)
        ]
        if not fitting:
            raise BuildError(
                f"{LOCK.name} has no {distribution} for {series.python} on {platform}.\n"
                "Add a row with its version and tags, then run build_addon.py --lock."
            )
        preferred = series.abi or series.python
        chosen.append(min(fitting, key=lambda wheel: wheel.abi != preferred))
    return tuple(chosen)


def sha256_of(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def download(wheel: Wheel, folder: Path) -> Path:
    """The one wheel that pip finds for these tags, unmodified, in an empty `folder`."""
    tags = [part for tag in PLATFORMS[wheel.platform] for part in ("--platform", tag)]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--only-binary=:all:", "--implementation", "cp", "--abi", wheel.abi, *tags]
    command += ["--python-version", wheel.python[2:], "--dest", str(folder)]
    command += [f"{wheel.distribution}=={wheel.version}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = list(folder.glob("*.whl"))
    if done.returncode or len(found) != 1:
        raise BuildError(
            f"pip could not download {wheel.distribution} {wheel.version} for {wheel.platform}:\n"
            f"{done.stderr.strip()}"
        )
    return found[0]


def collect(wheel: Wheel, cache: Path) -> Path:
    """The wheel's file in the cache, downloaded if need be; its sha256 is checked every time."""
    path = cache / wheel.file
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as folder:
            download(wheel, Path(folder)).rename(cache / wheel.file)
    if sha256_of(path) != wheel.sha256:
        path.unlink()
        raise BuildError(
            f"{wheel.file} is not the file that {LOCK.name} pins (other sha256) and was removed.\n"
            "Build again; if it comes back, the index changed: look into it before --lock."
        )
    return path


def renewed(wheel: Wheel) -> Wheel:
    """The same row with the name and digest of what the index serves now."""
    with tempfile.TemporaryDirectory() as folder:
        path = download(wheel, Path(folder))
        return replace(wheel, file=path.name, sha256=sha256_of(path))


# --- sources ------------------------------------------------------------------------------------


def is_of(package: str, module: str | None) -> bool:
    return module is not None and module.partition(".")[0] == package


def absolute_imports(tree: ast.AST, package: str) -> Iterator[ast.stmt | ast.Call]:
    """Every place that imports `package` by its absolute name, by statement or by call."""
    for node in ast.walk(tree):
        match node:
            case ast.ImportFrom(module=module, level=0) if is_of(package, module):
                yield node
            case ast.Import(names=names) if any(is_of(package, name.name) for name in names):
                yield node
            case ast.Call(args=[ast.Constant(value=str(text)), *_]) if is_of(package, text):
                if ast.unparse(node.func).endswith(("import_module", "__import__")):
                    yield node
            case _:
                pass


def refuse_imports(source: str, where: PurePosixPath, packages: Iterable[str]) -> None:
    """Raises BuildError at the first absolute import of one of the packages."""
    tree = ast.parse(source, str(where), feature_version=(3, 11))
    for package in packages:
        for node in absolute_imports(tree, package):
            raise BuildError(
                f"{where}:{node.lineno}: '{ast.unparse(node)}' cannot work inside the extension.\n"
                "Write 'from protocol import X' or 'from protocol.x import Y' for the protocol, "
                "and relative imports for the add-on's own modules."
            )


def vendored(source: str, where: PurePosixPath) -> str:
    """An add-on file with its imports of the protocol made relative to the add-on's root.

    `where` is the file's path in the add-on: `operators/generate.py` gets two dots. Raises
    BuildError for any other way to import the protocol.
    """
    to = rb"from\1" + b"." * len(where.parts) + b"protocol"
    lines = source.encode().split(b"\n")
    for node in absolute_imports(ast.parse(source, str(where)), "protocol"):
        if isinstance(node, ast.ImportFrom):
            line, start = lines[node.lineno - 1], node.col_offset
            lines[node.lineno - 1] = line[:start] + FROM_PROTOCOL.sub(to, line[start:], count=1)
    result = b"\n".join(lines).decode()
    refuse_imports(result, where, ["protocol", "blender_addon", "backend"])
    return result


def source_files(folder: Path) -> Iterator[tuple[Path, PurePosixPath]]:
    """The files that belong to a package, in one order everywhere; no caches, no hidden files."""
    for path in sorted(folder.rglob("*")):
        inside = PurePosixPath(path.relative_to(folder).as_posix())
        unwanted = any(part.startswith((".", "__pycache__")) for part in inside.parts)
        if path.is_file() and not unwanted and path.suffix != ".pyc":
            yield path, inside


def stage_sources(stage: Path) -> None:
    """The add-on with the protocol inside it, and the licence, in the empty folder `stage`."""
    if (ADDON / "protocol").exists():
        raise BuildError("blender_addon/protocol is in the way of the protocol's copy: remove it.")
    for path, inside in source_files(ADDON):
        data = path.read_bytes()
        if path.suffix == ".py":
            data = vendored(data.decode("utf-8"), inside).encode("utf-8")
        if path.name != MANIFEST:
            write(stage / inside, data)
    for path, inside in source_files(PROTOCOL):
        if path.suffix == ".py":
            refuse_imports(path.read_text(encoding="utf-8"), "protocol" / inside, ["protocol"])
            write(stage / "protocol" / inside, path.read_bytes())
    write(stage / "LICENSE", (ROOT / "LICENSE").read_bytes())


def write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


# --- manifest -----------------------------------------------------------------------------------


def toml_list(items: Iterable[str]) -> str:
    return "[\n" + "".join(f'  "{item}",\n' for item in items) + "]"


def manifest_text(target: Target, files: Iterable[str]) -> str:
    """The manifest of one zip. Listing the files fixes their order and lets no other file in."""
    series = target.series
    lines = [f'version = "{version()}"', f'blender_version_min = "{series.blender_min}"']
    if series.blender_max:
        lines.append(f'blender_version_max = "{series.blender_max}"')
    lines.append(f'platforms = ["{target.platform}"]')
    lines.append(f"wheels = {toml_list(f'./wheels/{wheel.file}' for wheel in target.wheels)}")
    template = (ADDON / MANIFEST).read_text(encoding="utf-8")
    if GENERATED_HERE not in template:
        raise BuildError(f"{MANIFEST} has lost its line '{GENERATED_HERE.strip()}': put it back.")
    head, _, tail = template.partition(GENERATED_HERE)
    return head + "\n".join(lines) + "\n" + tail + f"\n[build]\npaths = {toml_list(files)}\n"


# --- Blender's builder --------------------------------------------------------------------------


def installed_builders() -> Iterator[Path]:
    """blender_ext.py in the bpy wheels of this and the project's environments, and in a Blender."""
    site = "lib/python3*/site-packages/bpy/*/"
    yield from Path(sys.prefix).glob(site + EXTENSION_BUILDER)
    for place in (".nox/*/", ".nox/*/*/", ".venv/"):
        yield from ROOT.glob(place + site + EXTENSION_BUILDER)
    if blender := shutil.which("blender"):
        home = Path(blender).resolve().parent
        for place in (home, home.parent / "share" / "blender"):
            yield from place.glob(EXTENSION_BUILDER)
            yield from place.glob("*/" + EXTENSION_BUILDER)


def builder_in_wheel(wheel: Path, folder: Path) -> Path:
    """Takes blender_ext.py out of a bpy wheel into `folder`; nothing is imported."""
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if name.endswith(EXTENSION_BUILDER)]
        if not names:
            raise BuildError(f"{wheel.name} holds no {EXTENSION_BUILDER}: is it a bpy wheel?")
        write(folder / "blender_ext.py", archive.read(names[0]))
    return folder / "blender_ext.py"


def find_builder(path: Path | None, wheel: Path | None, folder: Path) -> Path:
    """The builder that was named, or the one of the newest Blender found."""
    if path:
        return path.resolve()
    if wheel:
        return builder_in_wheel(wheel, folder)
    found = sorted(installed_builders(), key=lambda found: found.parents[4].name)
    if not found:
        raise BuildError(
            "No blender_ext.py found in a Blender or a bpy wheel of this project's environments.\n"
            "Run 'nox -s zip', which brings one, or pass --blender-ext PATH or --bpy-wheel PATH."
        )
    return found[-1]


def run_builder(builder: Path, *arguments: str) -> None:
    """Raises BuildError with the builder's own words if it refuses."""
    command = [sys.executable, str(builder), *arguments]
    environment = {**os.environ, "TZ": "UTC"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        said = (done.stdout + done.stderr).strip()
        raise BuildError(f"Blender's extension builder refused '{arguments[0]}':\n{said}")


def build(target: Target, builder: Path, out: Path, cache: Path) -> Path:
    """Stages, writes the manifest and lets Blender's builder make one zip in `out`."""
    with tempfile.TemporaryDirectory() as folder:
        stage = Path(folder) / "tweencel"
        stage_sources(stage)
        files = [str(inside) for _, inside in source_files(stage)]
        for wheel in target.wheels:
            write(stage / "wheels" / wheel.file, collect(wheel, cache).read_bytes())
        write(stage / MANIFEST, manifest_text(target, files).encode("utf-8"))
        for path in stage.rglob("*"):
            path.chmod(0o755 if path.is_dir() else 0o644)
            os.utime(path, (EPOCH, EPOCH))
        out.mkdir(parents=True, exist_ok=True)
        result = out.resolve() / target.zip_name()
        arguments = ["--source-dir", str(stage), "--output-filepath", str(result)]
        run_builder(builder, "build", *arguments)
    return result


# --- checks -------------------------------------------------------------------------------------


def faults(path: Path, target: Target) -> Iterator[str]:
    """What is wrong with a zip, without Blender's opinion: nothing when it is as it should be."""
    if not path.is_file():
        yield "the file is missing; run build_addon.py"
        return
    with zipfile.ZipFile(path) as archive:
        if broken := archive.testzip():
            yield f"{broken} is damaged"
            return
        names = archive.namelist()
        manifest = (
            tomllib.loads(archive.read(MANIFEST).decode("utf-8")) if MANIFEST in names else {}
        )
        yield from manifest_faults(manifest, target)
        yield from file_faults(names, manifest, target)
        yield from wheel_faults(archive, target)
        yield from code_faults(archive)


def manifest_faults(manifest: dict[str, Any], target: Target) -> Iterator[str]:
    expected = {
        "id": "tweencel",
        "version": version(),
        "blender_version_min": target.series.blender_min,
        "blender_version_max": target.series.blender_max,
        "platforms": [target.platform],
        "wheels": [f"./wheels/{wheel.file}" for wheel in target.wheels],
    }
    for key, value in expected.items():
        if manifest.get(key) != value:
            yield f"{MANIFEST} says {key} = {manifest.get(key)!r}, expected {value!r}"


def file_faults(names: list[str], manifest: dict[str, Any], target: Target) -> Iterator[str]:
    listed: set[str] = set(manifest.get("build", {}).get("paths", []))
    expected = listed | {MANIFEST} | {f"wheels/{wheel.file}" for wheel in target.wheels}
    for name in names:
        parts = PurePosixPath(name).parts
        if name.startswith("/") or ".." in parts or "\\" in name:
            yield f"{name} would be unpacked outside the extension's folder"
        if "__pycache__" in parts or name.endswith(".pyc"):
            yield f"{name} is a cache"
        if name not in expected:
            yield f"{name} does not belong in the zip"
    for name in sorted(expected - set(names)):
        yield f"{name} is missing"


def wheel_faults(archive: zipfile.ZipFile, target: Target) -> Iterator[str]:
    present = set(archive.namelist())
    for wheel in target.wheels:
        name = f"wheels/{wheel.file}"
        if name in present and hashlib.sha256(archive.read(name)).hexdigest() != wheel.sha256:
            yield f"{name} is not the file that {LOCK.name} pins"


def code_faults(archive: zipfile.ZipFile) -> Iterator[str]:
    for name in archive.namelist():
        if name.endswith(".py"):
            try:
                source = archive.read(name).decode("utf-8")
                refuse_imports(
                    source, PurePosixPath(name), ["protocol", "blender_addon", "backend"]
                )
            except (BuildError, SyntaxError, UnicodeDecodeError) as error:
                yield f"{name}: {error}"


def check(path: Path, target: Target, builder: Path) -> None:
    """Raises BuildError with every fault of the zip, or with what Blender's builder says."""
    found = list(faults(path, target))
    if not found:
        run_builder(builder, "validate", str(path), "--valid-tags", "")
        return
    raise BuildError("\n  ".join([f"{path.name} is not fit to give away:", *found]))


# --- command line -------------------------------------------------------------------------------


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="build_addon.py", description="Build and check the Tweencel extension's zips."
    )
    parser.add_argument("--check", action="store_true", help="only check the zips that are there")
    parser.add_argument("--lock", action="store_true", help="renew the wheels' names and sha256")
    parser.add_argument("--out", type=Path, default=ROOT / "dist", help="folder of the zips")
    parser.add_argument("--cache", type=Path, default=ROOT / "build" / "wheels")
    parser.add_argument("--series", choices=sorted(SERIES), action="append", help="default: all")
    parser.add_argument("--platform", choices=sorted(PLATFORMS), action="append")
    parser.add_argument("--blender-ext", type=Path, help="Blender's blender_ext.py")
    parser.add_argument("--bpy-wheel", type=Path, help="a bpy wheel to take blender_ext.py from")
    variant = parser.add_argument_group("test variants (with one --series)")
    variant.add_argument("--python-tag", help="wheels of another CPython, such as cp314")
    variant.add_argument("--abi", help="prefer wheels of this ABI, such as abi3")
    variant.add_argument("--blender-min", help="another lowest Blender version, such as 4.3.0")
    options = parser.parse_args(arguments)
    overrides = (options.python_tag, options.abi, options.blender_min)
    if any(overrides) and len(options.series or ()) != 1:
        parser.error("a test variant starts from one series: add --series A or --series B")
    return options


def targets(options: argparse.Namespace) -> list[Target]:
    lock = read_lock()
    result: list[Target] = []
    for letter in options.series or sorted(SERIES):
        series = SERIES[letter]
        series = replace(
            series,
            python=options.python_tag or series.python,
            abi=options.abi,
            blender_min=options.blender_min or series.blender_min,
        )
        for platform in options.platform or PLATFORMS:
            result.append(Target(series, platform, choose_wheels(lock, series, platform)))
    return result


def make(options: argparse.Namespace, folder: Path) -> None:
    builder = find_builder(options.blender_ext, options.bpy_wheel, folder)
    for target in targets(options):
        path = options.out / target.zip_name()
        if not options.check:
            build(target, builder, options.out, options.cache)
        check(path, target, builder)
        size = path.stat().st_size / 1e6
        print(f"{'checked' if options.check else 'built and checked'} {path.name} ({size:.1f} MB)")


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    try:
        if options.lock:
            write_lock([renewed(wheel) for wheel in read_lock()])
            print(f"renewed {LOCK.name}: look at the difference before committing it")
        with tempfile.TemporaryDirectory() as folder:
            make(options, Path(folder))
    except BuildError as error:
        print(f"build_addon.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
