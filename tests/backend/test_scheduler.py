# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs through the scheduler and a real worker process: engines that behave, and that do not."""

from __future__ import annotations

import select
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest

from backend.config import Quota, Settings
from backend.desk import Desk
from backend.imaging.codecs import decode, encode
from backend.runs import Output
from protocol.errors import (
    BadImage,
    BadJob,
    BadParameter,
    DiskFull,
    MissingInputs,
    NothingToMake,
    QuotaExceeded,
    SizeMismatch,
    UnknownEngine,
    UnknownJob,
)
from protocol.jobs import Guide, Inbetween, State, StillLoop, Task
from protocol.messages import FrameMade, Progress, Status, Submit
from protocol.params import Value

pytestmark = pytest.mark.usefixtures("plugin")
ME, OTHER = "1" * 64, "2" * 64
TIMES = (0.2, 0.4, 0.6, 0.8)


class Bench:
    """A backend without a server, and what it published."""

    def __init__(self, home: Path, keys: list[bytes], **settings: float | Quota) -> None:
        self.settings = Settings(home=home, device="cpu", threads=1, **settings)
        self.said: list[Status | FrameMade | Progress] = []
        self.desk = Desk(self.settings, self.said.append)
        self.ledger, self.executor = self.desk.ledger, self.desk.executor
        self.scheduler = self.desk.scheduler
        self.keys = tuple(self.hold(ME, key) for key in keys[:2])
        self.count = 0

    def hold(self, owner: str, content: bytes) -> str:
        digest = self.desk.store.add(content)
        self.desk.holdings.claim(owner, digest, len(content))
        return digest

    def submit(self, engine: str = "abusive", owner: str = ME, **params: Value) -> str:
        self.count += 1
        params = {"level": self.count / 1000, **params} if engine == "abusive" else params
        task = Inbetween(keys=self.keys, gaps=(TIMES,))
        job = f"{self.count:032x}"
        self.scheduler.submit(
            owner, Submit(rid=1, job=job, engine=engine, params=params, task=task)
        )
        return job

    def ask(self, task: Task, engine: str = "crossfade") -> str:
        self.count += 1
        job = f"{self.count:032x}"
        self.scheduler.submit(ME, Submit(rid=1, job=job, engine=engine, task=task))
        return job

    def file_of(self, job: str, index: int) -> bytes:
        (frame,) = [
            said
            for said in self.said
            if isinstance(said, FrameMade) and said.job == job and said.index == index
        ]
        return self.desk.store.read(frame.digest, 0, frame.size)

    def pump(self, until: Callable[[], object]) -> None:
        while not until():
            self.scheduler.tick(time.monotonic())
            select.select([self.executor.wake], [], [], 0.05)

    def end_of(self, job: str) -> Status:
        """Wait until the job has ended."""
        self.pump(lambda: self.ledger.job(job).state.ended)
        return [said for said in self.said if isinstance(said, Status) and said.job == job][-1]

    def frames_of(self, job: str) -> list[int]:
        return [said.index for said in self.said if isinstance(said, FrameMade) and said.job == job]

    def close(self) -> None:
        self.desk.close()


@pytest.fixture
def bench(tmp_path: Path, keys: list[bytes]) -> Iterator[Bench]:
    bench = Bench(tmp_path, keys, cancel_grace=0.5)
    yield bench
    bench.close()


def test_a_job_is_done_frame_by_frame_in_order(bench: Bench) -> None:
    job = bench.submit(level=1.0)
    assert bench.end_of(job).state is State.DONE
    assert bench.frames_of(job) == [0, 1, 2, 3]
    assert any(isinstance(said, Progress) and said.left is not None for said in bench.said)


@pytest.mark.parametrize(
    ("deed", "code", "words"),
    [
        ("raise", "engine_failed", "ZeroDivisionError"),
        ("refuse", "bad_parameter", "too sad"),
        ("memory", "engine_failed", "out of memory"),
        ("segfault", "worker_died", "segmentation fault"),
        ("kill", "worker_died", "killed"),
        ("exit", "worker_died", "exit code 3"),
        ("short", "engine_failed", "1 of 4"),
    ],
)
def test_a_failing_engine_fails_its_job_with_a_sentence_and_the_next_job_runs(
    bench: Bench, deed: str, code: str, words: str
) -> None:
    job = bench.submit(deed=deed)
    end = bench.end_of(job)
    assert end.state is State.FAILED
    assert end.error is not None
    assert end.error.code == code
    assert bench.frames_of(job) == [0]
    assert words in end.error.text
    assert bench.end_of(bench.submit()).state is State.DONE


