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

MAX_HEADER = 100_000_000
"""Bytes of a safetensors file's header at the most: the limit of the format's own library."""

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


def fingerprints(files: Files) -> dict[str, dict[str, object]]:
    """What each file of weights, and the tokenizer, is: for reports, which others may hold against their own files.

    A key is a part's name and the file's name in it. "bytes": the size. "samples": the digest of SAMPLES places, which
    tells a fine-tuned model from the one that it was made of. "header": SHA-256 of a safetensors file's header, the
    names, types and shapes of all its weights. Neither reads a file as a whole. Raises QilError: not there.
    """
    parts = ("transformer", "text_encoder", "vae", "tokenizer")
    lying = [(part, getattr(files, part)) for part in parts]
    lying += [("mmproj", path) for path in files.mmproj] + [(f"lora {by:g}", path) for path, by in files.loras]
    return {f"{part}/{path.name}": _fingerprint(path) for part, place in lying for path in _weights(place)}


def _weights(place: Path) -> list[Path]:
    return sorted(each for each in place.iterdir() if each.is_file()) if place.is_dir() else [place]


def _fingerprint(path: Path) -> dict[str, object]:
    size, _, samples = _of_file(path)
    found = {"bytes": size, "samples": samples}
    return found | {"header": _header_digest(path)} if path.suffix == ".safetensors" else found


def _header_digest(path: Path) -> str:
    """SHA-256 of the header: its length in 8 bytes, little-endian, then as many bytes of JSON (safetensors' format)."""
    with path.open("rb") as file:
        length = file.read(8)
        header = file.read(min(int.from_bytes(length, "little"), MAX_HEADER))
    return hashlib.sha256(length + header).hexdigest()


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
