# SPDX-License-Identifier: GPL-3.0-or-later
"""Key strips that are muted because a result above them shows their drawings.

A key and the results that hide it bear the same token: a result may be made again, renamed or
copied. When the last such result is gone its keys are seen again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import bpy

from . import vse

_HIDES = "tweencel_hides"
_HIDDEN = "tweencel_hidden_by"


def hide(scene: Any, names: Iterable[str], result: Any, token: str) -> None:
    """Mute the key strips of these names that lie wholly under the result."""
    level = vse.open_level(scene)
    start, stop = vse.begin(result), vse.end(result)
    for strip in [level.strips.get(name) for name in names]:
        if strip is None or not start <= vse.begin(strip) <= vse.end(strip) <= stop:
            continue
        if strip.mute and _HIDDEN not in strip:
            continue  # the artist's own doing
        strip[_HIDDEN] = ",".join(dict.fromkeys([*_tokens(strip), token]))
        strip.mute = True
    result[_HIDES] = token


def show_left_behind() -> None:
    """Let keys be seen whose results are gone."""
    hidden = [strip for strip in _strips(bpy.data.scenes) if _HIDDEN in strip]
    if not hidden:
        return
    there = {strip[_HIDES] for strip in _strips(bpy.data.scenes) if _HIDES in strip}
    for strip in hidden:
        if there.isdisjoint(_tokens(strip)):
            _show(strip)


def show_all(scene: Any) -> None:
    """Let all keys of the scene be seen that were hidden here."""
    for strip in _strips([scene]):
        if _HIDDEN in strip:
            _show(strip)


def _show(strip: Any) -> None:
    strip.mute = False
    del strip[_HIDDEN]


def _tokens(strip: Any) -> list[str]:
    return [token for token in str(strip.get(_HIDDEN, "")).split(",") if token]


def _strips(scenes: Iterable[Any]) -> Iterator[Any]:
    for scene in scenes:
        if scene.sequence_editor is not None:
            yield from scene.sequence_editor.strips_all
