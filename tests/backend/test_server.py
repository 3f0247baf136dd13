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

import msgspec
import pytest
import zmq
from zmq.utils import z85

from protocol import codec
from protocol import messages as m
from protocol.endpoint import Connection, Endpoint, parse_endpoint, read_connection
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

    def endpoint(self) -> Endpoint:
        return self.connection().endpoint

    def end(self) -> tuple[str, str]:
        self.process.terminate()
        return self.process.communicate(timeout=20)


class Client:
    """One connection; `ask` waits for the reply of the kind that is named."""

    def __init__(self, endpoint: Endpoint, hello: bool = True, name: bytes = b"") -> None:
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.DEALER)
        secret = z85.encode(bytes.fromhex(endpoint.client_secret))
        self.socket.setsockopt(zmq.LINGER, 0)
        if name:
            self.socket.setsockopt(zmq.ROUTING_ID, name)
        self.socket.setsockopt(zmq.CURVE_PUBLICKEY, zmq.curve_public(secret))
        self.socket.setsockopt(zmq.CURVE_SECRETKEY, secret)
        self.socket.setsockopt(zmq.CURVE_SERVERKEY, bytes.fromhex(endpoint.server_key))
        self.socket.connect(endpoint.address)
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
    client = Client(serve.endpoint())
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
    assert client.hear(m.Status).state is State.DONE
    client.ask(m.Get(rid=5, digest=frames[0].digest, offset=0, credit=2**20), m.Data)
    assert hashlib.sha256(client.bodies[0]).hexdigest() == frames[0].digest
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
    client = Client(serve.endpoint(), hello=False)
    assert client.ask(m.Ping(rid=9), m.Error).error.code == "hello_first"
    client.close()


def test_another_major_version_is_refused_with_the_side_to_update(serve: Serve) -> None:
    client = Client(serve.endpoint(), hello=False)
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


def deaf(endpoint: Endpoint) -> bool:
    """Whether a greeting to that endpoint gets no answer."""
    client = Client(endpoint, hello=False)
    client.send(m.Hello(rid=1, v=(1, 0), client="thief"))
    answered = client.socket.poll(1000)
    client.close()
    return not answered


def test_a_client_without_a_key_hears_nothing(serve: Serve) -> None:
    context = zmq.Context()
    plain = context.socket(zmq.DEALER)
    plain.setsockopt(zmq.LINGER, 0)
    plain.connect(serve.endpoint().address)
    plain.send_multipart(codec.encode(m.Hello(rid=1, v=(1, 0), client="thief")))
    assert plain.poll(1000) == 0
    plain.close()
    context.term()


def test_a_stranger_who_knows_the_backends_key_hears_nothing(serve: Serve) -> None:
    _, secret = zmq.curve_keypair()
    stranger = serve.endpoint()._replace(client_secret=z85.decode(secret).hex())
    assert deaf(stranger)


def test_a_client_that_was_paired_comes_in_until_it_is_unpaired(client: Client) -> None:
    assert client.welcome.admin
    pair = m.Pair(rid=2, name="attic")
    endpoint = parse_endpoint(client.ask(pair, m.Paired).endpoint)
    attic = Client(endpoint)
    assert (attic.welcome.name, attic.welcome.admin) == ("attic", False)
    assert "attic" in client.ask(pair, m.Error).error.text
    client.ask(m.Unpair(rid=3, name="attic"), m.Done)
    attic.send(m.Ping(rid=4))
    assert attic.hear(m.Error).error.code == "not_allowed"
    attic.send(m.Hello(rid=1, v=(1, 0), client="test"))
    assert attic.hear(m.Error).error.code == "not_allowed"
    attic.close()
    assert deaf(endpoint)


def test_nobody_sees_or_touches_anothers_jobs_and_files(client: Client, keys: list[bytes]) -> None:
    endpoint = parse_endpoint(client.ask(m.Pair(rid=2, name="attic"), m.Paired).endpoint)
    digests = [client.upload(key) for key in keys]
    client.ask(job_of(digests), m.Accepted)
    other = Client(endpoint)
    files = tuple(m.File(digest, len(key)) for digest, key in zip(digests, keys, strict=True))
    assert len(other.ask(m.Have(rid=3, files=files), m.Missing).files) == 3
    assert other.ask(m.ListJobs(rid=4), m.Jobs).jobs == ()
    for request in (
        m.Subscribe(rid=5, job="a" * 32),
        m.Cancel(rid=5, job="a" * 32),
        m.Release(rid=5, job="a" * 32),
    ):
        assert other.ask(request, m.Error).error.code == "unknown_job"
    get = m.Get(rid=6, digest=digests[0], offset=0, credit=10)
    assert other.ask(get, m.Error).error.code == "unknown_digest"
    assert other.ask(job_of(digests, "b"), m.Error).error.code == "missing_inputs"
    for request in (
        m.Survey(rid=7),
        m.Pair(rid=7, name="friend"),
        m.Unpair(rid=7, name="local"),
        m.Unload(rid=7),
        m.Collect(rid=7),
        m.Verify(rid=7),
        m.ListJobs(rid=7, everyone=True),
    ):
        assert other.ask(request, m.Error).error.code == "not_allowed"
    everyone = client.ask(m.ListJobs(rid=8, everyone=True), m.Jobs).jobs
    assert [job.owner for job in everyone] == ["local"]
    other.close()


def test_a_client_that_names_its_connection_itself_is_not_heard(client: Client) -> None:
    endpoint = parse_endpoint(client.ask(m.Pair(rid=2, name="attic"), m.Paired).endpoint)
    for name in (b"victim", b"\x01abcd"):
        thief = Client(endpoint, hello=False, name=name)
        thief.send(m.Hello(rid=1, v=(1, 0), client="thief"))
        assert thief.socket.poll(500) == 0
        thief.close()
    client.ask(m.Ping(rid=3), m.Pong)


