# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose turn it is: owners take turns, each owner's jobs come in their own order. Pure data.

An artist who hands in one job waits for at most one job of each other artist, however many those
have handed in.
"""

from __future__ import annotations

from collections import deque


class Turns:
    """The waiting jobs, by owner."""

    def __init__(self) -> None:
        self._rows: dict[str, deque[str]] = {}
        self._owners: dict[str, str] = {}

    def __contains__(self, job: str) -> bool:
        return job in self._owners

    def __len__(self) -> int:
        return len(self._owners)

    def add(self, owner: str, job: str, *, first: bool = False) -> None:
        """Let a job wait; with `first`, before all others (it had its turn already)."""
        if first:
            row = self._rows.pop(owner, deque())
            row.appendleft(job)
            self._rows = {owner: row, **self._rows}
        else:
            self._rows.setdefault(owner, deque()).append(job)
        self._owners[job] = owner

    def remove(self, job: str) -> None:
        """The job waits no more."""
        owner = self._owners.pop(job)
        self._rows[owner].remove(job)
        if not self._rows[owner]:
            del self._rows[owner]

    def take(self) -> str | None:
        """The job whose turn it is, which then waits no more; its owner goes to the end."""
        for owner, row in self._rows.items():
            job = row.popleft()
            del self._owners[job], self._rows[owner]
            if row:
                self._rows[owner] = row
            return job
        return None

    def order(self) -> list[str]:
        """All waiting jobs in the order in which they will have their turn."""
        rows = [list(row) for row in self._rows.values()]
        longest = max(map(len, rows), default=0)
        return [row[turn] for turn in range(longest) for row in rows if turn < len(row)]
