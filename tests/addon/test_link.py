# SPDX-License-Identifier: GPL-3.0-or-later
"""The line on real sockets: greeting, keys, breaks, and an end without waiting."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
import zmq
from zmq.utils import z85

from blender_addon.link import Link
from protocol.endpoint import Endpoint
from protocol.errors import BackendNotRunning, BadInput, VersionMismatch
from protocol.messages import Error, Have, Hello, Message, Ping, Pong, Welcome
from tests.fakes.peer import Peer


@pytest.fixture
def peer() -> Iterator[Peer]:
    peer = Peer()
    yield peer
    peer.close()


def until(done: Callable[[], bool], peer: Peer, link: Link, seconds: float = 10.0) -> list[Message]:
    received: list[Message] = []
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, f"it never came to that: {link.problem}"
        peer.serve()
        received += [message for message, _ in link.receive(10)]
        time.sleep(0.002)
    return received


@pytest.fixture
def link(peer: Peer) -> Iterator[Link]:
    link = Link(peer.endpoint, "test")
    yield link
    link.close()


def test_both_lanes_say_hello_first_and_one_welcome_comes(peer: Peer, link: Link) -> None:
    received = until(lambda: link.open, peer, link)
    assert [type(message) for message in received] == [Welcome]
    assert [type(request) for _, request in peer.heard] == [Hello, Hello]
    assert len({identity for identity, _ in peer.heard}) == 2


def test_messages_take_the_lane_of_their_kind(peer: Peer, link: Link) -> None:
    until(lambda: link.open, peer, link)
    assert link.send(Ping(rid=5))
    assert link.send(Have(rid=6, files=()))
    until(lambda: len(peer.heard) == 4, peer, link)
    lanes = {type(request): identity for identity, request in peer.heard[2:]}
    assert lanes[Ping] != lanes[Have]


def test_before_the_welcome_nothing_is_sent(peer: Peer, link: Link) -> None:
    assert not link.send(Ping(rid=1))


def test_after_a_restart_of_the_backend_a_new_welcome_comes(peer: Peer, link: Link) -> None:
    until(lambda: link.open, peer, link)
    peer.restart()
    until(lambda: not link.open, peer, link)
    assert isinstance(link.problem, BackendNotRunning)
    assert not link.send(Ping(rid=1))
    received = until(lambda: link.open, peer, link)
    assert [type(message) for message in received] == [Welcome]
    assert link.problem is None


def test_a_backend_that_forgot_us_is_greeted_again(peer: Peer, link: Link) -> None:
    until(lambda: link.open, peer, link)
    peer.strict = {identity for identity, _ in peer.heard}
    link.send(Ping(rid=1))
    received = until(lambda: len(peer.heard) == 4, peer, link)
    received += until(lambda: link.open, peer, link)
    assert any(isinstance(message, Welcome) for message in received)
    assert not any(isinstance(message, Error) for message in received)


def test_a_wrong_key_is_said_so(peer: Peer) -> None:
    stranger = z85.decode(zmq.curve_keypair()[0]).hex()
    link = Link(Endpoint(peer.address, stranger, "cd" * 32), "test")
    try:
        until(lambda: link.problem is not None and "key" in link.problem.text, peer, link)
        assert peer.heard == []
        assert not link.open
    finally:
        link.close()


def test_an_address_that_leads_nowhere_is_refused_at_once() -> None:
    with pytest.raises(BadInput, match="no address to connect to"):
        Link(Endpoint("tcp://*:5555", "ab" * 32, "cd" * 32), "test")


def test_nobody_there_is_said_so() -> None:
    link = Link(Endpoint("tcp://127.0.0.1:9", "ab" * 32, "cd" * 32), "test")
    try:
        end = time.monotonic() + 10
        while link.problem is None and time.monotonic() < end:
            link.receive(1)
            time.sleep(0.01)
        assert link.problem is not None
        assert "Nobody answers" in link.problem.text
    finally:
        link.close()


def test_another_major_version_is_refused_with_the_side_to_update(peer: Peer, link: Link) -> None:
    peer.v = (2, 0)
    until(lambda: link.problem is not None, peer, link)
    assert isinstance(link.problem, VersionMismatch)
    assert "Update the add-on" in link.problem.fix
    assert not link.open


def test_a_message_that_we_do_not_know_is_left_aside(peer: Peer, link: Link) -> None:
    until(lambda: link.open, peer, link)
    identity = peer.heard[0][0]
    peer.router.send_multipart([identity, b"\x81\xa4type\xa5novel"])
    peer.router.send_multipart([identity, b"\xff\xff", b"", b""])
    peer.send(identity, Pong(rid=9))
    received: list[Message] = []
    for _ in range(1000):
        received += [message for message, _ in link.receive(1)]
        if received:
            break
        time.sleep(0.005)
    assert received == [Pong(rid=9)]


def test_the_end_waits_for_nobody(peer: Peer) -> None:
    nobody = Endpoint("tcp://127.0.0.1:9", "ab" * 32, "cd" * 32)
    links = [Link(peer.endpoint, "test"), Link(nobody, "test")]
    until(lambda: links[0].open, peer, links[0])
    began = time.monotonic()
    for link in links:
        link.close()
    assert time.monotonic() - began < 2.0
