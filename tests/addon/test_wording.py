# SPDX-License-Identifier: GPL-3.0-or-later
"""What the panels say."""

from __future__ import annotations

from pathlib import Path

import pytest

from blender_addon.ledger import Job, Stage
from blender_addon.shot import GapWish, Key, Shot, Wish, gap_views, plan
from blender_addon.wording import (
    contact_line,
    engine_label,
    engine_lines,
    error_lines,
    gap_lines,
    gap_title,
    job_view,
    job_views,
    summary,
    time_left,
)
from protocol.engines import Abilities, EngineSpec, Needs
from protocol.errors import BadImage, TweencelError
from protocol.messages import Progress
from protocol.timing import Spacing
from tests.addon.bench import Bench
from tests.fakes.backend import ENDPOINT, ENGINE

SHOT = Shot("hop", tuple(Key(Path(f"{frame}.png"), frame) for frame in (1, 7, 17)))


def job(stage: Stage, **changes: object) -> Job:
    made = Job("a" * 32, "echo", {}, 0, 15, stage)
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def test_the_selection_is_summed_up_in_one_line() -> None:
    assert summary(SHOT, plan(SHOT, Wish())) == "3 keys, 2 gaps, 14 frames to make"
    single = plan(SHOT, Wish(count=0, per_gap={0: GapWish(1)}))
    assert summary(SHOT, single) == "3 keys, 2 gaps, 1 frame to make"


def test_each_gap_tells_its_frames_and_its_count() -> None:
    wish = Wish(per_gap={1: GapWish(hold=4, step=2, chart=Spacing.SLOW_OUT)})
    first, second = gap_views(SHOT, wish)
    assert gap_title(first) == "1 to 7: 5 in-betweens"
    assert gap_title(gap_views(SHOT, Wish(count=1))[1]) == "7 to 17: 1 in-between"
    assert gap_lines(first) == ["On ones", "Even"]
    assert gap_lines(second) == ["On twos", "Key held for 4", "Slow out"]
    uneven, _ = gap_views(SHOT, Wish(count=4))
    assert gap_lines(uneven)[0] == "Held for 1 to 2 frames"
    cut, _ = gap_views(SHOT, Wish(per_gap={0: GapWish(cut=True)}))
    assert gap_lines(cut) == ["Cut: the key is held"]


def test_an_error_comes_with_what_to_do() -> None:
    lines = error_lines(BadImage("It is a song.", fix="Draw it."))
    assert [line.text for line in lines] == ["It is a song.", "Draw it."]
    assert [line.alert for line in lines] == [True, False]
    assert len(error_lines(TweencelError("Only this."))) == 1


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "about 1 s left"), (40.4, "about 40 s left"), (170, "about 3 min left")],
)
def test_the_time_left_is_rounded_as_people_do(seconds: float, text: str) -> None:
    assert time_left(seconds) == text


def test_a_running_job_shows_frames_bar_and_time() -> None:
    progress = Progress(job="a" * 32, phase="drawing", made=6, total=15, left=30.0)
    view = job_view(job(Stage.RUNNING, landed={0, 1, 2}, progress=progress), "hop_v001", 1.0)
    assert view.status == "3 of 15 frames, about 30 s left"
    assert view.fraction == pytest.approx(0.2)
    assert (view.can_cancel, view.can_dismiss, view.has_folder) == (True, False, True)


def test_a_waiting_job_tells_how_many_are_before_it() -> None:
    progress = Progress(job="a" * 32, phase="", ahead=2)
    assert (
        job_view(job(Stage.QUEUED, progress=progress), "x", 1.0).status == "Waiting behind 2 jobs"
    )
    assert (
        job_view(job(Stage.QUEUED), "x", 1.0, connected=False).status == "Waiting (no connection)"
    )


def test_a_failed_job_shows_why_and_can_be_dismissed() -> None:
    view = job_view(job(Stage.FAILED, error=BadImage("It is a song."), landed={0}), "x", 1.0)
    assert view.status == "Failed with 1 of 15 frames"
    assert view.lines[0].text == "It is a song."
    assert view.lines[1].text == BadImage.default_fix
    assert (view.can_cancel, view.can_dismiss, view.fraction) == (False, True, None)


@pytest.mark.parametrize("stage", list(Stage))
def test_every_stage_has_words(stage: Stage) -> None:
    assert job_view(job(stage), "x", 0.5).status


def test_an_engine_that_this_backend_lacks_keeps_its_name() -> None:
    assert engine_label([ENGINE], "echo") == "Echo"
    assert engine_label([ENGINE], "gone") == "gone (not on this backend)"
    assert engine_label([], "") == "No engine"


def test_an_engine_tells_what_it_cannot() -> None:
    spec = EngineSpec(
        id="big",
        label="Big",
        summary="Large.",
        version="1",
        jobs=("inbetween",),
        needs=Needs(vram_gb=12),
        can=Abilities(alpha=False),
        unavailable="No GPU.",
    )
    texts = [line.text for line in engine_lines(spec)]
    assert texts == [
        "Large.",
        "No GPU.",
        "Makes no transparency",
        "Needs about 12 GB of GPU memory",
    ]


def test_the_connection_is_told_in_one_line(bench: Bench) -> None:
    assert contact_line(bench.session, False).text == "Not connected"
    assert "starting" in contact_line(bench.session, True).text
    bench.backend.up = False
    bench.session.connect(ENDPOINT)
    assert contact_line(bench.session, False).text == "Connecting to 127.0.0.1:5555 ..."
    bench.backend.up = True
    bench.connect()
    assert contact_line(bench.session, False).text == "fake 1 at 127.0.0.1:5555"


def test_the_newest_job_stands_first(bench: Bench, keys: list[Path]) -> None:
    bench.connect()
    for _ in range(2):
        bench.until_ended(bench.generate(keys, name="hop"))
    assert [view.title for view in job_views(bench.session)] == ["hop_v002", "hop_v001"]
