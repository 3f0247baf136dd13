# SPDX-License-Identifier: GPL-3.0-or-later
"""Uploads that break at a bad moment, at a live server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from benchmarks.bouts.backend_process import BackendProcess, backend
from benchmarks.bouts.drawings import digest_of
from benchmarks.bouts.line import Line
from protocol import messages as m
from protocol.errors import QuotaExceeded
from protocol.jobs import Digest


@pytest.fixture
def process() -> Iterator[BackendProcess]:
    with backend("[quota]\nstored = '64 KiB'\n") as process:
        yield process


def put(line: Line, digest: Digest, content: bytes, size: int) -> m.Granted:
    return line.ask(m.Put(digest=digest, offset=0, size=size), m.Granted, content)


def test_an_upload_whose_backend_died_before_it_was_made_whole_is_whole_at_the_next_question(
    process: BackendProcess,
) -> None:
    content = bytes(range(256)) * 40
    for wrong in (False, True):
        line = Line(process.connection().endpoint)
        digest = digest_of(content)
        put(line, digest, content[:1000], len(content))
        process.kill()
        (part,) = (process.home / "store" / "parts").iterdir()
        part.write_bytes(content if not wrong else bytes(len(content)))
        process.start()
        line.cut()
        line = Line(process.connection().endpoint)
        missing = line.ask(m.Have(rid=0, files=(m.File(digest, len(content)),)), m.Missing).files
        assert missing == ((m.Remainder(digest, 0),) if wrong else ())
        assert list((process.home / "store" / "parts").iterdir()) == []
        if not wrong:
            assert line.fetch(digest, len(content)) == content
        line.cut()
        content = content[::-1]


def test_unfinished_uploads_count_against_the_quota(process: BackendProcess) -> None:
    line = Line(process.connection().endpoint)
    put(line, "a" * 64, bytes(40_000), 50_000)
    with pytest.raises(QuotaExceeded):
        put(line, "b" * 64, bytes(40_000), 50_000)
    assert line.ask(m.Put(digest="a" * 64, offset=40_000, size=50_000), m.Granted, b"more")
    line.cut()


def test_a_thousand_unfinished_uploads_are_enough(process: BackendProcess) -> None:
    line = Line(process.connection().endpoint)
    for number in range(1000):
        put(line, f"{number:064x}", b"x", 2)
    with pytest.raises(QuotaExceeded, match="1000 of your uploads"):
        put(line, "a" * 64, b"x", 2)
    content = b"whole at once"
    line.ask(m.Put(digest=digest_of(content), offset=0, size=len(content)), m.Stored, content)
    line.ask(m.Put(digest="0" * 64, offset=1, size=3), m.Granted, b"x")
    line.cut()
