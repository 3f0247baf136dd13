# SPDX-License-Identifier: GPL-3.0-or-later
"""What the artist may ask of a loop from a run of frames."""

import tracemalloc
from collections.abc import Callable, Sequence
from itertools import pairwise

import cv2
import msgspec
import numpy as np
import pytest

from backend.engine import Context, Frame, Pixels
from backend.engines import video_loop
from backend.imaging import codecs, seam
from protocol.errors import BadJob, SizeMismatch
from protocol.jobs import ClipLoop, SeamPlot
from protocol.params import Value, complete
from tests.imaging.runs_of_frames import Scene

ONE = [((24, 32, 72, 104), 60)]
TWO = [((16, 8, 80, 60), 37), ((16, 68, 80, 120), 53)]
MASK = "f" * 64


def context(
    frame: Callable[[int], Pixels],
    mask: Pixels | None,
    wanted: frozenset[int] | None = None,
    **params: Value,
) -> Context:
    def pictures(digest: str) -> Pixels:
        return mask if digest == MASK and mask is not None else frame(int(digest, 16))

    return Context(pictures, complete(video_loop.SPEC.params, params), wanted=wanted)


def digests(count: int) -> tuple[str, ...]:
    return tuple(f"{number:064x}" for number in range(count))


def loop(
    scene: Scene,
    length: int,
    count: int = 150,
    start: int | None = None,
    plate: int = 0,
    wanted: frozenset[int] | None = None,
    **params: Value,
) -> dict[int, Pixels]:
    task = ClipLoop(frames=digests(count), masks=(MASK,), length=length, start=start, plate=plate)
    steps = video_loop.load("cpu").run(task, context(scene.frame, scene.mask(), wanted, **params))
    return {step.index: step.pixels for step in steps if isinstance(step, Frame)}


def seam_ratio(made: Sequence[Pixels], inside: np.ndarray) -> float:
    steps = [seam.difference(a, b, inside) for a, b in pairwise(made)]
    return seam.difference(made[-1], made[0], inside) / float(np.median(steps))


@pytest.mark.parametrize("mode", ["cut", "fade", "ping_pong"])
def test_a_loop_closes_and_the_rest_is_the_plate(mode: str) -> None:
    scene = Scene(ONE, drift=0.06, noise=0.02)
    made = loop(scene, 60, plate=7, mode=mode)
    assert list(made) == list(range(60))
    inside = scene.mask()[..., 0] > 0
    assert seam_ratio(list(made.values()), inside) <= 1.05
    for frame in made.values():
        np.testing.assert_array_equal(frame[~inside], scene.frame(7)[~inside])
    assert np.abs(made[30] - made[0])[inside].mean() > 0.05 or mode == "ping_pong"


def test_each_part_has_its_own_period() -> None:
    scene = Scene(TWO)
    made = loop(scene, 106, count=160)
    left, right = (scene.mask()[..., 0] > 0 for _ in range(2))
    left[:, 64:], right[:, :64] = False, False
    # 53 goes twice into 106 as it is: its frames come back to the bit once the seam is past.
    np.testing.assert_array_equal(made[0][right], made[53][right])
    assert seam.difference(made[0], made[37], right) > 0.05
    # 37 is played 4.5 % faster to go three times.
    nearest = min(range(20, 60), key=lambda n: seam.difference(made[0], made[n], left))
    assert nearest in (35, 36)


def seen(drawing: Pixels) -> Pixels:
    """Without the colours under alpha 0."""
    return drawing * (drawing[..., 3:] > 0)


def test_a_drawn_cycle_is_found_and_its_drawings_are_untouched() -> None:
    colours = np.random.default_rng(5).integers(0, 256, (6, 20, 24, 4))
    drawings = [np.float32(drawing / 255) for drawing in colours]
    task = ClipLoop(frames=digests(24), length=6)
    steps = video_loop.load("cpu").run(task, context(lambda n: drawings[n % 6], None))
    made = [step.pixels for step in steps if isinstance(step, Frame)]
    files = [codecs.encode(drawing, 8, "RGBA") for drawing in map(seen, drawings)]
    orders = [files.index(codecs.encode(seen(frame), 8, "RGBA")) for frame in made]
    assert orders == [(orders[0] + n) % 6 for n in range(6)]


def test_light_that_fades_does_not_jump_at_the_seam() -> None:
    scene = Scene(ONE, drift=0.5)
    inside = scene.mask()[..., 0] > 0

    def jump(**params: Value) -> float:
        light = [float(f[inside].mean()) for f in loop(scene, 60, overlap=0, **params).values()]
        return abs(light[-1] - light[0])

    assert jump(even_light=True) < 0.4 * jump(even_light=False)


