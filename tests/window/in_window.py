# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs inside Blender: goes through the states one after the other, as its timer."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path

import bpy

sys.path.insert(0, str(Path(__file__).resolve().parent))

from desk import Desk
from states import STATES, State


def play() -> Iterator[float]:
    """Every state: do what leads to it, wait until it is there, take its pictures."""
    desk = Desk()
    try:
        yield from go_through(desk)
    except Exception:
        traceback.print_exc()
        yield from desk.picture("window_failed.png", "window")
        os._exit(1)
    os._exit(0)  # no question whether to save, no waiting for a job


def go_through(desk: Desk) -> Iterator[float]:
    yield 1.0
    for state in chosen(desk):
        yield from state.act(desk)
        yield from desk.wait(lambda state=state: state.ready(desk), state.name, state.patience)
        yield from desk.settle()
        if not desk.only or state.name in desk.only:
            for suffix, part in state.parts.items():
                yield from desk.picture(f"window_{state.name}{suffix}.png", part)
        if state.name == desk.until:
            return


def chosen(desk: Desk) -> tuple[State, ...]:
    """All states, or the first two (a sequencer, connected) and those from one on."""
    names = [state.name for state in STATES]
    return STATES if desk.start is None else (*STATES[:2], *STATES[names.index(desk.start) :])


bpy.context.preferences.view.show_splash = False
bpy.context.preferences.view.show_tooltips = False  # they would lie over menus
playing = play()
bpy.app.timers.register(playing.__next__, first_interval=1.0, persistent=True)
