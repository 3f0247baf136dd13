# SPDX-License-Identifier: GPL-3.0-or-later
"""A version that is made again asks only for what has changed, and keeps the other frames."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from blender_addon.ledger import Stage
from blender_addon.work import Sketch, Work
from protocol.engines import Abilities
from protocol.jobs import Inbetween, State
from protocol.messages import FrameMade, Submit
from tests.addon.bench import Bench
from tests.addon.test_resume import Blenders, blenders, only
from tests.fakes.backend import ENGINE, digest_of, png

__all__ = ["blenders"]  # a fixture
GAP = (1 / 3, 2 / 3)
WHOLE = msgspec.structs.replace(ENGINE, can=Abilities(independent=False))
"""An engine whose frames depend on their whole gap."""


@pytest.fixture
def first(bench: Bench, keys: list[Path]) -> Work:
    """A finished version: 3 keys, two frames in each gap."""
    bench.connect()
    work = bench.generate(keys, name="hop")
    assert bench.until_ended(work) is Stage.DONE
    bench.backend.frame = lambda index: png(grey=50 + index)  # what is made now looks different
    bench.landed.clear()
    return work


def again(bench: Bench, keys: list[Path], first: Work, **changes: Any) -> Work:
    work = bench.generate(keys, name="hop", earlier=first.folder.path, **changes)
    assert bench.until_ended(work) is Stage.DONE
    return work


def sent(bench: Bench) -> Inbetween:
    """The task that was submitted last."""
    submit = bench.backend.said(Submit)[-1]
    assert isinstance(submit, Submit)
    assert isinstance(submit.task, Inbetween)
    return submit.task


def greys(work: Work) -> list[bytes]:
    return [(work.folder.path / work.made[slot]).read_bytes() for slot in sorted(work.made)]


def old(*slots: int) -> list[bytes]:
    return [png(grey=slot + 1) for slot in slots]


def new(*indices: int) -> list[bytes]:
    return [png(grey=50 + index) for index in indices]


def test_nothing_is_asked_for_if_nothing_has_changed(
    bench: Bench, keys: list[Path], first: Work
) -> None:
    before = len(bench.backend.said(Submit))
    work = again(bench, keys, first)
    assert len(bench.backend.said(Submit)) == before
    assert greys(work) == old(0, 1, 2, 3)
    assert sorted(work.made.values()) == [f"hop_000{n}.png" for n in (2, 3, 5, 6)]
    assert work.folder.path != first.folder.path
    assert (work.job.total, work.job.reused) == (0, 4)


def test_a_repainted_key_changes_its_gaps_and_no_other(
    bench: Bench, keys: list[Path], first: Work
) -> None:
    keys[2].write_bytes(png(grey=200))
    work = again(bench, keys, first)
    assert sent(bench).gaps == ((), GAP)
    assert greys(work) == [*old(0, 1), *new(0, 1)]
    assert sorted(bench.landed) == [0, 1, 2, 3]


def test_a_gap_with_other_times_is_made_and_keeps_the_frames_it_shares(
    bench: Bench, keys: list[Path], first: Work
) -> None:
    work = again(bench, keys, first, gaps=((1 / 3, 0.5, 2 / 3), GAP))
    assert sent(bench).gaps == ((0.5,), ())
    assert greys(work) == [*old(0), *new(0), *old(1, 2, 3)]


def test_an_engine_that_makes_gaps_as_a_whole_makes_the_whole_gap(
    bench: Bench, keys: list[Path]
) -> None:
    bench.connect()
    made = bench.generate(keys, name="hop", engine=WHOLE)
    bench.until_ended(made)
    work = again(bench, keys, made, engine=WHOLE, gaps=((1 / 3, 0.5, 2 / 3), GAP))
    assert sent(bench).gaps == ((1 / 3, 0.5, 2 / 3), ())
    assert work.job.reused == 2


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 7},
        {"params": {"strength": 4}},
        {"engine": msgspec.structs.replace(ENGINE, version="2")},
        {"even_motion": True},
    ],
    ids=["seed", "setting", "engine", "even motion"],
)
def test_other_settings_make_every_frame_anew(
    bench: Bench, keys: list[Path], first: Work, changes: dict[str, Any]
) -> None:
    work = again(bench, keys, first, **changes)
    assert sent(bench).gaps == (GAP, GAP)
    assert greys(work) == new(0, 1, 2, 3)


def test_a_sketch_changes_its_gap(bench: Bench, keys: list[Path], first: Work) -> None:
    sketch = keys[0].with_name("sketch.png")
    sketch.write_bytes(png(grey=9))
    work = again(bench, keys, first, sketches=[Sketch(1, 0.5, sketch)])
    assert sent(bench).gaps == ((), GAP)
    assert len(sent(bench).guides) == 1
    again_ = again(bench, keys, work, sketches=[Sketch(1, 0.5, sketch)])
    assert again_.job.reused == 4


def test_a_mask_of_its_own_for_each_frame_changes_the_frames_whose_mask_changed(
    bench: Bench, keys: list[Path]
) -> None:
    bench.connect()
    masks = [keys[0].with_name(f"mask_{n}.png") for n in range(4)]
    for number, mask in enumerate(masks):
        mask.write_bytes(png(grey=200 + number))
    made = bench.generate(keys, name="hop", masks=masks)
    bench.until_ended(made)
    masks[2].write_bytes(png(grey=90))
    work = again(bench, keys, made, masks=masks)
    assert sent(bench).gaps == ((), GAP[:1])
    assert sent(bench).masks == (digest_of(png(grey=90)),)
    assert work.job.reused == 3


def test_a_frame_that_is_not_what_was_recorded_is_made_anew(
    bench: Bench, keys: list[Path], first: Work
) -> None:
    (first.folder.path / first.made[1]).write_bytes(b"painted, and not said so")
    (first.folder.path / first.made[2]).unlink()
    work = again(bench, keys, first)
    assert greys(work) == [*old(0), *new(0, 1), *old(3)]
    assert list(work.folder.path.glob(".*")) == []


def test_the_version_after_the_next_reuses_what_was_reused(
    bench: Bench, keys: list[Path], first: Work
) -> None:
    keys[2].write_bytes(png(grey=200))
    second = again(bench, keys, first)
    third = again(bench, keys, second)
    assert greys(third) == [*old(0, 1), *new(0, 1)]
    record = json.loads((third.folder.path / "tweencel.json").read_text("utf-8"))
    assert [(frame["gap"], frame["t"]) for frame in record["frames"]] == [
        (gap, t) for gap in (0, 1) for t in GAP
    ]


def test_an_earlier_version_whose_record_is_gone_serves_nothing(
    bench: Bench, keys: list[Path], first: Work
) -> None:
    (first.folder.path / "tweencel.json").write_text("{", "utf-8")
    assert greys(again(bench, keys, first)) == new(0, 1, 2, 3)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda record: record["task"].update(masks=["ab" * 32] * 3),
        lambda record: record["task"].update(keys=record["task"]["keys"][:1]),
        lambda record: record.update(keys=[]),
        lambda record: record["frames"][0].update(file="../../secret"),
        lambda record: record["frames"][0].update(gap=9),
        lambda record: record.update(sheet=[{"key": -4, "t": 0.0, "frame": 1, "hold": 1}]),
        lambda record: record.update(origin=[]),
    ],
)
def test_a_record_that_was_tampered_with_serves_nothing_and_harms_nothing(
    bench: Bench, keys: list[Path], first: Work, spoil: Any
) -> None:
    path = first.folder.path / "tweencel.json"
    record = json.loads(path.read_text("utf-8"))
    spoil(record)
    path.write_text(json.dumps(record), "utf-8")
    work = again(bench, keys, first)
    assert greys(work) == new(0, 1, 2, 3)
    assert bench.session.problem is None


def test_frames_that_were_kept_are_there_before_the_backend_has_made_one(
    bench: Bench, keys: list[Path], first: Work
) -> None:
    keys[2].write_bytes(png(grey=200))
    bench.backend.automatic = False
    work = bench.generate(keys, name="hop", earlier=first.folder.path)
    bench.until(lambda: work.job.accepted)
    assert sorted(work.made) == [0, 1]


def test_a_blender_that_dies_meanwhile_loses_no_kept_frame(
    blenders: Blenders, keys: list[Path]
) -> None:
    backend = blenders.backend
    bench = blenders.start()
    made = bench.generate(keys, name="hop")
    bench.until(lambda: made.job.accepted)
    backend.run(made.job.id)
    bench.until_ended(made)
    keys[2].write_bytes(png(grey=200))
    backend.frame = lambda index: png(grey=50 + index)
    dead = bench.generate(keys, name="hop", earlier=made.folder.path)
    bench.until(lambda: dead.job.accepted)
    backend.make(dead.job.id)
    bench.until(lambda: 2 in dead.made)
    blenders.kill()
    bench = blenders.start()
    work = only(bench)
    backend.make(work.job.id)
    backend.move(work.job.id, State.DONE)
    assert bench.until_ended(work) is Stage.DONE
    assert greys(work) == [*old(0, 1), *new(0, 1)]
    assert len([e for e in backend.jobs[work.job.id].events if isinstance(e, FrameMade)]) == 2


def test_a_blender_that_dies_before_the_job_was_sent_takes_the_frames_over_again(
    blenders: Blenders, keys: list[Path]
) -> None:
    backend = blenders.backend
    bench = blenders.start()
    made = bench.generate(keys, name="hop")
    bench.until(lambda: made.job.accepted)
    backend.run(made.job.id)
    bench.until_ended(made)
    keys[2].write_bytes(png(grey=200))
    bench.generate(keys, name="hop", earlier=made.folder.path)
    blenders.kill()
    bench = blenders.start()
    work = only(bench)
    bench.until(lambda: work.job.accepted)
    assert sorted(work.made) == [0, 1]
    assert work.job.total == 2
