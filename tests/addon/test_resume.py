# SPDX-License-Identifier: GPL-3.0-or-later
"""A session picks up what an earlier one left open, and fetches nothing twice."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from blender_addon.journal import Journal
from blender_addon.ledger import Stage
from blender_addon.session import Session
from blender_addon.work import Work
from protocol.endpoint import Endpoint
from protocol.errors import BadInput, MissingFile, QuotaExceeded
from protocol.jobs import State
from protocol.limits import WINDOW
from protocol.messages import Cancel, Get, Put, Submit, Subscribe
from tests.addon.bench import Bench
from tests.fakes.backend import ENDPOINT, FakeBackend, digest_of, png


class Blenders:
    """One Blender after the other, with the same journal and the same backend."""

    def __init__(self, backend: FakeBackend, folder: Path) -> None:
        self.backend = backend
        self.folder = folder
        self.notes = folder / "jobs"
        self._journals: list[Journal] = []
        self._sessions: list[Session] = []

    def start(self, connect: bool = True) -> Bench:
        journal = Journal(self.notes)
        self._journals.append(journal)
        session = Session(self.backend.connect, {"add-on": "test"}, journal)
        self._sessions.append(session)
        bench = Bench(session, self.backend, self.folder)
        if connect:
            bench.connect()
        return bench

    def kill(self) -> None:
        """What the system does for a process that ends: the line breaks, the locks come free."""
        self.backend.cut()
        self._journals[-1].close()
        for part in self._sessions[-1]._parts.values():
            part._file.close()
        self.backend.heard.clear()


@pytest.fixture
def blenders(backend: FakeBackend, tmp_path: Path) -> Iterator[Blenders]:
    backend.automatic = False
    blenders = Blenders(backend, tmp_path)
    yield blenders
    for journal in blenders._journals:
        journal.close()


def only(bench: Bench) -> Work:
    (work,) = bench.session.works.values()
    return work


def half_done(blenders: Blenders, keys: list[Path]) -> Work:
    """The first Blender dies when two of four frames have landed, and a third is made."""
    bench = blenders.start()
    work = bench.generate(keys, name="hop", params={"strength": 5}, facts={"timing": {"step": 2}})
    bench.until(lambda: work.job.accepted)
    blenders.backend.move(work.job.id, State.RUNNING)
    blenders.backend.make(work.job.id, 2)
    bench.until(lambda: bench.landed == [0, 1])
    blenders.kill()
    blenders.backend.make(work.job.id)
    return work


def asked(backend: FakeBackend) -> list[str]:
    return [get.digest for get in backend.said(Get) if isinstance(get, Get)]


def frame(index: int) -> str:
    return digest_of(png(grey=index + 1))


def test_the_next_blender_fetches_the_frames_that_are_lacking_and_no_other(
    blenders: Blenders, keys: list[Path]
) -> None:
    dead = half_done(blenders, keys)
    bench = blenders.start()
    work = only(bench)
    assert (work.job.id, work.folder.path) == (dead.job.id, dead.folder.path)
    bench.until(lambda: bench.landed == [0, 1, 2])
    blenders.backend.make(work.job.id)
    blenders.backend.move(work.job.id, State.DONE)
    assert bench.until_ended(work) is Stage.DONE
    assert asked(blenders.backend) == [frame(2), frame(3)]
    assert blenders.backend.said(Submit) == blenders.backend.said(Put) == []
    contents = [(work.folder.path / work.made[i]).read_bytes() for i in range(4)]
    assert contents == [png(grey=i + 1) for i in range(4)]
    record = json.loads((work.folder.path / "tweencel.json").read_text("utf-8"))
    assert (record["state"], len(record["frames"])) == ("done", 4)
    assert (record["params"], record["timing"]) == ({"strength": 5}, {"step": 2})
    assert [key["sha256"] for key in record["keys"]] == [digest_of(k.read_bytes()) for k in keys]
    assert list(blenders.notes.iterdir()) == []


def test_nothing_is_fetched_while_the_folder_is_still_looked_through(
    blenders: Blenders, keys: list[Path]
) -> None:
    half_done(blenders, keys)
    bench = blenders.start(connect=False)
    bench.session.connect(ENDPOINT)
    bench.session.tick(bench.now, budget_s=0.0)
    work = only(bench)
    assert work.job.stage is Stage.PREPARING
    while work.job.stage is Stage.PREPARING:
        assert blenders.backend.said(Subscribe) == []
        bench.session.tick(bench.now, budget_s=0.0)
    bench.until(lambda: sorted(work.made) == [0, 1, 2])
    assert asked(blenders.backend) == [frame(2)]


def test_a_job_that_ended_meanwhile_ends_at_once(blenders: Blenders, keys: list[Path]) -> None:
    dead = half_done(blenders, keys)
    blenders.backend.make(dead.job.id)
    blenders.backend.move(dead.job.id, State.DONE)
    bench = blenders.start()
    assert bench.until_ended(only(bench)) is Stage.DONE


def test_an_orderly_end_of_blender_forgets_nothing_either(
    blenders: Blenders, keys: list[Path]
) -> None:
    bench = blenders.start()
    work = bench.generate(keys)
    bench.until(lambda: work.job.accepted)
    bench.session.close()
    blenders.backend.run(work.job.id)
    again = blenders.start()
    assert again.until_ended(only(again)) is Stage.DONE


def test_a_frame_that_was_written_in_part_or_spoilt_is_fetched_again(
    blenders: Blenders, keys: list[Path]
) -> None:
    dead = half_done(blenders, keys)
    (dead.folder.path / dead.made[0]).write_bytes(b"half")
    (dead.folder.path / f".{frame(2)}.part").write_bytes(b"half")
    (dead.folder.path / ".of_a_key.png.part").write_bytes(b"half")
    bench = blenders.start()
    bench.until(lambda: sorted(bench.landed) == [0, 1, 2])
    assert sorted(asked(blenders.backend)) == sorted([frame(0), frame(2)])
    assert list(dead.folder.path.glob(".*")) == []


def test_a_frame_that_was_painted_over_before_blender_died_is_set_aside(
    blenders: Blenders, keys: list[Path]
) -> None:
    dead = half_done(blenders, keys)
    name = Path(dead.made[0])
    (dead.folder.path / name).write_bytes(png(grey=222))
    bench = blenders.start()
    bench.until(lambda: sorted(bench.landed) == [0, 1, 2])
    assert (dead.folder.path / name).read_bytes() == png(grey=1)
    aside = dead.folder.path / f"{name.stem}_painted{name.suffix}"
    assert aside.read_bytes() == png(grey=222)


def test_a_blender_that_dies_while_a_large_frame_comes_leaves_no_half_file(
    blenders: Blenders, keys: list[Path]
) -> None:
    blenders.backend.frame = lambda index: png(grey=index + 1, filler=3 * WINDOW)
    blenders.backend.automatic = True
    bench = blenders.start()
    dead = bench.generate(keys)
    bench.until(lambda: any(p.suffix == ".part" for p in dead.folder.path.iterdir()))
    blenders.kill()
    again = blenders.start()
    assert again.until_ended(only(again)) is Stage.DONE
    assert not any(p.suffix == ".part" for p in dead.folder.path.iterdir())


def test_a_job_of_which_the_backend_never_heard_is_sent_under_its_id(
    blenders: Blenders, keys: list[Path]
) -> None:
    bench = blenders.start()
    dead = bench.generate(keys)  # not one tick afterwards
    blenders.kill()
    blenders.backend.automatic = True
    again = blenders.start()
    assert again.until_ended(only(again)) is Stage.DONE
    (submit,) = blenders.backend.said(Submit)
    assert isinstance(submit, Submit)
    assert submit.job == dead.job.id


def test_a_job_whose_files_were_on_their_way_is_sent_under_its_id(
    blenders: Blenders, tmp_path: Path
) -> None:
    keys = [tmp_path / "a.png", tmp_path / "b.png"]
    for number, path in enumerate(keys):
        path.write_bytes(png(grey=number, filler=3 * WINDOW))
    bench = blenders.start()
    dead = bench.generate(keys)
    bench.until(lambda: len(blenders.backend.said(Put)) > 2)
    blenders.kill()
    blenders.backend.automatic = True
    again = blenders.start()
    assert again.until_ended(only(again)) is Stage.DONE
    assert list(blenders.backend.jobs) == [dead.job.id]
    first = blenders.backend.said(Put)[0]
    assert isinstance(first, Put)
    assert first.offset > 0


def test_a_backend_that_lost_its_memory_gets_keys_and_job_anew(
    blenders: Blenders, keys: list[Path]
) -> None:
    half_done(blenders, keys)
    blenders.backend.jobs.clear()
    blenders.backend.store.clear()
    blenders.backend.automatic = True
    bench = blenders.start()
    assert bench.until_ended(only(bench)) is Stage.DONE
    # The same frames came out: those that were there were not fetched.
    assert asked(blenders.backend) == [frame(2), frame(3)]


@pytest.mark.parametrize("deed", ["removed", "painted over"])
def test_a_job_that_was_not_sent_fails_with_a_fix_if_its_keys_are_not_what_they_were(
    blenders: Blenders, keys: list[Path], deed: str
) -> None:
    bench = blenders.start()
    work = bench.generate(keys)
    blenders.backend.full = QuotaExceeded("You have too much there.")
    bench.until(lambda: work.job.refusal is not None)
    blenders.kill()
    blenders.backend.full = None
    if deed == "removed":
        keys[1].unlink()
    else:
        keys[1].write_bytes(png(grey=77))
    again = blenders.start()
    assert again.until_ended(only(again)) is Stage.FAILED
    error = only(again).job.error
    assert isinstance(error, MissingFile if deed == "removed" else BadInput)
    assert "key_1.png" in error.text
    assert error.fix
    assert list(blenders.notes.iterdir()) == []


def test_a_job_whose_folder_is_gone_is_said_so_and_stopped(
    blenders: Blenders, keys: list[Path], tmp_path: Path
) -> None:
    dead = half_done(blenders, keys)
    dead.folder.path.rename(tmp_path / "elsewhere")
    bench = blenders.start()
    work = only(bench)
    assert bench.until_ended(work) is Stage.FAILED
    assert work.job.error is not None
    assert "folder of this job is gone" in work.job.error.text
    bench.tick(3)
    assert [c.job for c in blenders.backend.said(Cancel)] == [work.job.id]  # type: ignore[attr-defined]
    bench.session.dismiss(work.job.id)
    assert bench.session.works == {}
    assert list(blenders.notes.iterdir()) == []
    assert not dead.folder.path.exists()


def test_two_blenders_do_not_take_the_same_job(blenders: Blenders, keys: list[Path]) -> None:
    half_done(blenders, keys)
    first = blenders.start()
    assert len(first.session.works) == 1
    second = blenders.start()
    assert second.session.works == {}


def test_another_backend_is_not_asked_for_the_job(blenders: Blenders, keys: list[Path]) -> None:
    half_done(blenders, keys)
    bench = blenders.start(connect=False)
    for key in ("cd" * 32, "ab" * 32):
        bench.session.connect(Endpoint("tcp://127.0.0.1:5555", key, "ef" * 32))
        bench.tick(5)
        assert bench.session.works == {}
    bench.connect()
    assert len(bench.session.works) == 1


def test_a_picked_up_job_can_be_cancelled_and_keeps_what_it_has(
    blenders: Blenders, keys: list[Path]
) -> None:
    half_done(blenders, keys)
    bench = blenders.start()
    work = only(bench)
    bench.session.cancel(work.job.id, bench.now)
    assert bench.until_ended(work) is Stage.CANCELLED
    assert blenders.backend.jobs[work.job.id].state is State.CANCELLED
    assert sorted(work.made) == [0, 1]


def test_a_job_is_picked_up_only_once_although_the_line_breaks(
    blenders: Blenders, keys: list[Path]
) -> None:
    half_done(blenders, keys)
    bench = blenders.start()
    bench.until(lambda: bench.landed == [0, 1, 2])
    blenders.backend.cut()
    blenders.backend.mend()
    blenders.backend.make(only(bench).job.id)
    blenders.backend.move(only(bench).job.id, State.DONE)
    assert bench.until_ended(only(bench)) is Stage.DONE
    assert bench.landed == [0, 1, 2, 3]
    after = [s.after_seq for s in blenders.backend.said(Subscribe)]  # type: ignore[attr-defined]
    assert after == [0, 5]


def test_a_note_that_makes_no_sense_is_left_alone(blenders: Blenders, keys: list[Path]) -> None:
    blenders.notes.mkdir()
    (blenders.notes / "bad.json").write_text("{")
    (blenders.notes / "odd.json").write_text('{"backend": 3}')
    assert blenders.start().session.works == {}
