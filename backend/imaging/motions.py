# SPDX-License-Identifier: GPL-3.0-or-later
"""How named things move where no stroke says it: a velocity for every place of a mask.

Speeds are shares of the picture's long side per frame: 0.001 crosses it in a thousand frames.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .alpha import Array
from .geodesic import FAR, Mask, components, distances, nearest
from .sampling import floats, softer

_RIGHT = np.array((1, 0), np.float32)
_UP = np.array((0, -1), np.float32)
_TALL = 1.2
"""So many times taller than wide, and it falls."""


@dataclass(frozen=True)
class Motion:
    """A named way to move.

    velocity: from a part of a mask (H, W) to (H, W, 2), peak speed about 1.
    speed: of the fastest part, share of the long side per frame.
    swings: it goes to and fro, and so loops by itself; `lag` is by how many turns the place
    farthest from the root comes later, `root` the side that holds.
    """

    label: str
    velocity: Callable[[Mask], Array]
    speed: float
    swings: bool = False
    lag: float = 0.0
    root: str = "bottom"


def _uniform(part: Mask, direction: Array) -> Array:
    return np.broadcast_to(direction, (*part.shape, 2)).astype(np.float32)


def _drift(part: Mask) -> Array:
    """Rightwards; what is high up is nearer and so faster."""
    depth = _depth(part)[..., None]
    return floats(_uniform(part, _RIGHT) * (1 - 0.5 * depth))


def _water(part: Mask) -> Array:
    """Level, with slow turns; far water (high up in the picture) is slower."""
    depth = _depth(part)[..., None]
    return floats((_uniform(part, _RIGHT) + 0.35 * _eddies(part, 0.3)) * (0.45 + 0.55 * depth))


def _fall(part: Mask) -> Array:
    """Away from the upper rim, inside the mask: down a fall, then slower and wider in its pool."""
    rows = np.nonzero(part.any(1))[0]
    rim = part.copy()
    rim[rows[0] + max(1, round(0.04 * len(rows))) :] = False
    way = _away_from(part, rim)
    return floats(way * (0.3 + 0.7 * np.maximum(way[..., 1:], 0)))


def _river(part: Mask) -> Array:
    """From one end of the longest way inside the mask to the other, the lower one if it falls."""
    first, last = _ends(part)
    down = last[0] - first[0]
    if abs(down) * 2 > abs(last[1] - first[1]):
        start = first if down > 0 else last
    else:
        start = min(first, last, key=lambda end: end[1])
    return _away_from(part, _only(part, start))


def _smoke(part: Mask) -> Array:
    return floats((_uniform(part, _UP) + 0.6 * _eddies(part, 0.15)) * 0.8)


def _fire(part: Mask) -> Array:
    rising = _uniform(part, _UP) * (1 - 0.4 * _depth(part))[..., None]
    return floats(rising + 0.4 * _eddies(part, 0.1))


def _sideways(part: Mask) -> Array:
    """To the side, the more the farther from the root; see Motion.root."""
    return _uniform(part, _RIGHT)


def _auto(part: Mask) -> Array:
    return MOTIONS[guess(part)].velocity(part)


MOTIONS = {
    "auto": Motion("By Its Shape", _auto, 0.0006),
    "water": Motion("Water", _water, 0.0004),
    "waterfall": Motion("Waterfall", _fall, 0.0010),
    "river": Motion("River", _river, 0.0007),
    "clouds": Motion("Clouds", _drift, 0.0005),
    "smoke": Motion("Smoke", _smoke, 0.0007),
    "fire": Motion("Fire", _fire, 0.0014),
    "hair": Motion("Hair", _sideways, 0.0004, swings=True, lag=0.35, root="top"),
    "cloth": Motion("Cloth", _sideways, 0.0004, swings=True, lag=0.7, root="top"),
    "sway": Motion("Sway", _sideways, 0.0004, swings=True, lag=0.1, root="bottom"),
}
"""By id. "auto" is what the shape of the mask looks like; it never swings."""


def guess(part: Mask) -> str:
    """What a part of a mask most likely is: a waterfall, clouds, a river or water."""
    rows, columns = (np.nonzero(part.any(axis))[0] for axis in (1, 0))
    height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
    if rows[0] == 0 and width > height:
        return "clouds"
    if height > _TALL * width:
        return "waterfall"
    filled = np.count_nonzero(part) / (height * width)
    return "river" if filled < 0.35 else "water"


def still_life(inside: Mask, name: str, long: float) -> Array:
    """Velocities (H, W, 2), in the unit of `long` per frame, for each part of a mask by itself.

    Raises KeyError for an unknown name.
    """
    motion = MOTIONS[name]
    result = np.zeros((*inside.shape, 2), np.float32)
    for part in components(inside):
        speed = MOTIONS[guess(part)].speed if name == "auto" else motion.speed
        result[part] = (motion.velocity(part) * np.float32(speed * long))[part]
    return result


def distance_from_root(inside: Mask, name: str, anchors: Mask) -> Array:
    """How far (H, W), 0..1, each place is from what holds it: the anchors, or the motion's side."""
    result = np.zeros(inside.shape, np.float32)
    for part in components(inside):
        root = part & anchors
        away = distances(part, (root if root.any() else _side(part, MOTIONS[name].root))[None])[0]
        result[part] = away[part] / max(float(away[part].max()), 1.0)
    return result


