# SPDX-License-Identifier: GPL-3.0-or-later
"""The main job from end to end, as a user would do it, and pictures of what came out.

The built extension is installed from its zip into a fresh profile of a real Blender (bpy), starts
the real backend, sends the four drawings of demo/drawings and gets the frames between them onto
the timeline. Then a contact sheet and a GIF are made of the files that came back.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

HERE = Path(__file__).parent
DRAWINGS = HERE / "drawings" / "1280x720"
PAPER = (0.96, 0.94, 0.89)
FPS = 12
Picture = npt.NDArray[np.uint8]


def main() -> int:
    options = read_options()
    started = time.monotonic()
    out: Path = options.out.resolve()
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    say(f"Keys: {', '.join(path.name for path in sorted(DRAWINGS.glob('*.png')))}")
    report = run_blender(options, out)
    if report is None:
        return 1
    say("Drawing the contact sheet and the GIF ...")
    frames = [Path(name) for name in report["frames"]]
    keys = set(report["key_places"])
    window = window_of([read(path) for path in frames])
    pictures = [over_paper(read(path)[window]) for path in frames]
    Image.fromarray(contact_sheet(pictures, keys)).save(out / "contact_sheet.png", optimize=True)
    save_gif(pictures, out / "hop.gif")
    print_report(report, out, time.monotonic() - started)
    return 0


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bpy-python", required=True, help="a Python with bpy in it")
    parser.add_argument("--zip", required=True, type=Path, help="the extension that was built")
    parser.add_argument("--tweencel", required=True, help="the tweencel program")
    parser.add_argument("--engine", default="rife")
    parser.add_argument("--out", type=Path, default=HERE / "out")
    return parser.parse_args()


def say(text: str) -> None:
    print(text, flush=True)


def run_blender(options: argparse.Namespace, out: Path) -> dict | None:
    """Drive the extension inside Blender; its report, or None if it failed."""
    say("Starting Blender with a fresh profile ...")
    profile = out / "profile"
    report = out / "report.json"
    command = [options.bpy_python, str(HERE / "in_blender.py"), "--zip", str(options.zip.resolve())]
    command += ["--drawings", str(DRAWINGS), "--out", str(out), "--engine", options.engine]
    environment = {
        **os.environ,
        "BLENDER_USER_RESOURCES": str(profile),
        "TWEENCEL_EXECUTABLE": options.tweencel,
        "TWEENCEL_HOME": str(out / "backend"),
    }
    done = subprocess.run(command, env=environment, timeout=540, check=False)
    for left_over in (profile, out / "backend"):
        shutil.rmtree(left_over, ignore_errors=True)
    if done.returncode or not report.exists():
        say(f"Blender ended with exit code {done.returncode}: see above.")
        return None
    return json.loads(report.read_text())


def read(path: Path) -> Picture:
    """A drawing as straight RGBA, (H, W, 4)."""
    return cv2.cvtColor(cv2.imread(str(path), cv2.IMREAD_UNCHANGED), cv2.COLOR_BGRA2RGBA)


def window_of(pictures: list[Picture], margin: int = 24) -> tuple[slice, slice]:
    """Rows and columns that hold all the paint of a shot."""
    paint = np.max([picture[..., 3] for picture in pictures], axis=0) > 0
    rows, columns = np.flatnonzero(paint.any(1)), np.flatnonzero(paint.any(0))
    return (
        slice(max(0, rows[0] - margin), rows[-1] + margin),
        slice(max(0, columns[0] - margin), columns[-1] + margin),
    )


def over_paper(picture: Picture, width: int = 480) -> Picture:
    """The drawing laid over paper, `width` pixels wide, (H, W, 3)."""
    alpha = picture[..., 3:].astype(np.float32) / 255
    flat = picture[..., :3] * alpha + 255 * np.float32(PAPER) * (1 - alpha)
    size = (width, round(picture.shape[0] * width / picture.shape[1]))
    return cv2.resize(flat.round().astype(np.uint8), size, interpolation=cv2.INTER_AREA)


def contact_sheet(pictures: list[Picture], keys: set[int], columns: int = 5) -> Picture:
    """All drawings in their order; keys have a dark frame and say so."""
    width, margin, foot = 300, 12, 26
    height = round(pictures[0].shape[0] * width / pictures[0].shape[1])
    rows = -(-len(pictures) // columns)
    size = (rows * (height + foot + margin) + margin, columns * (width + margin) + margin, 3)
    sheet = np.full(size, 255, np.uint8)
    for number, picture in enumerate(pictures):
        x = margin + number % columns * (width + margin)
        y = margin + number // columns * (height + foot + margin)
        sheet[y : y + height, x : x + width] = cv2.resize(
            picture, (width, height), interpolation=cv2.INTER_AREA
        )
        is_key = number in keys
        ink, weight = ((40, 40, 40), 3) if is_key else ((205, 205, 205), 1)
        cv2.rectangle(sheet, (x, y), (x + width - 1, y + height - 1), ink, weight)
        text = f"{number + 1}  key (your file)" if is_key else f"{number + 1}"
        ink = (40, 40, 40) if is_key else (130, 130, 130)
        place = (x + 2, y + height + 19)
        cv2.putText(sheet, text, place, cv2.FONT_HERSHEY_DUPLEX, 0.55, ink, 1, cv2.LINE_AA)
    return sheet


def save_gif(pictures: list[Picture], path: Path) -> None:
    """The shot at 12 frames a second, forth and back, for ever."""
    frames = [Image.fromarray(picture) for picture in [*pictures, *pictures[-2:0:-1]]]
    palette = frames[len(pictures) // 2].quantize(128)
    flat = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    flat[0].save(path, save_all=True, append_images=flat[1:], duration=1000 // FPS, loop=0)


def print_report(report: dict, out: Path, total: float) -> None:
    say("")
    for name, seconds in report["stages"].items():
        say(f"  {seconds:7.2f} s  {name}")
    say(f"  {total:7.2f} s  all of the demo")
    say("")
    wall, engine = report["generate"], report["engine"]
    say(
        f"From Generate to the last of {report['made']} frames on the timeline: {wall:.2f} s, of "
        f"which the engine worked {engine:.2f} s; the rest is {100 * (1 - engine / wall):.1f} %."
    )
    say(
        f"Longest single step on Blender's main thread: {1000 * report['longest_step']:.1f} ms "
        f"({report['longest_step_name']})."
    )
    say("")
    for text, name in [
        ("the .blend with the new strip", "hop.blend"),
        ("the frames and how they were made", report["folder"]),
        ("contact sheet", "contact_sheet.png"),
        ("the shot, rendered by Blender", "hop.mp4"),
        ("the shot as a GIF", "hop.gif"),
    ]:
        say(f"  {text}: {os.path.relpath(out / name)}")


if __name__ == "__main__":
    sys.exit(main())
