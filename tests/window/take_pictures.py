# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts a Blender window on a virtual screen with the built add-on and a backend beside it.

What is done in the window, and which pictures are taken of it, is told in states.py. With --root
the display, Blender and the tools are those of another system in a folder (a chroot), in which
this checkout must be seen at the same path. The backend always runs here.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from demo import draw_keys  # noqa: E402

HERE = Path(__file__).resolve().parent
WORK = ROOT / ".nox" / "window"
SIZES = {"720": (1280, 720), "1080": (1920, 1080)}
MOST_BYTES = 190_000
TEXT_END = -60  # right of it a sidebar has its scroll bar and tabs
LIMIT = 900.0  # seconds for everything that is done in the window
PROBE = """
import addon_utils, bpy, json, pathlib, sys
builder = pathlib.Path(addon_utils.__file__).parent.parent / "addons_core/bl_pkg/cli/blender_ext.py"
print("PROBE", json.dumps([bpy.app.version[:3], sys.version_info[:2], str(builder)]))
"""


class Missing(Exception):
    """What is not there, in one sentence."""


def main() -> int:
    options = read_options()
    try:
        return take(options)
    except Missing as problem:
        print(f"take_pictures.py: {problem}", file=sys.stderr)
        return 1


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, help="a system in a folder, to be used by chroot")
    parser.add_argument("--blender", default="blender", help="the Blender binary")
    parser.add_argument("--tweencel", required=True, help="the tweencel program")
    parser.add_argument("--zip", type=Path, help="an extension that is built already")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "images")
    parser.add_argument("--size", default="1600x1360", help="of the screen, in pixels")
    parser.add_argument("--only", nargs="*", help="take only the pictures of these states")
    parser.add_argument("--start", help="leave out what lies before this state, if it can be")
    parser.add_argument("--until", help="end after this state")
    return parser.parse_args()


class System:
    """Where the display, Blender and ImageMagick are: this system or one in a folder."""

    def __init__(self, root: Path | None, blender: str) -> None:
        self.root, self.blender = root, blender
        if root and os.geteuid() != 0:
            raise Missing("--root needs chroot, which only root may call.")
        for name, brings in ((blender, "blender"), ("Xvfb", "xvfb"), ("import", "imagemagick")):
            if not self.has(name):
                place = f"in {root}" if root else "on the PATH"
                raise Missing(f"there is no {name} {place}: on Debian, install {brings}.")
        if root and not (root / str(HERE).lstrip("/")).is_dir():
            raise Missing(f"{root} does not see this checkout: mount --bind {ROOT} {root}{ROOT}")

    def has(self, program: str) -> bool:
        if self.root is None:
            return shutil.which(program) is not None
        # A link in there may point to a place that only the chroot sees.
        places = [self.outside(folder) for folder in ("/usr/local/bin", "/usr/bin", "/bin")]
        return any(os.path.lexists(place / program) for place in places) or (
            os.path.isabs(program) and self.outside(program).exists()
        )

    def command(self, *arguments: str | Path) -> list[str]:
        jump = ["chroot", str(self.root)] if self.root else []
        return [*jump, *map(str, arguments)]

    def outside(self, path: str) -> Path:
        """A path of that system as this one sees it."""
        return Path(f"{self.root}{path}") if self.root else Path(path)


def take(options: argparse.Namespace) -> int:
    system = System(options.root, options.blender)
    shutil.rmtree(WORK, ignore_errors=True)
    for name in ("profile", "home", "pictures"):
        (WORK / name).mkdir(parents=True)
    draw()
    with ExitStack() as stack:
        environment = variables(options, stack.enter_context(screen(system, options.size)))
        archive = options.zip or build(system, environment)
        install(system, archive, environment)
        stack.enter_context(backend(options.tweencel, environment))
        code = show(system, options, environment)
    return report(code, options.out)


def say(text: str) -> None:
    print(text, flush=True)


def draw() -> None:
    for name, size in SIZES.items():
        folder = WORK / "keys" / name
        folder.mkdir(parents=True)
        for frame in draw_keys.KEY_FRAMES:
            ready = draw_keys.Path(draw_keys.__file__).parent / "drawings"
            ready = ready / draw_keys.folder_name(size) / draw_keys.key_name(frame)
            if ready.exists():
                shutil.copy(ready, folder)
            else:
                draw_keys.write(folder / ready.name, draw_keys.draw(frame, size))


def variables(options: argparse.Namespace, display: str) -> dict[str, str]:
    """The environment of Blender and the backend."""
    told = {
        "pictures": str(WORK / "pictures"),
        "work": str(WORK),
        "only": options.only,
        "start": options.start,
        "until": options.until,
    }
    return {
        **os.environ,
        "DISPLAY": display,
        "LIBGL_ALWAYS_SOFTWARE": "1",
        "HOME": str(WORK / "home"),
        "BLENDER_USER_RESOURCES": str(WORK / "profile"),
        "TWEENCEL_HOME": str(WORK / "backend"),
        "TWEENCEL_WINDOW": json.dumps(told),
    }


# --- what is started ----------------------------------------------------------------------------