def _side(part: Mask, side: str) -> Mask:
    rows = np.nonzero(part.any(1))[0]
    thick = max(1, round(0.08 * len(rows)))
    root = part.copy()
    if side == "top":
        root[rows[0] + thick :] = False
    else:
        root[: rows[-1] + 1 - thick] = False
    return root


def _depth(part: Mask) -> Array:
    """0 at the uppermost row of a part to 1 at its lowest, (H, W)."""
    rows = np.nonzero(part.any(1))[0]
    down = (np.arange(part.shape[0], dtype=np.float32) - rows[0]) / max(len(rows) - 1, 1)
    return floats(np.broadcast_to(np.clip(down, 0, 1)[:, None], part.shape))


def _ends(part: Mask) -> tuple[tuple[int, int], tuple[int, int]]:
    """The two places (row, column) that are farthest apart inside, or nearly so."""
    first = _farthest(part, next(iter(map(tuple, np.argwhere(part)))))
    return first, _farthest(part, first)


def _farthest(part: Mask, place: tuple[int, int]) -> tuple[int, int]:
    away = distances(part, _only(part, place)[None])[0]
    row, column = np.unravel_index(np.where(away < FAR, away, -1).argmax(), part.shape)
    return int(row), int(column)


def _only(part: Mask, place: tuple[int, int]) -> Mask:
    single = np.zeros_like(part)
    single[place] = True
    return single


def _away_from(part: Mask, source: Mask) -> Array:
    """Unit vectors (H, W, 2) along the shortest ways inside a part, away from the source."""
    away = distances(part, source[None])[0]
    rows, columns, _ = nearest(part)
    # Beyond the bank the distance goes on as at the bank: the flow runs along it, not through it.
    slope = softer(_slope(softer(floats(away[rows, columns]), 2.0)), 2.0)
    length = np.hypot(slope[..., 0], slope[..., 1])[..., None]
    return floats(slope / np.maximum(length, 1e-3))


def _slope(hill: Array) -> Array:
    """Central differences (H, W, 2): across, down; 0 at a border with one row or column only."""
    framed = np.pad(hill, 1, mode="edge")
    across = framed[1:-1, 2:] - framed[1:-1, :-2]
    down = framed[2:, 1:-1] - framed[:-2, 1:-1]
    return floats(np.stack((across, down), 2) / 2)


def _eddies(part: Mask, size: float) -> Array:
    """A swirling field (H, W, 2) without sources, peak speed about 1, always the same.

    The curl of a smoothed noise; `size` is that of a swirl, as a share of the part's long side.
    Source: Bridson, Houriham, Nordenstam: Curl-Noise for Procedural Fluid Flow, SIGGRAPH 2007.
    """
    rows, columns = (np.nonzero(part.any(axis))[0] for axis in (1, 0))
    width = max(1.0, size / 2 * max(len(rows), len(columns)))
    noise = np.random.default_rng(7).standard_normal(part.shape).astype(np.float32)
    slope = _slope(softer(noise, width))
    field = np.stack((slope[..., 1], -slope[..., 0]), 2)
    return field / np.float32(max(float(np.abs(field[part]).max()), 1e-12))
