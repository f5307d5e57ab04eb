"""The `qil` command: decompose, composite, score, info."""

from __future__ import annotations

import argparse
import io
import json
import platform
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from . import __version__
from .blend import BLEND_MODES
from .composite import composite, modes_for, onto_color
from .decompose import MAX_LAYERS, MIN_LAYERS, Decomposer, Request
from .decompose.automatic import Limits, decompose_automatically
from .decompose.registry import DECOMPOSERS, open_by_name
from .decompose.run import Report, decompose
from .errors import QilError
from .files import loading, png
from .files.atomic import atomic_path
from .files.format import Format
from .files.layered import Layered
from .files.picture import load_picture
from .files.registry import FORMATS
from .progress import Progress, unseen
from .stack import LayerStack

DEFAULT_FORMATS = "png,pptx"
FOLDER = "layers"
"""Name of what a format writes that makes a folder, not a file."""

AUTO = "auto"
"""Number of layers that is counted."""

STOPPED = 130
"""Exit status after Ctrl-C, as shells have it: 128 and the signal's number, 2."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; errors that a user can mend go to stderr as one line, with exit status 1."""
    _print_anything()
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except QilError as error:
        print(f"qil: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("qil: stopped", file=sys.stderr)
        return STOPPED
    return 0


def _print_anything() -> None:
    """File names hold what no encoding can show, half a surrogate pair or bytes of another one: print its escape."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="qil", description="Takes pictures apart into RGBA layers.")
    parser.add_argument("--version", action="version", version=f"qil {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    take = commands.add_parser("decompose", help="pictures into layers")
    take.add_argument("pictures", nargs="+", type=Path, metavar="IN", help="PNG, JPEG, WebP, ...; one or more")
    take.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="folder for the results")
    counts = f"at most, {MIN_LAYERS}-{MAX_LAYERS} (default 4), or {AUTO}: as many as the picture has"
    take.add_argument("--layers", type=_count, default=4, metavar="N", help=counts)
    take.add_argument("--seed", type=int, default=0, help="same seed, same layers (default 0)")
    take.add_argument(
        "--format",
        default=DEFAULT_FORMATS,
        help=f"comma-separated: {','.join(FORMATS)} (default {DEFAULT_FORMATS})",
    )
    take.add_argument(
        "--model", type=Path, metavar="FOLDER", help="diffusers folder of Qwen-Image-Layered (else built-in)"
    )
    names = [each.name for each in DECOMPOSERS]
    take.add_argument("--decomposer", choices=names, help="(default: builtin, or with --model qwen)")
    take.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="an option of the decomposer")
    take.add_argument(
        "--prompt", default="", help="for the model: describes the whole picture (default: its own caption)"
    )
    take.add_argument("--steps", type=int, default=50, help="for the model (default 50)")
    take.add_argument("--resolution", type=int, default=640, help="for the model: 640 or 1024 (default 640)")
    take.add_argument("--memory", default="auto", help="for the model: auto, streamed, ... (default auto)")
    take.add_argument("--device", metavar="NAME", help="for the model: cuda:1, xpu, mps, cpu, ... (default: the GPU)")
    take.set_defaults(run=_decompose)

    join = commands.add_parser("composite", help="layers back into one picture")
    a_stack = f"{loading.kinds()} file, or a folder of PNGs"
    join.add_argument("layers", type=Path, metavar="IN", help=a_stack)
    join.add_argument("-o", "--output", type=Path, required=True, metavar="PNG", help="picture to write")
    join.add_argument(
        "--modes", default="", help=f"instead of the file's own, one for all or one a layer: {', '.join(BLEND_MODES)}"
    )
    join.add_argument("--linear", action="store_true", help="add up light instead of stored sRGB values")
    join.add_argument("--background", metavar="COLOR", help="opaque colour behind the layers, such as white or #ff8800")
    join.set_defaults(run=_composite)

    score = commands.add_parser("score", help="how near layers are to the true ones: LayersEditDist, and more")
    score.add_argument("predicted", type=Path, metavar="PRED", help=a_stack)
    score.add_argument("true", type=Path, metavar="GT", help="the true layers, in the same size")
    score.add_argument("--json", action="store_true", help="numbers for programs")
    score.set_defaults(run=_score)

    info = commands.add_parser("info", help="what is installed, or what a file or folder of layers holds")
    info.add_argument("layers", type=Path, nargs="?", metavar="IN")
    info.set_defaults(run=_info)
    return parser


def _decompose(options: argparse.Namespace) -> None:
    formats = _formats(options.format)
    layers = Request.layers if options.layers == AUTO else options.layers
    request = Request(layers, options.seed, prompt=options.prompt, steps=options.steps, resolution=options.resolution)
    request.check()
    _check_stems(options.pictures)
    decomposer = _decomposer(options)
    way = partial(decompose_automatically, limits=Limits()) if options.layers == AUTO else decompose
    take_apart = partial(_take_apart, partial(way, decomposer), request=request, formats=formats)
    if len(options.pictures) == 1:
        return take_apart(source=options.pictures[0], folder=options.output)
    failed = []
    for source in options.pictures:
        try:
            take_apart(source=source, folder=options.output / source.stem)
        except QilError as error:
            print(f"qil: {source}: {error}", file=sys.stderr)
            failed.append(str(source))
    if failed:
        raise QilError(f"{len(failed)} of {len(options.pictures)} pictures failed: {', '.join(failed)}.")


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
) -> None:
    """Decompose one picture, write its files into a folder and say what was done. Raises QilError.

    way: gives the layers and the report of a picture, a request and progress.
    """
    picture = load_picture(source)
    with _bar(source.name) as progress:
        stack, report = way(picture, request, progress=progress)
    print(report)
    for what, path in _write(stack, report, folder, source.stem, formats):
        print(f"  {what:14} {path}")


def _decomposer(options: argparse.Namespace) -> Decomposer:
    """The one that was asked for; a model's folder and memory are options of it."""
    given = [f"folder={options.model}", f"memory={options.memory}"] if options.model else []
    name = options.decomposer or ("qwen" if options.model else "builtin")
    return open_by_name(name, given + options.set, _Shell(options.device))


class _Shell:
    """The command line as a Place (see `decompose`): models from a folder, on one device."""

    preview = staticmethod(unseen)

    def __init__(self, device: str | None = None) -> None:
        """device: its name; None for the GPU where there is one."""
        self._device = device

    def runtime(self, kind: Any, values: Mapping[str, Any], wanted: Any, known: Sequence[Any]) -> Any:
        from .checkpoints.folders import Files
        from .model.devices import default_device, device_of, usual_dtype
        from .model.parts import load

        if "folder" not in values:
            raise QilError(f'"{values["source"]}" is for ComfyUI. Here, give the model\'s folder with --model.')
        if values["loras"]:
            raise QilError("LoRAs are for ComfyUI's node Load Layered Model: leave them out here.")
        device = device_of(self._device) if self._device else default_device()
        with _bar(values["folder"]) as progress:
            parts = load(Files.of_folder(Path(values["folder"])), usual_dtype(device), progress, known)
        runtime = kind(parts, device, values["memory"])
        runtime.tune(values["attention"], values["compile"], values["first_block_cache"])
        return runtime


def _formats(text: str) -> list[Format]:
    keys = [item.strip() for item in text.split(",") if item.strip()]
    unknown = [key for key in keys if key not in FORMATS]
    if unknown or not keys:
        raise QilError(f'Unknown format "{", ".join(unknown)}". Use one or more of: {", ".join(FORMATS)}.')
    return [FORMATS[key] for key in keys]


def _write(
    stack: LayerStack, report: Report, folder: Path, stem: str, formats: Sequence[Format]
) -> list[tuple[str, Path]]:
    """Write what was asked for, the contact sheet and the report; what each file is, and where."""
    from .sheet import contact_sheet

    done = []
    for format in formats:
        suffix = format.suffix(stack)
        done.append((format.name, format.write(stack, folder / (stem + suffix if suffix else FOLDER))))
    with atomic_path(folder / "contact_sheet.png") as path:
        contact_sheet(stack).save(path, "PNG")
    with atomic_path(folder / "report.json") as path:
        path.write_text(json.dumps(report.as_dict(), indent=2), encoding="utf-8")
    return [*done, ("contact sheet", folder / "contact_sheet.png"), ("report", folder / "report.json")]


def _composite(options: argparse.Namespace) -> None:
    layered = _read(options.layers)
    stack = layered.stack
    modes = modes_for(options.modes, len(stack)) if options.modes else layered.look.modes
    flat = composite(stack, modes, options.linear)
    if options.background:
        flat = _over_color(flat, options.background)
    png.write_image(flat, options.output)
    print(f"{len(stack)} layers of {stack.width} x {stack.height} px: {options.output}")


def _over_color(flat: Tensor, text: str) -> Tensor:
    from .color import parse_color

    return onto_color(flat, torch.tensor(parse_color(text)))


def _read(path: Path) -> Layered:
    """The layers that are shown, opacities in alpha."""
    return loading.load([path], hidden=False).folded()


def _score(options: argparse.Namespace) -> None:
    from .metrics import measure

    score = measure(_read(options.predicted).stack, _read(options.true).stack)
    print(json.dumps(score.as_dict()) if options.json else score)


def _info(options: argparse.Namespace) -> None:
    if options.layers:
        return _layer_table(_read(options.layers).stack)
    from .model.devices import default_device, name_of

    device = name_of(default_device())
    names = [f"{each.name} ({each.label})" for each in DECOMPOSERS]
    print(f"qil {__version__}, Python {platform.python_version()}, torch {torch.__version__}, {device}")
    print(f"decomposers: {', '.join(names)}")
    print(f"formats: {', '.join(FORMATS)}")


def _layer_table(stack: LayerStack) -> None:
    print(f"{len(stack)} layers of {stack.width} x {stack.height} px, bottom first")
    for i, name in enumerate(stack.names):
        box = stack.bounds(i)
        place = f"{box.width} x {box.height} at {box.left},{box.top}" if box else "empty"
        print(f"{i:3}  {name:30} {place:28} covers {stack.coverage(i):.1%}")


class _bar:
    """A progress bar on a terminal's stderr; nothing when stderr is not a terminal."""

    def __init__(self, title: str) -> None:
        from tqdm import tqdm

        self._bar = tqdm(total=1.0, desc=title, disable=None, bar_format="{desc} {bar} {percentage:3.0f}% {postfix}")

    def __enter__(self) -> Progress:
        return self._report

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def _report(self, fraction: float, what: str) -> None:
        self._bar.set_postfix_str(what, refresh=False)
        self._bar.update(fraction - self._bar.n)
