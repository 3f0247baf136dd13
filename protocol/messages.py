# SPDX-License-Identifier: GPL-3.0-or-later
"""One frozen record for each message. PROTOCOL.md is the authoritative text; this is its code.

Requests go from client to backend, replies the other way. `rid` is the client's number of a
request and comes back in the reply to it; 0 in a reply means that nobody asked.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import Meta

from .engines import EngineSpec
from .errors import ErrorInfo
from .jobs import Digest, JobId, State, Task
from .limits import Limits
from .params import Value

Rid = Annotated[int, Meta(ge=0, lt=2**53)]
Count = Annotated[int, Meta(ge=0, lt=2**53)]
Fraction = Annotated[float, Meta(ge=0.0, le=1.0)]
Seconds = Annotated[float, Meta(ge=0.0, le=1e9)]
Short = Annotated[str, Meta(max_length=200)]
Address = Annotated[str, Meta(max_length=500)]
ClientName = Annotated[str, Meta(pattern=r"\A[\w.-]{1,40}\Z")]
HostName = Annotated[str, Meta(pattern=r"\A[\w.:\[\]-]{0,253}\Z")]
Version = tuple[Annotated[int, Meta(ge=0, le=10_000)], Annotated[int, Meta(ge=0, le=10_000)]]


class File(msgspec.Struct, frozen=True):
    """A file by its digest and its size in bytes."""

    digest: Digest
    size: Count


class Remainder(msgspec.Struct, frozen=True):
    """A file the backend lacks, and how many of its first bytes it already holds."""

    digest: Digest
    offset: Count


class WeightsState(StrEnum):
    """How weights stand on the backend's machine."""

    MISSING = "missing"
    WAITING = "waiting"
    """Others are fetched first."""
    FETCHING = "fetching"
    INSTALLED = "installed"
    FAILED = "failed"


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


class Message(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag=_snake):
    """The root of all messages."""


# Requests -----------------------------------------------------------------------------------


class Hello(Message, frozen=True, kw_only=True):
    """The first message on each connection."""

    rid: Rid
    v: Version
    client: Short


class Ping(Message, frozen=True, kw_only=True):
    """Is the backend's loop alive? Answered by Pong."""

    rid: Rid


class Have(Message, frozen=True, kw_only=True):
    """The files that a coming job needs; answered by Missing."""

    rid: Rid
    files: Annotated[tuple[File, ...], Meta(max_length=1000)]


class Put(Message, frozen=True, kw_only=True):
    """With a body: bytes of a file, starting at `offset`. `size` is that of the whole file."""

    digest: Digest
    offset: Count
    size: Count


class Submit(Message, frozen=True, kw_only=True):
    """A job; answered by Accepted or Error. The same id with the same job is accepted again."""

    rid: Rid
    job: JobId
    engine: Short
    params: dict[str, Value] = {}
    seed: Annotated[int, Meta(ge=0, lt=2**32)] = 0
    task: Task


class Subscribe(Message, frozen=True, kw_only=True):
    """Send the job's events after number `after_seq`, those of the past and those to come."""

    rid: Rid
    job: JobId
    after_seq: Count = 0


class Get(Message, frozen=True, kw_only=True):
    """Send bytes of a file, from `offset` on, at most `credit` of them; answered by Data."""

    rid: Rid
    digest: Digest
    offset: Count
    credit: Count


class Cancel(Message, frozen=True, kw_only=True):
    """Stop that job and no other; answered by Accepted, then by its Status."""

    rid: Rid
    job: JobId


class Release(Message, frozen=True, kw_only=True):
    """The client has all of that job's frames: the backend may sweep them. Answered by Done."""

    rid: Rid
    job: JobId


class ListJobs(Message, frozen=True, kw_only=True, tag="list"):
    """The client's jobs; with `everyone`, those of all (an administrator's right). -> Jobs."""

    rid: Rid
    everyone: bool = False


class ListWeights(Message, frozen=True, kw_only=True, tag="weights"):
    """Which weights can be had (1.2)? Answered by Weights; from then on by WeightsChanged too."""

    rid: Rid


