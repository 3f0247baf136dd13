# SPDX-License-Identifier: GPL-3.0-or-later
"""A generated frame that the artist painted over is a key where it stood."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blender_addon.ledger import Stage
from blender_addon.painted import Painted, Watch, painted_of, with_painted
from blender_addon.provenance import Exposed, Frame, KeyFile, Maker, Version, read_version
from blender_addon.shot import Fit, Key, Plan, Repeat, Shot, Wish, keys_of, plan
from protocol.errors import NoRoom
from protocol.jobs import Inbetween, State
from protocol.timing import Drawing, Spacing
from tests.addon.bench import Bench
from tests.fakes.backend import digest_of, png

FOLDER = Path("/shots/hop_v001")


def shot_of(*frames: int, last_hold: int = 1) -> Shot:
    keys = tuple(Key(Path(f"/keys/{n}.png"), frame) for n, frame in enumerate(frames))
    return Shot("hop", keys, last_hold=last_hold)


def made(shot: Shot, made_plan: Plan, painted: frozenset[int] = frozenset()) -> Version:
    """The record of a version with that plan."""
    drawings = [Drawing(gap, t) for gap, row in enumerate(made_plan.gaps) for t in row]
    keys = keys_of(shot, made_plan)
    return Version(
        job="j",
        state="done",
        sheet=tuple(Exposed(e.drawing.key, e.drawing.t, e.frame, e.hold) for e in made_plan.sheet),
        frames=tuple(
            Frame(f"hop_{n:04d}.png", drawing.key, drawing.t, "ab" * 32)
            for n, drawing in enumerate(drawings)
        ),
        engine=Maker("echo"),
        keys=tuple(
            KeyFile(os.path.relpath(key.path, FOLDER), painted=n in painted)
            for n, key in enumerate(keys)
        ),
        task=Inbetween(keys=("ab" * 32,) * len(keys), gaps=made_plan.gaps),
    )


def drawn(version: Version, *numbers: int) -> list[Painted]:
    return painted_of(version, FOLDER, [FOLDER / version.frames[n].file for n in numbers])


def starts(sheet: Plan) -> list[int]:
    return [line.frame for line in sheet.sheet]


WISHES: dict[str, dict[str, Any]] = {
    "fill": {},
    "on twos": {"step": 2},
    "counted": {"count": 3},
    "slow out": {"count": 3, "spacing": Spacing.SLOW_OUT},
    "held": {"count": 2, "hold": 5},
    "make room": {"fit": Fit.ROOM, "count": 3, "step": 2},
    "cycle": {"repeat": Repeat.CYCLE},
    "ping-pong": {"repeat": Repeat.PING_PONG, "count": 3},
}


@pytest.mark.parametrize("wish", WISHES.values(), ids=WISHES.keys())
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_painting_changes_no_timing_and_asks_for_the_others(
    wish: dict[str, Any], data: st.DataObject
) -> None:
    shot, asked = shot_of(1, 17, 33), Wish(**wish)
    before = plan(shot, asked)
    version = made(shot, before)
    numbers = data.draw(st.sets(st.integers(0, before.total - 1), min_size=1, max_size=3))
    painted = drawn(version, *numbers)
    now = plan(*with_painted(shot, asked, version, FOLDER, painted))
    assert starts(now) == starts(before)
    assert now.total == before.total - len(numbers)


def test_the_painted_drawing_stands_where_it_stood_and_is_trusted() -> None:
    shot, wish = shot_of(1, 9, 17), Wish(count=3)
    version = made(shot, plan(shot, wish))
    full, less = with_painted(shot, wish, version, FOLDER, drawn(version, 4))
    assert [(key.frame, key.painted) for key in full.keys] == [
        (1, False),
        (9, False),
        (13, True),
        (17, False),
    ]
    assert plan(full, less).gaps == ((0.25, 0.5, 0.75), (0.5,), (0.5,))
    assert full.notes == ("1 frame that you painted: a key now",)


def test_slow_spacing_goes_on_beside_a_painted_drawing() -> None:
    shot, wish = shot_of(1, 9), Wish(count=3, spacing=Spacing.SLOW_OUT)
    version = made(shot, plan(shot, wish))
    full, less = with_painted(shot, wish, version, FOLDER, drawn(version, 1))
    # 1/16, 1/4 and 9/16 of the way; the middle one is the artist's.
    assert plan(full, less).gaps == (
        (pytest.approx(0.25),),
        (pytest.approx((9 / 16 - 1 / 4) / (3 / 4)),),
    )


def test_painted_drawings_move_with_their_keys() -> None:
    before = shot_of(1, 9)
    version = made(before, plan(before, Wish()))
    full, _ = with_painted(shot_of(101, 117), Wish(), version, FOLDER, drawn(version, 3))
    assert [key.frame for key in full.keys] == [101, 109, 117]


def test_keys_side_by_side_make_room_for_painted_drawings() -> None:
    shot, wish = shot_of(1, 2, 3), Wish(fit=Fit.ROOM, count=3)
    before = plan(shot, wish)
    version = made(shot, before)
    full, less = with_painted(shot, wish, version, FOLDER, drawn(version, 0, 1, 5))
    now = plan(full, less)
    assert starts(now) == starts(before)
    assert now.total == 3


def test_what_was_painted_in_an_earlier_version_stays_a_key() -> None:
    shot, wish = shot_of(1, 9), Wish()
    first = made(shot, plan(shot, wish))
    full, less = with_painted(shot, wish, first, FOLDER, drawn(first, 3))
    second = made(full, plan(full, less), painted=frozenset((1,)))
    again, _ = with_painted(shot, wish, second, FOLDER, painted_of(second, FOLDER, []))
    assert [(key.frame, key.painted) for key in again.keys] == [(1, False), (5, True), (9, False)]
    assert os.path.realpath(again.keys[1].path) == os.path.realpath(full.keys[1].path)


def test_a_key_that_was_added_or_taken_away_leaves_the_painted_ones_where_their_keys_are() -> None:
    shot = shot_of(1, 9, 17)
    version = made(shot, plan(shot, Wish()))
    painted = drawn(version, 10)  # in the second gap, on frame 13
    more = Shot("hop", (*shot.keys, Key(Path("/keys/new.png"), 25)))
    full, _ = with_painted(more, Wish(), version, FOLDER, painted)
    assert [key.frame for key in full.keys] == [1, 9, 13, 17, 25]
    fewer = Shot("hop", shot.keys[:2])
    full, _ = with_painted(fewer, Wish(), version, FOLDER, painted)
    assert [key.frame for key in full.keys] == [1, 9]
    assert full.notes == ("1 painted frame has no place any more: the keys beside are gone",)


def test_keys_that_have_come_too_close_are_said_so() -> None:
    shot = shot_of(1, 9)
    version = made(shot, plan(shot, Wish()))
    with pytest.raises(NoRoom, match="keys on 1 and 2"):
        with_painted(shot_of(1, 2), Wish(count=0), version, FOLDER, drawn(version, 3))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(3):
        (tmp_path / f"hop_{number}.png").write_bytes(b"frame %d" % number)
    (tmp_path / "tweencel.json").write_text("{}")
    old = (tmp_path / "tweencel.json").stat().st_mtime_ns - 10**9
    for number in range(3):
        os.utime(tmp_path / f"hop_{number}.png", ns=(old, old))
    return tmp_path


@pytest.fixture
def version() -> Version:
    shot = shot_of(1, 5)
    frames = tuple(
        Frame(f"hop_{n}.png", 0, (n + 1) / 4, digest_of(b"frame %d" % n)) for n in range(3)
    )
    return msgspec.structs.replace(made(shot, plan(shot, Wish())), frames=frames)


def test_a_frame_is_painted_if_its_bytes_are_others(folder: Path, version: Version) -> None:
    watch = Watch()
    assert watch.known(folder) is None
    assert watch.all(folder, version) == []
    (folder / "hop_1.png").write_bytes(b"painted!")
    (folder / "hop_2.png").touch()  # saved again as it was
    assert watch.all(folder, version) == [folder / "hop_1.png"]
    assert watch.known(folder) == [folder / "hop_1.png"]
    (folder / "hop_1.png").write_bytes(b"frame 1")
    assert watch.all(folder, version) == []


def test_a_frame_that_was_painted_while_others_were_made_is_found(
    bench: Bench, keys: list[Path]
) -> None:
    bench.connect()
    bench.backend.automatic = False
    work = bench.generate(keys, name="hop")
    bench.until(lambda: work.job.accepted)
    bench.backend.move(work.job.id, State.RUNNING)
    bench.backend.make(work.job.id, len(work.order.numbers))
    bench.until(lambda: len(work.made) == len(work.order.numbers))
    painted = work.folder.path / work.made[1]
    painted.write_bytes(png(grey=222))
    time.sleep(0.02)  # the record is written later
    bench.backend.move(work.job.id, State.DONE)
    assert bench.until_ended(work) is Stage.DONE
    made = read_version(work.folder.path)
    assert made is not None
    assert Watch().all(work.folder.path, made) == [painted]


def test_frames_that_were_copied_without_their_times_are_not_taken_for_painted(
    bench: Bench, keys: list[Path], tmp_path: Path
) -> None:
    bench.connect()
    work = bench.generate(keys, name="hop")
    assert bench.until_ended(work) is Stage.DONE
    (work.folder.path / work.made[1]).write_bytes(png(grey=222))
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in (*work.made.values(), "tweencel.json"):  # the record is the youngest there
        (copy / name).write_bytes((work.folder.path / name).read_bytes())
        time.sleep(0.01)
    made = read_version(copy)
    assert made is not None
    assert Watch().all(copy, made) == [copy / work.made[1]]


def test_the_frames_are_looked_at_in_slices(folder: Path, version: Version) -> None:
    big = b"x" * 5_000_000
    (folder / "hop_0.png").write_bytes(big)
    watch = Watch()
    steps = 0
    while watch.known(folder) is None:
        watch.step(folder, version, 0.0)
        steps += 1
    assert steps > 10
    assert watch.known(folder) == [folder / "hop_0.png"]


def test_a_frame_that_is_gone_is_not_painted(folder: Path, version: Version) -> None:
    (folder / "hop_1.png").unlink()
    assert Watch().all(folder, version) == []
