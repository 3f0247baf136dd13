# SPDX-License-Identifier: GPL-3.0-or-later
"""How a run is laid out so that it fits a device's memory, or why none fits; it knows no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from backend.models.tooncrafter.needs import Keep, Need, need
from protocol.errors import EngineFailed

_GIGA = 1e9


@dataclass(frozen=True)
class Wish:
    """What is to run: a canvas in pixels, whether numbers are of 16 bits, with sketches or not.

    half: None leaves it to the device. keep: None takes the fastest that fits.
    """

    width: int
    height: int
    half: bool
    keep: Keep | None = None
    sketched: bool = False


@dataclass(frozen=True)
class Room:
    """Bytes that are free on the device and on the host, None where nobody knows. name: of the
    device. fused: whether attention writes no scores down there."""

    name: str
    device: int | None
    host: int | None
    fused: bool = True

    @property
    def is_host(self) -> bool:
        return self.name == "cpu"


def fitting(wish: Wish, room: Room, parameters: Mapping[str, int] | None = None) -> Keep:
    """Where networks wait. Raises EngineFailed that says what to change if no way fits."""

    def wanted(keep: Keep, half: bool | None = None, size: float = 1.0) -> Need:
        sides = (max(64, int(side * size) // 64 * 64) for side in (wish.width, wish.height))
        return need(
            *sides,
            half=wish.half if half is None else half,
            keep=keep,
            sketched=wish.sketched,
            fused=room.fused,
            parameters=parameters,
        )

    ways = [wish.keep] if wish.keep else _ways(room)
    for keep in ways:
        if _fits(wanted(keep), room):
            return keep
    raise EngineFailed(_problem(wanted(ways[-1]), wish, room), fix=_fix(wanted, ways, wish, room))


def _ways(room: Room) -> Sequence[Keep]:
    """From the fastest to the smallest. Beside hours of computing, reading again costs seconds."""
    return (Keep.FILE,) if room.is_host else (Keep.DEVICE, Keep.HOST, Keep.FILE)


def _fits(asked: Need, room: Room) -> bool:
    on_device = room.device is None or asked.device <= room.device
    return on_device and (room.is_host or room.host is None or asked.host <= room.host)


def _problem(asked: Need, wish: Wish, room: Room) -> str:
    kind = "memory" if room.is_host else f"memory on {room.name}"
    free = "unknown" if room.device is None else f"{room.device / _GIGA:.1f} GB"
    return (
        f"ToonCrafter needs {asked.device / _GIGA:.1f} GB of {kind} for {asked.phase} at "
        f"{wish.width} x {wish.height} pixels; {free} are free."
    )


def _fix(wanted: Callable[..., Need], ways: Sequence[Keep], wish: Wish, room: Room) -> str:
    """Each setting that would do by itself; else what kind of machine would."""
    hints: list[str] = []
    if Keep.FILE not in ways and _fits(wanted(Keep.FILE), room):
        hints.append("set Memory to Smallest")
    if not wish.half and not room.is_host and _fits(wanted(Keep.FILE, half=True), room):
        hints.append("set Precision to Half")
    if smaller := _smaller(wanted, ways[-1], room):
        hints.append(f"make Working Size {smaller} % of what it is")
    if hints:
        text = ", or ".join(hints)
        return f"{text[0].upper()}{text[1:]}."
    least = wanted(Keep.FILE, half=not room.is_host or wish.half, size=0.5).device / _GIGA
    if room.is_host:
        return f"Free some memory: even at half the size it takes {least:.1f} GB."
    return (
        f"Even at half the size it takes {least:.1f} GB: use another GPU, or start the backend "
        "with `--device cpu`, which is very slow."
    )


def _smaller(wanted: Callable[..., Need], keep: Keep, room: Room) -> int:
    """Per cent of the size that would fit, in steps; 0 if none does."""
    return next((p for p in (90, 75, 60, 50) if _fits(wanted(keep, size=p / 100), room)), 0)
