"""Things picked by boxes and clicks, beside GrabCut in one box after another (Rother et al., 2004; OpenCV's).

Boxes are tight around what is seen of a thing, all of a picture's things at once. Then each thing gets up to CLICKS
clicks, in turns, each at the middle of the largest area where its mask is wrong. Scored is the intersection over union
of masks and things, pixels near borders aside (`judging.BORDER_PX`), as mean of a picture's things.

Pictures: drawn scenes as JPEG; and, where QIL_BENCH_THINGS names a folder, the pictures `images/*.png` in it with maps
of their things `things/*.png` (8 bit, 0 background, 255 not judged).
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from qil_core.composite import composite
from qil_core.decompose.likeness import Point
from qil_core.decompose.picking import Picker
from qil_core.stack import Box

from .canvas import Floats
from .drawn import FAMILIES, HELD_BACK, TUNING, drawn, jpeg
from .judging import BORDER_PX, Mask, seen
from .tables import Row, print_table

SIDE = 1328
CLICKS = 3
GRABCUT_SIDE = 512
GRABCUT_ROUNDS = 3


class Mapped(NamedTuple):
    """A picture (H, W, 3), its map of things (H, W), and where it is judged."""

    rgb: Floats
    things: NDArray[np.uint8]
    judged: Mask

    @property
    def numbers(self) -> list[int]:
        return [int(number) for number in np.unique(self.things[self.judged]) if number not in (0, 255)]

    def box(self, number: int) -> Box:
        rows, columns = np.nonzero(self.things == number)
        return Box(int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1)

    def score(self, number: int, mask: Mask) -> float:
        thing = self.things == number
        return float((thing & mask & self.judged).sum() / max(1, int(((thing | mask) & self.judged).sum())))


def run() -> None:
    groups = {family: [_row(each) for each in _drawn(family, TUNING)] for family in FAMILIES}
    groups["held back"] = [_row(each) for family in FAMILIES for each in _drawn(family, HELD_BACK)]
    if folder := os.environ.get("QIL_BENCH_THINGS"):
        maps = sorted(Path(folder, "things").glob("*.png"))
        groups |= {each.name: [_row(_mapped(_opened(each), each))] for each in maps}
    print_table(f"things, boxes and {CLICKS} clicks each", groups)


def _drawn(family: str, seeds: tuple[int, ...]) -> Iterator[Mapped]:
    for scene in drawn(SIDE, seeds, (family,)):
        yield mapped(jpeg(composite(scene.layers)[..., :3]).numpy(), seen(scene.layers))


def mapped(rgb: Floats, things: NDArray[np.uint8]) -> Mapped:
    around = np.ones((2 * BORDER_PX + 1, 2 * BORDER_PX + 1), np.uint8)
    return Mapped(rgb, things, (things != 255) & (cv2.dilate(things, around) == cv2.erode(things, around)))


def _opened(things: Path) -> Floats:
    with Image.open(things.parent.parent / "images" / things.name) as picture:
        return (np.asarray(picture.convert("RGB")) / np.float32(255)).astype(np.float32)


def _mapped(rgb: Floats, things: Path) -> Mapped:
    with Image.open(things) as labels:
        return mapped(rgb, np.asarray(labels))


def _row(picture: Mapped) -> Row:
    numbers = picture.numbers
    boxes = [picture.box(number) for number in numbers]
    plain = statistics.fmean(map(picture.score, numbers, [_grabcut(picture.rgb, box) for box in boxes]))
    started = time.perf_counter()
    picker = Picker(picture.rgb)
    picking = picker.boxes(boxes)
    masks = picking.masks()
    taken = time.perf_counter() - started
    first = statistics.fmean(map(picture.score, numbers, masks))
    seconds = []
    for _ in range(CLICKS):
        for i, number in enumerate(numbers):
            if click := worst(picture, number, masks[i]):
                started = time.perf_counter()
                picking = picking.clicked(i, *click)
                masks = picking.masks()
                seconds.append(time.perf_counter() - started)
    clicked = statistics.fmean(map(picture.score, numbers, masks))
    return {
        "GrabCut": plain, "boxes": first, "clicks": clicked, "s boxes": taken,
        "s a click": statistics.median(seconds) if seconds else float("nan"), "max s a click": max(seconds, default=0),
    }  # fmt: skip


def worst(picture: Mapped, number: int, mask: Mask) -> tuple[Point, bool] | None:
    """The middle of the largest area where a mask is wrong, and whether that belongs to the thing."""
    thing, best = picture.things == number, (0, Point(0, 0), False)
    for is_inside, wrong in ((True, thing & ~mask & picture.judged), (False, mask & ~thing & picture.judged)):
        count, areas, sizes, _ = cv2.connectedComponentsWithStats(wrong.astype(np.uint8), connectivity=4)
        if count < 2:
            continue
        largest = 1 + int(sizes[1:, cv2.CC_STAT_AREA].argmax())
        if (size := int(sizes[largest, cv2.CC_STAT_AREA])) > best[0]:
            deep = cv2.distanceTransform(np.pad(areas == largest, 1).astype(np.uint8), cv2.DIST_L2, 5)[1:-1, 1:-1]
            row, column = np.unravel_index(int(deep.argmax()), deep.shape)
            best = (size, Point(column + 0.5, row + 0.5), is_inside)
    return best[1:] if best[0] else None


def _grabcut(rgb: Floats, box: Box) -> Mask:
    """What GrabCut cuts out of a box, at GRABCUT_SIDE as it is slow."""
    height, width = rgb.shape[:2]
    scale = min(1.0, GRABCUT_SIDE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize((rgb * 255).astype(np.uint8), size, interpolation=cv2.INTER_AREA)
    marks = np.zeros(small.shape[:2], np.uint8)
    left, top, right, bottom = (round(edge * scale) for edge in box)
    marks[top:bottom, left:right] = cv2.GC_PR_FGD
    marks[[0, -1]] = marks[:, [0, -1]] = cv2.GC_BGD  # it needs an outside
    if not (marks == cv2.GC_PR_FGD).any():
        return np.zeros((height, width), bool)
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.setRNGSeed(0)
    cv2.grabCut(small, marks, (0, 0, 1, 1), *models, GRABCUT_ROUNDS, cv2.GC_INIT_WITH_MASK)
    cut = ((marks == cv2.GC_FGD) | (marks == cv2.GC_PR_FGD)).astype(np.float32)
    return np.asarray(cv2.resize(cut, (width, height), interpolation=cv2.INTER_LINEAR) > 0.5)
