"""What a file is, whatever it is called: so that weights that are loaded already are not loaded again.

A file is known by its size, the time of its last change, and samples of its content; it is not read as a whole, which
would take longer than to load it. The samples of a file that has not changed since are remembered.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from ..errors import QilError
from .folders import Files

SAMPLES = 64
"""Places of a file that are looked at, evenly over its length: two versions of a model that differ in a tenth of their
weights have the same samples once in 800 times, and then still another time of change."""

SAMPLE = 4096
"""Bytes of a sample: what disks and systems read at once."""

Identity = tuple[object, ...]

_remembered: dict[tuple[int, ...], str] = {}
"""Samples' digests, by device, inode, size and time of change."""


def identity_of(files: Files) -> Identity:
    """The same for the same weights, configurations, tokenizer and LoRAs, under whatever names. QilError: not there."""
    folder, tokenizer = files.transformer.parent, files.tokenizer.parent
    beside = [folder / "scheduler", folder / "model_index.json", tokenizer / "processor", files.configs, *files.mmproj]
    parts = [files.transformer, files.text_encoder, files.vae, files.tokenizer, *beside]
    loras = tuple((_of(path), strength) for path, strength in files.loras)
    return (*map(_of, parts), loras)


def _of(path: Path) -> Identity:
    if not path.is_dir():
        return _of_file(path) if path.exists() else ()
    inside = (each for each in sorted(path.rglob("*")) if each.is_file())
    return tuple((each.relative_to(path).as_posix(), *_of_file(each)) for each in inside)


def _of_file(path: Path) -> Identity:
    try:
        stat = path.stat()
        known = (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns)
        if known not in _remembered:
            _remembered[known] = _digest(path, stat.st_size)
    except OSError as error:
        raise QilError(f"{path} cannot be read: {error.strerror or error}.") from error
    return (stat.st_size, stat.st_mtime_ns, _remembered[known])


def _digest(path: Path, size: int) -> str:
    digest = hashlib.blake2b(digest_size=16)
    with path.open("rb") as file:
        for i in range(SAMPLES):
            file.seek(i * max(size - SAMPLE, 0) // (SAMPLES - 1), os.SEEK_SET)
            digest.update(file.read(SAMPLE))
    return digest.hexdigest()