@contextmanager
def running(
    command: list[str], log: Path, environment: Mapping[str, str] | None = None, **more: Any
) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=output, env=environment, cwd=ROOT, **more
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def screen(system: System, size: str) -> Iterator[str]:
    """A virtual screen on a display that is free; gives its name."""
    log, (read, write) = WORK / "xvfb.log", os.pipe()
    command = system.command("Xvfb", "-displayfd", str(write), "-screen", "0", f"{size}x24")
    command += ["+extension", "GLX", "+render", "-noreset", "-nolisten", "tcp"]
    with running(command, log, pass_fds=(write,)):
        os.close(write)
        with os.fdopen(read) as pipe:
            number = pipe.readline().strip()
        if not number:
            raise Missing(f"Xvfb did not start: {tail(log)}")
        yield f":{number}"


@contextmanager
def backend(program: str, environment: Mapping[str, str]) -> Iterator[None]:
    """A backend that the add-on's own button then finds."""
    command = [program, "serve", "--idle-exit", "30"]
    quiet = {k: v for k, v in environment.items() if k != "DISPLAY"}
    with running(command, WORK / "backend.log", quiet) as process:
        wait(lambda: any((WORK / "backend").glob("**/connection*")), process, "backend.log")
        yield


def wait(done: Callable[[], bool], process: subprocess.Popen[bytes], log: str) -> None:
    end = time.monotonic() + 60
    while not done():
        if process.poll() is not None or time.monotonic() > end:
            raise Missing(f"the backend did not start: {tail(WORK / log)}")
        time.sleep(0.1)


def tail(log: Path, size: int = 3000) -> str:
    return log.read_text("utf-8", "replace")[-size:] if log.exists() else ""


# --- the add-on ---------------------------------------------------------------------------------


def build(system: System, environment: Mapping[str, str]) -> Path:
    """The zip for the Python that this Blender has; Debian's Blenders have another."""
    command = system.command(system.blender, "-b", "--factory-startup", "--python-expr", PROBE)
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, timeout=120
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("PROBE ")]
    if not lines:
        raise Missing(f"this Blender does not start: {(done.stdout + done.stderr)[-2000:]}")
    version, (major, minor), builder = json.loads(lines[0].removeprefix("PROBE "))
    python = f"cp{major}{minor}"
    say(f"Blender {'.'.join(map(str, version))} with Python {major}.{minor}")
    options = ["--series", "A" if python == "cp311" else "B", "--platform", "linux-x64"]
    if python not in ("cp311", "cp313"):
        options += ["--python-tag", python, "--abi", "abi3"]
    if version < [5, 1, 0] and python != "cp311":
        options += ["--blender-min", f"{version[0]}.{version[1]}.0"]
    options += ["--blender-ext", str(system.outside(builder)), "--out", str(WORK)]
    subprocess.run([sys.executable, str(ROOT / "build_addon.py"), *options], check=True, cwd=ROOT)
    (path,) = WORK.glob("tweencel-*.zip")
    return path


def install(system: System, archive: Path, environment: Mapping[str, str]) -> None:
    command = system.command(system.blender, "--command", "extension", "install-file")
    command += ["-r", "user_default", "-e", str(archive.resolve())]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, timeout=120
    )
    if not any((WORK / "profile").glob("**/tweencel/blender_manifest.toml")):
        raise Missing(f"Blender refused {archive.name}: {(done.stdout + done.stderr)[-2000:]}")


def show(system: System, options: argparse.Namespace, environment: Mapping[str, str]) -> int:
    """Let the window run its course; its exit code."""
    width, height = options.size.split("x")
    command = system.command(system.blender, "--window-geometry", "0", "0", width, height)
    command += ["--enable-event-simulate", "--python", str(HERE / "in_window.py")]
    log = WORK / "blender.log"
    with running(command, log, environment) as process, log.open() as lines:
        end = time.monotonic() + LIMIT
        while process.poll() is None and time.monotonic() < end:
            follow(lines)
            time.sleep(0.2)
        follow(lines)
        if process.poll() is None:
            raise Missing(f"the window was not done after {LIMIT:.0f} s.")
        return process.returncode


def follow(lines: IO[str]) -> None:
    """What the script in the window says; not what Blender says."""
    for line in lines.read().splitlines():
        if line.startswith("| "):
            say(line.removeprefix("| "))


def report(code: int, out: Path) -> int:
    if code:
        say(tail(WORK / "blender.log"))
        say(f"Blender ended with exit code {code}; what there is lies in {WORK.relative_to(ROOT)}.")
        return 1
    out.mkdir(parents=True, exist_ok=True)
    for path in sorted((WORK / "pictures").glob("*.png")):
        size = save_small(path, out / path.name)
        say(f"{path.name}: {size / 1000:.0f} kB")
    return 0


def save_small(path: Path, target: Path) -> int:
    """In as many colours as MOST_BYTES allow; how large it became."""
    whole = trimmed(Image.open(path).convert("RGB"))
    for colours in (255, 128, 64, 32):
        whole.quantize(colours, dither=Image.Dither.NONE).save(target, optimize=True)
        if target.stat().st_size <= MOST_BYTES:
            break
    return target.stat().st_size


def trimmed(picture: Image.Image) -> Image.Image:
    """A sidebar without its empty end."""
    if picture.height <= picture.width:
        return picture
    pixels = np.asarray(picture, np.int16)[:, :TEXT_END]
    empty = np.abs(pixels - pixels[-8:-7]).max((1, 2)) <= 6
    end = picture.height - int(np.argmin(empty[::-1]))
    return picture.crop((0, 0, picture.width, min(end + 8, picture.height)))


if __name__ == "__main__":
    sys.exit(main())
