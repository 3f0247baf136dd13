# SPDX-License-Identifier: GPL-3.0-or-later
"""The codec: golden vectors, bounds, and polite refusals of anything else."""

from __future__ import annotations

import json
import random

import msgspec
import pytest

from protocol import codec
from protocol import messages as m
from protocol.errors import MalformedMessage, UnknownMessage
from protocol.limits import MAX_CHUNK, MAX_HEADER
from tests.protocol.samples import JOB, SAMPLES, VECTORS, body_of, named_samples

ROWS = [json.loads((VECTORS / f"{name}.json").read_text()) for name in named_samples()]


def decode(frames: list[bytes]) -> tuple[object, bytes]:
    kind = msgspec.msgpack.decode(frames[0])["type"]
    way = codec.decode_request if kind in codec.REQUESTS else codec.decode_reply
    return way(frames)


def test_every_message_has_a_golden_vector() -> None:
    assert {row["fields"]["type"] for row in ROWS} == codec.REQUESTS | codec.REPLIES
    assert len(list(VECTORS.iterdir())) == len(ROWS) == len(SAMPLES)


@pytest.mark.parametrize(("row", "sample"), list(zip(ROWS, SAMPLES, strict=True)))
def test_a_message_is_encoded_to_its_golden_bytes_and_back(row: dict, sample: m.Message) -> None:
    body = body_of(sample)
    frames = codec.encode(sample, body)
    assert bytes(frames[0]).hex() == row["header"]
    assert msgspec.msgpack.decode(frames[0]) == row["fields"]
    assert decode([bytes(frame) for frame in frames]) == (sample, body or b"")


def test_unknown_fields_are_ignored() -> None:
    header = msgspec.msgpack.encode({"type": "ping", "rid": 3, "mood": "good"})
    assert codec.decode_request([header]) == (m.Ping(rid=3), b"")


def test_an_unknown_message_is_named_and_keeps_its_number() -> None:
    frames = [msgspec.msgpack.encode({"type": "dance", "rid": 12, "job": JOB})]
    with pytest.raises(UnknownMessage, match="dance"):
        codec.decode_request(frames)
    assert codec.rid_of(frames) == 12
    assert codec.subject_of(frames) == (JOB, "")


def test_a_reply_is_no_request() -> None:
    with pytest.raises(UnknownMessage):
        codec.decode_request([bytes(codec.encode(m.Pong(rid=1))[0])])


@pytest.mark.parametrize(
    "change",
    [
        {"rid": -1},
        {"rid": 2**53},
        {"job": "A" * 32},
        {"job": "a" * 31},
        {"job": "a" * 32 + "\n"},
        {"seed": -1},
        {"task": {"type": "inbetween", "keys": ["x"], "gaps": []}},
        {"task": {"type": "inbetween", "keys": ["a" * 64], "gaps": [[float("nan")]]}},
        {"task": {"type": "inbetween", "keys": ["a" * 64], "gaps": [[1.0]]}},
        {"task": {"type": "party"}},
        {"params": {"x": [1]}},
        {"engine": "e" * 201},
    ],
    ids=str,
)
def test_a_submit_outside_its_bounds_is_malformed(change: dict) -> None:
    fields = next(row["fields"] for row in ROWS if row["fields"]["type"] == "submit")
    with pytest.raises(MalformedMessage):
        codec.decode_request([msgspec.msgpack.encode({**fields, **change})])


@pytest.mark.parametrize(
    "frames",
    [
        [],
        [b""],
        [b"\xc1"],
        [b"\x91" * 5000],
        [b"a", b"b", b"c"],
        [b"x" * (MAX_HEADER + 1)],
        [bytes(codec.encode(m.Ping(rid=1))[0]), b"body that does not belong"],
        [bytes(codec.encode(SAMPLES[3], b"x")[0])],
        [bytes(codec.encode(SAMPLES[3], b"x")[0]), b"x" * (MAX_CHUNK + 1)],
    ],
    ids=range(9),
)
def test_broken_frames_are_malformed(frames: list[bytes]) -> None:
    with pytest.raises(MalformedMessage):
        codec.decode_request(frames)


def test_mutated_messages_are_decoded_or_refused_and_nothing_else() -> None:
    dice = random.Random(7)
    headers = [bytes.fromhex(row["header"]) for row in ROWS]
    refused = 0
    for _ in range(20_000):
        header = bytearray(dice.choice(headers))
        for _ in range(dice.randint(1, 4)):
            header[dice.randrange(len(header))] = dice.randrange(256)
        for way in (codec.decode_request, codec.decode_reply):
            try:
                way([bytes(header)])
            except (MalformedMessage, UnknownMessage):
                refused += 1
    assert refused > 1000


def test_our_own_message_beyond_the_limits_is_not_sent() -> None:
    with pytest.raises(MalformedMessage):
        codec.encode(m.Hello(rid=1, v=(1, 0), client="x" * (MAX_HEADER + 1)))
    with pytest.raises(MalformedMessage):
        codec.encode(m.Ping(rid=1), b"body")
