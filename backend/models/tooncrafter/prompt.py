# SPDX-License-Identifier: GPL-3.0-or-later
"""From a prompt to the text tower's 77 tokens: CLIP's byte pair encoding; it knows no torch.

Sennrich, Haddow, Birch: Neural Machine Translation of Rare Words with Subword Units, ACL 2016.
"""

from __future__ import annotations

import gzip
import html
import re
import unicodedata
from functools import cache
from importlib.resources import files
from itertools import pairwise

from backend.models.tooncrafter.sizes import TEXT_TOKENS

START, END, PADDING = 49406, 49407, 0
_ENDINGS = ("s", "t", "re", "ve", "m", "ll", "d")


def tokens(prompt: str, padding: int = PADDING) -> list[int]:
    """Exactly 77 numbers; what is too long is cut, and the end is always marked."""
    found = [number for word in _words(prompt) for number in _numbers(word)]
    inner = found[: TEXT_TOKENS - 2]
    return [START, *inner, END, *[padding] * (TEXT_TOKENS - 2 - len(inner))]


def _words(prompt: str) -> list[str]:
    """Runs of letters, single digits, runs of anything else, and what follows an apostrophe."""
    text = html.unescape(html.unescape(prompt))
    text = re.sub(r"\s+", " ", text.strip()).lower()
    # Every character as its kind: letter, number, blank, other.
    kinds = "".join(map(_kind, text))
    words: list[str] = []
    place = 0
    while place < len(text):
        length = _ending(text, place) or _length(kinds, place)
        if kinds[place] != " ":
            words.append(text[place : place + length])
        place += length
    return words


def _kind(character: str) -> str:
    if character.isspace():
        return " "
    return {"L": "L", "N": "N"}.get(unicodedata.category(character)[0], "-")


def _ending(text: str, place: int) -> int:
    if text[place] != "'":
        return 0
    return next((len(e) + 1 for e in _ENDINGS if text.startswith(e, place + 1)), 0)


def _length(kinds: str, place: int) -> int:
    kind = kinds[place]
    if kind in "N ":
        return 1
    return len(kinds[place:]) - len(kinds[place:].lstrip(kind))


@cache
def _numbers(word: str) -> tuple[int, ...]:
    """A word's tokens: its bytes, joined in the order in which the merges were learned."""
    letters, ranks, vocabulary = _encoding()
    parts = [letters[byte] for byte in word.encode()]
    parts[-1] += "</w>"
    while len(parts) > 1:
        pairs = list(pairwise(parts))
        best = min(pairs, key=lambda pair: ranks.get(pair, len(ranks)))
        if best not in ranks:
            break
        parts = _joined(parts, best)
    return tuple(vocabulary[part] for part in parts)


def _joined(parts: list[str], pair: tuple[str, str]) -> list[str]:
    joined: list[str] = []
    for part in parts:
        if joined and (joined[-1], part) == pair:
            joined[-1] += part
            # A joined part is not joined again in the same round.
            joined.append("")
        else:
            joined.append(part)
    return [part for part in joined if part]


@cache
def _encoding() -> tuple[dict[int, str], dict[tuple[str, str], int], dict[str, int]]:
    """A letter for every byte, the rank of every merge, the number of every part."""
    content = files("backend.models.tooncrafter").joinpath("data", "merges.txt.gz").read_bytes()
    lines = gzip.decompress(content).decode().splitlines()
    merges = [(first, second) for first, second in (line.split() for line in lines)]
    letters = _letters()
    single = list(letters.values())
    parts = [*single, *(letter + "</w>" for letter in single), *map("".join, merges)]
    ranks = {merge: rank for rank, merge in enumerate(merges)}
    return letters, ranks, {part: number for number, part in enumerate(parts)}


def _letters() -> dict[int, str]:
    """Printable bytes as themselves, first; the others as letters from 256 on."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters = {byte: chr(byte) for byte in plain}
    others = [byte for byte in range(256) if byte not in letters]
    return letters | {byte: chr(256 + index) for index, byte in enumerate(others)}
