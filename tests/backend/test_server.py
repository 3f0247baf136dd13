# SPDX-License-Identifier: GPL-3.0-or-later
"""A real `serve` process and a bare client that knows only the protocol."""

from __future__ import annotations

import hashlib
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import pytest
import zmq

from protocol import codec
from protocol import messages as m
from protocol.endpoint import Connection, read_connection
from protocol.jobs import Inbetween, State

ROOT = Path(__file__).parents[2]
T = TypeVar("T", bound=m.Message)


class Serve:
    """`tweencel serve` as a user starts it, with a home of its own."""

    def __init__(self, home: Path, *options: str) -> None:
        self.file = home / "connection.json"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "backend", "serve", "--threads", "1", *options],
            env={**os.environ, "TWEENCEL_HOME": str(home)},
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def connection(self) -> Connection:
        while not self.file.exists():
            assert self.process.poll() is None, self.process.communicate()
            time.sleep(0.02)
        return read_connection(self.file)

    def end(self) -> tuple[str, str]:
        self.process.terminate()
        return self.process.communicate(timeout=20)


class Client:
    """One connection; `ask` waits for the reply of the kind that is named."""

    def __init__(self, connection: Connection, hello: bool = True) -> None:
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.DEALER)
        public, secret = zmq.curve_keypair()
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.setsockopt(zmq.CURVE_PUBLICKEY, public)
        self.socket.setsockopt(zmq.CURVE_SECRETKEY, secret)
        self.socket.setsockopt(zmq.CURVE_SERVERKEY, bytes.fromhex(connection.server_key))
        self.socket.connect(connection.address)
        self.bodies: dict[int, bytes] = {}
        if hello:
            self.welcome = self.ask(m.Hello(rid=1, v=(1, 0), client="test"), m.Welcome)

    def send(self, message: m.Message, body: bytes | None = None) -> None:
        self.socket.send_multipart(codec.encode(message, body))

    def hear(self, kind: type[T]) -> T:
        while self.socket.poll(20_000):
            message, body = codec.decode_reply(self.socket.recv_multipart())
            if isinstance(message, m.Data):
                self.bodies[message.offset] = body
            if isinstance(message, kind):
                return message
        raise AssertionError(f"no {kind.__name__} came")

    def ask(self, message: m.Message, kind: type[T], body: bytes | None = None) -> T:
        self.send(message, body)
        return self.hear(kind)

    def upload(self, content: bytes) -> str:
        digest = hashlib.sha256(content).hexdigest()
        self.ask(m.Put(digest=digest, offset=0, size=len(content)), m.Stored, content)
        return digest

    def close(self) -> None:
        self.socket.close()
        self.context.term()


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    serve = Serve(tmp_path / "home")
    yield serve
    serve.process.kill()
    serve.process.communicate()


@pytest.fixture
def client(serve: Serve) -> Iterator[Client]:
    client = Client(serve.connection())
    yield client
    client.close()


def job_of(digests: list[str], name: str = "a", engine: str = "crossfade") -> m.Submit:
    task = Inbetween(keys=tuple(digests), gaps=((0.5,),) * (len(digests) - 1))
    return m.Submit(rid=3, job=name * 32, engine=engine, task=task)


def test_a_job_goes_round_and_its_frames_come_back(client: Client, keys: list[bytes]) -> None:
    digests = [client.upload(key) for key in keys]
    client.ask(job_of(digests), m.Accepted)
    client.send(m.Subscribe(rid=4, job="a" * 32))
    frames = [client.hear(m.FrameMade) for _ in range(2)]
    assert [frame.index for frame in frames] == [0, 1]
    client.ask(m.Get(rid=5, digest=frames[0].digest, offset=0, credit=2**20), m.Data)
    assert hashlib.sha256(client.bodies[0]).hexdigest() == frames[0].digest
    assert client.hear(m.Status).state is State.DONE
    summary = client.ask(m.ListJobs(rid=6), m.Jobs).jobs[0]
    assert (summary.state, summary.made, summary.total) == (State.DONE, 2, 2)


def test_events_of_the_past_are_told_after_the_last_that_was_seen(
    client: Client, keys: list[bytes]
) -> None:
    client.ask(job_of([client.upload(key) for key in keys]), m.Accepted)
    client.send(m.Subscribe(rid=4, job="a" * 32))
    while not client.hear(m.Status).state.ended:
        pass
    client.send(m.Subscribe(rid=5, job="a" * 32, after_seq=3))
    assert client.hear(m.FrameMade).seq == 4
    assert client.hear(m.Status).seq == 5