class FetchWeights(Message, frozen=True, kw_only=True):
    """Download and install them on the backend's machine (1.2); answered by Done, or Error.

    `agreed`: the licence that a person has agreed to, as the offer calls it.
    """

    rid: Rid
    name: Short
    agreed: Short


class StopWeights(Message, frozen=True, kw_only=True):
    """Stop that download (1.2); what has arrived is kept. Answered by Done."""

    rid: Rid
    name: Short


# For administrators only: others are answered `not_allowed`.


class Survey(Message, frozen=True, kw_only=True):
    """How is the backend? Answered by Report."""

    rid: Rid


class Pair(Message, frozen=True, kw_only=True):
    """Let another machine in, under that name; answered by Paired.

    `host` is how that machine finds the backend's, empty: as the backend knows it.
    """

    rid: Rid
    name: ClientName
    host: HostName = ""


class Unpair(Message, frozen=True, kw_only=True):
    """Let it in no more; answered by Done. Its jobs are cancelled."""

    rid: Rid
    name: ClientName


class Unload(Message, frozen=True, kw_only=True):
    """End the idle engine, so that its memory returns; answered by Done."""

    rid: Rid


class Collect(Message, frozen=True, kw_only=True):
    """Sweep what is old or over the cap, now; answered by Collected."""

    rid: Rid


class Verify(Message, frozen=True, kw_only=True):
    """Compare every file with its digest and look through the ledger; answered by Verified."""

    rid: Rid


Request = (
    Hello
    | Ping
    | Have
    | Put
    | Submit
    | Subscribe
    | Get
    | Cancel
    | Release
    | ListJobs
    | ListWeights
    | FetchWeights
    | StopWeights
    | Survey
    | Pair
    | Unpair
    | Unload
    | Collect
    | Verify
)


# Replies ------------------------------------------------------------------------------------


class Welcome(Message, frozen=True, kw_only=True):
    """The answer to Hello: who the backend is, what it takes and what it can make."""

    rid: Rid
    v: Version
    server_id: Short
    software: Short
    chunk: Count
    window: Count
    limits: Limits
    engines: tuple[EngineSpec, ...]
    name: Short = ""
    """How the backend calls the client."""
    admin: bool = False
    """Whether the client may look after the backend."""


class Pong(Message, frozen=True, kw_only=True):
    """The answer to Ping."""

    rid: Rid


class Missing(Message, frozen=True, kw_only=True):
    """The answer to Have: the files that must be sent, each from its offset on."""

    rid: Rid
    files: tuple[Remainder, ...]


class Granted(Message, frozen=True, kw_only=True):
    """The backend holds the first `offset` bytes. `rewind`: the last Put did not fit there."""

    digest: Digest
    offset: Count
    rewind: bool = False


class Stored(Message, frozen=True, kw_only=True):
    """The file is whole, its digest is right and it is on disk."""

    digest: Digest


class Accepted(Message, frozen=True, kw_only=True):
    """The job is written down (or its cancelling begun)."""

    rid: Rid
    job: JobId


class Status(Message, frozen=True, kw_only=True):
    """Event: the job's state. `error` is there if it failed.

    `spent`: seconds for which the engine worked in the attempt that ended, loading included.
    """

    job: JobId
    seq: Count
    state: State
    attempt: Count = 0
    error: ErrorInfo | None = None
    spent: Seconds = 0.0


class FrameMade(Message, frozen=True, kw_only=True):
    """Event: the job's `index`-th picture is on disk; fetch it with Get."""

    job: JobId
    seq: Count
    index: Count
    digest: Digest
    size: Count


class Progress(Message, frozen=True, kw_only=True):
    """How far a job is; kept by nobody. `left` in seconds, `ahead` jobs wait before it."""

    job: JobId
    phase: Short
    fraction: Fraction = 0.0
    made: Count = 0
    total: Count = 0
    ahead: Count = 0
    left: Seconds | None = None