def test_a_worker_stays_warm_between_jobs(bench: Bench) -> None:
    bench.end_of(bench.submit())
    process = bench.executor._process
    bench.end_of(bench.submit())
    assert bench.executor._process is process


def test_an_idle_worker_ends_and_the_next_job_gets_a_new_one(
    tmp_path: Path, keys: list[bytes]
) -> None:
    bench = Bench(tmp_path, keys, worker_idle=0.0)
    bench.end_of(bench.submit())
    bench.pump(lambda: bench.executor._process is None)
    assert bench.end_of(bench.submit()).state is State.DONE
    bench.close()


def test_cancel_stops_a_job_at_its_next_step_and_no_other(bench: Bench) -> None:
    first, second = bench.submit(deed="slow"), bench.submit()
    bench.pump(lambda: bench.frames_of(first))
    bench.scheduler.cancel(first)
    assert bench.end_of(first).state is State.CANCELLED
    assert len(bench.frames_of(first)) < 4
    assert bench.end_of(second).state is State.DONE


def test_a_waiting_job_is_cancelled_without_ever_running(bench: Bench) -> None:
    first, second = bench.submit(deed="slow"), bench.submit()
    bench.pump(lambda: bench.frames_of(first))
    bench.scheduler.cancel(second)
    assert bench.end_of(second).state is State.CANCELLED
    assert bench.end_of(first).state is State.DONE
    assert bench.frames_of(second) == []


def test_a_hung_engine_is_killed_after_the_grace(bench: Bench) -> None:
    job = bench.submit(deed="hang")
    bench.pump(lambda: bench.frames_of(job) == [0])
    bench.scheduler.cancel(job)
    assert bench.end_of(job).state is State.CANCELLED
    assert bench.end_of(bench.submit()).state is State.DONE


def test_cancelling_an_ended_job_changes_nothing(bench: Bench) -> None:
    job = bench.submit()
    bench.end_of(job)
    bench.scheduler.cancel(job)
    assert bench.ledger.job(job).state is State.DONE
    with pytest.raises(UnknownJob):
        bench.scheduler.cancel("f" * 32)


def test_a_job_goes_on_with_its_next_frame_after_a_restart(
    tmp_path: Path, keys: list[bytes]
) -> None:
    bench = Bench(tmp_path, keys)
    job = bench.submit(deed="slow")
    bench.pump(lambda: len(bench.frames_of(job)) == 2)
    bench.close()

    bench = Bench(tmp_path, keys)
    bench.scheduler.recover()
    assert bench.end_of(job).state is State.DONE
    made = [event for event in bench.ledger.events_after(job, 0) if isinstance(event, FrameMade)]
    assert [event.index for event in made] == [0, 1, 2, 3]
    assert bench.frames_of(job)[0] >= 2
    bench.close()


@pytest.mark.parametrize("deed", ["segfault", "kill", "exit", "hang"])
def test_a_job_survives_its_worker_and_goes_on_with_the_next_frame(
    tmp_path: Path, keys: list[bytes], deed: str
) -> None:
    bench = Bench(tmp_path / "home", keys, silence=1.0)
    job = bench.submit(deed=deed, at=2, once=str(tmp_path / "marker"))
    end = bench.end_of(job)
    assert (end.state, end.attempt) == (State.DONE, 2)
    assert bench.frames_of(job) == [0, 1, 2, 3]
    bench.close()


def test_a_worker_that_dies_again_and_again_fails_the_job_in_the_end(bench: Bench) -> None:
    job = bench.submit(deed="kill", at=2)
    end = bench.end_of(job)
    assert (end.state, end.attempt) == (State.FAILED, 3)
    assert end.error is not None
    assert "tried 3 times" in end.error.text
    assert bench.frames_of(job) == [0, 1]


