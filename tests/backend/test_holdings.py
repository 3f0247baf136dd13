# SPDX-License-Identifier: GPL-3.0-or-later
"""Who holds what, and what a sweep takes: never what is still needed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.clients import LOCAL, Clients
from backend.database import open_database
from backend.holdings import Holdings
from backend.ledger import Ledger
from backend.runs import Output
from protocol.errors import BadInput
from protocol.jobs import Inbetween, State
from protocol.messages import Submit

ME, OTHER = "1" * 64, "2" * 64
A, B, C = "a" * 64, "b" * 64, "c" * 64
JOB = "d" * 32
DAY = 86400.0
HUGE = 2**60


class Books:
    """The tables of one backend, with a clock that the test sets."""

    def __init__(self, folder: Path) -> None:
        self.now = 1e9
        self.database = open_database(folder / "ledger.sqlite3")
        self.holdings = Holdings(self.database, lambda: self.now)
        self.ledger = Ledger(self.database, lambda: self.now)

    def job(self, *states: State) -> None:
        task = Inbetween(keys=(A, B), gaps=((0.5,),))
        submit = Submit(rid=1, job=JOB, engine="crossfade", task=task)
        self.ledger.accept(ME, submit, Output(8, "RGB"))
        for state in states:
            self.ledger.move(JOB, state)


@pytest.fixture
def books(tmp_path: Path) -> Iterator[Books]:
    books = Books(tmp_path)
    yield books
    books.database.close()


def test_what_was_not_used_for_long_goes_and_is_told(books: Books) -> None:
    books.holdings.claim(ME, A, 10)
    books.now += 20 * DAY
    books.holdings.claim(ME, B, 20)
    books.now += 20 * DAY
    swept = books.holdings.sweep(31 * DAY, HUGE)
    assert (swept.digests, swept.size) == ([A], 10)
    assert books.holdings.digests() == {B}


def test_touching_keeps_a_file(books: Books) -> None:
    books.holdings.claim(ME, A, 10)
    books.now += 20 * DAY
    books.holdings.touch(ME, [A])
    books.now += 20 * DAY
    assert books.holdings.sweep(31 * DAY, HUGE).digests == []


def test_over_the_cap_the_least_recently_used_go_first(books: Books) -> None:
    for digest in (B, A, C):
        books.now += 1
        books.holdings.claim(ME, digest, 10)
    assert set(books.holdings.sweep(31 * DAY, 15).digests) == {A, B}


def test_the_keys_of_an_open_job_stay_however_old(books: Books) -> None:
    for digest in (A, B, C):
        books.holdings.claim(ME, digest, 10)
    books.job()
    books.now += 400 * DAY
    assert books.holdings.sweep(31 * DAY, 0).digests == [C]


def test_frames_stay_until_their_owner_has_them(books: Books) -> None:
    for digest in (A, B):
        books.holdings.claim(ME, digest, 10)
    books.job(State.RUNNING)
    books.holdings.remember(ME, b"recipe", C, 10)
    books.ledger.add_frame(JOB, 0, C, 10)
    books.ledger.move(JOB, State.DONE)
    assert set(books.holdings.sweep(31 * DAY, 0).digests) == {A, B}
    books.ledger.release(JOB)
    assert books.holdings.sweep(31 * DAY, 0).digests == [C]
    assert books.holdings.recall(ME, b"recipe") is None


def test_ended_jobs_are_forgotten_when_they_are_old(books: Books) -> None:
    books.job(State.RUNNING, State.DONE)
    assert books.holdings.sweep(31 * DAY, HUGE).jobs == 0
    books.now += 32 * DAY
    assert books.holdings.sweep(31 * DAY, HUGE).jobs == 1
    assert books.ledger.events_after(JOB, 0) == []


def test_a_file_that_another_still_holds_is_not_deleted(books: Books) -> None:
    books.holdings.claim(ME, A, 10)
    books.now += 40 * DAY
    books.holdings.claim(OTHER, A, 10)
    assert books.holdings.sweep(31 * DAY, HUGE).digests == []
    assert not books.holdings.holds(ME, A)
    assert books.holdings.holds(OTHER, A)


def test_each_owner_has_a_sum_and_shared_files_count_once_in_all(books: Books) -> None:
    books.holdings.claim(ME, A, 10)
    books.holdings.claim(ME, B, 20)
    books.holdings.claim(OTHER, A, 10)
    assert (books.holdings.stored(ME), books.holdings.stored(OTHER)) == (30, 10)
    assert books.holdings.total() == 30


def test_a_remembered_frame_is_its_owners_alone(books: Books) -> None:
    books.holdings.remember(ME, b"recipe", A, 10)
    assert books.holdings.recall(ME, b"recipe") == (A, 10)
    assert books.holdings.recall(OTHER, b"recipe") is None


def test_clients_are_paired_by_name_and_taken_back(books: Books, tmp_path: Path) -> None:
    clients = Clients(books.database)
    local = clients.let_in_local(tmp_path / "local.key")
    assert clients.let_in_local(tmp_path / "local.key") == local
    attic = clients.pair("attic")
    found = clients.find(attic.public.hex())
    assert found is not None
    assert (found.name, found.admin) == ("attic", False)
    with pytest.raises(BadInput, match="attic"):
        clients.pair("attic")
    clients.unpair("attic")
    assert clients.find(attic.public.hex()) is None
    for name in ("attic", LOCAL):
        with pytest.raises(BadInput):
            clients.unpair(name)
    assert [client.name for client in clients.all()] == [LOCAL]
