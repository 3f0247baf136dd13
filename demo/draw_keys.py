# SPDX-License-Identifier: GPL-3.0-or-later
"""Knows how to draw one frame of the demo shot, a fox cub that hops; must not know tweencel.

The fox is a parametric rig, so any moment of the shot can be drawn: four moments are the keys that
the demo hands to an engine, the others are the true in-betweens that a test can compare with.
Needs numpy and opencv only. Run `python demo/draw_keys.py` to write `demo/drawings/` again.
"""

from __future__ import annotations

import argparse
import sys
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]  # (N, 2), x right and y down, in pixels of the 1280x720 stage
Mask = NDArray[np.bool_]
Colour = tuple[int, int, int]
Vector = Sequence[float] | NDArray[np.float64]  # (2,)
Knots = Sequence[Vector] | Points

KEY_FRAMES = (1, 7, 12, 19)  # uneven on purpose: 5 + 4 + 6 = 15 frames are missing
STAGE = (1280, 720)
SIZES = ((1280, 720), (512, 288))
SUPERSAMPLING = 4
SEED = 20  # another seed is another hand: the same poses, another wobble of the line
GROUND = 612.0

_HAND = (np.array([0.65, 0.4, 0.2]), np.array([0.1, 0.07, 0.05]))  # shake (px), pressure (share)

INK: Colour = (58, 34, 30)
WHITE: Colour = (255, 255, 255)


@dataclass(frozen=True)
class Tone:
    """A cel paint: the flat colour and its one shadow tone."""

    lit: Colour
    shade: Colour


FUR = Tone((242, 146, 66), (209, 106, 54))
CREAM = Tone((255, 245, 224), (231, 205, 190))
SOCK = Tone((112, 66, 54), (84, 48, 44))
SCARF = Tone((62, 168, 164), (38, 126, 136))
EAR = Tone((247, 186, 156), (222, 146, 124))
BLUSH = Tone((250, 126, 92), (216, 92, 78))
MOUTH = Tone((150, 52, 58), (150, 52, 58))
TONGUE = Tone((242, 134, 124), (242, 134, 124))
BLACK = Tone(INK, INK)
GLINT = Tone(WHITE, WHITE)

# The shot: for every control of the rig its value at each key. Positions are stage pixels, angles
# degrees clockwise on screen (0 right, 90 down, 180 left), scales 1 at rest.
# Keys: crouch (squash), take-off (stretch), top of the hop, landing (squash).
SHOT: dict[str, tuple[Sequence[float], Sequence[float], Sequence[float], Sequence[float]]] = {
    "hip": ((460, 574), (494, 553), (552, 512), (610, 570)),
    "lean": ((10,), (15,), (7,), (3,)),
    "body": ((1.22, 0.75), (0.89, 1.14), (1.0, 0.99), (1.15, 0.86)),
    "head_tilt": ((6,), (-9,), (-5,), (3,)),
    "head": ((1.09, 0.90), (0.96, 1.06), (1.0, 1.0), (1.06, 0.95)),
    "ear_swing": ((-28,), (-36,), (-2,), (6,)),
    "ear_length": ((0.96,), (1.0,), (1.0,), (1.10,)),
    "tail": ((176, 188, 228), (168, 156, 172), (178, 162, 180), (192, 210, 246)),
    "ribbon": ((168, 146, 164), (158, 142, 130), (176, 166, 190), (188, 198, 186)),
    "near_foot": ((424, 606, 0), (446, 598, 32), (518, 554, 26), (580, 606, 0)),
    "far_foot": ((494, 598, 0), (512, 592, 26), (582, 544, 4), (652, 598, -4)),
    "near_hand": ((-40, 22), (-18, 44), (-46, 12), (-50, 2)),
    "far_hand": ((26, 30), (42, 4), (44, -22), (46, -12)),
    "eyes": ((0,), (1,), (1,), (0,)),
    "eye_bow": ((1,), (0.4,), (-0.4,), (-1,)),
    "mouth": ((0,), (0.5,), (1,), (0,)),
}

Pose = dict[str, NDArray[np.float64]]