def test_the_same_job_again_is_done_at_once_with_the_same_files(bench: Bench) -> None:
    first = bench.submit(level=0.5)
    bench.end_of(first)
    again = bench.submit(level=0.5)
    assert bench.ledger.standing(again).state is State.DONE
    digests = [
        [
            event.digest
            for event in bench.ledger.events_after(job, 0)
            if isinstance(event, FrameMade)
        ]
        for job in (first, again)
    ]
    assert digests[0] == digests[1]
    assert len(digests[0]) == 4


def test_only_frames_that_were_never_made_are_made(bench: Bench) -> None:
    bench.end_of(bench.submit(level=0.5))
    task = Inbetween(keys=bench.keys, gaps=((0.2, 0.3, 0.8),))
    job = "d" * 32
    bench.scheduler.submit(
        ME, Submit(rid=1, job=job, engine="abusive", params={"level": 0.5}, task=task)
    )
    assert bench.frames_of(job) == [0, 2]
    assert bench.end_of(job).state is State.DONE
    assert bench.frames_of(job) == [0, 2, 1]


def test_another_seed_or_setting_is_another_frame(bench: Bench) -> None:
    bench.end_of(bench.submit(level=0.5))
    assert bench.ledger.standing(bench.submit(level=0.6)).state is not State.DONE


def test_another_owner_has_no_use_of_my_frames(bench: Bench, keys: list[bytes]) -> None:
    bench.end_of(bench.submit(level=0.5))
    with pytest.raises(MissingInputs):
        bench.submit(owner=OTHER, level=0.5)
    for key in keys:
        bench.hold(OTHER, key)
    job = bench.submit(owner=OTHER, level=0.5)
    assert bench.ledger.standing(job).state is State.QUEUED
    assert bench.end_of(job).state is State.DONE


def test_owners_take_turns(bench: Bench, keys: list[bytes]) -> None:
    for key in keys:
        bench.hold(OTHER, key)
    mine = [bench.submit() for _ in range(3)]
    other = bench.submit(owner=OTHER)
    bench.end_of(mine[-1])
    started = [
        said.job for said in bench.said if isinstance(said, Status) and said.state is State.RUNNING
    ]
    assert started == [mine[0], other, mine[1], mine[2]]


def test_too_many_open_jobs_are_refused_until_some_are_done(
    tmp_path: Path, keys: list[bytes]
) -> None:
    bench = Bench(tmp_path, keys, quota=Quota(open_jobs=2))
    jobs = [bench.submit(), bench.submit()]
    with pytest.raises(QuotaExceeded) as refusal:
        bench.submit()
    assert refusal.value.fix
    bench.end_of(jobs[0])
    bench.submit()
    bench.close()


def test_unload_gives_the_memory_back_but_not_in_the_middle_of_a_job(bench: Bench) -> None:
    job = bench.submit(deed="slow")
    bench.pump(lambda: bench.frames_of(job))
    assert not bench.executor.unload()
    bench.end_of(job)
    assert bench.executor.summary().pid
    assert bench.executor.unload()
    assert bench.executor.summary().pid == 0
    assert bench.end_of(bench.submit()).state is State.DONE


def test_bad_jobs_are_refused_before_they_are_written_down(bench: Bench, keys: list[bytes]) -> None:
    with pytest.raises(UnknownEngine, match="nobody") as refusal:
        bench.submit("nobody")
    assert "crossfade" in refusal.value.fix
    with pytest.raises(BadParameter):
        bench.submit(level=2.0)
    a, b = bench.keys
    text = bench.hold(ME, b"not a picture at all")
    wide = bench.hold(ME, keys[0][:16] + (41).to_bytes(4, "big") + keys[0][20:])
    for pair, gaps, failure in [
        ((a, "0" * 64), TIMES, MissingInputs),
        ((a, b), (), NothingToMake),
        ((a, text), TIMES, BadImage),
        ((a, wide), TIMES, SizeMismatch),
    ]:
        with pytest.raises(failure):
            bench.scheduler.submit(
                ME,
                Submit(
                    rid=1, job="e" * 32, engine="abusive", task=Inbetween(keys=pair, gaps=(gaps,))
                ),
            )
    assert bench.ledger.summaries([ME], {}) == ()


