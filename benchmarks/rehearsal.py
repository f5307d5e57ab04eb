"""The true model on this machine without a GPU: files of the true sizes with random weights, and a run within a limit.

python -m benchmarks rehearsal FOLDER --tokenizer DIR [--kinds bf16,fp8,q4_k] [--words fp8] [--limit GB]

FOLDER needs room for one transformer file (41 GB in bf16) and the text encoder's (16.6 GB); less on a file system that
shares blocks, such as XFS in a file: truncate -s 70G disk; mkfs.xfs disk; mount -o loop disk FOLDER; then losetup
--direct-io=on. DIR is ComfyUI's comfy/text_encoders/qwen25_tokenizer or a diffusers folder's tokenizer.

For every kind: (1) its file is written; (2) a child process with the memory limit loads all files, writes a caption of
a few words, takes two steps and writes its layers, once more on a full disk; (3) files that are cut off are refused;
(4) Q4_K is loaded again with its file in the page cache. The file is then deleted, whatever happened.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from qil_core.checkpoints.folders import SHIPPED, read_json

from . import rehearsal_files as files
from .rehearsal_child import Task
from .rehearsal_memory import Limit, limited
from .rehearsal_runs import gb, print_run, run_child

GB = 1e9
RESOLUTION = 64
"""Pixels of a side. Users have 640; with weights streamed at every step, no memory or byte read depends on it, and a
CPU takes seconds instead of half an hour."""

STEPS = 2
CAPTION = 4
"""Tokens of a caption: each one reads the whole text encoder."""

PRINTABLE = 94
"""Tokens 0 to 93 of Qwen2.5 are ! to ~, and in a caption's place every other one ends it, once it is long enough."""

WARM_LIMIT = 6_000_000_000
"""Bytes of memory of the run whose transformer is in the page cache: the text encoder's pages do not drive it out."""

CUT = 0.6
"""Share of a file that is there when it was cut off."""

HEADER = 32 << 20
"""Bytes at the beginning of a file that hold its header at the least."""

SLOW_REFUSAL = 60.0
"""Seconds; a broken file must be refused before."""


@dataclass(frozen=True)
class Rehearsal:
    """What is asked for. configs: of the model, whose sizes count. limit: bytes."""

    folder: Path
    tokenizer: Path
    configs: Path
    kinds: Sequence[str]
    limit: int
    resolution: int
    memory: str
    words: str

    @property
    def text_encoder(self) -> Path:
        return self.folder / files.WORDS[self.words]

    def task(self, transformer: Path, limit: Limit, results: str = "", full: str = "", prompt: str = "") -> Task:
        """What the child does with a transformer."""
        given = {
            "transformer": transformer,
            "text_encoder": self.text_encoder,
            "vae": self.folder / VAE,
            "tokenizer": self.tokenizer,
            "configs": self.folder / CONFIGS,
        }
        paths = {name: str(path) for name, path in given.items()}
        procs = str(limit.procs) if limit.procs else None
        return Task(paths, results, full, prompt, self.resolution, STEPS, self.memory, limit.size, procs)


VAE, CONFIGS = "qwen_image_layered_vae.safetensors", "configs"


def main(arguments: Sequence[str]) -> int:
    """Rehearse as the arguments say. Ctrl-C and a request to end delete what was written, too."""
    options = _parser().parse_args(arguments)
    kinds = [kind for kind in files.KINDS if kind in options.kinds.split(",")]
    folder, tokenizer, configs = (path.resolve() for path in (options.folder, options.tokenizer, options.configs))
    asked = Rehearsal(
        folder, tokenizer, configs, kinds, int(options.limit * GB), options.resolution, options.memory, options.words
    )
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with _ended_cleanly(), _shared_files(asked, options.depth):
            good = [_rehearse(asked, kind) for kind in kinds]
    except OSError as error:
        sys.exit(f"{error.filename or folder}: {error.strerror or error}")
    print("  all as it should be" if all(good) else "  NOT all as it should be: see the lines with !")
    return 0 if all(good) else 1


@contextmanager
def _ended_cleanly() -> Iterator[None]:
    """A request to end, as `kill` sends it, runs what deletes the files."""
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks rehearsal", description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="for the files; 58 GB of room, or a file system that shares blocks")
    parser.add_argument("--tokenizer", type=Path, required=True, help="folder of Qwen2.5's tokenizer")
    parser.add_argument(
        "--kinds", default=",".join(files.KINDS), help="of the transformer's file (default: %(default)s)"
    )
    parser.add_argument(
        "--words", default="bf16", choices=files.WORDS, help="of the text encoder's file (default: %(default)s)"
    )
    parser.add_argument("--limit", type=float, default=12.0, help="memory of the process in GB (default: %(default)s)")
    parser.add_argument("--memory", default="streamed", help="memory setting of the model (default: %(default)s)")
    parser.add_argument("--resolution", type=int, default=RESOLUTION, help="side in pixels (default: %(default)s)")
    parser.add_argument("--depth", type=int, help="layers of the networks, for a short trial (default: all)")
    parser.add_argument(
        "--configs", type=Path, default=SHIPPED, help="of another model's sizes (default: the true ones)"
    )
    return parser


# Files


