# SPDX-License-Identifier: GPL-3.0-or-later
"""A Blender with the add-on registered, a scene with strips, and a backend in memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import bpy

import blender_addon
from blender_addon import live, vse
from blender_addon.session import Contact
from blender_addon.work import Work
from tests.fakes.backend import ENDPOINT, FakeBackend, png


@dataclass
class Stage:
    """What a test plays with."""

    folder: Path
    backend: FakeBackend = field(default_factory=FakeBackend)

    @property
    def live(self) -> live.Live:
        return live.get()

    @property
    def scene(self) -> bpy.types.Scene:
        return bpy.context.scene

    @property
    def settings(self) -> Any:
        return self.scene.tweencel

    @property
    def strips(self) -> Any:
        return self.scene.sequence_editor_create().strips

    @property
    def result(self) -> Any:
        """The one strip that we made."""
        (made,) = [strip for strip in self.strips if "tweencel_job" in strip]
        return made

    @property
    def work(self) -> Work:
        return next(reversed(self.live.session.works.values()))

    def connect(self) -> None:
        self.live.session.connect(ENDPOINT)
        self.pump(lambda: self.live.session.contact is Contact.CONNECTED)

    def pump(self, done: Callable[[], bool], seconds: float = 60.0) -> None:
        end = time.monotonic() + seconds
        while not done():
            assert time.monotonic() < end, "it never came to that"
            live.beat()

    def draw_keys(self, count: int, folder: str = "keys", **look: int) -> list[Path]:
        """Small drawings on disk."""
        place = self.folder / folder
        place.mkdir(exist_ok=True)
        paths = [place / f"hop_{number:04d}.png" for number in range(1, count + 1)]
        for number, path in enumerate(paths):
            path.write_bytes(png(grey=100 + number, **look))
        return paths

    def add(self, path: Path | Sequence[Path], frame: int, channel: int = 1, hold: int = 1) -> Any:
        """A selected strip with one drawing or several; each is held for `hold` frames."""
        paths = [path] if isinstance(path, Path) else list(path)
        first = paths[0]
        strip = self.strips.new_image(
            name=first.name, filepath=str(first), channel=channel, frame_start=frame
        )
        for other in [p for p in paths for _ in range(hold)][1:]:
            strip.elements.append(other.name)
        strip.select = True
        return strip

    def add_keys(self, *frames: int, **look: int) -> list[Path]:
        """One strip with one drawing on each of these frames."""
        paths = self.draw_keys(len(frames), **look)
        for path, frame in zip(paths, frames, strict=True):
            self.add(path, frame)
        return paths

    def save(self) -> Path:
        """Save the .blend file in the test's folder."""
        path = self.folder / "shot.blend"
        bpy.ops.wm.save_as_mainfile(filepath=str(path))
        return path


@contextmanager
def stage(folder: Path) -> Iterator[Stage]:
    """The add-on registered in an empty, unsaved file."""
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    blender_addon.register()
    made = Stage(folder)
    live._live = live.Live(made.backend.connect, folder / "jobs")
    try:
        made.settings.folder = str(folder / "out")
        yield made
    finally:
        blender_addon.unregister()


def shown_files(strip: Any) -> list[str]:
    """The file on each frame of a strip, as the strip names it."""
    return [strip.strip_elem_from_frame(frame).filename for frame in range(*span(strip))]


def shown_names(strip: Any) -> list[str]:
    """The base name of the file on each frame of a strip."""
    return [name.rpartition("/")[2] for name in shown_files(strip)]


def span(strip: Any) -> tuple[int, int]:
    return vse.begin(strip), vse.end(strip)


class Recorder:
    """Stands for a layout: notes what a panel draws."""

    def __init__(self, drawn: list[tuple[str, dict[str, Any]]] | None = None) -> None:
        self.drawn: list[tuple[str, dict[str, Any]]] = [] if drawn is None else drawn

    def __getattr__(self, kind: str) -> Callable[..., Any]:
        def draw(*given: Any, **named: Any) -> Recorder:
            self.drawn.append((kind, named | {"given": given}))
            return Recorder(self.drawn)

        return draw

    @property
    def texts(self) -> list[str]:
        return [named["text"] for _, named in self.drawn if named.get("text")]

    @property
    def verbs(self) -> list[str]:
        return [named["given"][0] for kind, named in self.drawn if kind == "operator"]

    @property
    def settings(self) -> list[str]:
        return [named["given"][1] for kind, named in self.drawn if kind == "prop"]