def fill_disk(bench: Bench, *, full: bool) -> None:
    """Let SQLite meet its end of space: the ledger may not grow by a page."""
    pages = bench.desk._database.execute("PRAGMA page_count").fetchone()[0]
    bench.desk._database.execute(f"PRAGMA max_page_count = {pages if full else 2**30}")


def long_job(bench: Bench, job: str = "f" * 32) -> str:
    times = tuple(i / 600 for i in range(1, 600))
    task = Inbetween(keys=bench.keys, gaps=(times,))
    bench.scheduler.submit(ME, Submit(rid=1, job=job, engine="crossfade", task=task))
    return job


def test_a_full_disk_holds_a_job_up_and_loses_nothing(bench: Bench) -> None:
    job = long_job(bench)
    bench.pump(lambda: bench.frames_of(job))
    fill_disk(bench, full=True)
    bench.pump(lambda: bench.scheduler.waits_for_disk)
    fill_disk(bench, full=False)
    assert bench.end_of(job).state is State.DONE
    assert bench.frames_of(job) == list(range(599))
    assert bench.desk.check_books() == "ok"


def test_a_cancel_while_the_disk_is_full_is_not_forgotten(bench: Bench) -> None:
    job = long_job(bench)
    bench.pump(lambda: bench.frames_of(job))
    fill_disk(bench, full=True)
    bench.pump(lambda: bench.scheduler.waits_for_disk)
    bench.scheduler.cancel(job)
    fill_disk(bench, full=False)
    assert bench.end_of(job).state is State.CANCELLED


def test_a_job_that_cannot_be_written_down_is_refused_and_comes_in_later(bench: Bench) -> None:
    bench.end_of(bench.submit())
    fill_disk(bench, full=True)
    numbers = iter(range(100))
    with pytest.raises(DiskFull):
        bench.pump(lambda: not long_job(bench, f"{next(numbers):032d}"))
    fill_disk(bench, full=False)
    job = long_job(bench)
    assert bench.end_of(job).state is State.DONE


def test_the_same_cancel_twice_does_not_postpone_the_kill(bench: Bench) -> None:
    job = bench.submit(deed="hang")
    bench.pump(lambda: bench.frames_of(job) == [0])
    began = time.monotonic()

    def nag() -> bool:
        bench.scheduler.cancel(job)
        return bench.ledger.standing(job).state.ended

    bench.pump(nag)
    assert bench.end_of(job).state is State.CANCELLED
    assert time.monotonic() - began < 10


def test_frames_that_were_made_before_are_found_after_a_kill_too(bench: Bench) -> None:
    done = bench.submit(level=0.5)
    bench.end_of(done)
    again = msgspec.structs.replace(bench.ledger.job(done).submit, job="e" * 32)
    bench.ledger.accept(ME, again, bench.ledger.job(done).output)  # killed right after this
    bench.scheduler.recover()
    bench.said.clear()
    assert bench.end_of("e" * 32).state is State.DONE
    assert not [said for said in bench.said if isinstance(said, Progress)], "no engine was needed"


# What an engine is asked for, and what it is not -------------------------------------------------


def png(picture: np.ndarray) -> bytes:
    return cv2.imencode(".png", picture)[1].tobytes()


def test_sketches_are_refused_for_an_engine_that_takes_none(bench: Bench) -> None:
    guide = Guide(gap=0, t=0.5, sketch=bench.keys[0])
    with pytest.raises(BadJob, match="Crossfade takes no sketches") as refusal:
        bench.ask(Inbetween(keys=bench.keys, gaps=((0.5,),), guides=(guide,)))
    assert "Remove the sketches" in refusal.value.fix


def test_a_kind_that_the_engine_does_not_make_is_refused(bench: Bench) -> None:
    with pytest.raises(BadJob, match="Crossfade does not make jobs of the kind 'still_loop'"):
        bench.ask(StillLoop(still=bench.keys[0], regions=(), length=4))


