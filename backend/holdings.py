# SPDX-License-Identifier: GPL-3.0-or-later
"""Who holds which files, which frames were made before, and what may be swept.

A file in the store belongs to the clients that sent it or had it made: nobody else can fetch it, or
learn that it is there. It is written down here; the store itself knows only digests.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from protocol.jobs import State

from .database import Database, writing

_ENDED = (State.DONE, State.FAILED, State.CANCELLED)
# Files that must stay: inputs of jobs that have not ended, frames that their owner may still fetch.
_PINNED = """
    SELECT jobs.owner AS whose, inputs.digest AS what FROM inputs JOIN jobs ON jobs.id = inputs.job
        WHERE jobs.state NOT IN (?, ?, ?)
    UNION SELECT jobs.owner, frames.digest FROM frames JOIN jobs ON jobs.id = frames.job
        WHERE NOT jobs.released
"""


class _File(NamedTuple):
    owner: str
    digest: str
    size: int
    used: float


class Swept(NamedTuple):
    """What a sweep took off the books: digests that no client holds any more, jobs forgotten."""

    digests: list[str]
    size: int
    jobs: int


class Holdings:
    """The clients' files. Methods that write have committed when they return; they raise DiskFull
    or BackendBroken if they cannot."""

    def __init__(
        self,
        database: Database,
        clock: Callable[[], float] = time.time,
        present: Callable[[str], bool] = lambda digest: True,
    ) -> None:
        """`present` tells whether a file is in the store: what is not there is held by nobody."""
        self._db = database
        self._clock = clock
        self._present = present

    def claim(self, owner: str, digest: str, size: int) -> None:
        """The owner has sent the whole file, or had it made."""
        with writing(self._db):
            self._claim(owner, digest, size)

    def holds(self, owner: str, digest: str) -> bool:
        """Whether the owner holds it, and it is there."""
        row = self._db.execute(
            "SELECT 1 FROM files WHERE owner = ? AND digest = ?", (owner, digest)
        ).fetchone()
        return row is not None and self._present(digest)

    def anybody_holds(self, digest: str) -> bool:
        row = self._db.execute("SELECT 1 FROM files WHERE digest = ? LIMIT 1", (digest,))
        return row.fetchone() is not None

    def touch(self, owner: str, digests: Sequence[str]) -> None:
        """They are of use again: the sweep takes what was used least recently."""
        now = self._clock()
        with writing(self._db):
            self._db.executemany(
                "UPDATE files SET used = ? WHERE owner = ? AND digest = ?",
                [(now, owner, digest) for digest in digests],
            )

    def stored(self, owner: str) -> int:
        """Bytes that the owner holds."""
        row = self._db.execute(
            "SELECT COALESCE(SUM(size), 0) FROM files WHERE owner = ?", (owner,)
        ).fetchone()
        return row[0]

    def total(self) -> int:
        """Bytes in the store that somebody holds, each file once."""
        row = self._db.execute(
            "SELECT COALESCE(SUM(size), 0) FROM (SELECT size FROM files GROUP BY digest)"
        ).fetchone()
        return row[0]

    def digests(self) -> set[str]:
        """All files that somebody holds."""
        return {row[0] for row in self._db.execute("SELECT DISTINCT digest FROM files")}

    def remember(self, owner: str, key: bytes, digest: str, size: int) -> None:
        """A frame was made under that cache key: it is the owner's, and need not be made again."""
        with writing(self._db):
            self._claim(owner, digest, size)
            self._db.execute("INSERT OR REPLACE INTO cache VALUES (?, ?, ?)", (owner, key, digest))

    def recall(self, owner: str, key: bytes) -> tuple[str, int] | None:
        """Digest and size of the frame made under that key, if the owner still holds it."""
        found = self._db.execute(
            "SELECT files.digest, files.size FROM cache JOIN files"
            " ON files.owner = cache.owner AND files.digest = cache.digest"
            " WHERE cache.owner = ? AND cache.key = ?",
            (owner, key),
        ).fetchone()
        return found if found and self._present(found[0]) else None

    def sweep(self, max_age: float, cap: int) -> Swept:
        """Forget files that were not used for `max_age` seconds, then the least recently used ones
        until all together have at most `cap` bytes. What is still needed stays."""
        before = self._clock() - max_age
        with writing(self._db):
            jobs = self._db.execute(
                "DELETE FROM jobs WHERE state IN (?, ?, ?) AND touched < ?", (*_ENDED, before)
            ).rowcount
            files = self._forget([row for row in self._unpinned() if row.used < before])
            files += self._forget(self._over(cap))
            self._db.execute(
                "DELETE FROM cache WHERE NOT EXISTS (SELECT 1 FROM files WHERE"
                " files.owner = cache.owner AND files.digest = cache.digest)"
            )
        digests = [d for d in {file.digest for file in files} if not self.anybody_holds(d)]
        return Swept(digests, sum(file.size for file in files), jobs)

    def _unpinned(self) -> list[_File]:
        """What nobody needs now, used least recently first."""
        # A join: for NOT IN with two columns SQLite looks through all that is pinned for each file,
        # which took 22 s for 66,000 files.
        rows = self._db.execute(
            f"SELECT owner, digest, size, used FROM files LEFT JOIN ({_PINNED})"
            f" ON whose = owner AND what = digest WHERE what IS NULL ORDER BY used",
            _ENDED,
        )
        return [_File(*row) for row in rows]

    def _over(self, cap: int) -> list[_File]:
        over = self.total() - cap
        if over <= 0:
            return []
        rows = self._db.execute("SELECT digest, COUNT(*) FROM files GROUP BY digest")
        holders: dict[str, int] = dict(rows.fetchall())
        chosen: list[_File] = []
        for file in self._unpinned():
            if over <= 0:
                break
            chosen.append(file)
            holders[file.digest] -= 1
            over -= file.size if holders[file.digest] == 0 else 0
        return chosen

    def _forget(self, files: Sequence[_File]) -> list[_File]:
        self._db.executemany(
            "DELETE FROM files WHERE owner = ? AND digest = ?",
            [(file.owner, file.digest) for file in files],
        )
        return list(files)

    def _claim(self, owner: str, digest: str, size: int) -> None:
        self._db.execute(
            "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?)", (owner, digest, size, self._clock())
        )
