"""Short lower-case names for layers, and the sentences of the report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

HUES = ((15, "red"), (42, "orange"), (70, "yellow"), (160, "green"), (200, "cyan"), (255, "blue"), (290, "purple"),
        (335, "pink"), (361, "red"))  # fmt: skip
"""Names of hues up to an angle in degrees."""


def color_name(red: float, green: float, blue: float) -> str:
    """A plain word for a colour in 0..255."""
    high, low = max(red, green, blue), min(red, green, blue)
    if high < 45:
        return "black"
    if high - low < 0.12 * high + 8:
        return "white" if low > 225 else "grey"
    if high < 110 and red > blue and green > 0.4 * red:
        return "brown"
    return next(name for limit, name in HUES if _hue(red, green, blue) < limit)


def _hue(red: float, green: float, blue: float) -> float:
    high, low = max(red, green, blue), min(red, green, blue)
    spread = high - low
    if high == red:
        return 60 * ((green - blue) / spread % 6)
    return 60 * ((blue - red) / spread + 2) if high == green else 60 * ((red - green) / spread + 4)


def numbered(kinds: Sequence[str], details: Sequence[str]) -> tuple[str, ...]:
    """Unique names: a kind that comes once stays bare, others are numbered; a detail follows in brackets."""
    total, seen = Counter(kinds), Counter[str]()
    names = []
    for kind, detail in zip(kinds, details, strict=True):
        seen[kind] += 1
        name = kind if total[kind] == 1 or (kind == "text" and seen[kind] == 1) else f"{kind} {seen[kind]}"
        names.append(f"{name} ({detail})" if detail else name)
    return tuple(names)