# ---------------------------------------------------------------------------------------- motion
def pose_at(t: float) -> Pose:
    """The rig's controls at timeline frame `t` (1..19): a cubic Hermite curve through the keys.

    Slopes are those of a non-uniform Catmull-Rom spline, and zero at the two squashes.
    Raises ValueError when `t` lies outside the shot.
    """
    if not KEY_FRAMES[0] <= t <= KEY_FRAMES[-1]:
        raise ValueError(f"frame {t} is outside the shot ({KEY_FRAMES[0]} to {KEY_FRAMES[-1]})")
    gap = max(i for i in range(len(KEY_FRAMES) - 1) if KEY_FRAMES[i] <= t)
    return {name: _hermite(np.array(values, float), gap, t) for name, values in SHOT.items()}


def _hermite(values: Points, gap: int, t: float) -> NDArray[np.float64]:
    frames = np.array(KEY_FRAMES, float)
    slopes = np.zeros_like(values)
    slopes[1:-1] = (values[2:] - values[:-2]) / (frames[2:] - frames[:-2])[:, None]
    span = frames[gap + 1] - frames[gap]
    u = (t - frames[gap]) / span
    start, end = values[gap], values[gap + 1]
    moved = (3 * u**2 - 2 * u**3) * (end - start)
    bent = (u**3 - 2 * u**2 + u) * slopes[gap] + (u**3 - u**2) * slopes[gap + 1]
    return start + moved + span * bent


# ---------------------------------------------------------------------------------------- curves
def smooth(points: Knots, closed: bool = False) -> Points:
    """A dense Catmull-Rom curve through `points`; a point given twice running is a sharp corner."""
    knots = np.asarray(points, float)
    if closed:
        knots = np.vstack([knots, knots[:1]])
    corners = [i for i in range(1, len(knots)) if np.array_equal(knots[i], knots[i - 1])]
    if not corners:
        return _catmull_rom(knots, closed)
    runs = np.split(knots, corners)
    return np.vstack([_catmull_rom(run, False) for run in runs if len(run) > 1])


def _catmull_rom(knots: Points, closed: bool, steps: int = 24) -> Points:
    before = knots[-2] if closed else 2 * knots[0] - knots[1]
    after = knots[1] if closed else 2 * knots[-1] - knots[-2]
    padded = np.vstack([before, knots, after])
    u = np.linspace(0, 1, steps, endpoint=False)[:, None]
    pieces = []
    for a, b, c, d in zip(padded, padded[1:], padded[2:], padded[3:], strict=False):
        pieces.append(
            b + u / 2 * (c - a + u * (2 * a - 5 * b + 4 * c - d + u * (3 * (b - c) + d - a)))
        )
    return np.vstack([*pieces, knots[-1:]])


def resample(path: Points, step: float) -> tuple[Points, NDArray[np.float64]]:
    """Points every `step` pixels along `path`, and the length of line drawn at each of them."""
    dx, dy = np.diff(path, axis=0).T
    lengths = np.hypot(dx, dy)
    reached = np.concatenate([[0.0], np.cumsum(lengths)])
    total = float(reached[-1])
    along = np.linspace(0, total, max(2, int(total / step)))
    return np.column_stack([np.interp(along, reached, path[:, k]) for k in (0, 1)]), along


def normals(path: Points) -> Points:
    tangents = np.gradient(path, axis=0)
    lengths = np.maximum(np.hypot(tangents[:, 0], tangents[:, 1]), 1e-9)
    return np.column_stack([-tangents[:, 1], tangents[:, 0]]) / lengths[:, None]


def direction(degrees: float | NDArray[np.float64]) -> NDArray[np.float64]:
    radians = np.radians(degrees)
    return np.stack([np.cos(radians), np.sin(radians)], axis=-1)


def spine(start: Points, angles: Points, length: float, count: int = 25) -> Points:
    """A trailing curve whose heading runs through three `angles`: at its root, middle and tip."""
    s = np.linspace(0, 1, count)
    root, middle, tip = angles
    bend = 2 * (root + tip - 2 * middle)
    heading = root + (4 * middle - 3 * root - tip) * s + bend * s**2
    steps = direction((heading[1:] + heading[:-1]) / 2) * length / (count - 1)
    return start + np.vstack([[[0, 0]], np.cumsum(steps, axis=0)])


