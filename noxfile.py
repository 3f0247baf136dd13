# SPDX-License-Identifier: GPL-3.0-or-later
"""The tasks of this project. Each makes the environment it needs in .nox/ and uses it again later.

nox                  check and unit: what to run before a commit
nox -s test          everything, fast to slow, with one line of sums at the end (`make test`)
nox -s demo          the main job on real drawings (`make demo`)
nox -s window        pictures of the panels in a real Blender window; add -- --help
nox -s "bpy(5.0)"    the add-on's tests inside one Blender; add -- -k WORD to choose
nox -l               the list
"""

from __future__ import annotations

import glob
import hashlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import nox

ROOT = Path(__file__).parent
NOX = ROOT / ".nox"
REPORTS = NOX / "reports"
LAST_LOG = NOX / "last.log"
DEBIAN_PACKAGES = ROOT / "tests" / "blender" / "system_libraries.py"
PYTHON313 = ROOT / "tests" / "blender" / "python313.sh"
RUN_LIMIT = 900  # seconds for one pytest process; single tests have limits of their own

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "none"
nox.options.sessions = ["check", "unit"]
nox.options.error_on_missing_interpreters = True


@dataclass(frozen=True)
class Blender:
    """One Blender to test in: its bpy wheel, the Python it needs and the zip that it takes."""

    version: str
    bpy: str
    python: str
    series: str
    zips: str


BLENDERS = {
    "4.5": Blender("4.5", "4.5.15", "3.11", "A", "blender4.5-5.0"),
    "5.0": Blender("5.0", "5.0.1", "3.11", "A", "blender4.5-5.0"),
    "5.2": Blender("5.2", "5.2.3", "3.13", "B", "blender5.1-up"),
}
DEMO_BLENDER = BLENDERS["5.0"]
STEPS = ["check", "unit", "zip", *(f"{step}({v})" for step in ("bpy", "e2e") for v in BLENDERS)]
each_blender = nox.parametrize("version", [nox.param(version, id=version) for version in BLENDERS])


@dataclass(frozen=True)
class Interpreter:
    """A Python of an environment; `launch` comes before it where it lives in another root."""

    path: Path
    launch: tuple[str, ...] = ()

    def command(self, *arguments: str | Path) -> list[str]:
        return [*self.launch, str(self.path), *map(str, arguments)]

    def tool(self, name: str) -> str:
        return str(self.path.parent / name)


# --- running and reporting ----------------------------------------------------------------------


def run(
    session: nox.Session,
    what: str,
    command: Sequence[str | Path],
    *,
    quiet: bool = False,
    limit: float | None = None,
    variables: Mapping[str, str] | None = None,
) -> int:
    """Says what it does, runs the command in the repository, says how long it took.

    Gives the exit code, -1 for a command that was ended after `limit` seconds. `quiet` sends the
    output to a log, whose end is shown if the command fails.
    """
    session.log(f"{what} ...")
    started = time.monotonic()
    LAST_LOG.parent.mkdir(parents=True, exist_ok=True)
    with LAST_LOG.open("wb") as log:
        code = wait_for(command, variables or {}, output=log if quiet else None, limit=limit)
    if code and quiet:
        print(LAST_LOG.read_text(encoding="utf-8", errors="replace")[-4000:])
    outcome = f"exit code {code} after" if code else "done in"
    session.log(f"{what}: {outcome} {time.monotonic() - started:.1f} s")
    return code


