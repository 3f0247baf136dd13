# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames to a movie or an animation by the local tweencel program. It knows no Blender.

The program runs beside Blender: `poll` looks once and never waits.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import msgspec

from protocol.errors import BackendFailure, BackendNotFound, TweencelError

from .backend_process import FOREIGN

KINDS = {
    "MP4": ".mp4",
    "WEBM": ".webm",
    "GIF": ".gif",
    "APNG": ".apng",
    "WEBP": ".webp",
    "PNG": "_####.png",
    "EXR": "_####.exr",
}
"""How the name of a file of each kind ends. `####` is the frame's number."""


class _Refusal(msgspec.Struct):
    text: str
    fix: str = ""


class Export:
    """One run of `tweencel export`."""

    def __init__(
        self, program: Path, folder: Path, target: Path, fps: str, times: int | None
    ) -> None:
        """Start it. `fps` as text, so that 24000/1001 stays exact; `times` 0: for ever, None: as
        usual for the kind of file. Files that are there are replaced.

        Raises BackendNotFound if the program cannot be run.
        """
        self.target = target
        command = [str(program), "export", str(folder), str(target), "--fps", fps]
        command += ["--times", str(times)] if times is not None else []
        command += ["--overwrite", "--json"]
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,  # a line or none: it never fills
                env={name: value for name, value in os.environ.items() if name not in FOREIGN},
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )
        except OSError as problem:
            raise BackendNotFound(
                f"{program} cannot be run: {problem.strerror or problem}.",
                fix="Set the path of the tweencel program in the add-on's preferences.",
            ) from None

    def poll(self) -> bool:
        """Whether it has ended well; False: it still runs. Raises what the program has said."""
        code = self._process.poll()
        if code is None:
            return False
        assert self._process.stderr is not None
        with self._process.stderr as stream:
            said = stream.read().decode("utf-8", "replace").strip().splitlines()
        if code:
            raise _problem(said[-1] if said else "")
        return True

    def stop(self) -> None:
        """End it at once; a half file may stay."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        if self._process.stderr is not None:
            self._process.stderr.close()


def target_of(path: Path, kind: str) -> Path:
    """The path with the ending that its kind asks for."""
    stem = path.stem if path.suffix else path.name
    return path.with_name(stem.rstrip("#").rstrip("_") + KINDS[kind])


def _problem(line: str) -> TweencelError:
    try:
        refusal = msgspec.json.decode(line.encode(), type=_Refusal)
    except ValueError:
        return BackendFailure(f"The export failed: {line[:300] or 'it left no word'}")
    return BackendFailure(refusal.text, fix=refusal.fix)