def tube(path: Points, half_widths: NDArray[np.float64]) -> Points:
    """The outline of a limb: out along one side of `path`, round its end, back along the other."""
    side = normals(path) * half_widths[:, None]
    arc = np.radians(np.linspace(90, -90, 13))[1:-1, None]
    forward = path[-1] - path[-2]
    forward = forward / np.hypot(*forward) * half_widths[-1]
    end = path[-1] + np.sin(arc) * side[-1] + np.cos(arc) * forward
    return np.vstack([path + side, end, (path - side)[::-1]])


def oval(centre: Iterable[float], radius_x: float, radius_y: float) -> Points:
    return np.array([*centre]) + direction(np.linspace(0, 360, 49)) * (radius_x, radius_y)


@dataclass(frozen=True)
class Axes:
    """A limb's own axes: local points are scaled, then turned, then carried to `origin`."""

    origin: NDArray[np.float64]
    degrees: float
    scale: NDArray[np.float64]

    def place(self, points: Knots | Vector) -> Points:
        x_axis, y_axis = direction(self.degrees), direction(self.degrees + 90)
        local = np.asarray(points, float) * self.scale
        return self.origin + local[..., :1] * x_axis + local[..., 1:] * y_axis


# ----------------------------------------------------------------------------------------- paper
class Cel:
    """A supersampled sheet on which shapes are painted and inked without anti-aliasing."""

    def __init__(self, size: tuple[int, int], t: float) -> None:
        width, height = size
        self.scale = SUPERSAMPLING * width / STAGE[0]
        self.t = t
        self.sheet = np.zeros((height * SUPERSAMPLING, width * SUPERSAMPLING, 4), np.uint8)

    def paint(
        self,
        shape: Points,
        tone: Tone,
        base: Points | None = None,
        light: Vector = (9, -9),
        cast: Points | None = None,
    ) -> None:
        """Fill `shape`, kept inside `base`, with the light coming from the upper right.

        What `base` moved by `light` does not cover lies in shadow, and so does `cast`.
        """
        base = shape if base is None else base
        left, top = (np.floor(shape.min(0) * self.scale)).astype(int).clip(0)
        right, bottom = np.ceil(shape.max(0) * self.scale).astype(int) + 1
        window = self.sheet[top:bottom, left:right]
        corner = (left, top)
        inside = self._mask(window, shape, corner) & self._mask(window, base, corner)
        lit = self._mask(window, base + np.array(light), corner)
        if cast is not None:
            lit &= ~self._mask(window, cast, corner)
        window[inside & lit] = (*tone.lit, 255)
        window[inside & ~lit] = (*tone.shade, 255)

    def _mask(self, window: NDArray[np.uint8], shape: Points, corner: tuple[int, int]) -> Mask:
        mask = np.zeros(window.shape[:2], np.uint8)
        cv2.fillPoly(mask, [self._fixed(shape * self.scale - corner)], 1, shift=4)
        return mask.astype(bool)

    @staticmethod
    def _fixed(points: Points) -> NDArray[np.int32]:
        return np.round((points - 0.5) * 16).astype(np.int32)

    def ink(self, name: str, path: Points, width: float = 5.6, taper: float = 0.0) -> None:
        """Draw `path` as a pen would: heavier below and away from the light, slightly unsteady.

        `taper` is the length in pixels over which both ends thin out; 0 for a closed outline.
        The wobble belongs to `name` and drifts slowly with time, as when a drawing is traced.
        """
        dots, along = resample(path, 1.2 / self.scale)
        rng = np.random.default_rng([SEED, zlib.crc32(name.encode())])
        phases = rng.uniform(0, 2 * np.pi, (2, 3)) + rng.uniform(-0.08, 0.08, (2, 3)) * self.t
        turns = 2 * np.pi * along[:, None] / rng.uniform((90, 44, 21), (130, 60, 30))
        # Together never more than the thinnest line: the paint must not show outside of it.
        shake, press = (np.sin(turns + p) @ w for p, w in zip(phases, _HAND, strict=True))
        side = normals(dots)
        away = np.abs(side @ np.array([0.5, 0.87]))  # a line along the ground is the heaviest
        radius = width / 2 * (0.74 + 0.38 * away + press)
        if taper:
            ends = np.minimum(along, along[-1] - along) / taper
            radius = radius * (0.25 + 0.75 * np.sin(np.pi / 2 * ends.clip(0, 1)))
        dots = dots + side * shake[:, None] * min(1.0, width / 5)
        self._dots(dots * self.scale, radius * self.scale)

    def _dots(self, centres: Points, radii: NDArray[np.float64]) -> None:
        for (x, y), r in zip(self._fixed(centres), np.round(radii * 16).astype(int), strict=True):
            cv2.circle(self.sheet, (int(x), int(y)), int(r), (*INK, 255), -1, shift=4)

    def develop(self, under: NDArray[np.float64]) -> NDArray[np.uint8]:
        """Average the sheet down over a soft shadow of ink with alpha `under` (H, W, 0..1).

        Colours are averaged premultiplied and divided again, so that the colour of a partly
        transparent pixel is that of the paint in it and no fringe shows on any background.
        """
        n = SUPERSAMPLING
        # The sheet is its own premultiplied form: a sample is opaque paint or it is all zero.
        total = np.zeros((*under.shape, 4), np.uint16)
        for row, column in np.ndindex(n, n):
            total += self.sheet[row::n, column::n]
        cover = total[..., 3] / (255 * n**2)
        shadow = under * (1 - cover)
        opacity = cover + shadow
        colour = total[..., :3] / n**2 + shadow[..., None] * np.array(INK)
        out = np.empty(total.shape)
        # Ink is what every silhouette ends in: clear pixels carry it too, for filters that look
        # at colour without alpha.
        out[..., :3] = INK
        np.divide(colour, opacity[..., None], out=out[..., :3], where=opacity[..., None] > 1 / 512)
        out[..., 3] = opacity * 255
        return np.floor(out + 0.5).astype(np.uint8)


