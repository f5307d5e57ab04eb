"""Step 14, names: what is known of the layers for their names, and the sentences of the report.

1. `layer_names`, `layer_kinds`: the words of texts that were read, and what each layer is. What has no name here gets
   one from its look, as the layers of every decomposer (`naming`).
2. `notes`: what the background is, why there are fewer layers than asked for, and whether the picture is too busy.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...naming import BACKGROUND, PANEL, numbered
from .step03_ground import Background
from .step06_panels import Panel
from .step07_reading import Texts
from .step11_order import Layer
from .units import KINDS, TEXT, Units
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


def layer_names(background: Background, units: Units, order: Sequence[Layer], texts: Texts) -> tuple[str, ...]:
    """Names of all layers, bottom first: of texts that were read, their words; "" of all else but the background."""
    kinds = layer_kinds(background, units, order)[-len(order) :] if order else ()
    named = zip(kinds, order, strict=True)
    names = [texts.name_of(units.labels == layer) if kind == KINDS[TEXT] else "" for kind, layer in named]
    return (*_below(background), *numbered(names))


def layer_kinds(background: Background, units: Units, order: Sequence[Layer]) -> tuple[str, ...]:
    """What each layer is, bottom first: one of KINDS, or a panel."""
    kinds = (PANEL if isinstance(layer, Panel) else KINDS[units.kinds[layer]] for layer in order)
    return (*_below(background), *kinds)


def _below(background: Background) -> tuple[str, ...]:
    return () if background.kind == "transparent" else (BACKGROUND,)


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
