"""Step 14, names: short lower-case names for layers, and the sentences of the report.

1. `layer_names`: the kind of each layer and a word for its colour (`color_name`), numbered where a kind repeats.
2. `notes`: what the background is, why there are fewer layers than asked for, and whether the picture is too busy.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from .step03_ground import Background
from .step06_panels import Panel
from .step07_reading import Texts
from .step11_order import Layer
from .table import measure
from .units import KINDS, Units
from .working import Labels, Mask, Working

BACKGROUNDS = {
    "flat": "Background: one flat colour.",
    "gradient": "Background: a gradient, continued under what covers it.",
    "inpainted": "Background: neither flat nor a gradient, so it was filled in under what covers it.",
    "transparent": "Background: none, the picture is clear around its content.",
}

BUSY = (
    "This looks like a photo or a busy illustration: the built-in decomposer cuts those only roughly, "
    "the Qwen model does better."
)

GUESSED = (
    "Large parts of the background were hidden: what stands there now is a guess made from what is around them. "
    "For a photograph, use the Qwen-Image-Layered model, or paste in a clean plate."
)

MIN_GUESSED = 0.05
"""Share of a background without a formula that must be covered for the report to say that it was guessed."""

BUSY_NOISE = 6
"""Noise, as a standard deviation in 1/255, above which a picture looks like a photo."""

BUSY_REGIONS = 300
"""Number of regions above which a picture is busy."""

MAX_BLACK = 45
"""Largest channel, in 1/255, of a colour that is called black."""

GREY_SPREAD = 0.12
"""Spread of the channels, as a share of the largest, below which a colour is grey."""

GREY_SPREAD_STEPS = 8
"""What is added to that spread, in 1/255: dark colours are rounded more."""

MIN_WHITE = 225
"""Lightness, in 1/255, above which a grey is called white: cream is, too."""

MAX_BROWN = 160
"""Largest channel, in 1/255, of a brown: brown is a dark orange."""

BROWN_GREEN = 0.4
"""Green of a brown, as a share of its red, at least."""

HUES = ((15, "red"), (42, "orange"), (70, "yellow"), (160, "green"), (200, "cyan"), (255, "blue"), (290, "purple"),
        (335, "pink"), (361, "red"))  # fmt: skip
"""Names of hues up to an angle in degrees."""


def layer_names(
    work: Working, background: Background, units: Units, order: Sequence[Layer], texts: Texts
) -> tuple[str, ...]:
    """Names of all layers, bottom first; of texts that were read, their words. work: the picture without its panels."""
    colors = measure(units.labels, work.rgba).color
    kinds = ["panel" if isinstance(layer, Panel) else KINDS[units.kinds[layer]] for layer in order]
    shown = [layer.mean_color if isinstance(layer, Panel) else colors[layer] for layer in order]
    described = zip(kinds, shown, strict=True)
    details = [color_name(*map(float, color[:3])) if kind != "text" else "" for kind, color in described]
    shapes = zip(kinds, order, numbered(kinds, details), strict=True)
    names = unique((kind == "text" and texts.name_of(units.labels == unit)) or name for kind, unit, name in shapes)
    return names if background.kind == "transparent" else ("background", *names)


def notes(
    work: Working, background: Background, regions: Labels, covered: Mask, above: int, asked: int
) -> tuple[str, ...]:
    """Sentences for the report, warnings first. covered: (h, w), where units lie on the background.

    above: layers besides that. asked: layers that were asked for, 0 for as many as there are.
    """
    count = above + (background.kind != "transparent")
    sentences = [BUSY] if is_busy(work, background, regions) else []
    if above == 0:
        sentences.append("Nothing was found in front of the background, so there is one layer.")
    elif count < asked:
        sentences.append(f"The picture holds fewer separate things than layers were asked for: {count} of {asked}.")
    if background.kind == "inpainted" and covered.mean() > MIN_GUESSED:
        sentences.append(GUESSED)
    return (*sentences, BACKGROUNDS[background.kind])


def is_busy(work: Working, background: Background, regions: Labels) -> bool:
    """Whether a picture looks like a photo: noise, no simple background, or hundreds of regions."""
    return background.kind == "inpainted" or work.noise > BUSY_NOISE or int(regions.max()) > BUSY_REGIONS


def color_name(red: float, green: float, blue: float) -> str:
    """A plain word for a colour in 0..255."""
    high, low = max(red, green, blue), min(red, green, blue)
    if high < MAX_BLACK:
        return "black"
    if high - low < GREY_SPREAD * high + GREY_SPREAD_STEPS:
        return "white" if (high + low) / 2 > MIN_WHITE else "grey"
    if high < MAX_BROWN and red > blue and green > BROWN_GREEN * red:
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


def unique(names: Iterable[str]) -> tuple[str, ...]:
    """The names, numbered where one comes again: two texts may begin with the same words."""
    seen = Counter[str](["background"])
    out = []
    for name in names:
        seen[name] += 1
        out.append(name if seen[name] == 1 else f"{name} {seen[name]}")
    return tuple(out)
