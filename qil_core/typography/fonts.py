"""Metrics of the fonts that editable text is set in.

PowerPoint, Keynote and LibreOffice have Arial, Times New Roman and Courier New, or substitute fonts of the same widths:
Liberation Sans, Serif and Mono, in which the numbers below were measured. Ideographs, kana and full-width signs are one
em wide in every East Asian typeface, so those need no table.
"""

from __future__ import annotations

import unicodedata
from typing import Literal, NamedTuple

Family = Literal["sans", "serif", "mono"]
Script = Literal["latin", "chinese", "japanese", "korean", "right-to-left"]

FAMILIES: tuple[Family, ...] = ("sans", "serif", "mono")


class Typeface(NamedTuple):
    """A family's Latin typeface, how far its lines reach below the baseline in em, and where bold begins.

    descent: of Courier New the middle of its own 0.30 and the 0.22 that LibreOffice shows. bold_from:
    the mean stroke in em from which the bold weight is nearer; measured in nine fonts at 18, 28 and 60 px.
    """

    latin: str
    descent: float
    bold_from: float


TYPEFACES: dict[Family, Typeface] = {
    "sans": Typeface("Arial", 0.212, 0.104),
    "serif": Typeface("Times New Roman", 0.216, 0.086),
    "mono": Typeface("Courier New", 0.260, 0.103),
}

EAST_ASIAN: dict[Script, str] = {"chinese": "Microsoft YaHei", "japanese": "Yu Gothic", "korean": "Malgun Gothic"}
"""East Asian typefaces of Windows and Office; other systems substitute fonts whose ideographs are as wide."""


class Sign(NamedTuple):
    """A bullet's sign in Arial, in em: its ink's width, its middle above the baseline, and the space in front of it."""

    width: float
    middle: float
    bearing: float


BULLETS = {
    "•": Sign(0.272, 0.332, 0.039),
    "▪": Sign(0.249, 0.311, 0.053),
    "\N{EN DASH}": Sign(0.556, 0.254, 0.0),
}
"""Signs that are written for bullets, measured in Liberation Sans."""

MONO_WIDTH = 0.6
"""Advance of every character of Courier New and of Liberation Mono, in em."""

HANGUL_WIDTH = 0.92
"""Advance of a Hangul syllable in em (Malgun Gothic, Noto Sans KR)."""

WIDE_TOP, WIDE_BOTTOM = 0.84, -0.075
"""How far ideographs reach above and below the baseline, in em, at the most of a line of them (Noto Sans CJK)."""

BEARING = {"sans": 0.06, "serif": 0.03, "mono": 0.08}
"""Clear space in front of a line's first letter, in em: about the middle of the capitals'."""

WIDE_BEARING = 0.05
"""The same of an ideograph."""

FULL_STOPS, FULL_STOP_BEARING = "\N{IDEOGRAPHIC FULL STOP}\N{IDEOGRAPHIC COMMA}\N{FULLWIDTH COMMA}", 0.62
"""Signs that are a whole em wide and whose ink is at its left, and the clear space behind that."""

ACCENT = 0.2
"""Height of an accent above its letter, in em."""


def _by_letter(letters: dict[float, str]) -> dict[str, float]:
    return {letter: height for height, group in letters.items() for letter in group}


RIGHT_TO_LEFT_TOPS = _by_letter(
    {1.0: "أ", 0.94: "آ", 0.76: "اإلكطظ", 0.73: "ל", 0.64: "غفق", 0.59: "خشذؤئث", 0.5: "ضعزتنة", 0.4: "بجحدرسصمهويى"}
)
"""Highest ink of Arabic and Hebrew letters above the baseline, in em (DejaVu Sans); of all others RIGHT_TO_LEFT_TOP."""

RIGHT_TO_LEFT_TOP = 0.55

RIGHT_TO_LEFT_BOTTOMS = _by_letter({-0.25: "إرزوؤ", -0.21: "ךןףץק", -0.15: "بيج", -0.09: "ע"})
"""Lowest ink of those that reach below the baseline."""

LAST_BOTTOMS = _by_letter({-0.25: "جحخعغقمنيسشصض", -0.14: "لىئ"})
"""The same of Arabic letters at the end of a word: elsewhere they are joined to the next one on the baseline."""


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split()))