def test_a_big_file_goes_up_in_pieces_and_down_in_ranges(client: Client) -> None:
    content = os.urandom(700_000)
    digest = hashlib.sha256(content).hexdigest()
    file = m.File(digest, len(content))
    assert client.ask(m.Have(rid=2, files=(file,)), m.Missing).files == (m.Remainder(digest, 0),)
    put = m.Put(digest=digest, offset=0, size=len(content))
    assert client.ask(put, m.Granted, content[:262_144]).offset == 262_144
    late = m.Put(digest=digest, offset=500_000, size=len(content))
    assert client.ask(late, m.Granted, content[500_000:]).rewind
    assert client.ask(m.Have(rid=3, files=(file,)), m.Missing).files[0].offset == 262_144
    rest = m.Put(digest=digest, offset=262_144, size=len(content))
    client.ask(rest, m.Stored, content[262_144:])
    assert client.ask(m.Have(rid=4, files=(file,)), m.Missing).files == ()
    for offset in range(0, len(content), 300_000):
        client.send(m.Get(rid=5, digest=digest, offset=offset, credit=300_000))
    while sum(map(len, client.bodies.values())) < len(content):
        client.hear(m.Data)
    assert b"".join(client.bodies[offset] for offset in sorted(client.bodies)) == content


def test_wrong_bytes_are_refused_and_may_be_sent_again(client: Client, keys: list[bytes]) -> None:
    digest = hashlib.sha256(keys[0]).hexdigest()
    put = m.Put(digest=digest, offset=0, size=len(keys[0]))
    wrong = client.ask(put, m.Error, bytes(len(keys[0])))
    assert (wrong.error.code, wrong.digest) == ("digest_mismatch", digest)
    client.ask(put, m.Stored, keys[0])


def test_nobody_is_answered_before_hello(serve: Serve) -> None:
    client = Client(serve.connection(), hello=False)
    assert client.ask(m.Ping(rid=9), m.Error).error.code == "hello_first"
    client.close()


def test_another_major_version_is_refused_with_the_side_to_update(serve: Serve) -> None:
    client = Client(serve.connection(), hello=False)
    error = client.ask(m.Hello(rid=9, v=(2, 0), client="future"), m.Error)
    assert error.rid == 9
    assert error.error.code == "version_mismatch"
    assert error.error.fix == "Update the backend, then connect again."
    client.close()


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        ([b"\x81\xa4type\xa5dance"], "unknown_message"),
        ([b"garbage"], "malformed"),
        ([b"a", b"b", b"c", b"d"], "malformed"),
    ],
)
def test_nonsense_is_refused_and_the_backend_goes_on(
    client: Client, frames: list[bytes], code: str
) -> None:
    client.socket.send_multipart(frames)
    assert client.hear(m.Error).error.code == code
    client.ask(m.Ping(rid=2), m.Pong)


def test_refusals_carry_the_number_the_job_and_a_fix(client: Client) -> None:
    error = client.ask(job_of(["0" * 64, "1" * 64]), m.Error)
    assert (error.rid, error.job, error.error.code) == (3, "a" * 32, "missing_inputs")
    error = client.ask(m.Get(rid=8, digest="2" * 64, offset=0, credit=1), m.Error)
    assert (error.rid, error.error.code) == (8, "unknown_digest")
    error = client.ask(m.Get(rid=8, digest="2" * 64, offset=0, credit=2**30), m.Error)
    assert error.error.code == "no_credit"
    error = client.ask(m.Subscribe(rid=8, job="b" * 32), m.Error)
    assert error.error.code == "unknown_job"


def test_a_client_without_the_key_hears_nothing(serve: Serve) -> None:
    connection = serve.connection()
    context = zmq.Context()
    plain = context.socket(zmq.DEALER)
    plain.setsockopt(zmq.LINGER, 0)
    plain.connect(connection.address)
    plain.send_multipart(codec.encode(m.Hello(rid=1, v=(1, 0), client="thief")))
    assert plain.poll(1000) == 0
    plain.close()
    context.term()


@pytest.mark.skipif(os.name != "posix", reason="POSIX modes and signals")
def test_keys_are_private_and_a_stopped_backend_leaves_no_connection_file(serve: Serve) -> None:
    connection = serve.connection()
    for path in (serve.file, serve.file.parent / "server.key"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    out, _ = serve.end()
    assert str(connection.endpoint) in out.splitlines()
    assert serve.process.returncode == 0
    assert not serve.file.exists()


def test_a_second_backend_in_the_same_home_says_so(serve: Serve) -> None:
    serve.connection()
    second = Serve(serve.file.parent)
    _, err = second.process.communicate(timeout=20)
    assert second.process.returncode == 3
    assert "Another backend already works" in err.replace("\n", " ")
    assert serve.file.exists()


def test_an_idle_backend_ends_by_itself_when_told_to(tmp_path: Path) -> None:
    serve = Serve(tmp_path, "--idle-exit", "0.005")
    serve.process.communicate(timeout=20)
    assert serve.process.returncode == 0


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks into /proc")
def test_no_worker_outlives_a_killed_backend(
    client: Client, serve: Serve, keys: list[bytes]
) -> None:
    client.ask(job_of([client.upload(key) for key in keys]), m.Accepted)
    client.send(m.Subscribe(rid=4, job="a" * 32))
    while not client.hear(m.Status).state.ended:
        pass
    children = Path(f"/proc/{serve.process.pid}/task/{serve.process.pid}/children")
    pids = [Path(f"/proc/{pid}") for pid in children.read_text().split()]
    assert pids
    os.kill(serve.process.pid, signal.SIGKILL)
    deadline = time.monotonic() + 5
    while any(pid.exists() for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(pid.exists() for pid in pids)
