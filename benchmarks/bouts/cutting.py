# SPDX-License-Identifier: GPL-3.0-or-later
"""Uploads whose connection is cut midway: nothing but the open window is ever sent again."""

from __future__ import annotations

import random

from protocol import messages as m
from protocol.limits import CHUNK, WINDOW

from .backend_process import backend
from .drawings import digest_of
from .finding import Finding, at_most, exactly, told
from .line import Line

_MIB = 2**20


def run(uploads: int, seed: int = 1) -> list[Finding]:
    """So many uploads of 5 to 9 MiB, each cut once or twice at a random byte."""
    dice = random.Random(seed)
    again: list[int] = []
    whole = true = 0
    with backend() as process:
        endpoint = process.connection().endpoint
        for _ in range(uploads):
            content = dice.randbytes(dice.randrange(5 * _MIB, 9 * _MIB))
            digest, reached = digest_of(content), 0
            cuts = [dice.randrange(len(content)) for _ in range(dice.choice((1, 2)))]
            for cut in [*sorted(cuts), None]:
                line = Line(endpoint)
                first, last, stored = _send(line, content, until=cut)
                if reached:
                    again.append(reached - first)
                reached = last
                if stored:
                    whole += 1
                    true += line.fetch(digest, len(content)) == content
                line.cut()
        line = Line(endpoint)
        verified = line.ask(m.Verify(rid=0), m.Verified)
        line.cut()
        left = len(list((process.home / "store" / "parts").iterdir()))
    return [
        exactly("uploads that are whole in the end", whole, uploads),
        exactly("of these with the right bytes when fetched", true, uploads),
        at_most("most that was sent again after one cut", max(again) / _MIB, WINDOW / _MIB, "MiB"),
        told("sent again after a cut, on average", sum(again) / len(again) / _MIB, "MiB"),
        exactly("files that are damaged or lost", len(verified.damaged + verified.lost), 0),
        exactly("unfinished uploads left behind", left, 0),
    ]


def _send(line: Line, content: bytes, *, until: int | None) -> tuple[int, int, bool]:
    """Go on with an upload, up to that byte: from where, to where, and whether it is whole now."""
    digest, size = digest_of(content), len(content)
    missing = line.ask(m.Have(rid=0, files=(m.File(digest, size),)), m.Missing).files
    if not missing:
        return size, size, True
    first = sent = confirmed = missing[0].offset
    end = size if until is None else max(until, first)
    while True:
        while sent < end and sent - confirmed < WINDOW:
            piece = content[sent : min(sent + CHUNK, end)]
            line.send(m.Put(digest=digest, offset=sent, size=size), piece)
            sent += len(piece)
        if sent == end and until is not None:
            return first, sent, False
        match line.receive()[0]:
            case m.Stored():
                return first, sent, True
            case m.Granted(offset=offset):
                confirmed = offset
            case _:
                pass