WIDTHS = {
    "sans": _numbers(
        "278 278 355 556 556 889 667 191 333 333 389 584 278 333 278 278 556 556 556 556 556 556 556 556 556 556 278 "
        "278 584 584 584 556 1015 667 667 722 722 667 611 778 722 278 500 667 556 833 722 778 667 778 722 667 611 722 "
        "667 944 667 667 611 278 278 278 469 556 333 556 556 500 556 556 278 556 556 222 222 500 222 833 556 556 556 "
        "556 333 500 278 556 500 722 500 500 500 334 260 334 584"
    ),
    "sans bold": _numbers(
        "278 333 474 556 556 889 722 238 333 333 389 584 278 333 278 278 556 556 556 556 556 556 556 556 556 556 333 "
        "333 584 584 584 611 975 722 722 722 722 667 611 778 722 278 556 722 611 833 722 778 667 778 722 667 611 722 "
        "667 944 667 667 611 333 278 333 584 556 333 556 611 556 611 556 333 611 611 278 278 556 278 889 611 611 611 "
        "611 389 556 333 611 556 778 556 556 500 389 280 389 584"
    ),
    "serif": _numbers(
        "250 333 408 500 500 833 778 180 333 333 500 564 250 333 250 278 500 500 500 500 500 500 500 500 500 500 278 "
        "278 564 564 564 444 921 722 667 667 722 611 556 722 722 333 389 722 611 889 722 722 556 722 667 556 611 722 "
        "722 944 722 722 611 333 278 333 469 500 333 444 500 444 500 444 333 500 500 278 278 500 278 778 500 500 500 "
        "500 333 389 278 500 500 722 500 500 444 480 200 480 541"
    ),
    "serif bold": _numbers(
        "250 333 555 500 500 1000 833 278 333 333 500 570 250 333 250 278 500 500 500 500 500 500 500 500 500 500 333 "
        "333 570 570 570 500 930 722 667 722 722 667 611 778 778 389 500 778 667 944 722 778 611 778 722 556 667 722 "
        "722 1000 722 722 667 333 278 333 581 500 333 500 556 444 556 444 333 500 556 278 333 556 278 833 556 500 556 "
        "556 444 389 333 556 500 722 500 500 444 394 220 394 520"
    ),
}
"""Advances of " " to "~" in 1/1000 em."""

TOPS: dict[Family, tuple[int, ...]] = {
    "sans": _numbers(
        "688 688 684 740 694 692 688 725 725 688 577 107 305 107 725 698 688 698 698 688 688 698 688 698 698 528 528 "
        "583 490 583 698 725 688 688 698 688 688 688 698 688 688 688 688 688 688 688 698 688 698 688 698 688 688 688 "
        "688 688 688 688 725 725 725 688 0 736 538 725 538 725 538 724 537 725 725 725 725 725 538 538 538 538 538 "
        "538 537 646 528 528 528 528 528 528 725 725 725 394"
    ),
    "serif": _numbers(
        "655 655 655 724 665 665 655 694 694 655 565 103 273 104 659 665 660 662 662 658 655 662 655 665 662 469 469 "
        "573 457 573 662 666 660 655 662 655 655 655 662 655 655 655 655 655 655 655 662 655 662 655 662 655 655 655 "
        "655 655 655 655 694 659 694 655 0 695 469 694 471 694 471 704 513 694 662 662 694 694 471 471 471 471 481 "
        "471 471 563 459 459 459 459 459 459 694 694 694 413"
    ),
    "mono": _numbers(
        "658 725 659 721 665 663 725 725 725 724 577 146 305 146 725 669 659 669 669 659 659 669 659 669 669 528 528 "
        "583 490 583 669 725 659 659 669 659 659 659 669 659 659 659 659 659 659 659 669 659 669 659 669 659 659 659 "
        "659 659 659 659 725 725 725 659 0 713 538 725 538 725 538 725 537 725 725 725 725 725 538 538 538 539 536 "
        "538 537 666 528 528 528 528 528 528 725 725 725 394"
    ),
}
"""Highest ink of "!" to "~" in 1/1000 em above the baseline."""

