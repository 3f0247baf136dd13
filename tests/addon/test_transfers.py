# SPDX-License-Identifier: GPL-3.0-or-later
"""Files on their way: order, offsets, and windows that are never exceeded."""

from __future__ import annotations

from itertools import count

from hypothesis import given
from hypothesis import strategies as st

from blender_addon.transfers import Downloads, Uploads
from protocol.messages import Remainder

SIZES = st.lists(st.integers(1, 500), min_size=1, max_size=5)


def puts(uploads: Uploads) -> list[tuple[str, int]]:
    found = []
    while put := uploads.next_put():
        found.append((put.digest, put.offset))
    return found


def missing_all(uploads: Uploads, rid: int = 1) -> None:
    files = uploads.ask(rid)
    uploads.answer(rid, [Remainder(file.digest, 0) for file in files])


def test_a_file_is_asked_for_before_a_byte_is_sent() -> None:
    uploads = Uploads()
    uploads.want("a", 10)
    assert uploads.next_put() is None
    assert [file.digest for file in uploads.ask(1)] == ["a"]
    assert uploads.ask(2) == ()


def test_a_file_that_the_backend_holds_is_not_sent() -> None:
    uploads = Uploads()
    uploads.want("a", 10)
    uploads.want("b", 10)
    uploads.ask(7)
    uploads.answer(7, [Remainder("b", 0)])
    assert puts(uploads) == [("b", 0)]
    assert uploads.all_stored(["a"])
    assert not uploads.all_stored(["a", "b"])


def test_an_answer_to_another_question_changes_nothing() -> None:
    uploads = Uploads()
    uploads.want("a", 10)
    uploads.ask(7)
    uploads.answer(8, [])
    assert not uploads.all_stored(["a"])


def test_a_cut_upload_goes_on_where_the_backends_copy_ends() -> None:
    uploads = Uploads(window=100, chunk=10)
    uploads.want("a", 25)
    uploads.ask(1)
    uploads.answer(1, [Remainder("a", 12)])
    assert puts(uploads) == [("a", 12), ("a", 22)]


def test_a_rewind_sends_the_lost_bytes_again() -> None:
    uploads = Uploads(window=100, chunk=10)
    uploads.want("a", 40)
    missing_all(uploads)
    assert puts(uploads) == [("a", 0), ("a", 10), ("a", 20), ("a", 30)]
    uploads.granted("a", 10, rewind=True)
    assert puts(uploads) == [("a", 10), ("a", 20), ("a", 30)]


def test_a_stored_file_is_asked_for_again_when_a_later_job_needs_it() -> None:
    uploads = Uploads()
    uploads.want("a", 10)
    uploads.ask(1)
    uploads.answer(1, [])
    uploads.want("a", 10)
    assert not uploads.all_stored(["a"])
    assert len(uploads.ask(2)) == 1


def test_more_than_a_thousand_files_are_asked_for_in_several_messages() -> None:
    uploads = Uploads()
    for number in range(1500):
        uploads.want(str(number), 1)
    assert [len(uploads.ask(rid)) for rid in (1, 2, 3)] == [1000, 500, 0]


@given(sizes=SIZES, window=st.integers(10, 200), data=st.data())
def test_uploads_never_exceed_their_window_and_all_arrive(
    sizes: list[int], window: int, data: st.DataObject
) -> None:
    uploads = Uploads(window=window, chunk=min(16, window))
    for number, size in enumerate(sizes):
        uploads.want(str(number), size)
    missing_all(uploads)
    held = dict.fromkeys(map(str, range(len(sizes))), 0)
    while not uploads.all_stored(held):
        flight = []
        while put := uploads.next_put():
            flight.append((put.digest, put.offset, min(uploads.chunk, put.size - put.offset)))
            assert uploads.under_way <= window
        assert flight, "stuck"
        for digest, offset, size in flight:
            lost = data.draw(st.booleans()) and data.draw(st.booleans())
            if lost or offset != held[digest]:
                uploads.granted(digest, held[digest], rewind=True)
                continue
            held[digest] += size
            if held[digest] == sizes[int(digest)]:
                uploads.stored(digest)
            else:
                uploads.granted(digest, held[digest], rewind=False)


@given(sizes=SIZES, window=st.integers(10, 200), cut_after=st.integers(0, 60))
def test_downloads_never_exceed_their_window_and_survive_a_cut(
    sizes: list[int], window: int, cut_after: int
) -> None:
    downloads = Downloads(window=window, most=min(32, window))
    for number, size in enumerate(sizes):
        downloads.want(str(number), size)
    got = dict.fromkeys(map(str, range(len(sizes))), 0)
    for turn in count():
        flight = []
        while wanted := downloads.next_range():
            flight.append(wanted)
            assert downloads.under_way <= window
        if not flight:
            break
        for digest, offset, credit in flight:
            if turn == cut_after % 7:
                downloads.begin_again()
                break
            assert downloads.arrived(digest, offset, credit)
            got[digest] += credit
    assert list(got.values()) == sizes
    assert all(downloads.whole(digest) for digest in got)


def test_bytes_that_still_come_after_a_cancel_count_until_they_have_come() -> None:
    downloads = Downloads(window=20, most=10)
    downloads.want("a", 30)
    downloads.next_range()
    downloads.next_range()
    assert downloads.arrived("a", 0, 10)
    downloads.leave("a")
    downloads.want("b", 30)
    assert downloads.next_range() is not None
    assert downloads.next_range() is None
    assert not downloads.arrived("a", 10, 10)
    assert downloads.next_range() is not None
    assert downloads.under_way == 20


def test_a_file_that_the_backend_does_not_have_gives_its_room_back() -> None:
    downloads = Downloads(window=20, most=10)
    downloads.want("a", 30)
    downloads.next_range()
    downloads.forget("a")
    assert downloads.under_way == 0


def test_bytes_that_nobody_asked_for_are_left_aside() -> None:
    downloads = Downloads(window=100, most=10)
    downloads.want("a", 30)
    downloads.next_range()
    assert not downloads.arrived("b", 0, 5)
    assert not downloads.arrived("a", 5, 5)
    assert not downloads.arrived("a", 0, 20)
    assert downloads.arrived("a", 0, 10)
    assert not downloads.arrived("a", 0, 10)
