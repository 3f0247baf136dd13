# SPDX-License-Identifier: GPL-3.0-or-later
"""Message <-> list of zmq frames: a msgpack header, then a body for the few that carry bytes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import msgspec

from .errors import MalformedMessage, UnknownMessage
from .limits import MAX_CHUNK, MAX_HEADER, MAX_PARTS
from .messages import Data, Message, Put, Reply, Request

_T = TypeVar("_T")
_WITH_BODY = (Put, Data)

_encoder = msgspec.msgpack.Encoder()
_request = msgspec.msgpack.Decoder(Request)
_reply = msgspec.msgpack.Decoder(Reply)


class _Envelope(msgspec.Struct):
    """As much of a message as is needed to refuse it politely."""

    type: str = ""
    rid: int = 0
    job: str = ""
    digest: str = ""


_envelope = msgspec.msgpack.Decoder(_Envelope)
REQUESTS = frozenset(kind.__struct_config__.tag for kind in Request.__args__)
REPLIES = frozenset(kind.__struct_config__.tag for kind in Reply.__args__)


def encode(message: Message, body: bytes | memoryview | None = None) -> list[bytes | memoryview]:
    """The frames of a message. `body` goes with Put and Data and with no other.

    Raises MalformedMessage if our own message breaks the limits.
    """
    header = _encoder.encode(message)
    if len(header) > MAX_HEADER:
        raise MalformedMessage(
            f"A message of {len(header)} bytes exceeds {MAX_HEADER}.",
            fix="Split the shot into several jobs.",
        )
    if isinstance(message, _WITH_BODY) != (body is not None):
        raise MalformedMessage(f"{type(message).__name__} has a wrong body.")
    return [header] if body is None else [header, body]


def decode_request(frames: Sequence[bytes]) -> tuple[Request, bytes]:
    """A client's message and its body (empty if it has none).

    Raises MalformedMessage or UnknownMessage; nothing else, whatever the bytes are.
    """
    return _decode(frames, _request, REQUESTS)


def decode_reply(frames: Sequence[bytes]) -> tuple[Reply, bytes]:
    """A backend's message and its body (empty if it has none). Raises as decode_request."""
    return _decode(frames, _reply, REPLIES)


def rid_of(frames: Sequence[bytes]) -> int:
    """The request number in a message that was refused, or 0."""
    rid = _open(frames).rid
    return rid if 0 <= rid < 2**53 else 0


def subject_of(frames: Sequence[bytes]) -> tuple[str, str]:
    """The job and the digest that a refused message was about, each empty if there is none."""
    envelope = _open(frames)
    return envelope.job[:64], envelope.digest[:64]


def _open(frames: Sequence[bytes]) -> _Envelope:
    try:
        return _envelope.decode(frames[0][:MAX_HEADER])
    except (ValueError, RecursionError, IndexError):
        return _Envelope()


def _decode(
    frames: Sequence[bytes], decoder: msgspec.msgpack.Decoder[_T], known: frozenset[object]
) -> tuple[_T, bytes]:
    if not 1 <= len(frames) <= MAX_PARTS:
        raise MalformedMessage(f"A message has {len(frames)} parts.")
    if len(frames[0]) > MAX_HEADER or (len(frames) == 2 and len(frames[1]) > MAX_CHUNK):
        raise MalformedMessage("A message is larger than the protocol allows.")
    try:
        message = decoder.decode(frames[0])
    except (ValueError, RecursionError) as problem:
        raise _explain(frames[0], known, problem) from None
    if isinstance(message, _WITH_BODY) != (len(frames) == 2):
        raise MalformedMessage(f"{type(message).__name__} came with a wrong number of parts.")
    return message, frames[1] if len(frames) == 2 else b""


def _explain(header: bytes, known: frozenset[object], problem: Exception) -> Exception:
    kind = _open([header]).type
    if not kind:
        return MalformedMessage("A message is not readable.")
    if kind not in known:
        return UnknownMessage(f"There is no message called {kind[:40]!r}.")
    return MalformedMessage(f"A {kind} message is not as it should be: {str(problem)[:200]}")