BOTTOMS: dict[Family, tuple[int, ...]] = {
    "sans": _numbers(
        "0 0 0 -69 -6 -10 0 -207 -207 0 0 -128 0 0 -10 -10 0 0 -10 0 -10 -10 0 -10 -10 0 -128 0 0 0 0 -138 0 0 -10 0 "
        "0 0 -10 0 0 -10 0 0 0 0 -10 0 -189 0 -10 0 -10 0 0 0 0 0 -208 -10 -208 0 -199 0 -10 -10 -10 -10 -10 0 -208 0 "
        "0 -208 0 0 0 0 -10 -208 -208 0 -10 -8 -10 0 0 0 -208 0 -208 -212 -208 0"
    ),
    "serif": _numbers(
        "-14 0 0 -76 -13 -10 0 -213 -213 0 0 -154 0 -14 -10 -10 0 0 -10 0 -10 -10 0 -10 -10 -14 -154 0 0 0 -14 -190 0 "
        "-3 -10 -2 0 0 -10 0 0 -10 0 0 0 0 -10 0 -162 0 -10 0 -10 -15 -15 0 0 0 -134 -10 -134 0 -129 0 -10 -10 -10 "
        "-10 -10 0 -216 0 0 -213 0 0 0 0 -10 -213 -213 0 -10 -10 -10 -10 -10 0 -216 0 -134 -216 -134 0"
    ),
    "mono": _numbers(
        "0 0 0 -69 -6 -10 0 -208 -208 0 0 -177 0 0 -10 -10 0 0 -10 0 -10 -10 0 -10 -10 0 -177 0 0 0 0 -138 0 0 -10 0 "
        "0 0 -10 0 0 -10 0 0 0 0 -10 0 -189 0 -10 0 -10 0 0 0 0 0 -208 -10 -208 0 -107 0 -10 -10 -10 -13 -10 0 -207 0 "
        "0 -208 0 0 0 0 -10 -208 -208 0 -10 -8 -10 0 0 0 -208 0 -208 -208 -208 0"
    ),
}
"""Lowest ink of "!" to "~" in the same unit."""


def is_wide(letter: str) -> bool:
    """Whether a character is an ideograph, kana, a Hangul syllable or a full-width sign (Unicode's annex 11)."""
    return unicodedata.east_asian_width(letter) in "WF"


def script_of(text: str) -> Script:
    """The script that decides on typeface and direction: that of its first letter (Unicode annex 9, rule P2).

    Han alone counts as Chinese: nothing tells otherwise.
    """
    names = [unicodedata.name(letter, "") for letter in text]
    if any(name.startswith(("HIRAGANA", "KATAKANA")) for name in names):
        return "japanese"
    if any(name.startswith("HANGUL") for name in names):
        return "korean"
    if any(is_wide(letter) for letter in text):
        return "chinese"
    strong = (direction for letter in text if (direction := unicodedata.bidirectional(letter)) in ("L", "R", "AL"))
    return "latin" if next(strong, "L") == "L" else "right-to-left"


def advance(letter: str, family: Family, bold: bool = False) -> float:
    """Width of a character in em; of an accented letter that of the letter, of other scripts an average."""
    if is_wide(letter):
        return HANGUL_WIDTH if unicodedata.name(letter, "").startswith("HANGUL SYLLABLE") else 1.0
    if family == "mono":
        return MONO_WIDTH
    widths = WIDTHS[f"{family} bold" if bold else family]
    at = ord(_plain(letter)) - ord(" ")
    return widths[at] / 1000 if 0 <= at < len(widths) else widths[ord("n") - ord(" ")] / 1000


def bearing(letter: str, family: Family) -> float:
    """Clear space at a character's side, in em."""
    return WIDE_BEARING if is_wide(letter) else BEARING[family]


def ink_width(text: str, family: Family, bold: bool = False) -> float:
    """From a line's first ink to its last, in em."""
    whole = sum(advance(letter, family, bold) for letter in text)
    behind = FULL_STOP_BEARING if text[-1] in FULL_STOPS else bearing(text[-1], family)
    return max(whole - bearing(text[0], family) - behind, 0.1)


def reach(text: str, family: Family) -> tuple[float, float]:
    """The highest and the lowest ink of a line, in em above the baseline: the cap height where it has capitals."""
    rows = [_reach(letter, family) for letter in text if not letter.isspace()]
    rows += [(0.0, LAST_BOTTOMS.get(word[-1], 0.0)) for word in text.split()]
    return max(top for top, _ in rows), min(bottom for _, bottom in rows)


def _reach(letter: str, family: Family) -> tuple[float, float]:
    if is_wide(letter):
        return WIDE_TOP, WIDE_BOTTOM
    if unicodedata.bidirectional(letter) in ("R", "AL"):
        return RIGHT_TO_LEFT_TOPS.get(letter, RIGHT_TO_LEFT_TOP), RIGHT_TO_LEFT_BOTTOMS.get(letter, 0.0)
    plain = _plain(letter)
    at = ord(plain) - ord("!")
    if not 0 <= at < len(TOPS[family]):
        at = ord("E" if letter.isupper() else "x") - ord("!")
    return TOPS[family][at] / 1000 + (ACCENT if plain != letter and letter.isalpha() else 0), BOTTOMS[family][at] / 1000


def _plain(letter: str) -> str:
    return unicodedata.normalize("NFKD", letter)[0]
