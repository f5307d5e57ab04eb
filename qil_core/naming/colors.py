"""Words for colours: the nearest in a table, and the one word that most of a layer deserves.

1. Greys are told by their chroma, and named by their lightness (`GREYS`).
2. All others have the word of the nearest colour of `TABLE`, by distance in OKLab (Ottosson, 2020), in which equal
   distances look about equal.

Source of the table: colours that people named in Randall Munroe's survey of 222,500 volunteers (2010,
https://xkcd.com/color/rgb/, CC0), as stored sRGB values. Several of its colours share a word here: a layer's name needs
few.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..color import parse_color, srgb_to_oklab

TABLE = {
    "red": {"red": "#e50000 #ff000d #ec2d01 #ff474c", "dark red": "#840000 #8f1402 #8c000f"},
    "orange": {"orange": "#f97306 #ff964f", "light orange": "#fdaa48 #ffb07c", "salmon": "#ff796c"},
    "yellow": {
        "yellow": "#ffff14 #ffda03 #fec615",
        "light yellow": "#fffe7a #fffeb6",
        "gold": "#dbb40c #feb308 #bf9005",
    },
    "green": {
        "green": "#15b01a #3f9b0b #39ad48 #02ab2e #5ca904 #74a662",
        "light green": "#96f97b #76cd26 #b0ff9d #d1ffbd #c0fb2d",
        "dark green": "#033500 #06470c #3c4d03",
        "olive": "#6e750e",
    },
    "teal": {"teal": "#029386 #0a888a", "turquoise": "#06c2ac #00ffff", "dark teal": "#014d4e #045c5a"},
    "blue": {
        "blue": "#0343df #2c6fbb #0485d1 #030aa7 #3b5b92 #0165fc",
        "light blue": "#95d0fc #75bbfd #b1d1fc #a2bffe #d5ffff",
        "dark blue": "#00035b #01153e #001146 #040273",
    },
    "purple": {
        "purple": "#7e1e9c #9e43a2 #825f87 #be03fd",
        "light purple": "#bf77f6 #c79fef #d6b4fc #8e82fe #b790d4 #dfc5fe",
        "dark purple": "#35063e #34013f #380282 #580f41",
    },
    "pink": {"pink": "#ff81c0 #ff028d #c20078 #d58a94", "light pink": "#ffd1df #ffbacd"},
    "brown": {
        "brown": "#653700 #7f5112 #964e02 #875f42",
        "light brown": "#ad8150 #c69f59 #9d7651 #a9561e",
        "dark brown": "#341c02 #411900",
        "beige": "#e6daa6 #d1b26f",
    },
    "grey": {"blue grey": "#607c8e #516572"},
}  # fmt: skip
"""Family of colours: its words, and the survey's colours of each. The families are the basic terms of Berlin and Kay
(1969), and teal."""

GREYS = (("black", 0.26), ("dark grey", 0.5), ("grey", 0.75), ("light grey", 0.94), ("white", float("inf")))
"""The word of a grey up to a lightness in OKLab: halfway between the survey's black, dark grey, grey, light grey and
white, but for black: below 0.26 (#232323) a screen shows no more than that."""

MAX_CHROMA = 0.03
"""Chroma in OKLab up to which a colour is a grey: #f5f0e8 of paper and #1f2937 of dark pages have less."""

MIN_SHARE = 0.6
"""Share of a layer that a word must fit: with less it has many colours."""

MAX_SAMPLES = 4096
"""Pixels of a layer that are looked at: their shares are right to 1 %."""


def color_of(pixels: Tensor) -> str:
    """The word for straight colours (n, 3) of a layer in [0, 1]: of most of them, else their family's; "" of many."""
    if not len(pixels):
        return ""
    words, families = _words()
    step = -(-len(pixels) // MAX_SAMPLES)
    counts = np.bincount(_nearest(srgb_to_oklab(pixels[::step].cpu())), minlength=len(words))
    total = int(counts.sum())
    if counts.max() >= MIN_SHARE * total:
        return words[int(counts.argmax())]
    shares = {family: int(counts[families == family].sum()) / total for family in families.tolist()}
    most = max(shares, key=lambda family: shares[family])
    return str(most) if shares[most] >= MIN_SHARE else ""


def _nearest(seen: Tensor) -> NDArray[np.int64]:
    """Which of `_words` colours (n, 3) in OKLab have."""
    number, places = _places()
    named = number[torch.cdist(seen, places).argmin(1).numpy()]
    steps = [limit for _, limit in GREYS[:-1]]
    greys = np.searchsorted(steps, seen[:, 0].numpy()) + len(_words()[0]) - len(GREYS)
    return np.where(seen[:, 1:].norm(dim=1).numpy() <= MAX_CHROMA, greys, named)


@cache
def _words() -> tuple[list[str], NDArray[np.str_]]:
    """All words, the greys last, and the family of each."""
    pairs = [(word, family) for family, colors in TABLE.items() for word in colors]
    pairs += [(word, word.split()[-1]) for word, _ in GREYS]
    return [word for word, _ in pairs], np.array([family for _, family in pairs])


@cache
def _places() -> tuple[NDArray[np.int64], Tensor]:
    """The survey's colours in OKLab (n, 3), and which word each has."""
    codes = [colors.split() for words in TABLE.values() for colors in words.values()]
    number = np.repeat(np.arange(len(codes)), [len(each) for each in codes])
    return number, srgb_to_oklab(torch.tensor([parse_color(code) for each in codes for code in each]))