def test_only_the_wanted_frames_are_made_and_they_are_the_same() -> None:
    scene = Scene(ONE, noise=0.01)
    whole, part = loop(scene, 64), loop(scene, 64, wanted=frozenset({3, 40}))
    assert list(part) == [3, 40]
    for number, frame in part.items():
        np.testing.assert_array_equal(frame, whole[number])


def test_a_loop_begins_with_the_frame_that_was_asked_for() -> None:
    scene = Scene(ONE)
    made = loop(scene, 60, start=20, overlap=0, edge=0.0)
    for number in (0, 11, 59):
        np.testing.assert_array_equal(made[number], scene.frame(20 + number))


def test_there_and_back_shows_no_frame_twice_where_it_turns() -> None:
    scene = Scene(ONE)
    made = loop(scene, 20, mode="ping_pong", edge=0.0)
    for number in range(20):
        np.testing.assert_array_equal(made[number], made[-number % 20])
        assert np.abs(made[number] - made[(number + 1) % 20]).max() > 0.01


def test_a_shaken_camera_is_steadied_before_anything_is_looped() -> None:
    scene = Scene(ONE, sides=(160, 200))

    def shaken(number: int) -> Pixels:
        across = 3.0 * np.sin(number * 1.7)
        matrix = np.array(((1, 0, across), (0, 1, 0)), np.float32)
        frame = scene.frame(number)
        size = (frame.shape[1], frame.shape[0])
        moved = cv2.warpAffine(frame, matrix, size, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(moved, np.float32)

    task = ClipLoop(frames=digests(130), masks=(MASK,), length=60)
    inside = scene.mask()[..., 0] > 0

    def rest(steady: bool) -> float:
        asked = context(shaken, scene.mask(), wanted=frozenset({10, 11, 12}), steady=steady)
        steps = video_loop.load("cpu").run(task, asked)
        made = [step.pixels for step in steps if isinstance(step, Frame)]
        still = [scene.frame(n) for n in range(60)]
        return float(np.mean([min(seam.difference(m, s, inside) for s in still) for m in made]))

    assert rest(True) < 0.6 * rest(False)


def test_memory_does_not_grow_with_the_run() -> None:
    scene = Scene(ONE, sides=(180, 240))

    def peak(count: int) -> int:
        tracemalloc.start()
        steps = video_loop.load("cpu").run(
            ClipLoop(frames=digests(count), masks=(MASK,), length=60),
            context(scene.frame, scene.mask(), wanted=frozenset({0, 59})),
        )
        for _ in steps:
            pass
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return used

    frame = scene.frame(0).nbytes
    # 240 more frames would be 240 times a frame; rows of numbers are a tenth of that.
    assert peak(360) - peak(120) < 0.2 * 240 * frame


def test_a_plot_s_numbers_say_which_length_is_best() -> None:
    scene = Scene(ONE, drift=0.06, noise=0.02)
    task = SeamPlot(frames=digests(150), masks=(MASK,), shortest=40, longest=90)
    steps = video_loop.load("cpu").run(task, context(scene.frame, scene.mask()))
    (frame,) = [step for step in steps if isinstance(step, Frame)]
    file = codecs.encode(frame.pixels, 8, "RGB", text=frame.text)
    at = file.index(b"tEXttweencel\0")
    size = int.from_bytes(file[at - 4 : at], "big")
    numbers = msgspec.json.decode(file[at + 13 : at + 4 + size])
    assert numbers["best"] == 60
    assert numbers["lengths"] == list(range(40, 91))
    assert numbers["costs"][0][20] == min(numbers["costs"][0])
    np.testing.assert_allclose(codecs.decode(file).pixels, frame.pixels, atol=0.51 / 255)


def test_a_length_that_the_run_cannot_fill_is_refused() -> None:
    scene = Scene(ONE)
    with pytest.raises(BadJob, match="5 frames cannot be made of the 3") as refusal:
        loop(scene, 5, count=3)
    assert "run" in refusal.value.fix


def test_steadying_without_a_mask_is_refused() -> None:
    task = ClipLoop(frames=digests(30), length=10)
    with pytest.raises(BadJob, match="nothing stands still"):
        list(video_loop.load("cpu").run(task, context(Scene(ONE).frame, None, steady=True)))


def test_a_mask_of_another_size_is_refused() -> None:
    task = ClipLoop(frames=digests(30), masks=(MASK,), length=10)
    mask = np.ones((10, 12, 4), np.float32)
    with pytest.raises(SizeMismatch, match="Mask 1 is 12 x 10"):
        list(video_loop.load("cpu").run(task, context(Scene(ONE).frame, mask)))