class Data(Message, frozen=True, kw_only=True):
    """With a body: bytes of a file from `offset` on. `size` is that of the whole file."""

    rid: Rid
    digest: Digest
    offset: Count
    size: Count


class JobSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One job in a list. `made` of `total` pictures are there; `owner` is a client's name."""

    job: JobId
    engine: str
    state: State
    made: Count
    total: Count
    owner: Short = ""
    last_seq: Count = 0
    released: bool = False
    error: ErrorInfo | None = None


class Jobs(Message, frozen=True, kw_only=True):
    """The answer to ListJobs, oldest first."""

    rid: Rid
    jobs: tuple[JobSummary, ...]


class WeightsOffer(msgspec.Struct, frozen=True, kw_only=True):
    """Weights that can be had, and how they stand. Sizes in bytes, 0 if not known.

    `gives` is what engines call them: several offers may give the same. `size` is the download,
    `kept` what stays on disk. `done` of `total` bytes of the `phase`; `left` in seconds.
    `fetchable` is false if a person must get the files; `error` is there if it failed.
    """

    name: Short
    gives: Short
    title: Short
    licence: Short
    licence_url: Address
    page: Address
    notice: Annotated[str, Meta(max_length=2000)] = ""
    hosts: tuple[Short, ...] = ()
    size: Count = 0
    kept: Count = 0
    fetchable: bool = True
    state: WeightsState = WeightsState.MISSING
    phase: Short = ""
    done: Count = 0
    total: Count = 0
    left: Seconds | None = None
    error: ErrorInfo | None = None


class Weights(Message, frozen=True, kw_only=True, tag="weights_list"):
    """The answer to ListWeights."""

    rid: Rid
    offers: tuple[WeightsOffer, ...]


class WeightsChanged(Message, frozen=True, kw_only=True):
    """Event: offers that stand otherwise now. `engines`: all, if what they can do has changed."""

    offers: tuple[WeightsOffer, ...]
    engines: tuple[EngineSpec, ...] | None = None


class Done(Message, frozen=True, kw_only=True):
    """It is done."""

    rid: Rid


class ClientSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A client that may come in. `stored` in bytes."""

    name: Short
    admin: bool
    open_jobs: Count
    stored: Count


class WorkerSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A process that computes. `engine` is loaded; `job` is the one it works on, if any."""

    device: Short
    pid: Count = 0
    engine: Short = ""
    job: Short = ""


class Report(Message, frozen=True, kw_only=True):
    """The answer to Survey. Sizes in bytes, `uptime` in seconds."""

    rid: Rid
    software: Short
    uptime: Seconds
    waiting: Count
    running: Count
    done: Count
    failed: Count
    stored: Count
    store_cap: Count
    connections: Count
    clients: tuple[ClientSummary, ...]
    workers: tuple[WorkerSummary, ...]


class Paired(Message, frozen=True, kw_only=True):
    """The answer to Pair: the one string that the other machine needs, secret included."""

    rid: Rid
    endpoint: str


class Collected(Message, frozen=True, kw_only=True):
    """The answer to Collect: what was swept. `size` in bytes."""

    rid: Rid
    files: Count
    size: Count
    jobs: Count


class Verified(Message, frozen=True, kw_only=True):
    """The answer to Verify. `damaged` and `lost` files by digest; `ledger` is "ok" or says why."""

    rid: Rid
    files: Count
    damaged: tuple[Digest, ...]
    lost: tuple[Digest, ...]
    ledger: str


class Error(Message, frozen=True, kw_only=True):
    """A request was refused. `job` or `digest` name what it was about, if anything."""

    rid: Rid = 0
    error: ErrorInfo
    job: str = ""
    digest: str = ""


Reply = (
    Welcome
    | Pong
    | Missing
    | Granted
    | Stored
    | Accepted
    | Status
    | FrameMade
    | Progress
    | Data
    | Jobs
    | Weights
    | WeightsChanged
    | Done
    | Report
    | Paired
    | Collected
    | Verified
    | Error
)