@contextmanager
def _shared_files(asked: Rehearsal, depth: int | None) -> Iterator[None]:
    """Configurations, text encoder and VAE, which serve all kinds. All are deleted in the end."""
    try:
        _write_configs(asked, depth)
        _tell_written(asked.text_encoder, files.text_encoder(_config(asked, "text_encoder"), asked.words))
        files.write_vae(asked.folder / VAE, _config(asked, "vae"))
        yield
    finally:
        for path in (asked.text_encoder, asked.folder / VAE):
            path.unlink(missing_ok=True)
        shutil.rmtree(asked.folder / CONFIGS, ignore_errors=True)


def _config(asked: Rehearsal, part: str) -> dict[str, Any]:
    return read_json(asked.folder / CONFIGS / f"{part}.json")


def _write_configs(asked: Rehearsal, depth: int | None) -> None:
    """The model's configurations; captions end after a few words, and for a trial its networks have fewer layers."""
    folder = asked.folder / CONFIGS
    shutil.copytree(asked.configs, folder, dirs_exist_ok=True)
    words = _config(asked, "text_encoder")["text_config"]["vocab_size"]
    changes: dict[str, dict[str, Any]] = {
        "generation": {"eos_token_id": list(range(PRINTABLE, words)), "min_new_tokens": CAPTION}
    }
    if depth:
        changes["transformer"] = {"num_layers": depth}
        changes["text_encoder"] = _shallow(_config(asked, "text_encoder"), depth)
    for part, change in changes.items():
        (folder / f"{part}.json").write_text(json.dumps({**_config(asked, part), **change}))


def _shallow(config: Mapping[str, Any], depth: int) -> dict[str, Any]:
    text = {**config["text_config"], "num_hidden_layers": depth, "max_window_layers": depth}
    return {"text_config": text, "vision_config": {**config["vision_config"], "depth": depth}}


def _tell_written(path: Path, content: files.Content) -> None:
    """Write a file and say how it lies on the disk."""
    began = time.perf_counter()
    shared = files.write(path, content)
    seconds = time.perf_counter() - began
    how = "equal blocks share their room on the disk" if shared else "every byte lies on the disk"
    print(f"  {path.name}: {gb(path.stat().st_size)} written in {seconds:.0f} s, {how}", flush=True)


@contextmanager
def _transformer(asked: Rehearsal, kind: str) -> Iterator[Path]:
    """The file of a kind, deleted in the end."""
    path = asked.folder / files.FILE_NAMES[kind]
    try:
        _tell_written(path, files.transformer(_config(asked, "transformer"), kind))
        yield path
    finally:
        path.unlink(missing_ok=True)


@contextmanager
def _cut_off(path: Path) -> Iterator[Path]:
    """A file as a download leaves it that ended early: its beginning, and a part of its length."""
    cut = path.with_name(f"cut_off_{path.name}")
    try:
        with path.open("rb") as whole, cut.open("wb") as file:
            file.write(whole.read(HEADER))
            file.truncate(int(CUT * path.stat().st_size))
        yield cut
    finally:
        cut.unlink(missing_ok=True)


@contextmanager
def _full_disk(folder: Path) -> Iterator[str]:
    """A folder on a small disk in memory that is full; "" where none may be made."""
    place = Path(tempfile.mkdtemp(prefix="full_", dir=folder))
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)], capture_output=True)
    try:
        if made.returncode == 0:
            with suppress(OSError), (place / "filled").open("wb", buffering=0) as file:
                while True:
                    file.write(bytes(4096))
        yield str(place) if made.returncode == 0 else ""
    finally:
        if made.returncode == 0:
            subprocess.run(["umount", str(place)], check=True)
        place.rmdir()


# Runs


def _rehearse(asked: Rehearsal, kind: str) -> bool:
    """Everything with one kind of file. Gives whether all went as it should."""
    print(f"\n{kind}", flush=True)
    with _transformer(asked, kind) as path, tempfile.TemporaryDirectory(dir=asked.folder) as results:
        good = [_whole_run(asked, path, results)]
        good += [_refusal(asked, path, name) for name in ("transformer", "text_encoder")]
        if kind == "q4_k":
            good.append(_warm_run(asked, path, results))
    return all(good)


def _whole_run(asked: Rehearsal, path: Path, results: str) -> bool:
    with limited(asked.limit) as limit, _full_disk(asked.folder) as full:
        for file in (path, asked.text_encoder, asked.folder / VAE):
            files.forget(file)
        print(f"  run with a caption, cold page cache, {gb(limit.size)} by {limit.how}", flush=True)
        outcome = run_child(asked.task(path, limit, results, full))
        print_run(outcome, path, limit)
    return outcome.is_done


def _warm_run(asked: Rehearsal, path: Path, results: str) -> bool:
    with limited(min(WARM_LIMIT, asked.limit)) as limit:
        files.warm(path)
        print(f"  run with a prompt, the transformer in the page cache, {gb(limit.size)} by {limit.how}", flush=True)
        outcome = run_child(asked.task(path, limit, results, prompt="a poster"))
        print_run(outcome, path, limit)
    return outcome.is_done


def _refusal(asked: Rehearsal, path: Path, part: str) -> bool:
    """Whether a file that is cut off is refused by name before minutes have passed."""
    whole = path if part == "transformer" else asked.text_encoder
    with limited(asked.limit) as limit, _cut_off(whole) as cut:
        task = asked.task(path, limit)
        outcome = run_child(replace(task, files={**task.files, part: str(cut)}))
    good = cut.name in outcome.error and outcome.seconds < SLOW_REFUSAL
    print(f"  {'' if good else '! '}cut off, refused after {outcome.seconds:.1f} s: {outcome.error or outcome.ended}")
    return good