# ------------------------------------------------------------------------------------------- fox
SKULL = (
    (-58, -66), (-6, -82), (50, -74), (86, -42), (98, -4), (120, 30), (120, 30), (100, 38),
    (108, 52), (108, 52), (72, 66), (24, 76), (-34, 72), (-84, 62), (-84, 62), (-88, 46),
    (-122, 42), (-122, 42), (-100, 8), (-88, -34), (-58, -66), (-58, -66),
)  # fmt: skip
MASK = (
    (-140, 40), (-84, 22), (-48, 26), (-20, 28), (6, 8), (28, -14), (28, -14), (46, 6), (66, 24),
    (88, 18), (130, 10), (130, 110), (-140, 110), (-140, 40),
)  # fmt: skip
TRUNK = (
    (-26, -122), (-44, -88), (-60, -46), (-54, -6), (-26, 10), (8, 12), (42, 4), (58, -24),
    (54, -62), (40, -96), (28, -122),
)  # fmt: skip
COLLAR = (
    (-42, -122), (-42, -106), (-24, -94), (2, -90), (28, -94), (44, -106), (44, -124), (0, -134),
)  # fmt: skip
BELLY = ((-4, -124), (2, -86), (-6, -46), (4, -10), (32, 4), (70, -10), (70, -80), (50, -124))
TAIL_TIP = (  # along the tail (0..1) and across it (-1..1)
    (0.62, 1.4), (0.60, 1.2), (0.58, 0.84), (0.70, 0.45), (0.70, 0.45), (0.57, 0.1), (0.69, -0.3),
    (0.69, -0.3), (0.57, -0.8), (0.60, -1.2), (0.62, -1.4),
)  # fmt: skip
FOOT = ((-24, -2), (-20, -20), (2, -22), (26, -16), (36, -4), (26, 4), (0, 5))


