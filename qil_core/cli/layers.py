"""`qil composite`, `qil score`, `qil info`: what is done with layers that are there."""

from __future__ import annotations

import argparse
import json
import platform
import sys
from pathlib import Path
from typing import TextIO

import torch
from torch import Tensor

from .. import __version__
from ..blend import BLEND_MODES
from ..composite import composite, modes_for, onto_color
from ..decompose.registry import DECOMPOSERS
from ..files import loading, png
from ..files.format import REFUSE, UNSUPPORTED
from ..files.layered import Layered
from ..files.registry import FORMATS
from ..text import printable


def add(commands: argparse._SubParsersAction) -> None:
    """The commands and their options."""
    join = commands.add_parser("composite", help="layers back into one picture")
    a_stack = f"{loading.kinds()} file, or a folder of PNGs"
    join.add_argument("layers", type=Path, metavar="IN", help=a_stack)
    join.add_argument("-o", "--output", type=Path, required=True, metavar="PNG", help="picture to write")
    join.add_argument(
        "--modes", default="", help=f"instead of the file's own, one for all or one a layer: {', '.join(BLEND_MODES)}"
    )
    join.add_argument("--linear", action="store_true", help="add up light instead of stored sRGB values")
    join.add_argument("--background", metavar="COLOR", help="opaque colour behind the layers, such as white or #ff8800")
    _add_unsupported(join)
    join.set_defaults(run=_composite)

    score = commands.add_parser("score", help="how near layers are to the true ones: LayersEditDist, and more")
    score.add_argument("predicted", type=Path, metavar="PRED", help=a_stack)
    score.add_argument("true", type=Path, metavar="GT", help="the true layers, in the same size")
    score.add_argument("--json", action="store_true", help="numbers for programs")
    _add_unsupported(score)
    score.set_defaults(run=_score)

    info = commands.add_parser("info", help="what is installed, or what a file or folder of layers holds")
    info.add_argument("layers", type=Path, nargs="?", metavar="IN")
    _add_unsupported(info)
    info.set_defaults(run=_info)


def _add_unsupported(command: argparse.ArgumentParser) -> None:
    what = (
        "for adjustments, effects and all else that layers cannot show: an error that names it, leave it out and say "
        f"so, or the file's merged picture as one layer (default {REFUSE})"
    )
    command.add_argument("--unsupported", choices=UNSUPPORTED, default=REFUSE, help=what)


def _composite(options: argparse.Namespace) -> None:
    layered = _read(options.layers, options)
    stack = layered.stack
    modes = modes_for(options.modes, len(stack)) if options.modes else layered.look.modes
    flat = composite(stack, modes, options.linear)
    if options.background:
        flat = _over_color(flat, options.background)
    png.write_image(flat, options.output)
    print(f"{len(stack)} layers of {stack.width} x {stack.height} px: {options.output}")
    _print_notes(layered)


def _over_color(flat: Tensor, text: str) -> Tensor:
    from ..color import parse_color

    return onto_color(flat, torch.tensor(parse_color(text)))


def _read(path: Path, options: argparse.Namespace) -> Layered:
    """The layers that are shown, opacities in alpha."""
    return loading.load([path], hidden=False, unsupported=options.unsupported).folded()


def _print_notes(layered: Layered, file: TextIO | None = None) -> None:
    """What was left out, converted or assumed."""
    for note in layered.notes:
        print(printable(f"note: {note}"), file=file)


def _score(options: argparse.Namespace) -> None:
    from ..metrics import measure

    predicted, true = _read(options.predicted, options), _read(options.true, options)
    for layered in (predicted, true):
        _print_notes(layered, sys.stderr)  # stdout is for the numbers
    score = measure(predicted.stack, true.stack)
    print(json.dumps(score.as_dict()) if options.json else score)


def _info(options: argparse.Namespace) -> None:
    if options.layers:
        return _layer_table(_read(options.layers, options))
    from ..model.devices import default_device, name_of

    device = name_of(default_device())
    names = [f"{each.name} ({each.label})" for each in DECOMPOSERS]
    print(f"qil {__version__}, Python {platform.python_version()}, torch {torch.__version__}, {device}")
    print(f"decomposers: {', '.join(names)}")
    print(f"formats: {', '.join(FORMATS)}")


def _layer_table(layered: Layered) -> None:
    stack = layered.stack
    print(f"{len(stack)} layers of {stack.width} x {stack.height} px, bottom first")
    for i, name in enumerate(stack.names):
        box = stack.bounds(i)
        place = f"{box.width} x {box.height} at {box.left},{box.top}" if box else "empty"
        print(f"{i:3}  {name:30} {place:28} covers {stack.coverage(i):.1%}")
    _print_notes(layered)
