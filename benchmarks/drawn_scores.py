"""The built-in decomposer judged by use on all scenes with known layers; a sheet of pictures with a layer moved.

`python -m benchmarks drawn` measures on the seeds for tuning and draws the sheet; `python -m benchmarks held_back`
measures on the others and draws nothing.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor

from qil_core.decompose import MAX_LAYERS, Decomposed, Request
from qil_core.decompose.builtin import Builtin
from qil_core.decompose.run import decompose
from qil_core.progress import Progress
from qil_core.stack import LayerStack

from .drawn import HELD_BACK, TUNING, drawn, jpeg
from .judging import MOVED_SHARE, film, moved_error, off_beneath, shown, things, traces, with_moved
from .scenes import scenes
from .tables import print_table

SIDE, PLAIN_SIDE = 1280, 640
"""Longer sides, in pixels: of drawn scenes, and of those that `scenes` draws, which have no small print."""

TEXTS = ("title", "bullets", "footer")
SHEET = Path("build/moved.png")
THUMBNAIL = (420, 300)
"""Width and height, in pixels."""
SHEET_COLUMNS = 3

Row = dict[str, float]


@dataclass(frozen=True)
class Case:
    """A picture (H, W, 3) and its true layers; group: its line in the table."""

    group: str
    picture: Tensor
    true: LayerStack


class Remembering(Builtin):
    """The built-in decomposer, which keeps its last stack as it was before the residual."""

    stack: LayerStack

    def decompose(self, image: Tensor, request: Request, progress: Progress) -> Decomposed:
        done = super().decompose(image, request, progress)
        self.stack = done.stack
        return done


def tuning() -> None:
    """All scenes whose seeds are for tuning, and the sheet."""
    pairs: list[tuple[Tensor, Tensor]] = []
    rows = [(case.group, judged(case, pairs)) for case in cases(TUNING, range(1))]
    show("seeds for tuning", rows)
    save_sheet(pairs, SHEET)
    print(f"  {SHEET}: every picture beside itself with its largest layer moved")


def held_back() -> None:
    """All scenes whose seeds are held back: figures only."""
    show("seeds held back", [(case.group, judged(case, [])) for case in cases(HELD_BACK, range(1, 2))])


def cases(seeds: Sequence[int], plain_seeds: range, side: int = SIDE) -> Iterator[Case]:
    """Drawn scenes of these seeds, PNG and JPEG; then what `scenes` draws of plain_seeds."""
    for scene in drawn(side, seeds):
        picture = shown(scene.layers)
        yield Case(scene.family, picture, scene.layers)
        yield Case(f"{scene.family} JPEG", jpeg(picture), scene.layers)
    for plain_scene in scenes(PLAIN_SIDE, plain_seeds.stop):
        if plain_scene.seed in plain_seeds:
            yield Case(plain_scene.background, shown(plain_scene.layers), plain_scene.layers)


def judged(case: Case, pairs: list[tuple[Tensor, Tensor]]) -> Row:
    """The figures of one picture; appends it and itself with the largest layer moved to pairs."""
    decomposer = Remembering()
    found, report = decompose(decomposer, case.picture, Request(min(len(case.true), MAX_LAYERS)))
    pairs.append((case.picture, _largest_moved(found)))
    ious = things(found, case.true)
    return {
        "moved /255": moved_error(found, case.true),
        "traces %": 100 * traces(found, case.true),
        "before %": 100 * traces(decomposer.stack, case.true),
        "film %": 100 * film(found),
        "true film %": 100 * film(case.true),
        "things": statistics.fmean(ious.values()) if ious else 1.0,
        **{name: ious.get(name, math.nan) for name in TEXTS},
        "under title %": 100 * off_beneath(found, case.true, "title") if "title" in ious else math.nan,
        "max error": report.after.max_error,
        "seconds": report.seconds,
    }


def _largest_moved(found: LayerStack) -> Tensor:
    """The picture (H, W, 3) after the largest layer above the bottom has moved by a tenth of the width."""
    if len(found) == 1:
        return shown(found)
    largest = 1 + int(found.pixels[1:, ..., 3].sum((1, 2)).argmax())
    return shown(with_moved(found, largest, round(MOVED_SHARE * found.width)))


def show(title: str, rows: Sequence[tuple[str, Row]]) -> None:
    """A table: the pictures of each group."""
    groups: dict[str, list[Row]] = {}
    for group, row in rows:
        groups.setdefault(group, []).append(row)
    print_table(f"{title}, {len(rows)} pictures", groups)


def save_sheet(pairs: Sequence[tuple[Tensor, Tensor]], path: Path) -> None:
    """Write pairs of pictures (H, W, 3) as thumbnails, so many pairs a row."""
    cells = [np.hstack([_thumbnail(one), _thumbnail(other)]) for one, other in pairs]
    cells += [np.full_like(cells[0], 255)] * (-len(cells) % SHEET_COLUMNS)
    rows = [np.hstack(cells[i : i + SHEET_COLUMNS]) for i in range(0, len(cells), SHEET_COLUMNS)]
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.vstack(rows)).save(path)


def _thumbnail(picture: Tensor) -> np.ndarray:
    """A picture in a white frame."""
    image = Image.fromarray((picture.numpy() * 255).round().astype(np.uint8))
    image.thumbnail((THUMBNAIL[0] - 8, THUMBNAIL[1] - 8), Image.Resampling.LANCZOS)
    frame = Image.new("RGB", THUMBNAIL, "white")
    frame.paste(image, (4, 4))
    return np.asarray(frame)