def draw(t: float, size: tuple[int, int] = STAGE) -> NDArray[np.uint8]:
    """The shot at timeline frame `t` (1 to 19, whole or not) on a transparent sheet.

    `size` is (width, height), 16:9. Returns (height, width, 4) uint8, RGBA with straight alpha,
    sRGB. Raises ValueError when `t` lies outside the shot or `size` is not 16:9.
    """
    width, height = size
    if width * STAGE[1] != height * STAGE[0]:
        raise ValueError(f"{width}x{height} is not 16:9, the shape of this shot")
    pose = pose_at(t)
    cel = Cel(size, t)
    trunk = Axes(pose["hip"], float(pose["lean"][0]), pose["body"])
    neck = trunk.place((6, -112))
    tilt = float(pose["head_tilt"][0] + pose["lean"][0] * 0.4)
    head = Axes(neck + direction(tilt - 84) * 64 * pose["head"][1], tilt, pose["head"])
    _tail(cel, trunk, pose)
    _ribbon(cel, trunk, pose)
    _arm(cel, "far", trunk.place((34, -84)), pose["far_hand"])
    _leg(cel, "far", trunk.place((26, -8)), pose["far_foot"])
    _leg(cel, "near", trunk.place((-26, -8)), pose["near_foot"])
    _trunk(cel, trunk, head)
    _arm(cel, "near", trunk.place((-32, -84)), pose["near_hand"])
    _collar(cel, trunk, head)
    _head(cel, head)
    _ear(cel, "far", head, (54, -50), -64, pose)
    _ear(cel, "near", head, (-46, -50), -108, pose)
    _face(cel, head, pose)
    return cel.develop(_ground_shadow(size, pose))


def _ground_shadow(size: tuple[int, int], pose: Pose) -> NDArray[np.float64]:
    """Alpha (H, W) of the blob under the fox: wider and fainter the higher it is."""
    rise = max(0.0, (GROUND - pose["near_foot"][1]) / 70)
    radius = np.array([128 + 14 * rise, 17 + 2 * rise])
    centre = np.array([pose["hip"][0] - 2, GROUND])
    stage = STAGE[0] / size[0]
    x = ((np.arange(size[0]) + 0.5) * stage - centre[0]) / radius[0]
    y = ((np.arange(size[1]) + 0.5) * stage - centre[1]) / radius[1]
    falloff = (1 - (x**2 + y[:, None] ** 2)).clip(0)
    return (0.30 - 0.10 * min(rise, 1.0)) * falloff**1.2


def _tail(cel: Cel, trunk: Axes, pose: Pose) -> None:
    bone = spine(trunk.place((-34, -20)), pose["tail"], 172, 73)
    s = np.linspace(0, 1, len(bone))
    side = normals(bone) * (10 + 38 * np.sin(np.pi * s**1.2))[:, None]
    side *= np.sin(np.pi / 2 * ((1 - s) / 0.4).clip(0, 1))[:, None]
    outline = np.vstack([bone + side, (bone - side)[::-1]])
    cel.paint(outline, FUR, light=(6, -13))
    zigzag = smooth([_on(bone, side, *p) for p in TAIL_TIP])
    wide = 1.5 * side
    tip = np.vstack([zigzag, (bone - wide)[50:], (bone + wide)[50:][::-1]])
    cel.paint(tip, CREAM, base=outline, light=(6, -13))
    cel.ink("tail tip", zigzag[48:-48], 3.2, taper=14)
    cel.ink("tail", outline)


def _on(bone: Points, side: Points, s: float, across: float) -> Points:
    at = s * (len(bone) - 1)
    i = min(int(at), len(bone) - 2)
    u = at - i
    return (1 - u) * (bone[i] + across * side[i]) + u * (bone[i + 1] + across * side[i + 1])


def _ribbon(cel: Cel, trunk: Axes, pose: Pose) -> None:
    for name, turn, length in (("under", 20, 82), ("over", -6, 116)):
        bone = spine(
            trunk.place((-22, -112)), pose["ribbon"] + turn * np.array([1, 1, 0.4]), length
        )
        s = np.linspace(0, 1, len(bone))
        side = normals(bone) * (8 + 8 * s)[:, None]
        end = [bone[-1] + side[-1], bone[-4], bone[-1] - side[-1]]
        outline = np.vstack([bone + side, end, (bone - side)[::-1]])
        cel.paint(outline, SCARF, light=(2, -7))
        cel.ink(f"ribbon {name}", outline, 4.8)