def wait_for(
    command: Sequence[str | Path],
    variables: Mapping[str, str],
    *,
    output: IO[bytes] | None,
    limit: float | None,
) -> int:
    """The command leads a process group, so that what it started ends with it when it must end."""
    process = subprocess.Popen(
        list(map(str, command)),
        cwd=ROOT,
        env={**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", **variables},
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        start_new_session=True,
    )
    try:
        return process.wait(limit)
    except subprocess.TimeoutExpired:
        print(f"ended after {limit} s without a result: {command[0]}", file=sys.stderr)
        return -1
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def record(step: str, outcome: str, seconds: float, note: str = "") -> None:
    REPORTS.mkdir(parents=True, exist_ok=True)
    row = {"step": step, "outcome": outcome, "seconds": seconds, "note": note}
    (REPORTS / f"{step}.json").write_text(json.dumps(row), encoding="utf-8")


@contextmanager
def recorded(step: str) -> Iterator[Path]:
    """Gives the folder for the step's test reports and notes how the step ended."""
    folder = REPORTS / step
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    started = time.monotonic()
    outcome = "failed"
    try:
        yield folder
        outcome = "ok"
    finally:
        record(step, outcome, time.monotonic() - started)


def require(session: nox.Session, passed: bool, sentence: str) -> None:
    if not passed:
        session.error(sentence)


# --- environments -------------------------------------------------------------------------------


def fingerprint(arguments: Sequence[str], files: Sequence[Path]) -> str:
    digest = hashlib.sha256("\n".join(arguments).encode())
    for path in files:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def environment(
    session: nox.Session,
    name: str,
    base: Interpreter,
    arguments: Sequence[str],
    *,
    files: Sequence[Path],
    says: str,
) -> Interpreter:
    """The environment .nox/NAME, made anew if what goes in changes."""
    folder = NOX / name
    stamp = folder / "made-of"
    made_of = fingerprint([str(base.path), *arguments], files)
    python = Interpreter(folder / "bin" / "python", base.launch)
    if stamp.exists() and stamp.read_text(encoding="utf-8") == made_of:
        return python
    pip = python.command("-m", "pip", "install", "-qq", *arguments)
    venv = base.command("-m", "venv", "--clear", folder)
    failed = run(session, f"making .nox/{name}", venv, quiet=True)
    failed = failed or run(session, f"installing {says} into .nox/{name}", pip, quiet=True)
    require(session, not failed, f".nox/{name} could not be made: see the lines above")
    stamp.write_text(made_of, encoding="utf-8")
    return python


def constraints(name: str) -> Path:
    return ROOT / "constraints" / name


def dev(session: nox.Session) -> Interpreter:
    """The product itself, editable, with a torch for the CPU and every tool."""
    arguments = ["-e", ".[dev]"]
    for name in ("cpu.txt", "dev.txt"):
        arguments += ["-c", str(constraints(name))]
    files = [ROOT / "pyproject.toml", constraints("cpu.txt"), constraints("dev.txt")]
    says = "the backend, torch and the tools (about 0.4 GB of downloads, 1.5 GB on disk)"
    return environment(
        session, "dev", Interpreter(Path(sys.executable)), arguments, files=files, says=says
    )


def interpreters(version: str) -> Iterator[str]:
    """Where a Python of that version may be: this one, on the PATH, among pyenv's."""
    yield sys.executable
    yield f"python{version}"
    pyenv = os.environ.get("PYENV_ROOT", str(Path.home() / ".pyenv"))
    yield from sorted(glob.glob(f"{pyenv}/versions/{version}.*/bin/python{version}"), reverse=True)


def find_python(version: str) -> Interpreter | None:
    """An interpreter that starts and is what its name says (a pyenv shim may not start)."""
    show = "import sys; print('%d.%d' % sys.version_info[:2], sys.executable)"
    for name in interpreters(version):
        try:
            done = subprocess.run([name, "-c", show], capture_output=True, text=True, check=False)
        except OSError:
            continue
        found, _, path = done.stdout.strip().partition(" ")
        if done.returncode == 0 and found == version:
            return Interpreter(Path(path))
    return None


def python_in_trixie() -> Interpreter | None:
    """Python 3.13 of a Debian trixie in a folder: for a root who may mount, on a Debian."""
    if not (shutil.which("apt-get") and os.geteuid() == 0 and shutil.which("unshare")):
        return None
    may_mount = subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False)
    if may_mount.returncode:
        return None
    return Interpreter(Path("/usr/bin/python3"), ("sh", str(PYTHON313), str(NOX / "trixie")))


def python_for(blender: Blender) -> Interpreter | None:
    found = find_python(blender.python)
    return found or (python_in_trixie() if blender.python == "3.13" else None)


