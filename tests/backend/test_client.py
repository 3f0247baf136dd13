# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line's client, at a real backend and at one of another release."""

from __future__ import annotations

import math
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq
from zmq.utils import z85

from backend.client import Client, connect
from protocol import codec
from protocol import messages as m
from protocol.endpoint import Connection, Endpoint, write_connection
from protocol.errors import (
    BackendNotRunning,
    BadInput,
    NotAllowed,
    UnknownJob,
    VersionMismatch,
)
from protocol.jobs import Inbetween, State
from protocol.limits import Limits
from tests.backend.test_server import Client as Artist
from tests.backend.test_server import Serve

JOB = "a" * 32


@pytest.fixture
def home(tmp_path: Path, plugin_path: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PYTHONPATH", f"{plugin_path}:{Path.cwd()}")
    return tmp_path / "home"


@pytest.fixture
def serve(home: Path) -> Iterator[Serve]:
    serve = Serve(home)
    serve.connection()
    yield serve
    serve.process.kill()
    serve.process.communicate()


def submit_slow(endpoint: Endpoint, keys: list[bytes], frames: int) -> None:
    """A job that takes 0.3 s for each frame."""
    artist = Artist(endpoint)
    digests = tuple(artist.upload(key) for key in keys[:2])
    gap = tuple((i + 1) / (frames + 1) for i in range(frames))
    task = Inbetween(keys=digests, gaps=(gap,))
    submit = m.Submit(rid=3, job=JOB, engine="abusive", params={"deed": "slow"}, task=task)
    artist.ask(submit, m.Accepted)
    artist.close()


def test_an_answer_is_the_record_that_was_asked_for(serve: Serve) -> None:
    with connect(serve.file) as client:
        assert client.welcome.name == "local"
        assert client.ask(m.Survey(rid=0), m.Report).waiting == 0
        assert client.ask(m.ListJobs(rid=0), m.Jobs).jobs == ()
        assert client.ask(m.Verify(rid=0), m.Verified, math.inf).ledger == "ok"


def test_a_refusal_is_the_failure_that_the_backend_meant(serve: Serve) -> None:
    with connect(serve.file) as client:
        with pytest.raises(UnknownJob, match="does not know that job"):
            client.ask(m.Cancel(rid=0, job=JOB), m.Accepted)
        with pytest.raises(UnknownJob):
            next(client.follow(JOB))
        with pytest.raises(BadInput, match="No client called"):
            client.ask(m.Unpair(rid=0, name="nobody"), m.Done)
        paired = client.ask(m.Pair(rid=0, name="attic"), m.Paired)
    address, _, rest = paired.endpoint.partition("#")
    key, _, secret = rest.partition(".")
    with Client(Endpoint(address, key, secret)) as attic, pytest.raises(NotAllowed):
        attic.ask(m.Survey(rid=0), m.Report)


def test_a_job_is_followed_over_a_killed_and_restarted_backend(
    home: Path, serve: Serve, keys: list[bytes]
) -> None:
    submit_slow(serve.endpoint(), keys, 8)
    seen: list[m.Status | m.FrameMade] = []
    with connect(serve.file) as client:
        for event in client.follow(JOB):
            if isinstance(event, m.Progress):
                continue
            seen.append(event)
            if isinstance(event, m.FrameMade) and event.index == 2:
                os.kill(serve.process.pid, signal.SIGKILL)
                serve.process.communicate()
                serve.file.unlink()
                again = Serve(home)
    again.end()
    assert [event.seq for event in seen] == list(range(1, len(seen) + 1))
    assert [event.index for event in seen if isinstance(event, m.FrameMade)] == list(range(8))
    states = [event.state for event in seen if isinstance(event, m.Status)]
    assert states == [State.QUEUED, State.RUNNING, State.QUEUED, State.RUNNING, State.DONE]


def test_following_an_ended_job_tells_its_whole_story_and_ends(
    serve: Serve, keys: list[bytes]
) -> None:
    submit_slow(serve.endpoint(), keys, 1)
    with connect(serve.file) as client:
        first = [event for event in client.follow(JOB) if not isinstance(event, m.Progress)]
        again = [event for event in client.follow(JOB) if not isinstance(event, m.Progress)]
        assert again == first
        last = first[-1]
        assert [event.seq for event in client.follow(JOB, last.seq - 1)] == [last.seq]


def test_a_backend_that_falls_silent_is_noticed_while_a_long_answer_is_awaited(
    serve: Serve,
) -> None:
    with connect(serve.file) as client:
        os.kill(serve.process.pid, signal.SIGSTOP)
        with pytest.raises(BackendNotRunning, match="within 6 s"):
            client.ask(m.Verify(rid=0), m.Verified, math.inf)
        os.kill(serve.process.pid, signal.SIGCONT)


@pytest.mark.parametrize("content", [b"", b"{", b'{"address": 3}'])
def test_a_connection_file_that_is_none_is_told(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "connection.json"
    path.write_bytes(content)
    with pytest.raises(BackendNotRunning, match="cannot be read"):
        connect(path)


class Future(threading.Thread):
    """A backend that speaks the next major version, if it is asked once."""

    def __init__(self) -> None:
        super().__init__()
        public, secret = zmq.curve_keypair()
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.ROUTER)
        self.socket.curve_server = True
        self.socket.curve_secretkey = secret
        self.socket.linger = 1000
        port = self.socket.bind_to_random_port("tcp://127.0.0.1")
        _, ours = zmq.curve_keypair()
        self.connection = Connection(
            address=f"tcp://127.0.0.1:{port}",
            server_key=z85.decode(public).hex(),
            client_secret=z85.decode(ours).hex(),
            pid=os.getpid(),
            server_id="future",
        )

    def run(self) -> None:
        peer, header = self.socket.recv_multipart()
        hello, _ = codec.decode_request([header])
        assert isinstance(hello, m.Hello)
        welcome = m.Welcome(
            rid=hello.rid,
            v=(2, 0),
            server_id="future",
            software="tweencel 9",
            chunk=1,
            window=1,
            limits=Limits(),
            engines=(),
        )
        self.socket.send_multipart([peer, *codec.encode(welcome)])
        self.socket.close()
        self.context.term()


def test_a_backend_of_another_version_is_left_with_the_side_to_update(tmp_path: Path) -> None:
    future = Future()
    future.start()
    write_connection(tmp_path / "connection.json", future.connection)
    with pytest.raises(VersionMismatch) as caught:
        connect(tmp_path / "connection.json")
    future.join(20)
    assert caught.value.fix == "Update the command line, then connect again."