def _leg(cel: Cel, name: str, hip: Points, foot: NDArray[np.float64]) -> None:
    sole = Axes(foot[:2], float(foot[2]), np.array([1.0, 1.0]))
    ankle = sole.place((-6, -14))
    knee = (hip + ankle) / 2 + (7, -3)
    path = smooth([hip, knee, ankle])
    outline = tube(path, np.linspace(20, 13, len(path)))
    cel.paint(outline, SOCK)
    cel.ink(f"{name} leg", outline, 5.2)
    shoe = smooth(sole.place(FOOT), closed=True)
    cel.paint(shoe, SOCK, light=(4, -6))
    cel.ink(f"{name} foot", shoe)
    inner = tube(path[-30:], np.full(30, 9.5))
    cel.paint(inner, Tone(SOCK.lit, SOCK.lit))  # no line where the leg enters the foot


def _arm(cel: Cel, name: str, shoulder: Points, reach: Points) -> None:
    droop = np.array([-reach[1], reach[0]]) * 0.12
    path = smooth([shoulder, shoulder + reach * 0.55 - droop, shoulder + reach])
    outline = tube(path, np.linspace(12, 14.5, len(path)))
    cel.paint(outline, FUR, light=(5, -6))
    cuff = len(path) * 5 // 9
    glove = tube(path[cuff:], np.full(len(path) - cuff, 18.0))
    cel.paint(glove, SOCK, base=outline, light=(5, -6))
    cel.ink(f"{name} arm", outline, 5.2, taper=16)


def _trunk(cel: Cel, trunk: Axes, head: Axes) -> None:
    outline = smooth(trunk.place(TRUNK))
    cast = _shadow_of(head, (-4, 26))
    cel.paint(outline, FUR, light=(13, -9), cast=cast)
    cel.paint(smooth(trunk.place(BELLY)), CREAM, base=outline, light=(13, -9), cast=cast)
    cel.ink("trunk", outline)


def _shadow_of(head: Axes, fall: Vector) -> Points:
    return smooth(head.place(SKULL)) + np.array(fall)


def _collar(cel: Cel, trunk: Axes, head: Axes) -> None:
    band = smooth(trunk.place(COLLAR), closed=True)
    cel.paint(band, SCARF, light=(6, -6), cast=_shadow_of(head, (-3, 8)))
    cel.ink("collar", band, 5.0)


def _head(cel: Cel, head: Axes) -> None:
    outline = smooth(head.place(SKULL))
    cel.paint(outline, FUR, light=(13, -12))
    cel.paint(smooth(head.place(MASK)), CREAM, base=outline, light=(13, -12))
    for centre in ((-56, 40), (92, 34)):
        cel.paint(head.place(oval(centre, 15, 9)), BLUSH, base=outline, light=(40, -40))
    cel.ink("head", outline, 6.0)


def _ear(
    cel: Cel, name: str, head: Axes, root: tuple[float, float], rest: float, pose: Pose
) -> None:
    """An ear that bends along its length: the root stays, the tip swings furthest."""
    swing = float(pose["ear_swing"][0]) * np.array([0, 0.7, 1.3])
    bone = spine(np.array(root), rest + swing, 88 * float(pose["ear_length"][0]), 49)
    s = np.linspace(0, 1, len(bone))
    side = normals(bone) * (31 * (1 - s**1.6) ** 0.8 + 0.5)[:, None]
    outline = head.place(np.vstack([bone + side, (bone - side)[::-1]]))
    # Along the root and a little into the head: no edge may show where the ear grows out of it.
    light = (outline[0] - outline[-1]) * 0.13 + 2 * direction(head.degrees + rest + 180)
    cel.paint(outline, FUR, light=light)
    beyond = 2 * bone[-1] - bone[-3]
    dark = np.vstack([(bone + 2 * side)[32:], [beyond], (bone - 2 * side)[32:][::-1]])
    cel.paint(head.place(dark), SOCK, base=outline, light=light)
    inner = side[2:43] * (0.62 * np.sin(np.pi * np.linspace(0.12, 0.999, 41)) ** 0.35)[:, None]
    middle = bone[2:43] + side[2:43] * 0.1
    hollow = head.place(np.vstack([middle + inner, (middle - inner)[::-1]]))
    cel.paint(hollow, EAR, light=light)
    cel.ink(f"{name} ear", outline, 5.8, taper=12)