def skip_without_python(session: nox.Session, step: str, blender: Blender) -> None:
    if python_for(blender):
        return
    sentence = (
        f"Blender {blender.version} needs Python {blender.python}, and there is none: put "
        f"python{blender.python} on the PATH, or run this as root on Debian, which can fetch one"
    )
    shutil.rmtree(REPORTS / step, ignore_errors=True)
    record(step, "skipped", 0.0, sentence)
    session.skip(sentence)


def missing_packages() -> list[str]:
    done = subprocess.run(
        [sys.executable, DEBIAN_PACKAGES], capture_output=True, text=True, check=True
    )
    return done.stdout.split()


def require_system_libraries(session: nox.Session) -> None:
    """bpy needs X11 and a Mesa EGL even without a window. As root on Debian they are installed."""
    packages = missing_packages()
    if packages and shutil.which("apt-get") and os.geteuid() == 0:
        install = "apt-get install -y -qq --no-install-recommends " + " ".join(packages)
        what = f"installing system libraries for bpy: {' '.join(packages)}"
        run(session, what, ["sh", "-c", f"apt-get update -qq && {install}"], quiet=True)
        packages = missing_packages()
    command = "sudo apt-get install --no-install-recommends " + " ".join(packages)
    require(session, not packages, f"bpy misses system libraries. On Debian or Ubuntu: {command}")


def bpy_environment(session: nox.Session, blender: Blender) -> Interpreter:
    """bpy and pytest only, so that in end-to-end tests zmq and msgspec come out of the zip."""
    base = python_for(blender)
    if base is None:
        session.error(f"Blender {blender.version} needs Python {blender.python}: none was found")
    require_system_libraries(session)
    wanted = constraints("blender.txt")
    return environment(
        session,
        f"bpy-{blender.version}",
        base,
        [f"bpy=={blender.bpy}", "-r", str(wanted)],
        files=[wanted],
        says=f"bpy {blender.bpy} (about 0.4 GB of downloads, 1 GB on disk)",
    )


def addon_libraries(session: nox.Session, blender: Blender, python: Interpreter) -> Path:
    """A folder with what the add-on's zip carries, for tests of the sources."""
    wanted = constraints("addon.txt")
    folder = NOX / f"bpy-{blender.version}-libraries"
    stamp = folder / "made-of"
    made_of = fingerprint([blender.bpy], [wanted])
    if not stamp.exists() or stamp.read_text(encoding="utf-8") != made_of:
        shutil.rmtree(folder, ignore_errors=True)
        pip = python.command("-m", "pip", "install", "-qq", "--target", folder, "-r", wanted)
        failed = run(
            session, f"installing the add-on's libraries into {folder.name}", pip, quiet=True
        )
        require(session, not failed, "the add-on's libraries could not be installed")
        stamp.write_text(made_of, encoding="utf-8")
    return folder


# --- what the sessions share --------------------------------------------------------------------


def pytest(
    session: nox.Session,
    python: Interpreter,
    report: Path,
    tests: Path,
    *options: str,
    variables: Mapping[str, str] | None = None,
) -> bool:
    """One pytest process; extra arguments of the nox command go to it.

    A process that dies before it writes its report counts as one failed test. Choosing no test is
    a failure unless arguments were given (`-k`).
    """
    what = f"testing {tests.relative_to(ROOT)}"
    arguments = [tests, f"--junitxml={report}", *options, *session.posargs]
    command = python.command("-m", "pytest", *arguments)
    code = run(session, what, command, limit=RUN_LIMIT, variables=variables)
    if not report.exists():
        report.write_text('<testsuite tests="1" errors="1"/>', encoding="utf-8")
    return code == 0 or (code == 5 and bool(session.posargs))


