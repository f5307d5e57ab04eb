"""Editable text: 60 slides whose letters are known, taken apart by the built-in decomposer and written with text boxes.

Read from the file: characters, size, colour, order and paragraphs. Seen in LibreOffice's rendering: boxes of ink, also
of lines that stay a picture, which therefore lie well. Korean, Arabic and Hebrew need Tesseract. Slides that run from
right to left or from top to foot come behind, with a table of their own; LibreOffice before 7.6 turns the letters of
columns, whose places are right. Set QIL_SLIDES to take fewer, QIL_FIRST_SLIDE for other
ones, QIL_SLIDES_OUT to a folder that keeps deck and rendering.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image

from qil_core.decompose.builtin import Builtin
from qil_core.decompose.run import decompose
from qil_core.files import pptx
from qil_core.files.format import Options
from qil_core.ocr import missing
from qil_core.ocr_tesseract import tesseract
from qil_core.request import Request
from qil_core.stack import LayerStack

from .lettered import SIZE, Lettered, TrueLine, directed_slide, lettered_slide, missing_fonts

COUNT = int(os.environ.get("QIL_SLIDES", "60"))
FIRST = int(os.environ.get("QIL_FIRST_SLIDE", "0"))
DIRECTED_COUNT = 16
COLUMN_ROW_EMU = 40 * 9525
"""Columns of any size begin at one height, their boxes within some pixels of it."""
PIXELS_PER_POINT = 96 / 72
DPI = 96
MIN_DIFFERENCE = 24
"""How far a pixel must be from the page in 1/255 to be ink of the rendering."""


class DeckLine(NamedTuple):
    """A line of a text box: words, size in pixels, colour 0..255."""

    text: str
    size: float
    color: tuple[int, int, int]


def run() -> None:
    """Print a row a font, and all of them."""
    lacking = [*([missing()] if missing() else []), *missing_fonts()]
    lacking += [program for program in ("soffice", "pdftoppm") if not shutil.which(program)]
    if lacking:
        print(f"NOT MEASURED: {', '.join(lacking)} is missing")
        return
    has = tesseract()
    languages = ", ".join(has.languages) if has else "NONE: Korean, Arabic and Hebrew are not read"
    print(f"Tesseract's languages: {languages}")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(os.environ.get("QIL_SLIDES_OUT", temporary))
        slides = [lettered_slide(seed) for seed in range(FIRST, FIRST + COUNT)]
        _measure(slides, [_layers(slide) for slide in slides], folder / "slides")
        directed = [directed_slide(seed) for seed in range(DIRECTED_COUNT)]
        _measure(directed, [_layers(slide) for slide in directed], folder / "directed")


def _measure(slides: Sequence[Lettered], stacks: Sequence[LayerStack], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    report = pptx.write_deck(stacks, folder / "deck.pptx", Options(text="editable"))
    print("\n".join(line for line in str(report).splitlines() if "stays a picture" in line))
    _table(slides, _read(folder / "deck.pptx"), _rendered(folder / "deck.pptx"))


def _layers(slide: Lettered) -> LayerStack:
    stack, _ = decompose(Builtin(), torch.from_numpy(slide.picture / np.float32(255)), Request(8))
    return stack


def _read(path: Path) -> list[list[list[DeckLine]]]:
    """The paragraphs of each slide, a list of lines each, in the order of the slide's shapes."""
    from pptx import Presentation

    slides = []
    for slide in Presentation(str(path)).slides:
        boxes = [shape for shape in _leaves(slide.shapes) if shape.has_text_frame]
        boxes.sort(key=_place)
        slides.append([_runs(paragraph) for box in boxes for paragraph in box.text_frame.paragraphs])
    return slides


def _place(box: Any) -> tuple[int, int]:
    """From top to foot, then in the direction of the text: columns and right-to-left lines from the right."""
    frame = box.text_frame
    properties = frame.paragraphs[0]._p.pPr
    leftward = frame._txBody.bodyPr.get("vert") == "eaVert" or (properties is not None and properties.get("rtl") == "1")
    is_column = frame._txBody.bodyPr.get("vert") == "eaVert"
    row = round(box.top / COLUMN_ROW_EMU) * COLUMN_ROW_EMU if is_column else box.top
    return row, -(box.left + box.width) if leftward else box.left


def _leaves(shapes: Any) -> list[Any]:
    found = []
    for shape in shapes:
        found += _leaves(shape.shapes) if hasattr(shape, "shapes") else [shape]
    return found


def _runs(paragraph: Any) -> list[DeckLine]:
    rows = [(run.text, run.font.size.pt * PIXELS_PER_POINT, tuple(run.font.color.rgb)) for run in paragraph.runs]
    return [DeckLine(*row) for row in rows]


def _rendered(path: Path) -> list[np.ndarray]:
    """LibreOffice's pictures (H, W, 3) of the slides."""
    convert = ["soffice", "--headless", "--convert-to", "pdf", "--outdir", str(path.parent), str(path)]
    subprocess.run(convert, check=True, capture_output=True, timeout=600)
    draw = ["pdftoppm", "-r", str(DPI), "-png", str(path.with_suffix(".pdf")), str(path.with_suffix(""))]
    subprocess.run(draw, check=True, capture_output=True, timeout=600)
    pages = sorted(path.parent.glob(f"{path.stem}-*.png"))
    return [np.asarray(Image.open(page).convert("RGB").resize(SIZE)) for page in pages]


