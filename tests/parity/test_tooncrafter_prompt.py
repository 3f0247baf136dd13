# SPDX-License-Identifier: GPL-3.0-or-later
"""A prompt becomes the tokens that open_clip 2.22.0 made of it, where these were recorded."""

from __future__ import annotations

import pytest

from backend.models.tooncrafter.prompt import END, START, tokens

RECORDED: dict[str, list[int]] = {
    "": [],
    "an anime scene, keep the background unchanged": [550, 6469, 3562, 267, 1726, 518, 5994, 34272],
    "A girl's hair -- blowing in the wind!!! 1080p": [
        320,
        1611,
        568,
        2225,
        2432,
        12087,
        530,
        518,
        3630,
        995,
        272,
        271,
        279,
        271,
        335,
    ],
    "don't we'll I'm they'd 'tis": [847, 713, 649, 1342, 328, 880, 889, 1896, 713, 533],
    "naïve café Ⅳ ½ 日本語 アニメ": [
        1097,
        35689,
        563,
        15304,
        158,
        227,
        367,
        33613,
        39121,
        44353,
        34002,
        508,
        26560,
        2429,
        233,
        2429,
        350,
    ],
    "&amp;lt;b&gt; x": [283, 321, 285, 343],
    "  tabs\tand\nlines ": [29163, 537, 3418],
    "banana anananana aaaaaaa": [8922, 37215, 514, 1388, 6727, 9583],
    "🙂 emoji 👩\u200d🎨": [14860, 16327, 26304, 13461],
    "it''s '' 'S": [585, 8445, 338, 8445, 568],
    "mixed123abc_foo-bar": [6780, 272, 273, 274, 5334, 318, 23435, 268, 2411],
    "Ünïcödé ß ŒUVRE": [6522, 77, 35689, 66, 7255, 67, 4166, 127, 509, 129, 241, 84, 17501],
    "2024年3月": [273, 271, 273, 275, 38780, 368, 274, 19277, 486],
}


@pytest.mark.parametrize("prompt", RECORDED)
def test_a_prompt_has_the_recorded_tokens(prompt: str) -> None:
    wanted = [START, *RECORDED[prompt], END]
    assert tokens(prompt) == wanted + [0] * (77 - len(wanted))


def test_a_long_prompt_is_cut_and_still_ends() -> None:
    made = tokens("word " * 100)
    assert made == [START, *[2653] * 75, END]