def pytest_in_blender(
    session: nox.Session,
    blender: Blender,
    folder: str,
    reports: Path,
    *options: str,
    variables: Mapping[str, str] | None = None,
) -> bool:
    """Every test module of the folder in a process of its own: Blender's state is the process's."""
    backend = dev(session)
    python = bpy_environment(session, blender)
    tweencel = backend.tool("tweencel")
    small = reports / "small.ckpt"
    command = backend.command("-m", "tests.weights.small", small)
    require(
        session,
        run(session, "making a small checkpoint", command, limit=RUN_LIMIT) == 0,
        "no torch",
    )
    told = {
        **(variables or {}),
        "TWEENCEL_BLENDER": blender.version,
        "TWEENCEL_EXECUTABLE": tweencel,
        "TWEENCEL_SMALL_CHECKPOINT": str(small),
    }
    if python.launch:
        told |= {"TWEENCEL_ON_HOST": tweencel, "TWEENCEL_EXECUTABLE": "/usr/local/bin/tweencel"}
    modules = sorted((ROOT / "tests" / folder).glob("**/test_*.py"))
    require(session, bool(modules), f"tests/{folder} has no test module: nothing was proven")
    results = [
        pytest(session, python, reports / f"{module.stem}.xml", module, *options, variables=told)
        for module in modules
    ]
    small.unlink()
    return all(results)


def blender_platform() -> str:
    return {"win32": "windows-x64", "darwin": "macos-arm64"}.get(sys.platform, "linux-x64")


def build_zip(session: nox.Session, blender: Blender) -> Path:
    """The zip that this Blender takes on this machine. The same sources give the same bytes."""
    bpy_environment(session, DEMO_BLENDER)
    python = Interpreter(Path(sys.executable))
    only = ["--series", blender.series, "--platform", blender_platform()]
    pattern = f"tweencel-*-{blender.zips}-{blender_platform()}.zip"
    for old in (ROOT / "dist").glob(pattern):
        old.unlink()
    command = python.command("build_addon.py", *only)
    failed = run(session, f"building the add-on for {blender.zips}", command)
    require(session, not failed, "the add-on could not be built")
    (path,) = (ROOT / "dist").glob(pattern)
    return path


# --- sessions -----------------------------------------------------------------------------------


@nox.session
def check(session: nox.Session) -> None:
    """Format, lint, import contracts, types."""
    python = dev(session)
    with recorded("check"):
        tool = python.tool
        codes = [
            run(session, "checking the format", [tool("ruff"), "format", "--check", "."]),
            run(session, "linting", [tool("ruff"), "check", "."]),
            run(session, "checking who imports whom", [tool("lint-imports"), "--no-logo"]),
            run(session, "checking types", [tool("pyright"), "--pythonpath", python.path]),
        ]
        require(session, not any(codes), "a check failed: see the lines above")


@nox.session
def unit(session: nox.Session) -> None:
    """Every test that needs neither Blender nor a zip."""
    python = dev(session)
    with recorded("unit") as reports:
        others = [f"--ignore=tests/{name}" for name in ("blender", "e2e", "build")]
        passed = pytest(session, python, reports / "unit.xml", ROOT / "tests", *others)
        require(session, passed, "a test failed")


@nox.session(name="zip")
def zip_(session: nox.Session) -> None:
    """Builds the add-on's six zips into dist/, checks them and tests the building."""
    python = dev(session)
    bpy_environment(session, DEMO_BLENDER)
    with recorded("zip") as reports:
        for old in (ROOT / "dist").glob("*.zip"):
            old.unlink()
        build = [python.path, "build_addon.py"]
        failed = run(session, "building the add-on's zips into dist/", build)
        failed = failed or run(session, "checking the zips", [*build, "--check"])
        passed = pytest(session, python, reports / "build.xml", ROOT / "tests" / "build")
        require(session, passed and not failed, "the add-on's zips are not fit to give away")


@nox.session
@each_blender
def bpy(session: nox.Session, version: str) -> None:
    """The add-on's tests inside a real Blender, from the sources."""
    step, blender = f"bpy({version})", BLENDERS[version]
    skip_without_python(session, step, blender)
    with recorded(step) as reports:
        libraries = addon_libraries(session, blender, bpy_environment(session, blender))
        # Not by PYTHONPATH: the backend that a test starts has another Python and would inherit it.
        options = ("-o", f"pythonpath=. {shlex.quote(str(libraries))}")
        passed = pytest_in_blender(session, blender, "blender", reports, *options)
        require(session, passed, f"a test failed in Blender {version}")