def _table(slides: Sequence[Lettered], decks: Sequence[list[list[DeckLine]]], pages: Sequence[np.ndarray]) -> None:
    rows: dict[str, list[dict[str, float]]] = defaultdict(list)
    for slide, deck, page in zip(slides, decks, pages, strict=True):
        measured = _measured(slide, deck, page)
        rows[slide.label].append(measured)
        rows["all"].append(measured)
    print(f"{'font':18} slides  characters  IoU  (worst)  size off  colour off  paragraphs")
    for label, found in sorted(rows.items(), key=lambda row: row[0] == "all"):
        mean = {key: _mean([row[key] for row in found]) for key in found[0]}
        worst = min(row["iou"] for row in found)
        print(
            f"{label:18} {len(found):6}  {mean['characters']:9.1%}  {mean['iou']:.2f}  ({worst:.2f})  "
            f"{mean['size']:8.1%}  {mean['color']:7.1f}/255  {mean['paragraphs']:9.1%}"
        )


def _mean(values: Sequence[float]) -> float:
    """The mean of the numbers among these; no number where there is none."""
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")


def _measured(slide: Lettered, deck: list[list[DeckLine]], page: np.ndarray) -> dict[str, float]:
    """Characters and paragraphs: shares that are right; iou: mean; size and color: mean errors of the lines found."""
    true = [line for paragraph in slide.paragraphs for line in paragraph]
    found = [line for paragraph in deck for line in paragraph]
    pairs = [(line, match) for line in true if (match := _match(line, found))]
    sizes = [abs(match.size / line.size - 1) for line, match in pairs]
    colors = [max(abs(a - b) for a, b in zip(match.color, line.color, strict=True)) for line, match in pairs]
    return {
        "characters": 1 - _edits("".join(line.text for line in true), "".join(line.text for line in found)),
        "iou": float(np.mean([_iou(line.box, _seen(line, true, page)) for line in true])),
        "size": float(np.mean(sizes)) if sizes else np.nan,
        "color": float(np.mean(colors)) if colors else np.nan,
        "paragraphs": _joined_alike(slide.paragraphs, deck),
    }


def _match(line: TrueLine, found: Sequence[DeckLine]) -> DeckLine | None:
    """The line of the deck with the most alike words."""
    best = max(found, key=lambda each: SequenceMatcher(None, line.text, each.text).ratio(), default=None)
    return best if best and SequenceMatcher(None, line.text, best.text).ratio() > 0.6 else None


def _edits(true: str, found: str) -> float:
    """Levenshtein's distance as a share of the truth's length (1966), at most 1."""
    row = list(range(len(found) + 1))
    for i, letter in enumerate(true, 1):
        before, row = row, [i]
        for j, other in enumerate(found, 1):
            row.append(min(before[j] + 1, row[-1] + 1, before[j - 1] + (letter != other)))
    return min(1.0, row[-1] / max(len(true), 1))


def _joined_alike(true: Sequence[Sequence[TrueLine]], deck: Sequence[Sequence[DeckLine]]) -> float:
    """Share of the true paragraphs that follow in the deck, in order and of the same lines but for reading errors."""
    wanted, given = (["".join(line.text for line in lines) for lines in side] for side in (true, deck))
    at, right = 0, 0
    for text in wanted:
        hit = next((k for k in range(at, len(given)) if SequenceMatcher(None, text, given[k]).ratio() > 0.85), None)
        if hit is not None:
            right, at = right + 1, hit + 1
    return right / len(wanted)


def _seen(line: TrueLine, others: Sequence[TrueLine], page: np.ndarray) -> tuple[int, int, int, int]:
    """The ink of the rendering about a line: up to half the gap to the next lines, and never beyond 0.6 sizes.

    Of a column up to a quarter of a size beside it.
    """
    left, top, right, bottom = line.box
    spare = 0.6 * line.size
    if bottom - top > 1.5 * (right - left):
        beside = round(line.size / 4)
        return _ink(page, (left - beside, round(top - spare), right + beside, round(bottom + spare)))
    above = max((other.box[3] for other in others if other.box[3] <= top), default=0)
    below = min((other.box[1] for other in others if other.box[1] >= bottom), default=SIZE[1])
    first, last = max(top - spare, (above + top) / 2), min(bottom + spare, (below + bottom) / 2)
    x = max(0, round(left - min(0.35 * line.size, 12)))
    return _ink(page, (x, round(first), round(right + 3 * line.size), round(last)))


def _ink(page: np.ndarray, window: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    """The box around the ink in a window of a page (H, W, 3): left, top, right, bottom."""
    left, top, right, bottom = (max(0, side) for side in window)
    paper = np.median(page.reshape(-1, 3), axis=0)
    ink = np.argwhere(np.abs(page[top:bottom, left:right].astype(int) - paper).max(-1) > MIN_DIFFERENCE)
    if not len(ink):
        return (0, 0, 0, 0)
    (y0, x0), (y1, x1) = ink.min(0), ink.max(0) + 1
    return (left + int(x0), top + int(y0), left + int(x1), top + int(y1))


def _iou(one: Sequence[int], other: Sequence[int]) -> float:
    """Intersection over union of two boxes."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    shared = max(0, width) * max(0, height)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return shared / max(sum(areas) - shared, 1)
