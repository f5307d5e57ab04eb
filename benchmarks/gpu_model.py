"""The full-size model with random weights on a GPU, in three visits of under ten minutes each.

python -m benchmarks gpu_model resident --out DIR      everything on the device: stock steps and ours
python -m benchmarks gpu_model streamed --out DIR      blocks that travel, storage in fewer bits, small cards
python -m benchmarks gpu_model compiled --out DIR      compiled blocks

They need a GPU with 64 GB, 100 GB of host memory and no weights, since speed and memory do not depend on what the
weights are; docs/benchmarks.md lists the packages. A step is what happens between two calls of the scheduler: the
prompt's and the negative prompt's pass, and the guidance. --tiny runs the same in small on any machine.
"""

from __future__ import annotations

import argparse
import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from qil_core.model.devices import default_device, device_of, numbered

from . import gpu_model_compiled, gpu_model_resident, gpu_model_streamed
from .gpu_model_bench import GIB, Bench
from .gpu_model_results import Numbers, Results, end_for_sure, new_path, run_sections
from .gpu_model_weights import FULL, TINY

VISITS = {
    "resident": gpu_model_resident.SECTIONS,
    "streamed": gpu_model_streamed.SECTIONS,
    "compiled": gpu_model_compiled.SECTIONS,
}

MINUTES = 9.0
"""Of a visit: machines are lent for ten at a time, and the last row has to come to its end."""


def main(arguments: Sequence[str]) -> None:
    """One visit."""
    options = parser().parse_args(arguments)
    device = numbered(device_of(options.device) if options.device else default_device())
    if device.type == "cpu" and not options.tiny:
        raise SystemExit("gpu_model: there is no GPU. --tiny tries the sections in small on the CPU.")
    results = Results(new_path(options.out, options.visit), options.minutes * 60)
    timer = end_for_sure(results)
    try:
        visit(options.visit, Bench(TINY if options.tiny else FULL, device), results, options.only)
    finally:
        timer.cancel()
    print(f"  {len(results.rows)} rows, {len(results.failed)} failed, in {results.path}")


def parser() -> argparse.ArgumentParser:
    """Of the command line behind `python -m benchmarks gpu_model`."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks gpu_model")
    parser.add_argument("visit", choices=VISITS)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the results go, as JSON")
    parser.add_argument("--minutes", type=float, default=MINUTES, help=f"after which it ends (default {MINUTES:g})")
    parser.add_argument("--only", default="", metavar="TEXT", help="only rows whose section or name has it")
    parser.add_argument("--device", default="", help="such as cuda:1 or xpu (default: the GPU that is there)")
    parser.add_argument("--tiny", action="store_true", help="small networks, to try it without a GPU")
    return parser


def visit(name: str, bench: Bench, results: Results, only: str = "") -> None:
    """All sections of a visit."""
    results.machine = machine(bench)
    results.write()
    run_sections(results, VISITS[name], bench, only)


def machine(bench: Bench) -> Numbers:
    """What the results were measured on."""
    import psutil

    found: Numbers = {"python": platform.python_version(), "torch": torch.__version__, "device": str(bench.device)}
    for package in ("diffusers", "transformers", "accelerate"):
        try:
            found[package] = version(package)
        except PackageNotFoundError as error:
            found[package] = str(error)
    if bench.device.type == "cuda":
        properties = torch.cuda.get_device_properties(bench.device)
        found |= {"name": properties.name, "GiB": properties.total_memory / GIB, "cuda": torch.version.cuda}
    memory = psutil.virtual_memory().total / GIB
    return {**found, "cores": psutil.cpu_count(), "host GiB": memory, "scale": dict(bench.scale.transformer)}