@nox.session
@each_blender
def e2e(session: nox.Session, version: str) -> None:
    """The built zip, installed from file, against a real backend; no source can be imported."""
    step, blender = f"e2e({version})", BLENDERS[version]
    skip_without_python(session, step, blender)
    with recorded(step) as reports:
        path = str(build_zip(session, blender))
        sealed = {"TWEENCEL_ZIP": path, "PYTHONSAFEPATH": "1"}
        options = ("-o", "pythonpath=")
        passed = pytest_in_blender(session, blender, "e2e", reports, *options, variables=sealed)
        require(session, passed, f"the round trip failed in Blender {version}")


@nox.session
def demo(session: nox.Session) -> None:
    """Drawings in, in-betweens back on the timeline of a real Blender, with a real backend."""
    backend = dev(session)
    blender = bpy_environment(session, DEMO_BLENDER)
    path = build_zip(session, DEMO_BLENDER)
    command = backend.command("demo/run_demo.py", "--bpy-python", blender.path, "--zip", path)
    command += ["--tweencel", backend.tool("tweencel"), *session.posargs]
    require(session, not run(session, "running the demo", command), "the demo failed")


@nox.session
def window(session: nox.Session) -> None:
    """Pictures of the panels for docs/images/, taken of a real Blender window."""
    backend = dev(session)
    command = backend.command("tests/window/take_pictures.py", *session.posargs)
    if "--tweencel" not in session.posargs:
        command += ["--tweencel", backend.tool("tweencel")]
    failed = run(session, "working in a Blender window", command)
    require(session, not failed, "not every picture was taken")


@nox.session
def test(session: nox.Session) -> None:
    """Everything, fast to slow, and the sums at the end."""
    shutil.rmtree(REPORTS, ignore_errors=True)
    for step in [*STEPS, "summary"]:
        session.notify(step)


@nox.session
def summary(session: nox.Session) -> None:
    """Adds up the reports of the last `nox -s test`; a step without a result counts as failed."""
    rows, counts = zip(*map(step_result, STEPS), strict=True)
    passed, failed, skipped = map(sum, zip(*counts, strict=True))
    lines = [
        f"{row['step']:9} {row['outcome']:9} {row['seconds']:6.1f} s {row['note']}" for row in rows
    ]
    lines.append(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    text = "\n".join(line.rstrip() for line in lines) + "\n"
    REPORTS.mkdir(parents=True, exist_ok=True)
    (REPORTS / "summary.txt").write_text(text, encoding="utf-8")
    print(text, end="")
    require(session, failed == 0, "not everything passed")


def step_result(step: str) -> tuple[dict[str, str | float], tuple[int, int, int]]:
    """How a step went and its tests: passed, failed, skipped.

    A step that failed without a failed test (lint, say) counts as one failed, a step that could not
    be run as one skipped.
    """
    path = REPORTS / f"{step}.json"
    if not path.exists():
        return {"step": step, "outcome": "no result", "seconds": 0.0, "note": ""}, (0, 1, 0)
    row = json.loads(path.read_text(encoding="utf-8"))
    reports = [junit_counts(report) for report in sorted((REPORTS / step).glob("*.xml"))]
    passed, failed, skipped = map(sum, zip((0, 0, 0), *reports, strict=True))
    if row["outcome"] == "failed":
        failed = max(failed, 1)
    return row, (passed, failed, skipped + (row["outcome"] == "skipped"))


def junit_counts(report: Path) -> tuple[int, int, int]:
    passed = failed = skipped = 0
    for suite in ElementTree.parse(report).getroot().iter("testsuite"):
        tests, failures, errors, left_out = (
            int(suite.get(key, "0")) for key in ("tests", "failures", "errors", "skipped")
        )
        passed += tests - failures - errors - left_out
        failed += failures + errors
        skipped += left_out
    return passed, failed, skipped