def test_a_refusal_never_grows_with_what_is_refused(client: Client, keys: list[bytes]) -> None:
    digests = [client.upload(key) for key in keys]
    job = msgspec.structs.replace(
        job_of(digests, engine="rife"), params={"motion": "\0" * 140_000, "x" * 100_000: 1}
    )
    assert len(client.ask(job, m.Error).error.text) < 1000
    client.ask(m.Ping(rid=3), m.Pong)


def test_bytes_beyond_the_end_of_a_file_are_refused(client: Client, keys: list[bytes]) -> None:
    digest = client.upload(keys[0])
    for offset, credit in ((len(keys[0]), 10), (0, 0), (2**50, 10)):
        get = m.Get(rid=6, digest=digest, offset=offset, credit=credit)
        assert client.ask(get, m.Error).error.code == "malformed"


def test_a_file_that_went_missing_is_sent_and_kept_again(
    client: Client, serve: Serve, keys: list[bytes]
) -> None:
    digest = client.upload(keys[0])
    (serve.file.parent / "store" / "objects" / digest[:2] / digest[2:]).unlink()
    file = m.File(digest, len(keys[0]))
    assert client.ask(m.Have(rid=3, files=(file,)), m.Missing).files == (m.Remainder(digest, 0),)
    client.upload(keys[0])
    assert client.ask(m.Have(rid=4, files=(file,)), m.Missing).files == ()


def test_an_upload_cannot_grow_beyond_the_quota_piece_by_piece(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('[quota]\nstored = "1 MiB"\n')
    serve = Serve(tmp_path)
    client = Client(serve.endpoint())
    content = os.urandom(3 * 2**20)
    digest = hashlib.sha256(content).hexdigest()
    small = m.Put(digest=digest, offset=0, size=300_000)
    client.ask(small, m.Granted, content[:200_000])
    large = m.Put(digest=digest, offset=200_000, size=len(content))
    assert client.ask(large, m.Error, content[200_000:400_000]).error.code == "quota"
    client.close()
    serve.end()


def test_strange_files_in_the_store_are_left_alone(tmp_path: Path) -> None:
    objects = tmp_path / "store" / "objects"
    (objects / "ab").mkdir(parents=True)
    strange = [objects / ".DS_Store", objects / "ab" / "Thumbs.db"]
    for path in strange:
        path.write_bytes(b"?")
    (tmp_path / "port").write_text("harbour")
    serve = Serve(tmp_path)
    client = Client(serve.endpoint())
    assert client.ask(m.Verify(rid=5), m.Verified).files == 0
    client.close()
    serve.end()
    assert all(path.exists() for path in strange)


def test_an_administrator_sees_how_the_backend_is(client: Client, keys: list[bytes]) -> None:
    client.ask(job_of([client.upload(key) for key in keys]), m.Accepted)
    client.send(m.Subscribe(rid=4, job="a" * 32))
    while not client.hear(m.Status).state.ended:
        pass
    report = client.ask(m.Survey(rid=5), m.Report)
    assert (report.done, report.running, report.waiting) == (1, 0, 0)
    assert report.workers[0].engine == "crossfade"
    assert report.clients[0].stored == report.stored > sum(map(len, keys))
    client.ask(m.Unload(rid=6), m.Done)
    assert client.ask(m.Survey(rid=7), m.Report).workers[0].pid == 0


def test_verify_finds_what_is_damaged_and_what_is_lost(
    client: Client, serve: Serve, keys: list[bytes]
) -> None:
    digests = [client.upload(key) for key in keys]
    verified = client.ask(m.Verify(rid=5), m.Verified)
    assert (verified.files, verified.damaged, verified.lost) == (3, (), ())
    objects = serve.file.parent / "store" / "objects"
    (objects / digests[0][:2] / digests[0][2:]).write_bytes(b"rust")
    (objects / digests[1][:2] / digests[1][2:]).unlink()
    verified = client.ask(m.Verify(rid=6), m.Verified)
    assert (verified.damaged, verified.lost) == ((digests[0],), (digests[1],))
    assert verified.ledger == "ok"


def test_a_restarted_backend_is_found_where_it_was_and_knows_its_jobs(
    serve: Serve, keys: list[bytes]
) -> None:
    client = Client(serve.endpoint())
    client.ask(job_of([client.upload(key) for key in keys]), m.Accepted)
    before = serve.connection()
    os.kill(serve.process.pid, signal.SIGKILL)
    serve.process.communicate()
    serve.file.unlink()
    again = Serve(serve.file.parent)
    assert again.endpoint() == before.endpoint
    while not (welcome := client_hello(client)):
        pass
    assert welcome.server_id != before.server_id
    client.send(m.Subscribe(rid=4, job="a" * 32))
    while not client.hear(m.Status).state.ended:
        pass
    client.close()
    again.end()


def client_hello(client: Client) -> m.Welcome | None:
    client.send(m.Hello(rid=1, v=(1, 0), client="test"))
    return client.hear(m.Welcome) if client.socket.poll(500) else None


@pytest.mark.skipif(os.name != "posix", reason="POSIX modes and signals")
def test_keys_are_private_and_a_stopped_backend_leaves_no_connection_file(serve: Serve) -> None:
    connection = serve.connection()
    for path in (serve.file, *serve.file.parent.glob("*.key")):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    out, err = serve.end()
    assert connection.address in out
    assert connection.client_secret not in out + err
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
