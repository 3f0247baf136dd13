# SPDX-License-Identifier: GPL-3.0-or-later
"""The one database of a backend: its tables, and what its failures mean.

One connection, used by one thread: SQLite before 3.51 can damage a WAL database that several
connections reset at once.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Generator
from pathlib import Path

from protocol.errors import BackendBroken, BackendFailure, DiskFull

Database = sqlite3.Connection
_SCHEMA_VERSION = 1

_SCHEMA = """
CREATE TABLE IF NOT EXISTS clients (
    key TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    admin INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS jobs (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    owner TEXT NOT NULL,
    engine TEXT NOT NULL,
    submit BLOB NOT NULL,
    output BLOB NOT NULL,
    state TEXT NOT NULL,
    attempt INTEGER NOT NULL DEFAULT 0,
    total INTEGER NOT NULL,
    released INTEGER NOT NULL DEFAULT 0,
    touched REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS jobs_by_state ON jobs (state, owner);
CREATE TABLE IF NOT EXISTS events (
    job TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    seq INTEGER NOT NULL,
    message BLOB NOT NULL,
    PRIMARY KEY (job, seq)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS frames (
    job TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    digest TEXT NOT NULL,
    PRIMARY KEY (job, number)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS inputs (
    job TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    digest TEXT NOT NULL,
    PRIMARY KEY (job, digest)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS files (
    owner TEXT NOT NULL,
    digest TEXT NOT NULL,
    size INTEGER NOT NULL,
    used REAL NOT NULL,
    PRIMARY KEY (owner, digest)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS files_by_digest ON files (digest);
CREATE TABLE IF NOT EXISTS cache (
    owner TEXT NOT NULL,
    key BLOB NOT NULL,
    digest TEXT NOT NULL,
    PRIMARY KEY (owner, key)
) WITHOUT ROWID;
PRAGMA user_version = 1;
"""


def open_database(path: Path) -> Database:
    """Open or make the file.

    Raises BackendFailure if another backend has it open or a newer one made it, DiskFull,
    BackendBroken if it cannot be opened or is no database.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        database = sqlite3.connect(path, timeout=1.0)
    except (OSError, sqlite3.Error) as problem:
        raise BackendBroken(
            f"{path} cannot be opened: {problem}.", fix="Choose another folder with --home."
        ) from problem
    with contextlib.ExitStack() as opened:
        opened.callback(database.close)
        _prepare(database, path)
        opened.pop_all()
    return database


def _prepare(database: Database, path: Path) -> None:
    with explained(path):
        # EXCLUSIVE: one backend for one folder, and no shared-memory file
        database.execute("PRAGMA locking_mode = EXCLUSIVE")
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        database.execute("PRAGMA foreign_keys = ON")
        version = database.execute("PRAGMA user_version").fetchone()[0]
        if version > _SCHEMA_VERSION:
            raise BackendFailure(
                f"A newer release of Tweencel made {path}.",
                fix="Update this one, or give it a folder of its own with --home.",
                retryable=False,
            )
        database.executescript(_SCHEMA)


@contextlib.contextmanager
def writing(database: Database) -> Generator[None]:
    """A transaction: committed to disk at its end, or undone; inside another it is part of it.

    Raises DiskFull, BackendBroken.
    """
    if database.in_transaction:
        yield
        return
    with explained(), database:
        database.execute("BEGIN IMMEDIATE")
        yield


@contextlib.contextmanager
def explained(path: Path | None = None) -> Generator[None]:
    """SQLite's failures as ours."""
    try:
        yield
    except sqlite3.Error as problem:
        text = str(problem)
        if "locked" in text:
            raise BackendFailure(
                f"Another backend already works in {path.parent if path else 'this folder'}.",
                fix="Use that one, or give this one a folder of its own with --home.",
                retryable=False,
            ) from None
        # A file system that is full may answer a write, a sync or a truncate with an I/O error.
        if "full" in text or "disk I/O" in text:
            raise DiskFull(f"The backend's ledger cannot be written ({text}).") from problem
        raise BackendBroken(
            f"The backend's ledger failed: {text}.",
            fix="If it is damaged, move ledger.sqlite3 away and start again: jobs are lost, "
            "frames that artists fetched are not.",
        ) from problem


def check(database: Database) -> str:
    """ "ok", or what is wrong with the file."""
    rows = database.execute("PRAGMA quick_check").fetchall()
    rows += database.execute("PRAGMA foreign_key_check").fetchall()
    return "; ".join(str(row[0]) for row in rows[:5]) if rows != [("ok",)] else "ok"