def test_an_engine_with_times_of_its_own_is_not_asked_for_even_motion(bench: Bench) -> None:
    task = Inbetween(keys=bench.keys, gaps=((0.5,),), even_motion=True)
    with pytest.raises(BadJob, match="measured motion") as refusal:
        bench.ask(task, "stubborn")
    assert "even motion off" in refusal.value.fix
    assert bench.end_of(bench.ask(task)).state is State.DONE


@pytest.mark.parametrize("channels", [1, 4], ids=["grey", "with alpha"])
def test_where_a_mask_is_black_the_file_has_the_key_s_own_pixels(
    bench: Bench, channels: int
) -> None:
    soft = np.zeros((24, 40, channels), np.uint8)
    soft[..., -1] = 255 if channels == 4 else 0
    soft[:, :, : min(channels, 3)] = np.clip(np.arange(40) * 16 - 200, 0, 255)[None, :, None]
    mask = bench.hold(ME, png(soft))
    task = Inbetween(keys=bench.keys, gaps=((0.5,),))
    free, held = bench.ask(task), bench.ask(msgspec.structs.replace(task, masks=(mask,)))
    assert bench.end_of(free).state is State.DONE
    assert bench.end_of(held).state is State.DONE
    key, made, whole = (
        cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
        for content in (
            bench.desk.store.path(bench.keys[0]).read_bytes(),
            bench.file_of(held, 0),
            bench.file_of(free, 0),
        )
    )
    black, white = soft[..., 0] == 0, soft[..., 0] == 255
    np.testing.assert_array_equal(made[black], key[black])
    np.testing.assert_array_equal(made[white], whole[white])
    assert (made != whole).any()


def test_a_mask_of_another_size_is_refused_by_name(bench: Bench) -> None:
    mask = bench.hold(ME, png(np.zeros((24, 41), np.uint8)))
    with pytest.raises(SizeMismatch, match="Key 1 is 40 x 24 pixels, but the mask is 41 x 24"):
        bench.ask(Inbetween(keys=bench.keys, gaps=((0.5,),), masks=(mask,)))


# EXR ---------------------------------------------------------------------------------------------


def exr(bench: Bench, key: str, depth: int) -> str:
    """The key as an EXR, brighter than white."""
    pixels = decode(bench.desk.store.path(key).read_bytes()).pixels
    pixels[..., :3] *= 2
    return bench.hold(ME, encode(pixels, depth, "RGBA", "EXR"))


@pytest.mark.parametrize("depth", [16, 32])
def test_exr_keys_give_exr_frames_of_their_depth(bench: Bench, depth: int) -> None:
    keys = tuple(exr(bench, key, depth) for key in bench.keys)
    job = bench.ask(Inbetween(keys=keys, gaps=((0.5,),)))
    assert bench.end_of(job).state is State.DONE
    made = decode(bench.file_of(job, 0))
    assert (made.format, made.depth, made.channels) == ("EXR", depth, "RGBA")
    assert made.pixels[..., :3].max() > 1.5


def test_exr_and_png_keys_in_one_job_are_refused(bench: Bench) -> None:
    keys = (bench.keys[0], exr(bench, bench.keys[1], 16))
    with pytest.raises(BadImage, match="Key 1 is PNG, but Key 2 is EXR"):
        bench.ask(Inbetween(keys=keys, gaps=((0.5,),)))


def test_a_mask_may_be_a_png_where_the_keys_are_exr(bench: Bench) -> None:
    keys = tuple(exr(bench, key, 16) for key in bench.keys)
    mask = bench.hold(ME, png(np.zeros((24, 40), np.uint8)))
    job = bench.ask(Inbetween(keys=keys, gaps=((0.5,),), masks=(mask,)))
    assert bench.end_of(job).state is State.DONE
    np.testing.assert_array_equal(
        decode(bench.file_of(job, 0)).pixels,
        decode(bench.desk.store.path(keys[0]).read_bytes()).pixels,
    )


def test_jobs_written_down_before_there_was_exr_are_png() -> None:
    old = msgspec.msgpack.encode({"depth": 8, "channels": "RGBA"})
    assert msgspec.msgpack.decode(old, type=Output).format == "PNG"
    assert msgspec.msgpack.encode(Output(8, "RGBA")) == old, "its frames' recipes stay the same"
