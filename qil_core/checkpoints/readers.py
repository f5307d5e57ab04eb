"""A checkpoint as a lazy mapping: the name of a weight, and how to read it.

Nothing but headers is read before a weight is called, and then only this one weight: the transformer has 40.9 GB.
Renaming is a dict comprehension; quantised weights and LoRAs are weights of several tensors.
"""

from __future__ import annotations

import json
import mmap
from functools import partial
from pathlib import Path
from typing import Any

from ..errors import QilError
from .gguf_file import open_gguf
from .packed import of_header, with_packed
from .stored import Readers, Stored, Weight, map_file, view_of

PREFIXES = ("model.diffusion_model.", "diffusion_model.", "transformer.", "first_stage_model.", "vae.")
"""What tools put before the names of a model's weights."""

PICKLES = (".pt", ".pth", ".ckpt", ".bin", ".pkl")
SUFFIXES = (".safetensors", ".sft")
START = 64
"""Bytes at the beginning of a file that are looked at, to see what it is."""

LENGTH = 8
"""Bytes at the beginning of a safetensors file that hold the length of its header."""

HEADER_LIMIT = 100_000_000
"""Bytes; safetensors itself takes no longer header."""


TORCH_TYPES = {
    "F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16",
    "F8_E4M3": "float8_e4m3fn", "F8_E5M2": "float8_e5m2", "F8_E8M0": "float8_e8m0fnu",
    "I64": "int64", "I32": "int32", "I16": "int16", "I8": "int8",
    "U64": "uint64", "U32": "uint32", "U16": "uint16", "U8": "uint8", "BOOL": "bool",
}  # fmt: skip
"""safetensors' names of types, and torch's."""


def open_readers(path: Path) -> Readers:
    """The weights of a safetensors file, a GGUF file or a folder of safetensors files, quantised ones as they are.

    The files stay mapped as long as a reader lives. Raises QilError for what is missing, broken or no such file.
    """
    path = Path(path)
    if not path.exists():
        raise QilError(f"{path} does not exist.")
    stored = open_folder(path) if path.is_dir() else open_file(path)
    about = {_without_prefix(layer): settings for layer, settings in of_header(metadata(path), path).items()}
    return with_packed(without_prefixes(stored, path), path, about)


def without_prefixes(readers: Readers, path: Path) -> Readers:
    """Names as the model itself has them."""
    short = {_without_prefix(name): weight for name, weight in readers.items()}
    if len(short) < len(readers):
        raise QilError(f"{path} holds some weights twice, under several prefixes. Use a file with one model in it.")
    return short


def _without_prefix(name: str) -> str:
    return next((name[len(prefix) :] for prefix in PREFIXES if name.startswith(prefix)), name)


# One file


def open_file(path: Path) -> Readers:
    """Weights of one file under their stored names."""
    if path.suffix.lower() in PICKLES:
        raise QilError(f"{path} is a pickle, which can run any program when it is opened. Use a .safetensors file.")
    start, size = _start(path)
    is_gguf = start[:4] == b"GGUF"
    _refuse_look_alikes(path, start, size)
    if path.suffix.lower() not in ((".gguf",) if is_gguf else SUFFIXES):
        what = "a GGUF file" if is_gguf else "neither GGUF nor named .safetensors"
        raise QilError(f"{path} is {what}: its name and its content do not fit together. Rename it or download again.")
    return open_gguf(path) if is_gguf else _open_safetensors(path, start, size)


def _start(path: Path) -> tuple[bytes, int]:
    try:
        with path.open("rb") as file:
            return file.read(START), path.stat().st_size
    except OSError as error:
        raise QilError(f"{path} cannot be read: {error.strerror or error}.") from error


LOOK_ALIKES = {
    b"PK\x03\x04": "a PyTorch pickle or another ZIP archive",
    b"\x80\x02": "a pickle",
    b"version https://git-lfs": "a Git LFS pointer in place of the file itself; run git lfs pull",
    b"<": "a web page, so the download went wrong",
}


