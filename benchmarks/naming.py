"""Names by words: of the text layers of drawn scenes and slides, how many are called by the words that they show.

Three sides: the true layers, as a model would give them; and the layers that the built-in decomposer makes of the
picture, with the names that it reads in the picture, and with those that `naming` reads in the finished layers beside
them. A layer's name is right when its letters and digits are those with which its text begins, and near when nine in
ten are. Hangul is not in the reader's model: texts with it have a row of their own.
seconds: for naming a whole stack on one core, reading included; for the decomposer all else, naming left out.
"""

from __future__ import annotations

import time
import unicodedata
from collections.abc import Iterator
from difflib import SequenceMatcher
from itertools import groupby
from typing import NamedTuple
from unittest.mock import patch

import torch

from qil_core.composite import composite
from qil_core.decompose import MAX_LAYERS, Request
from qil_core.decompose.builtin import Builtin
from qil_core.naming import named, nameless
from qil_core.ocr import missing
from qil_core.progress import silent
from qil_core.stack import LayerStack

from . import scenes
from .canvas import Canvas, Floats
from .lettered import lettered_slide, missing_fonts
from .shapes import _nearest as nearest
from .tables import Row, print_table

SIDE = 768
SEEDS = 4
SLIDES = 30
NEAR = 0.9


class Case(NamedTuple):
    """A picture (H, W, 4), the alpha of each of its texts (n, H, W) and their words; true layers where there are."""

    family: str
    picture: torch.Tensor
    alphas: torch.Tensor
    words: list[str]
    layers: LayerStack | None = None


def run() -> None:
    """Print a table a side."""
    if missing():
        print(f"NOT MEASURED: {missing()} is missing")
        return
    torch.set_num_threads(1)
    sides: dict[str, dict[str, list[Row]]] = {"true layers": {}, "decomposed, as read in the picture": {}}
    sides["decomposed, finished layers read too"] = {}
    true, before, after = sides.values()
    for case in (*_scenes(), *_slides()):
        if case.layers is not None:
            _add(true, case, *_timed(nameless(case.layers.pixels), ()))
        began = time.perf_counter()
        done = Builtin().decompose(case.picture, Request(MAX_LAYERS, at_most=True), silent)
        _add(before, case, done.stack, time.perf_counter() - began)
        _add(after, case, *_timed(done.stack, done.kinds))
    for title, groups in sides.items():
        print_table(f"{title}: share of the texts whose layer has their words for a name", groups)


def _timed(stack: LayerStack, kinds: tuple[str, ...]) -> tuple[LayerStack, float]:
    began = time.perf_counter()
    return named(stack, kinds), time.perf_counter() - began


def _scenes() -> Iterator[Case]:
    """Scenes with texts, on every background."""
    for content in ("text", "poster"):
        for background in scenes.BACKGROUNDS:
            for seed in range(SEEDS):
                layers, words = _heard(content, background, seed)
                at = [i for i, name in enumerate(layers.names) if name == "text"]
                if at:
                    yield Case(f"scenes, {content}", composite(layers), layers.pixels[at, ..., 3], words, layers)


def _heard(content: str, background: str, seed: int) -> tuple[LayerStack, list[str]]:
    """The true layers of a scene, and the words of its texts, which are drawn bottom first."""
    heard: list[tuple[tuple[str, float], str]] = []

    class Listening(Canvas):
        def words(self, text: str, font: str, size: float, x: float, y: float) -> Floats:
            if self.side == SIDE:  # not the small trial that finds a place for it
                heard.append(((font, size), text))
            return super().words(text, font, size, x, y)

    with patch.object(scenes, "Canvas", Listening):
        layers = scenes.draw(content, background, seed, SIDE)
    texts = [" ".join(text for _, text in lines) for _, lines in groupby(heard, key=lambda line: line[0])]
    return layers, texts


def _slides() -> Iterator[Case]:
    """Slides of `lettered`, a text a paragraph: titles, bullets, captions and footers."""
    if missing_fonts():
        print(f"  no slides: {', '.join(missing_fonts())} is missing")
        return
    for seed in range(SLIDES):
        slide = lettered_slide(seed)
        rgb = torch.from_numpy(slide.picture).float().div(255)
        alphas = torch.zeros(len(slide.paragraphs), *rgb.shape[:2])
        for alpha, lines in zip(alphas, slide.paragraphs, strict=True):
            for left, top, right, bottom in (line.box for line in lines):
                alpha[top:bottom, left:right] = 1
        words = [" ".join(line.text for line in lines) for lines in slide.paragraphs]
        yield Case("slides", torch.cat([rgb, torch.ones_like(rgb[..., :1])], -1), alphas, words)


def _add(groups: dict[str, list[Row]], case: Case, stack: LayerStack, seconds: float) -> None:
    """Rows for the layers that hold texts of a case: two texts, such as a list's items, may be in one."""
    held: dict[int, list[str]] = {}
    for alpha, words in zip(case.alphas, case.words, strict=True):
        held.setdefault(nearest(stack, alpha), []).append(words)
    for index, texts in held.items():
        words = " ".join(texts)
        row = {**_row(stack.names[index], words), "seconds": seconds, "layers": float(len(stack))}
        is_hangul = any("HANGUL" in unicodedata.name(letter, "") for letter in words)
        groups.setdefault("with Hangul" if is_hangul else case.family, []).append(row)


def _row(name: str, words: str) -> dict[str, float]:
    got, wanted = _letters(name), _letters(words)
    wanted = wanted[: len(got)] if name.endswith("…") else wanted
    likeness = SequenceMatcher(None, got, wanted, autojunk=False).ratio()
    return {"right": float(bool(got) and got == wanted), "near": float(bool(got) and likeness >= NEAR)}


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, text)).casefold()