def _face(cel: Cel, head: Axes, pose: Pose) -> None:
    opening = float(pose["eyes"][0].clip(0, 1))
    bow = float(pose["eye_bow"][0])
    for name, centre in (("near", (-18, 6)), ("far", (66, 3))):
        _eye(cel, name, head, centre, opening, bow)
        lift = 7 * opening
        brow = np.array([(-9, -24 - lift), (0, -28 - lift), (9, -26 - lift)]) + centre
        cel.ink(f"{name} brow", smooth(head.place(brow)), 4.2, taper=10)
    _mouth(cel, head, float(pose["mouth"][0].clip(0, 1)))
    nose = smooth(head.place([(14, 24), (28, 20), (44, 23), (42, 32), (29, 40), (17, 33)]), True)
    cel.paint(nose, BLACK)
    cel.paint(head.place(oval((35, 26), 4.5, 2.6)), GLINT, base=nose, light=(0, 0))


def _eye(
    cel: Cel, name: str, head: Axes, centre: tuple[float, float], opening: float, bow: float
) -> None:
    """Two lids that meet: open it is an oval, closed a bent line, and nothing ever pops."""
    x = np.linspace(-1, 1, 33)
    round_, arch = np.sqrt(1 - x**2), bow * 8 * (1 - opening) * (1 - x**2)
    half = 12.5 - 1.5 * opening
    tall = 18 * opening + 0.5
    upper = np.column_stack([half * x, arch - tall * round_])
    lower = np.column_stack([half * x, arch + 0.92 * tall * round_])
    eye = head.place(np.vstack([upper, lower[::-1]]) + centre)
    cel.paint(eye, BLACK)
    cel.ink(f"{name} eye", head.place(upper + centre), 5.0 - 2.5 * opening, taper=5)
    for offset, radius in (((4, -7), 5.2), ((-4, 7), 2.4)):
        glint = oval(np.add(centre, offset), radius * opening, radius * opening)
        cel.paint(head.place(glint), GLINT, base=eye, light=(0, 0))


def _mouth(cel: Cel, head: Axes, opening: float) -> None:
    x = np.linspace(-1, 1, 33)
    smile = 46 + 5 * np.abs(np.sin(np.pi * x)) * (1 - opening) ** 3 - 5 * x**2
    upper = np.column_stack([29 + 19 * x, smile])
    lower = np.column_stack([29 + 19 * x, smile + 20 * opening * np.sqrt(1 - x**2)])
    lips = head.place(np.vstack([upper, lower[::-1]]))
    if opening > 0.02:
        cel.paint(lips, MOUTH)
        cel.paint(head.place(oval((30, 50 + 17 * opening), 12, 10 * opening)), TONGUE, base=lips)
        cel.ink("lower lip", head.place(lower), 3.8, taper=6)
    cel.ink("upper lip", head.place(upper), 4.2, taper=8)
    cel.ink("philtrum", head.place(np.array([(29, 36), (29, 46)], float)), 3.6)


# ------------------------------------------------------------------------------------------ files
def key_name(frame: int) -> str:
    return f"hop_{frame:04d}.png"


def folder_name(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"


def write(path: Path, picture: NDArray[np.uint8]) -> None:
    """Write (H, W, 4) uint8 RGBA as PNG. Raises OSError when the file cannot be written."""
    coded, data = cv2.imencode(
        ".png", cv2.cvtColor(picture, cv2.COLOR_RGBA2BGRA), [cv2.IMWRITE_PNG_COMPRESSION, 9]
    )
    if not coded:
        raise OSError(f"opencv could not encode {path.name} as PNG")
    path.write_bytes(data.tobytes())


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the keys in every size, or with `--all` every frame of the shot."""
    parser = argparse.ArgumentParser(description="Draw the demo shot: a fox cub that hops.")
    parser.add_argument("folder", nargs="?", type=Path, default=Path(__file__).parent / "drawings")
    parser.add_argument("--all", action="store_true", help="the true in-betweens as well")
    options = parser.parse_args(arguments)
    frames = range(KEY_FRAMES[0], KEY_FRAMES[-1] + 1) if options.all else KEY_FRAMES
    for size in SIZES:
        folder = options.folder / folder_name(size)
        folder.mkdir(parents=True, exist_ok=True)
        for frame in frames:
            write(folder / key_name(frame), draw(frame, size))
    return 0


if __name__ == "__main__":
    sys.exit(main())