def _refuse_look_alikes(path: Path, start: bytes, size: int) -> None:
    if size == 0:
        raise QilError(f"{path} is empty (0 bytes). Download it again.")
    for magic, what in LOOK_ALIKES.items():
        # A safetensors file may by chance start with such bytes too: its length fits in 4 bytes, and a { follows.
        if start.startswith(magic) and start[4:9] != b"\0\0\0\0{":
            raise QilError(f"{path} holds no weights in safetensors or GGUF form: it is {what}.")


def _open_safetensors(path: Path, start: bytes, size: int) -> Readers:
    _check_length(path, start, size)
    header, data = _header(path), int.from_bytes(start[:LENGTH], "little") + LENGTH
    mapped = map_file(path)
    return {
        name: Weight(
            tuple(entry["shape"]),
            entry["dtype"],
            partial(_stored, path, mapped, name, data + entry["data_offsets"][0], entry),
        )
        for name, entry in header.items()
        if name != "__metadata__"
    }


def _check_length(path: Path, start: bytes, size: int) -> None:
    length = int.from_bytes(start[:LENGTH], "little")
    if size < LENGTH or length > HEADER_LIMIT or start[LENGTH : LENGTH + 1] not in (b"{", b""):
        raise QilError(f"{path} is no safetensors file: it does not start with a header. Download it again.")
    if length + LENGTH > size:
        raise QilError(
            f"{path} is cut off: its header alone has {length} bytes, the file has {size}. Download it again."
        )


def _header(path: Path) -> dict[str, Any]:
    """A safetensors header that the safetensors library has found to be consistent with the file."""
    from safetensors import SafetensorError, safe_open

    try:
        # As numpy, because as torch it maps the whole file writable, which fails where a file is larger than memory.
        with safe_open(path, framework="np"), path.open("rb") as file:
            return json.loads(file.read(int.from_bytes(file.read(LENGTH), "little")))
    except (SafetensorError, OSError, ValueError, TypeError, OverflowError, RecursionError) as error:
        raise QilError(f"{path} is incomplete or damaged ({error}). Download it again.") from error


def _stored(path: Path, mapped: mmap.mmap, name: str, start: int, entry: dict[str, Any]) -> Stored:
    import torch

    dtype = getattr(torch, TORCH_TYPES.get(entry["dtype"], "none"), None)
    if dtype is None:
        raise QilError(f"{path}: weight {name} is stored as {entry['dtype']}, which this torch does not know.")
    try:
        return Stored((view_of(mapped, start, dtype, tuple(entry["shape"])),))
    except (ValueError, RuntimeError) as error:
        raise QilError(f"{path}: weight {name} cannot be read ({error}). Download the file again.") from error


def metadata(path: Path) -> dict[str, str]:
    """The free text entries of a safetensors file's header; of anything else there are none."""
    is_safetensors = path.is_file() and path.suffix.lower() in SUFFIXES
    return (_header(path).get("__metadata__") or {}) if is_safetensors else {}


# A folder


def open_folder(folder: Path) -> Readers:
    """Weights of a diffusers or transformers folder: the shards of its index, or its only file."""
    readers: Readers = {}
    for file in _files_of(folder):
        readers |= open_file(file)
    return readers


def _files_of(folder: Path) -> list[Path]:
    indices = sorted(folder.glob("*.safetensors.index.json"), key=lambda path: (len(path.name), path.name))
    if indices:
        return _shards(indices[0])
    files = sorted(path for ending in ("*.safetensors", "*.gguf") for path in folder.glob(ending))
    if len(files) == 1:
        return files
    if files:
        raise QilError(f"{folder} has {len(files)} files of weights and no index. Name one of them instead.")
    pickles = ", only pickles, which are never loaded" if any(p.suffix in PICKLES for p in folder.iterdir()) else ""
    raise QilError(f"{folder} has no .safetensors file{pickles}.")


def _shards(index: Path) -> list[Path]:
    try:
        names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise QilError(f"{index} is no index of weights ({error!r}). Download it again.") from error
    for name in names:
        # The index is untrusted: it may name nothing outside its own folder.
        if not isinstance(name, str) or Path(name).name != name or "\\" in name:
            raise QilError(f"{index} names the file {name!r}, which is not in its folder.")
        if not (index.parent / name).is_file():
            raise QilError(f"{index.parent} is incomplete: {name} is missing. Download it again.")
    return [index.parent / name for name in names]
