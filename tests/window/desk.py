# SPDX-License-Identifier: GPL-3.0-or-later
"""An eye, a hand and a stop-watch in a Blender window. It knows no state and no panel.

Everything that lasts is an iterator of the seconds to wait: between two of its steps Blender lives
on. Real input is sent by `event_simulate`: the pointer moves first and presses in a later step.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import bpy

EXTENSION = "bl_ext.user_default.tweencel"
TAB = "Tweencel"
TICK = 0.06


class Desk:
    """The one window, with one area in it."""

    def __init__(self) -> None:
        told = json.loads(os.environ["TWEENCEL_WINDOW"])
        self.pictures = Path(told["pictures"])
        self.work = Path(told["work"])
        self.only: list[str] | None = told["only"]
        self.start: str | None = told["start"]
        self.until: str | None = told["until"]
        self.live: Any = importlib.import_module(f"{EXTENSION}.live")
        self.times: dict[str, list[tuple[float, float]]] = {}
        """For each name all its calls: seconds, and seconds of this thread's own work."""
        self.watch()

    def say(self, text: str) -> None:
        print(f"| {text}", flush=True)

    # What is where --------------------------------------------------------------------------------

    @property
    def window(self) -> Any:
        return bpy.context.window_manager.windows[0]

    @property
    def area(self) -> Any:
        return max(self.window.screen.areas, key=lambda area: area.width * area.height)

    @property
    def scene(self) -> Any:
        return self.window.scene

    @property
    def settings(self) -> Any:
        return self.scene.tweencel

    @property
    def sources(self) -> Any:
        return self.scene.tweencel_sources

    @property
    def loop(self) -> Any:
        return self.scene.tweencel_loop

    @property
    def loops(self) -> Any:
        return self.live.get().loops

    @property
    def session(self) -> Any:
        return self.live.get().session

    @property
    def job(self) -> Any:
        """The newest one."""
        return next(reversed(self.session.works.values())).job

    def region(self, kind: str) -> Any:
        return next(region for region in self.area.regions if region.type == kind)

    def override(self, kind: str = "WINDOW") -> Any:
        return bpy.context.temp_override(
            window=self.window, area=self.area, region=self.region(kind)
        )

    # Waiting --------------------------------------------------------------------------------------

    def wait(self, done: Callable[[], bool], what: str, patience: float = 60.0) -> Iterator[float]:
        end = time.monotonic() + patience
        while not done():
            if time.monotonic() > end:
                raise RuntimeError(f"it never came to {what}: {self.live.get().notice}")
            yield TICK

    def settle(self) -> Iterator[float]:
        """Until everything is drawn as it is now."""
        for _ in range(3):
            for area in self.window.screen.areas:
                area.tag_redraw()
            yield 0.2

    # The hand -------------------------------------------------------------------------------------

    def send(self, kind: str, value: str, x: float, y: float) -> None:
        self.window.event_simulate(type=kind, value=value, x=int(x), y=int(y))

    def move(self, x: float, y: float) -> Iterator[float]:
        self.send("MOUSEMOVE", "NOTHING", x - 1, y)
        yield TICK
        self.send("MOUSEMOVE", "NOTHING", x, y)
        yield TICK

    def click(self, x: float, y: float) -> Iterator[float]:
        yield from self.move(x, y)
        for value in ("PRESS", "RELEASE"):
            self.send("LEFTMOUSE", value, x, y)
            yield 2 * TICK

    def drag(self, x: float, y: float, to: float) -> Iterator[float]:
        """Sideways."""
        yield from self.move(x, y)
        self.send("LEFTMOUSE", "PRESS", x, y)
        yield TICK
        for part in (0.25, 0.5, 0.75, 1.0):
            self.send("MOUSEMOVE", "NOTHING", x + (to - x) * part, y)
            yield TICK
        self.send("LEFTMOUSE", "RELEASE", to, y)
        yield 2 * TICK

    def rest(self) -> Iterator[float]:
        """The pointer goes where nothing lights up; a report that lies over the window closes."""
        x, y = self.area.x + self.area.width * 0.3, self.area.y + 60
        yield from self.move(x, y)
        for value in ("PRESS", "RELEASE"):
            self.send("ESC", value, x, y)
            yield TICK

    # The room and its sidebar ---------------------------------------------------------------------

    def one_area(self, kind: str) -> Iterator[float]:
        """Only the largest area stays, and becomes an editor of that kind."""
        keep = self.area
        while len(self.window.screen.areas) > 1:
            other = next(area for area in self.window.screen.areas if area != keep)
            with bpy.context.temp_override(window=self.window, area=other):
                bpy.ops.screen.area_close()
            yield TICK
        self.area.ui_type = kind
        yield 0.5

    def sidebar(self, width: int) -> Iterator[float]:
        """The sidebar is opened, made that wide, and shows our tab."""
        self.area.spaces.active.show_region_ui = True
        yield 0.5
        region = self.region("UI")
        edge, right = region.x, region.x + region.width
        # Near the top: where no panel is, the sidebar of the 3D View lets the pointer through.
        yield from self.drag(edge, region.y + region.height - 45, to=right - width)
        yield from self.settle()
        yield from self.tab()
        yield from self.rest()

    def tab(self) -> Iterator[float]:
        """Click down the column of tabs until ours is open: their places depend on the version."""
        region = self.region("UI")
        for y in range(region.y + region.height - 15, region.y, -15):
            if region.active_panel_category == TAB:
                return
            yield from self.click(region.x + region.width - 9, y)
        raise RuntimeError(f"no tab {TAB} in {self.area.ui_type}")

    def press(
        self, operator: str, parts: Sequence[float] = (0.5, 0.5, 0.2, 0.8)
    ) -> Iterator[float]:
        """Click the button of that operator, wherever in the sidebar it is."""
        yield from self.scroll("WHEELUPMOUSE", 40)
        x, y = yield from self.find(operator, parts)
        yield from self.click(x, y)
        yield from self.scroll("WHEELUPMOUSE", 40)
        yield from self.rest()

    def scroll(self, kind: str, steps: int) -> Iterator[float]:
        region = self.region("UI")
        x, y = region.x + region.width * 0.5, region.y + region.height - 30
        yield from self.move(x, y)
        for _ in range(steps):
            self.send(kind, "PRESS", x, y)
            yield TICK / 4

    def find(self, operator: str, parts: Sequence[float] = (0.5, 0.5, 0.2, 0.8)) -> Any:
        """Move down the sidebar and ask Blender what lies under the pointer.

        `parts`: where across the sidebar to look, one way down after the other.
        """
        region = self.region("UI")
        for part in parts:
            yield from self.settle()
            x = region.x + region.width * part
            for y in range(region.y + region.height - 6, region.y, -9):
                yield from self.move(x, y)
                if self.under_pointer().startswith(f"bpy.ops.{operator}("):
                    return x, y
            yield from self.scroll("WHEELDOWNMOUSE" if part == 0.5 else "WHEELUPMOUSE", 12)
        raise RuntimeError(f"no button {operator} in the sidebar")

    def unfold(self, panel: str) -> Iterator[float]:
        """Open a panel that is closed: A opens and closes what the pointer is on. Those above it
        are closed, or not, as it happens."""
        region = self.region("UI")
        x = region.x + region.width * 0.5
        for y in range(region.y + region.height - 12, region.y, -9):
            yield from self.move(x, y)
            self.times.clear()
            for value in ("PRESS", "RELEASE"):
                self.send("A", value, x, y)
                yield 2 * TICK
            yield 0.3  # it glides
            if self.times.get(f"panel {panel}"):
                return
        raise RuntimeError(f"no panel {panel} in the sidebar")

    def under_pointer(self) -> str:
        manager = bpy.context.window_manager
        manager.clipboard = ""
        with self.override("UI"):
            if bpy.ops.ui.copy_python_command_button.poll():
                bpy.ops.ui.copy_python_command_button()
        return manager.clipboard

    # The eye --------------------------------------------------------------------------------------

    def rectangle(self, part: str) -> tuple[int, int, int, int]:
        """x, y from the top, width, height."""
        place = {"sidebar": lambda: self.region("UI"), "area": lambda: self.area}.get(part)
        if place is None:
            return 0, 0, self.window.width, self.window.height
        found = place()
        return found.x, self.window.height - found.y - found.height, found.width, found.height

    def picture(self, name: str, part: str) -> Iterator[float]:
        x, y, width, height = self.rectangle(part)
        path = self.pictures / name
        command = ["import", "-window", "root", "-crop", f"{width}x{height}+{x}+{y}", "+repage"]
        # Blender's own screenshot, taken from a timer, is black.
        process = subprocess.Popen([*command, str(path)])
        while process.poll() is None:
            yield TICK
        if process.returncode:
            raise RuntimeError(f"ImageMagick could not take {name}")

    # The stop-watch -------------------------------------------------------------------------------

    def watch(self) -> None:
        """Time every verb, every drawing of a panel, and what a beat is made of."""
        verb = importlib.import_module(f"{EXTENSION}.operators.verb").Verb
        verb.execute = self.callback("operator", verb.execute)
        for kind in importlib.import_module(f"{EXTENSION}.panels").CLASSES:
            if "draw" in vars(kind):
                kind.draw = self.callback("panel", kind.draw)
        session = importlib.import_module(f"{EXTENSION}.session").Session
        for kind in (self.live.Live, session):
            for name, act in list(vars(kind).items()):
                if inspect.isfunction(act) and (name.startswith("_") or name in ("beat", "tick")):
                    setattr(kind, name, self.timed(f"{kind.__name__}.{name}", act))
        timeline = importlib.import_module(f"{EXTENSION}.timeline")
        for name in ("show", "settle", "place", "mend"):
            setattr(timeline, name, self.timed(f"timeline.{name}", getattr(timeline, name)))

    def callback(self, what: str, act: Callable[..., Any]) -> Callable[..., Any]:
        """Blender counts the arguments of what it calls."""
        timed = self.timed(what, act)
        return lambda this, context: timed(this, context)

    def timed(self, what: str, act: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(act)
        def timed_act(*given: Any, **named: Any) -> Any:
            began, worked = time.perf_counter(), time.thread_time()
            try:
                return act(*given, **named)
            finally:
                verb = getattr(type(given[0]), "bl_idname", "") if given else ""
                seconds, work = time.perf_counter() - began, time.thread_time() - worked
                self.times.setdefault(f"{what} {verb}".strip(), []).append((seconds, work))

        return timed_act

    def longest(self, name: str) -> str:
        """The longest call of all whose names begin so."""
        calls = [call for key, all_ in self.times.items() if key.startswith(name) for call in all_]
        over = sum(seconds > 0.02 for seconds, _ in calls)
        seconds = max((seconds for seconds, _ in calls), default=0.0)
        work = max((work for _, work in calls), default=0.0)
        return (
            f"{1e3 * seconds:.1f} ms, {over} of {len(calls)} over 20 ms; "
            f"longest at work {1e3 * work:.1f} ms"
        )

    def print_times(self, title: str) -> None:
        """What took longest since the last time this was called."""
        self.say(f"Longest steps of the add-on on Blender's main thread, {title}:")
        self.say(f"  longest tick {self.longest('Live.beat')}")
        self.say(f"  longest operator step {self.longest('operator')}")
        self.say("      ms  of these worked  calls  over 20 ms")
        for name, calls in sorted(self.times.items(), key=lambda item: max(item[1]), reverse=True):
            longest, work = max(calls)
            over = sum(seconds > 0.02 for seconds, _ in calls)
            if longest > 0.001:
                self.say(
                    f"  {1e3 * longest:6.1f} {1e3 * work:16.1f} {len(calls):6} {over:11}  {name}"
                )
        self.times.clear()
