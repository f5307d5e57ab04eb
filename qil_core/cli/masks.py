"""`qil decompose --masks`, `--boxes`, `--inside`: what becomes a layer of one picture, in place of a decomposer."""

from __future__ import annotations

import argparse
import glob
import json
from pathlib import Path

import numpy as np

from ..batch.inputs import PICTURES
from ..decompose.builtin.working import Floats
from ..decompose.masks import Masks
from ..decompose.pointed import pointed_masks, read_boxes, read_points
from ..errors import QilError
from ..files.folder import natural
from ..files.picture import load_picture

EXAMPLES = {2: "'120,40;300,90'", 4: "'120,40,380,300;10,20,90,80' (left, top, right, bottom)"}


def add_options(take: argparse.ArgumentParser) -> None:
    """What can be said of masks."""
    masks = "folder or pattern of masks of one picture, white where the thing is: a layer each, without a decomposer"
    take.add_argument("--masks", metavar="FILES", help=masks)
    take.add_argument("--boxes", default="", help=f"a box around each thing, in pixels: {EXAMPLES[4]}")
    clicks = "points in a thing, in pixels; each corrects the mask or box nearest to it, without these it is one thing"
    take.add_argument("--inside", default="", metavar="POINTS", help=f"{clicks}: {EXAMPLES[2]}")
    take.add_argument("--outside", default="", metavar="POINTS", help="points that are not in the thing")
    take.add_argument("--names", help="with --masks: comma-separated, in their order (default: their files' names)")
    take.add_argument("--ordered", action="store_true", help="with --masks: they are given bottom first")
    plate = "with --masks: the same picture without the things (default: what is hidden is filled)"
    take.add_argument("--background", type=Path, metavar="PICTURE", help=plate)


def is_pointed(options: argparse.Namespace) -> bool:
    """Whether masks, boxes or points say what becomes a layer."""
    return bool(options.masks or options.boxes or options.inside)


def masks_of(options: argparse.Namespace) -> Masks:
    """What the options say. Raises QilError: several pictures, another decomposer too, no masks."""
    if len(options.pictures) > 1:
        count = len(options.pictures)
        raise QilError(f"--masks, --boxes and --inside are of one picture, {count} were given: run qil for each.")
    if options.model or options.decomposer or options.set:
        raise QilError(
            "--masks, --boxes and --inside say what becomes a layer: leave out --model, --decomposer and --set."
        )
    files = _files(options.masks) if options.masks else []
    names = tuple(options.names.split(",")) if options.names else tuple(path.stem for path in files)
    background = load_picture(options.background) if options.background else None
    return Masks(_areas(options, [_mask(path) for path in files]), names, options.ordered, background)


def _areas(options: argparse.Namespace, masks: list[Floats]) -> list[Floats]:
    """The masks, or what boxes hold, corrected by points."""
    if not (options.boxes or options.inside or options.outside):
        return masks
    rgb = load_picture(Path(options.pictures[0])).numpy()[..., :3]
    height, width = rgb.shape[:2]
    boxes = [dict(zip(("x", "y", "width", "height"), _sized(box), strict=True)) for box in _numbers(options.boxes, 4)]
    inside, outside = (
        read_points(f"--{what}", json.dumps([{"x": x, "y": y} for x, y in _numbers(text, 2)]), width, height)
        for what, text in (("inside", options.inside), ("outside", options.outside))
    )
    return pointed_masks(rgb, masks, read_boxes(boxes, width, height) if boxes else [], inside, outside)


def _sized(box: list[float]) -> tuple[float, float, float, float]:
    left, top, right, bottom = box
    return left, top, right - left, bottom - top


def _numbers(text: str, count: int) -> list[list[float]]:
    """ "1,2;3,4" as lists of so many numbers. Raises QilError."""
    found = [one.split(",") for one in text.split(";") if one.strip()]
    try:
        values = [[float(number) for number in one] for one in found]
    except ValueError:
        values = [[]]
    if any(len(one) != count for one in values):
        raise QilError(f"{text!a:.60} is not read: expected {count} numbers each, such as {EXAMPLES[count]}.")
    return values


def _files(text: str) -> list[Path]:
    """The pictures of a folder, or of a pattern, in natural order."""
    found = Path(text).iterdir() if Path(text).is_dir() else map(Path, glob.glob(text))
    files = sorted((path for path in found if path.suffix.lower() in PICTURES), key=lambda path: natural(path.name))
    if not files:
        raise QilError(f"There is no picture in {text}: give a folder of masks, or a pattern such as 'masks/*.png'.")
    return files


def _mask(path: Path) -> Floats:
    """How white a picture is, (h, w) in 0..1, its clear parts black."""
    picture = load_picture(path).numpy()
    white = picture[..., :3].mean(2)
    return np.asarray(white * picture[..., 3] if picture.shape[2] == 4 else white, np.float32)
