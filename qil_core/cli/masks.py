"""`qil decompose --masks`: the masks of one picture, from files, in place of a decomposer."""

from __future__ import annotations

import argparse
import glob
from pathlib import Path

import numpy as np

from ..batch.inputs import PICTURES
from ..decompose.builtin.working import Floats
from ..decompose.masks import Masks
from ..errors import QilError
from ..files.folder import natural
from ..files.picture import load_picture


def add_options(take: argparse.ArgumentParser) -> None:
    """What can be said of masks."""
    masks = "folder or pattern of masks of one picture, white where the thing is: a layer each, without a decomposer"
    take.add_argument("--masks", metavar="FILES", help=masks)
    take.add_argument("--names", help="with --masks: comma-separated, in their order (default: their files' names)")
    take.add_argument("--ordered", action="store_true", help="with --masks: they are given bottom first")
    plate = "with --masks: the same picture without the things (default: what is hidden is filled)"
    take.add_argument("--background", type=Path, metavar="PICTURE", help=plate)


def masks_of(options: argparse.Namespace) -> Masks:
    """What the options say. Raises QilError: several pictures, another decomposer too, no masks."""
    if len(options.pictures) > 1:
        raise QilError(f"--masks are those of one picture, {len(options.pictures)} were given: run qil for each.")
    if options.model or options.decomposer or options.set:
        raise QilError("--masks say what becomes a layer: leave out --model, --decomposer and --set.")
    files = _files(options.masks)
    names = tuple(options.names.split(",")) if options.names else tuple(path.stem for path in files)
    background = load_picture(options.background) if options.background else None
    return Masks([_mask(path) for path in files], names, options.ordered, background)


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
