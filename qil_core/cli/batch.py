"""`qil batch`: any number of pictures into layers, in several processes or on a Ray cluster.

Exit status: 0 when all pictures are done, 1 when some failed or the run was stopped, 2 when nothing was begun because
what was asked for cannot be done, 130 after Ctrl-C.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Generator, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, fields, replace
from functools import partial
from importlib import util
from pathlib import Path
from typing import Any

from ..batch import cluster, local
from ..batch.cluster import Cluster
from ..batch.inputs import list_inputs
from ..batch.job import Job, Work
from ..batch.lists import COLUMNS
from ..batch.places import output_at
from ..batch.run import NAME, Engine, Run, Summary, Watch, settings_key
from ..batch.stages import Setup, formats_of
from ..batch.table import Table
from ..checkpoints.folders import Files
from ..checkpoints.identity import fingerprints
from ..decompose import Request
from ..decompose.automatic import Limits
from ..decompose.made import check_files, differences
from ..decompose.registry import entry, open_by_name
from ..elements import from_values
from ..error_codes import told
from ..errors import QilError
from ..files.registry import FORMATS
from ..options import read_all
from ..request import LATER
from . import decompose
from .shell import Shell

LOCAL, RAY = "local", "ray"

UNDONE = 2
"""Exit status when nothing was begun, as argparse has it for what it cannot read."""

NAMED = 20
"""Failed pictures that the table at the end lists; the manifest has all of them."""


def add(commands: argparse._SubParsersAction) -> None:
    """The command and its options."""
    take = commands.add_parser(
        "batch",
        help="any number of pictures into layers, in several processes or on a Ray cluster",
        description="Takes all pictures apart, a folder of results for each, and writes manifest.jsonl with a line for "
        "each. The same command again goes on where it was stopped, and tries again what failed.",
    )
    lists = f"lists (.csv, .jsonl, .parquet) with the columns {', '.join(COLUMNS)}, all but the first optional"
    what = f"folders with what is below them, patterns, files, URLs (s3://, gs://, ...), or {lists}"
    take.add_argument("inputs", nargs="+", metavar="IN", help=what)
    take.add_argument("-o", "--output", required=True, metavar="DIR", help="folder or URL for the results")
    decompose.add_options(take)
    take.add_argument("--from-report", type=Path, metavar="JSON", help="all of the above as report.json says it")
    take.add_argument("--workers", type=_at_least_one, metavar="N", help="pictures at the same time")
    engines = f"{LOCAL}: processes of this machine; {RAY}: a cluster (the default where Ray is installed)"
    take.add_argument("--engine", choices=(LOCAL, RAY), help=engines)
    take.add_argument("--address", help="for ray: a cluster that is there, such as auto or ray://head:10001")
    take.add_argument("--num-gpus", type=float, metavar="X", help="for ray: GPUs of a worker, such as 1 or 0.5")
    take.add_argument("--json", action="store_true", help="the summary as one line for programs")
    take.set_defaults(run=run)


def _at_least_one(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f'"{text}" is no number of workers: expected 1 or more')
    return int(text)


def run(options: argparse.Namespace) -> None:
    """Do all pictures. Raises QilError at the end when some failed; ends with UNDONE where nothing can be done."""
    table = Table()
    with ExitStack() as held:
        with _before_work():
            setup, key = _setup(options)
            setup.output.check()
            list_inputs(options.inputs, options.output, table)
            watch = held.enter_context(_bar(len(table)))
            work = Run(table, setup.output, key, watch)
            engine = held.enter_context(_engine(options, setup, table.count_pending()))
        summary = work.do(engine)
    _tell(summary, table, options)


@contextmanager
def _before_work() -> Iterator[None]:
    try:
        yield
    except QilError as error:
        print(f"qil: {told(error)}", file=sys.stderr)
        raise SystemExit(UNDONE) from None


def _setup(options: argparse.Namespace) -> tuple[Setup, str]:
    """What all pictures share, and its key. Raises QilError for what can be seen before any picture is read."""
    formats, output = formats_of(options.format), output_at(options.output)
    if options.from_report:
        made = _made(options.from_report)
        _check_nothing_else(options)
        name, given, request, limits = _repeated(made, options)
    else:
        made = None
        (name, given), (request, limits) = decompose.chosen(options), decompose.asked(options)
    values = read_all(entry(name).options, given)
    Shell.check(values)
    files = fingerprints(Files.of_folder(Path(str(values["folder"])))) if "folder" in values else {}
    if made:
        check_files(files, made)
        for line in differences(made):
            print(f"qil: {line}: pixels may differ.", file=sys.stderr)
    asked = decompose.ways_of(options, [FORMATS[key] for key in formats])
    opened = partial(open_by_name, name, given, Shell(options.device))
    setup = Setup(opened, request, limits, formats, output, asked=asked)
    return setup, settings_key(setup, {"name": name, "options": values, "files": files})


def _made(path: Path) -> dict[str, Any]:
    """How the stack of a report was made. Raises QilError."""
    try:
        made = json.loads(path.read_text(encoding="utf-8")).get("made")
    except (OSError, ValueError, AttributeError) as error:
        raise QilError(f"{path} cannot be read as a report: {error}.") from None
    known = {"decomposer", "options", "files", "versions", *(field.name for field in fields(Request))} - LATER.keys()
    if not isinstance(made, dict) or known - made.keys():
        raise QilError(f"{path} does not say how its layers were made: an older version wrote it, or it is no report.")
    return made


def _repeated(made: Mapping[str, Any], options: argparse.Namespace) -> tuple[str, list[str], Request, Limits | None]:
    """Decomposer, its options as texts, request and limits of a report. Raises QilError."""
    try:
        asked = {field.name: made[field.name] for field in fields(Request) if field.name in made}
        request = Request(**{**asked, "elements": from_values(made.get("elements", ()))})
        request.check()
        limits = Limits(**made["automatic"]) if "automatic" in made else None
        given = [f"{name}={value}" for name, value in made["options"].items()]
    except (TypeError, AttributeError) as error:
        raise QilError(f"The report's values cannot be used ({error}): it was changed by hand, or is broken.") from None
    name = str(made["decomposer"])
    if options.model:  # the weights lie elsewhere now, or came from ComfyUI's files
        name = name.partition("-")[0]  # "qwen-files" and "qwen-download" lie in a folder here
        names = {option.name for option in entry(name).options} - {"folder"}
        given = [text for text in given if text.partition("=")[0] in names] + [f"folder={options.model}"]
    return name, given, request, limits


def _check_nothing_else(options: argparse.Namespace) -> None:
    """QilError when something is asked that the report says already."""
    parser = argparse.ArgumentParser()
    decompose.add_options(parser)
    usual = parser.parse_args([])
    told_otherwise = {"format", "text", "shapes", "model", "device"}
    said = [name for name in vars(usual) if name not in told_otherwise]
    twice = [f"--{name}" for name in said if getattr(options, name) != getattr(usual, name)]
    if twice:
        raise QilError(f"The report says {', '.join(twice)} already: leave that out, or leave out --from-report.")


def default_engine(options: argparse.Namespace) -> str:
    """Ray where it is installed, or where an option is given that only it has."""
    wanted = options.address or options.num_gpus is not None
    return RAY if wanted or util.find_spec("ray") else LOCAL


@contextmanager
def _engine(options: argparse.Namespace, setup: Setup, pictures: int) -> Iterator[Engine]:
    """What does so many pictures. Raises QilError: options of the other engine, no Ray, no such cluster, too small."""
    has_model = setup.open.args[0] != "builtin" if isinstance(setup.open, partial) else False
    engine, cores = options.engine or default_engine(options), local.cores()
    if engine == LOCAL and (options.address or options.num_gpus is not None):
        raise QilError("--address and --num-gpus are for --engine ray: leave them out, or leave out --engine.")
    if engine == LOCAL or not pictures:  # for which no cluster need be started
        workers = max(1, min(options.workers or (1 if has_model else cores), pictures))
        yield partial(_locally, replace(setup, threads=_threads(has_model, cores, workers)), workers)
        return
    gpus = options.num_gpus if options.num_gpus is not None or has_model else 0.0
    workers = min(options.workers, pictures) if options.workers else None
    with cluster.connected(Cluster(options.address, workers, gpus), min(cores, pictures)) as there:
        share = _threads(has_model and not options.address, cores, there.workers or 1)
        yield partial(_on_ray, replace(setup, threads=share), there)


def _threads(has_model: bool, cores: int, workers: int) -> int:
    """Cores that a worker uses: one with a model its share of them, to read and write; others are a core each."""
    return max(1, cores // workers) if has_model else 1


def _locally(setup: Setup, workers: int, jobs: Iterator[Job], again: bool) -> Generator[Work, None, None]:
    return local.run(setup, jobs, workers)


def _on_ray(setup: Setup, there: Cluster, jobs: Iterator[Job], again: bool) -> Generator[Work, None, None]:
    return cluster.run(setup, jobs, replace(there, retrying=again))


@contextmanager
def _bar(total: int) -> Iterator[Watch]:
    """A bar on a terminal's stderr that counts pictures; nothing when stderr is not a terminal."""
    from tqdm import tqdm

    with tqdm(total=total, unit="picture", disable=None, smoothing=0.05) as bar:

        def watch(settled: int, failed: int, total: int) -> None:
            if failed:
                bar.set_postfix_str(f"{failed} failed", refresh=False)
            bar.update(settled - bar.n)

        yield watch


def _tell(summary: Summary, table: Table, options: argparse.Namespace) -> None:
    """What was done, and a table of what failed and why. Raises QilError when not all pictures are done."""
    if options.json:
        print(json.dumps({**asdict(summary), "manifest": f"{options.output.rstrip('/')}/{NAME}"}))
    else:
        earlier = f", {summary.there} of them before" if summary.there else ""
        done = summary.there + summary.done
        print(f"{done} of {summary.total} pictures done{earlier}: {options.output.rstrip('/')}/{NAME}")
        if not summary.parquet:
            print("  no manifest.parquet: pyarrow is not installed")
        for line in table.failures(NAMED):
            named = "" if line["input"] in line["error"] else f"{line['input']}: "
            print(f"  {named}{line['error']}")
        if summary.failed > NAMED:
            print(f"  ... and {summary.failed - NAMED} more, see {NAME}")
    left = summary.total - summary.there - summary.done - summary.failed
    if summary.stopped:
        raise QilError(f"Stopped, {left} pictures are left: {summary.stopped} Then run the same command to go on.")
    if summary.failed:
        raise QilError(f"{summary.failed} of {summary.total} pictures failed. The same command tries them again.")
