# SPDX-License-Identifier: GPL-3.0-or-later
"""The store: whole files under their own digest, or nothing."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from backend.store import Store, is_true
from protocol.errors import DigestMismatch, UnknownDigest

CONTENT = bytes(range(256)) * 40
ME, OTHER = "a" * 64, "b" * 64
DIGEST = hashlib.sha256(CONTENT).hexdigest()


def files(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file()]


def test_an_added_file_is_found_under_its_digest(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert store.add(CONTENT) == DIGEST
    assert store.add(CONTENT) == DIGEST
    assert store.path(DIGEST).read_bytes() == CONTENT
    assert store.size(DIGEST) == len(CONTENT)
    assert store.read(DIGEST, 10, 5) == CONTENT[10:15]
    assert len(files(tmp_path)) == 1


def test_an_upload_in_pieces_is_there_only_when_it_is_whole(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert store.append(ME, DIGEST, CONTENT[:1000], len(CONTENT)) == 1000
    assert not store.has(DIGEST)
    assert store.held(ME, DIGEST) == 1000
    store.append(ME, DIGEST, CONTENT[1000:], len(CONTENT))
    assert store.path(DIGEST).read_bytes() == CONTENT
    assert store.held(ME, DIGEST) == 0


def test_an_upload_goes_on_after_a_restart(tmp_path: Path) -> None:
    Store(tmp_path).append(ME, DIGEST, CONTENT[:1000], len(CONTENT))
    store = Store(tmp_path)
    store.append(ME, DIGEST, CONTENT[1000:], len(CONTENT))
    assert store.has(DIGEST)


def test_wrong_bytes_are_dropped_and_may_be_sent_again(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with pytest.raises(DigestMismatch):
        store.append(ME, DIGEST, b"x" * len(CONTENT), len(CONTENT))
    assert files(tmp_path) == []
    store.append(ME, DIGEST, CONTENT, len(CONTENT))
    assert store.has(DIGEST)


def test_an_unknown_file_is_not_read(tmp_path: Path) -> None:
    with pytest.raises(UnknownDigest):
        Store(tmp_path).read(DIGEST, 0, 1)
    with pytest.raises(UnknownDigest):
        Store(tmp_path).size(DIGEST)


def test_senders_do_not_share_uploads(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.append(ME, DIGEST, CONTENT[:1000], len(CONTENT))
    assert store.held(OTHER, DIGEST) == 0
    store.append(OTHER, DIGEST, CONTENT, len(CONTENT))
    store.append(ME, DIGEST, CONTENT[1000:], len(CONTENT))
    assert store.path(DIGEST).read_bytes() == CONTENT


def test_a_damaged_file_is_told_from_a_true_one(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.add(CONTENT)
    assert [(digest, is_true(digest, path)) for digest, path in store.all()] == [(DIGEST, True)]
    store.path(DIGEST).write_bytes(CONTENT[:-1])
    assert [is_true(digest, path) for digest, path in store.all()] == [False]


def test_an_added_file_is_not_deleted_before_somebody_could_claim_it(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.add(CONTENT)
    store.delete(DIGEST)
    assert store.has(DIGEST)
    store.claimed(DIGEST)
    store.delete(DIGEST)
    store.delete(DIGEST)
    assert not store.has(DIGEST)


def test_uploads_that_were_given_up_are_dropped(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.append(ME, DIGEST, CONTENT[:1000], len(CONTENT))
    store.drop_parts(0.0)
    assert store.held(ME, DIGEST) == 1000
    store.drop_parts(4e9)
    assert store.held(ME, DIGEST) == 0
    store.append(ME, DIGEST, CONTENT, len(CONTENT))
    assert store.has(DIGEST)
