# SPDX-License-Identifier: GPL-3.0-or-later
"""How the artist's template names the folder of a job's frames. It knows no Blender."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import NamedTuple

from protocol.errors import BadInput

from .storage import VERSION_HOLE

USUAL = "{shot}_v{version}"
WORDS = ("blend", "scene", "shot", "layer", "engine", "version")
"""What may stand in braces."""
_LONGEST = 90
"""Bytes. What is before and after a version together must be less than 255."""
_KEPT_BY_WINDOWS = re.compile(r"con|prn|aux|nul|(com|lpt)\d", re.IGNORECASE)
_WORD = re.compile(r"\{([^{}]*)\}")


class Naming(NamedTuple):
    """Folders inside the output folder, and the name of the last with a hole for the version."""

    within: PurePosixPath
    name: str


def named(template: str, words: Mapping[str, str]) -> Naming:
    """The template with `words` in it; each part becomes a name that every system takes.

    A slash makes a folder in a folder. The version is counted by itself: it stands in the last
    part, also if the template lacks it. Raises BadInput.
    """
    template = template.strip() or USUAL
    _check(template)
    parts = [part for part in re.split(r"[/\\]", template) if part.strip(" .")]
    *folders, last = parts or [USUAL]
    if any("{version}" in part for part in folders) or last.count("{version}") > 1:
        raise BadInput(
            "{version} may stand once, in the last part of the folder's name.",
            fix="Write it like {scene}/{shot}_v{version}.",
        )
    if "{version}" not in last:
        last += "_v{version}"
    before, after = (_clean(_filled(half, words)) for half in last.split("{version}"))
    within = [_freed(_clean(_filled(part, words)).strip("_-")) for part in folders]
    name = f"{before.lstrip('_-')}{VERSION_HOLE}{after.rstrip('_-')}"
    return Naming(PurePosixPath(*filter(None, within)), name)


def _check(template: str) -> None:
    known = ", ".join(f"{{{word}}}" for word in WORDS)
    for word in _WORD.findall(template):
        if word not in WORDS:
            raise BadInput(
                f"{{{word}}} in the folder's name stands for nothing.", fix=f"Use {known}."
            )
    if any(brace in _WORD.sub("", template) for brace in "{}"):
        raise BadInput("A brace in the folder's name has no partner.", fix=f"Use {known}.")


def _filled(part: str, words: Mapping[str, str]) -> str:
    return _WORD.sub(lambda found: words.get(found[1], ""), part)


def _clean(text: str) -> str:
    """As every system takes it in a name."""
    return re.sub(r"[^\w\-]+", "_", text).encode()[:_LONGEST].decode(errors="ignore")


def _freed(name: str) -> str:
    """Windows keeps some names for itself."""
    return f"{name}_" if _KEPT_BY_WINDOWS.fullmatch(name) else name
