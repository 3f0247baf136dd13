# SPDX-License-Identifier: GPL-3.0-or-later
"""What is written down of an open job, and how the job is made of it again. It knows no Blender."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from protocol.endpoint import Endpoint
from protocol.engines import EngineSpec
from protocol.errors import MissingFile
from protocol.jobs import JobId, Task
from protocol.params import Value

from .journal import Journal
from .ledger import Job
from .storage import Folder
from .work import Order, Work, filled, only

_log = logging.getLogger(__name__)


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """One open job. `digests` by the file's path; they are there before the job is sent."""

    tweencel: int = 2
    backend: str
    """A fingerprint of the backend's and our key; neither key can be had from it."""
    job: JobId
    engine: EngineSpec
    params: dict[str, Value]
    seed: int
    files: tuple[str, ...]
    task: Task
    """A draft, as in the order."""
    numbers: tuple[int, ...]
    folder: str
    name: str
    facts: dict[str, Any] = {}
    digests: dict[str, str] = {}
    painted: tuple[str, ...] = ()
    earlier: str = ""
    asked: tuple[int, ...] | None = None
    reused: dict[int, str] = {}


class Memory:
    """The open jobs of a session as they are written down; without a journal it keeps nothing."""

    def __init__(self, journal: Journal | None) -> None:
        self._journal = journal
        self._backend = ""

    def connected(self, endpoint: Endpoint, works: Iterable[Work]) -> None:
        """A backend answers. The open jobs are its from now on, if it is another than before."""
        backend = fingerprint(endpoint)
        if backend != self._backend:
            self._backend = backend
            for work in works:
                self.keep(work)

    def keep(self, work: Work) -> None:
        """Write down what is known of an open job."""
        if self._journal is not None and not work.job.stage.ended:
            self._journal.keep(work.job.id, msgspec.json.encode(_note(work, self._backend)))

    def drop(self, job: str) -> None:
        """The job has ended."""
        if self._journal is not None:
            self._journal.drop(job)

    def left_behind(self) -> Iterator[Work]:
        """The jobs that an earlier session left open at this backend; they are ours now."""
        if self._journal is None:
            return
        for job, text in self._journal.claim(self._is_for_backend):
            note = _decoded(text)
            if note is not None:
                yield _work(note)
            else:
                self._journal.drop(job)

    def close(self) -> None:
        if self._journal is not None:
            self._journal.close()

    def _is_for_backend(self, text: bytes) -> bool:
        note = _decoded(text)
        return note is not None and note.backend == self._backend


def fingerprint(endpoint: Endpoint) -> str:
    """The same for the same backend and the same key of ours, wherever it listens."""
    return hashlib.sha256(f"{endpoint.server_key}.{endpoint.client_secret}".encode()).hexdigest()


def require_folder(work: Work) -> None:
    """Raise MissingFile if the folder into which a job's frames go is not there any more."""
    if not work.folder.path.is_dir():
        raise MissingFile(
            f"The folder of this job is gone: {work.folder.path}.",
            fix="Move it back before Blender connects, or generate again.",
        )


def _note(work: Work, backend: str) -> Note:
    order = work.order
    return Note(
        backend=backend,
        job=work.job.id,
        engine=order.engine,
        params=dict(work.job.params),
        seed=work.job.seed,
        files=tuple(str(path.absolute()) for path in order.files),
        task=order.task,
        numbers=order.numbers,
        folder=str(work.folder.path.absolute()),
        name=work.folder.name,
        facts=dict(order.facts),
        digests={str(path.absolute()): digest for path, digest in work.digests.items()},
        painted=tuple(str(path.absolute()) for path in sorted(order.painted)),
        earlier=str(order.earlier.absolute()) if order.earlier else "",
        asked=work.asked,
        reused=work.reused,
    )


def _decoded(text: bytes) -> Note | None:
    try:
        return msgspec.json.decode(text, type=Note)
    except (ValueError, RecursionError) as problem:
        _log.warning("A note of an open job cannot be read: %s", problem)
        return None


def _work(note: Note) -> Work:
    folder = Path(note.folder)
    order = Order(
        files=tuple(Path(file) for file in note.files),
        task=note.task,
        numbers=note.numbers,
        engine=note.engine,
        parent=folder.parent,
        name=note.name,
        params=note.params,
        seed=note.seed,
        facts=note.facts,
        painted=frozenset(map(Path, note.painted)),
        earlier=Path(note.earlier) if note.earlier else None,
    )
    task = _task(note, note.digests)
    job = Job(
        id=note.job,
        engine=note.engine.id,
        params=note.params,
        seed=note.seed,
        total=len(order.numbers) if note.asked is None else len(note.asked),
        reused=len(note.reused),
        task=task,
        # It may have been sent, so we ask for it first; a backend that lacks it says so.
        accepted=task is not None,
    )
    work = Work(job, order, Folder(folder, note.name))
    work.digests = {Path(key): digest for key, digest in note.digests.items()}
    work.asked, work.reused = note.asked, dict(note.reused)
    work.folder.adopt(list(work.key_names()))
    return work


def _task(note: Note, digests: Mapping[str, str]) -> Task | None:
    if any(file not in digests for file in note.files):
        return None
    whole = filled(note.task, [digests[file] for file in note.files])
    return whole if note.asked is None else only(whole, note.asked)
