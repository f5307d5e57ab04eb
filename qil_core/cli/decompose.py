"""`qil decompose`: pictures into layers."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from ..batch.results import check_asked, editable_lines, with_found, write_results
from ..batch.stages import AUTO, formats_of
from ..decompose import MAX_LAYERS, MIN_LAYERS, Decomposer, Request
from ..decompose.automatic import Limits, decompose_automatically
from ..decompose.registry import DECOMPOSERS, open_by_name
from ..decompose.run import Report, decompose
from ..elements import parse_elements
from ..error_codes import told
from ..errors import QilError
from ..files.editable import PICTURES, WAYS
from ..files.format import Format, Options
from ..files.picture import load_picture
from ..files.registry import FORMATS
from ..request import SAMPLERS
from ..stack import LayerStack
from ..text import printable
from . import masks
from .shell import Shell, bar

DEFAULT_FORMATS = "png,pptx"


def add(commands: argparse._SubParsersAction) -> None:
    """The command and its options."""
    take = commands.add_parser("decompose", help="pictures into layers")
    take.add_argument("pictures", nargs="+", type=Path, metavar="IN", help="PNG, JPEG, WebP, ...; one or more")
    take.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="folder for the results")
    add_options(take)
    masks.add_options(take)
    take.set_defaults(run=run)


def add_options(take: argparse.ArgumentParser) -> None:
    """What can be asked of a decomposition: the same here and in `qil batch`."""
    counts = f"at most, {MIN_LAYERS}-{MAX_LAYERS} (default 4), or {AUTO}: as many as the picture has"
    take.add_argument("--layers", type=_count, default=4, metavar="N", help=counts)
    take.add_argument("--seed", type=int, default=0, help="same seed, same layers (default 0)")
    take.add_argument(
        "--format",
        default=DEFAULT_FORMATS,
        help=f"comma-separated: {','.join(FORMATS)} (default {DEFAULT_FORMATS})",
    )
    text = f"words in pptx and svg: pictures, or text over hidden pictures, with the extra text (default {PICTURES})"
    take.add_argument("--text", choices=WAYS, default=PICTURES, help=text)
    shapes = f"simple shapes in pptx and svg: pictures, or true shapes over hidden pictures (default {PICTURES})"
    take.add_argument("--shapes", choices=WAYS, default=PICTURES, help=shapes)
    take.add_argument(
        "--model", type=Path, metavar="FOLDER", help="diffusers folder of Qwen-Image-Layered (else built-in)"
    )
    names = [each.name for each in DECOMPOSERS]
    take.add_argument("--decomposer", choices=names, help="(default: builtin, or with --model qwen)")
    take.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="an option of the decomposer")
    take.add_argument(
        "--prompt", default="", help="for the model: describes the whole picture (default: its own caption)"
    )
    take.add_argument(
        "--elements",
        action="append",
        default=[],
        metavar="WORDS",
        help='a layer that is wanted, such as "the red car at 120,40,380,300"; once for each, or a line each',
    )
    take.add_argument("--steps", type=int, default=50, help="for the model (default 50)")
    take.add_argument("--resolution", type=int, default=640, help="for the model: 640 or 1024 (default 640)")
    take.add_argument("--sampler", choices=SAMPLERS, default="euler", help="for the model (default euler)")
    take.add_argument("--guidance", type=float, default=4.0, metavar="X", help="for the model: 1 is none (default 4)")
    take.add_argument("--memory", default="auto", help="for the model: auto, streamed, ... (default auto)")
    take.add_argument("--device", metavar="NAME", help="for the model: cuda:1, xpu, mps, cpu, ... (default: the GPU)")


def run(options: argparse.Namespace) -> None:
    formats = [FORMATS[key] for key in formats_of(options.format)]
    ways = ways_of(options, formats)
    request, limits = asked(options)
    _check_stems(options.pictures)
    decomposer = masks.masks_of(options) if masks.is_pointed(options) else opened(options)
    way = partial(decompose_automatically, limits=limits) if limits else decompose
    take_apart = partial(_take_apart, partial(way, decomposer), request=request, formats=formats, asked=ways)
    if len(options.pictures) == 1:
        return take_apart(source=options.pictures[0], folder=options.output)
    failed = []
    for source in options.pictures:
        try:
            take_apart(source=source, folder=options.output / source.stem)
        except QilError as error:
            print(f"qil: {source}: {told(error)}", file=sys.stderr)
            failed.append(str(source))
    if failed:
        raise QilError(f"{len(failed)} of {len(options.pictures)} pictures failed: {', '.join(failed)}.")


def ways_of(options: argparse.Namespace, formats: Sequence[Format]) -> Options:
    """What is to be editable in these formats. Raises QilError where that cannot be done."""
    ways = Options(text=options.text, shapes=options.shapes)
    check_asked(formats, ways)
    return ways


def asked(options: argparse.Namespace) -> tuple[Request, Limits | None]:
    """The request, and the limits of an automatic count where one is asked for. Raises QilError: out of range."""
    layers = Request.layers if options.layers == AUTO else options.layers
    request = Request(
        layers,
        options.seed,
        prompt=options.prompt,
        steps=options.steps,
        resolution=options.resolution,
        true_cfg_scale=options.guidance,
        sampler=options.sampler,
        elements=parse_elements("\n".join(options.elements)),
    )
    request.check()
    return request, Limits() if options.layers == AUTO else None


def _check_stems(pictures: Sequence[Path]) -> None:
    """QilError when results of two pictures would lie in one folder, which is named by a picture without its ending."""
    (stem, count) = Counter(picture.stem.casefold() for picture in pictures).most_common(1)[0]
    if count > 1:
        raise QilError(f'{count} pictures are named "{stem}", and a folder is named by its picture: run qil for each.')


def _count(text: str) -> int | str:
    """A number of layers, or AUTO."""
    try:
        return AUTO if text == AUTO else int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f'"{text}" is neither a number nor {AUTO}') from None


def _take_apart(
    way: Callable[..., tuple[LayerStack, Report]],
    source: Path,
    request: Request,
    folder: Path,
    formats: Sequence[Format],
    asked: Options,
) -> None:
    """Decompose one picture, write its files into a folder and say what was done. Raises QilError.

    way: gives the layers and the report of a picture, a request and progress. asked: what is to be editable.
    """
    picture = load_picture(source)
    with bar(source.name) as progress:
        stack, report = way(picture, request, progress=progress)
    print(report)
    asked = with_found(stack, asked)
    for what, path in write_results(stack, report, folder, source.stem, formats, asked):
        print(f"  {what:14} {path}")
    for line in editable_lines(asked):
        print(printable(f"  {'editable':14} {line}"))


def opened(options: argparse.Namespace) -> Decomposer:
    """The one that was asked for."""
    return open_by_name(*chosen(options), Shell(options.device))


def chosen(options: argparse.Namespace) -> tuple[str, list[str]]:
    """Its name, and its options as texts; a model's folder and memory are options of it."""
    given = [f"folder={options.model}", f"memory={options.memory}"] if options.model else []
    return options.decomposer or ("qwen" if options.model else "builtin"), given + options.set
