"""A checkpoint as a lazy mapping: the name of a weight, and how to read it.

Nothing but headers is read before a weight is called, and then only this one weight: the transformer has 40.9 GB.
Renaming is a dict comprehension; dequantising and merging a LoRA wrap what is called.
"""

from __future__ import annotations

import json
import mmap
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import QilError

if TYPE_CHECKING:
    from torch import Tensor

PREFIXES = ("model.diffusion_model.", "diffusion_model.", "transformer.", "first_stage_model.", "vae.")
"""What tools put before the names of a model's weights."""

PICKLES = (".pt", ".pth", ".ckpt", ".bin", ".pkl")
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


@dataclass(frozen=True)
class Weight:
    """A stored weight. Its shape and stored type (such as BF16, F8_E4M3 or Q8_0) are known; calling it reads it."""

    shape: tuple[int, ...]
    dtype: str
    read: Callable[[], Tensor]

    def __call__(self) -> Tensor:
        return self.read()


Readers = dict[str, Weight]


def open_readers(path: Path) -> Readers:
    """The weights of a safetensors file, a GGUF file or a folder of safetensors files, scaled fp8 ones as bfloat16.

    The files stay mapped as long as a reader lives. Raises QilError for what is missing, broken or no such file.
    """
    path = Path(path)
    if not path.exists():
        raise QilError(f"{path} does not exist.")
    stored = open_folder(path) if path.is_dir() else open_file(path)
    return dequantized(without_prefixes(stored, path), path)


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
    if path.suffix.lower() not in ((".gguf",) if is_gguf else (".safetensors", ".sft")):
        what = "a GGUF file" if is_gguf else "neither GGUF nor named .safetensors"
        raise QilError(f"{path} is {what}: its name and its content do not fit together. Rename it or download again.")
    return _open_gguf(path) if is_gguf else _open_safetensors(path, start, size)


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
    mapped = _map(path)
    return {
        name: Weight(
            tuple(entry["shape"]),
            entry["dtype"],
            partial(_read_safetensors, path, mapped, name, data + entry["data_offsets"][0], entry),
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


def _map(path: Path) -> mmap.mmap:
    """The file as read-only memory, which takes none before it is read and is given back when others need it."""
    try:
        with path.open("rb") as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as error:
        raise QilError(f"{path} cannot be mapped into memory ({error}).") from error


def _read_safetensors(path: Path, mapped: mmap.mmap, name: str, start: int, entry: dict[str, Any]) -> Tensor:
    """A weight as a view of the file: read-only, whatever torch says."""
    import torch

    dtype = getattr(torch, TORCH_TYPES.get(entry["dtype"], "none"), None)
    if dtype is None:
        raise QilError(f"{path}: weight {name} is stored as {entry['dtype']}, which this torch does not know.")
    count = prod(entry["shape"])
    if count == 0:
        return torch.empty(entry["shape"], dtype=dtype)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The given buffer is not writable")
            stored = torch.frombuffer(mapped, dtype=torch.uint8, count=count * dtype.itemsize, offset=start)
        return stored.view(dtype).reshape(entry["shape"])
    except (ValueError, RuntimeError) as error:
        raise QilError(f"{path}: weight {name} cannot be read ({error}). Download the file again.") from error


def metadata(path: Path) -> dict[str, str]:
    """The free text entries of a safetensors file's header."""
    return _header(path).get("__metadata__") or {}


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


# GGUF

GGUF_STEPS = 1_000_000
"""Pieces of a GGUF header at the most. Qwen2.5 with its whole vocabulary has 760 000."""

GGUF_LIST = 500_000
"""Entries of one list in a GGUF header at the most. Qwen2.5's vocabulary has 152 000."""


def _open_gguf(path: Path) -> Readers:
    try:
        tensors = _gguf_tensors(path)
        for kind in {tensor.tensor_type for tensor in tensors}:
            _check_known(kind)
    except ImportError as error:
        raise QilError(f"Reading {path} needs the Python package gguf: pip install gguf") from error
    except NotImplementedError as error:
        raise QilError(f"{path}: the installed gguf package does not know its quantisation ({error}).") from error
    except (ValueError, KeyError, IndexError, TypeError, OverflowError, OSError) as error:
        raise QilError(f"{path} is incomplete or damaged ({error}). Download it again.") from error
    return {
        tensor.name: Weight(
            tuple(int(side) for side in reversed(tensor.shape)), tensor.tensor_type.name, partial(_read_gguf, tensor)
        )
        for tensor in tensors
    }


def _gguf_tensors(path: Path) -> list[Any]:
    """The gguf package's tensors, read by a reader that stops at the end of the file: its own one need not."""
    import numpy as np
    from gguf import GGUFReader, GGUFValueType

    class Bounded(GGUFReader):
        steps = 0

        def _get(self, offset: int, dtype: Any, count: int = 1, *more: Any, **named: Any) -> Any:
            self.steps += 1
            end = int(offset) + np.dtype(dtype).itemsize * int(count)
            if not 0 <= int(offset) <= end <= len(self.data) or self.steps > GGUF_STEPS:
                raise ValueError("it ends in the middle, or its header is wrong")
            return super()._get(offset, dtype, count, *more, **named)

        def _get_field_parts(self, orig_offs: int, raw_type: int) -> Any:
            is_list = int(raw_type) == GGUFValueType.ARRAY
            if is_list and int(self._get(orig_offs + 4, np.uint64)[0]) > GGUF_LIST:
                raise ValueError("its header has a list without end")
            return super()._get_field_parts(orig_offs, raw_type)

    tensors = list(Bounded(path).tensors)
    if any(tensor.n_elements != prod(int(side) for side in tensor.shape) for tensor in tensors):
        raise ValueError("a shape is wrong")
    return tensors


def _check_known(kind: Any) -> None:
    """One block of zeros through the dequantiser."""
    import numpy as np
    from gguf import GGML_QUANT_SIZES
    from gguf.quants import dequantize

    dequantize(np.zeros((1, GGML_QUANT_SIZES[kind][1]), np.uint8), kind)


def _read_gguf(tensor: Any) -> Tensor:
    import numpy as np
    import torch
    from gguf.quants import dequantize

    values = dequantize(tensor.data, tensor.tensor_type)
    return torch.from_numpy(np.array(values, dtype=np.float32)).reshape([int(side) for side in reversed(tensor.shape)])


# Scaled fp8: weights stored as 8-bit floats beside a factor, in the two spellings that ComfyUI's files have

SCALES = (".scale_weight", ".weight_scale")
LEFT_OUT = (".scale_input", ".input_scale", ".comfy_quant", "scaled_fp8")
"""For arithmetic in fp8, which is not done here."""

FOREIGN = {
    ".weight_scale_2": "NVFP4",
    ".weight_scale_inv": "block-wise fp8",
    ".qweight": "4-bit integers (Nunchaku, AWQ or GPTQ)",
    ".absmax": "4-bit bitsandbytes",
    ".SCB": "8-bit bitsandbytes",
}
FP8 = ("F8_E4M3", "F8_E5M2")
FLOATS = ("F64", "F32", "F16", "BF16")
NO_FLOATS = ("BOOL", "U8", "I8", "U16", "I16", "U32", "I32", "U64", "I64", "F4", "F6_E2M3", "F6_E3M2", "F8_E8M0", "C64")
"""Stored types that are no weights by themselves: codes of some quantisation."""


def dequantized(readers: Readers, path: Path) -> Readers:
    """fp8 weights as bfloat16, with their scales applied in float32; the scales themselves are gone."""
    _refuse_foreign(readers, path)
    scales = {_scaled_by(name): weight for name, weight in readers.items() if name.endswith(SCALES)}
    weights = {name: weight for name, weight in readers.items() if not name.endswith((*SCALES, *LEFT_OUT))}
    if lost := scales.keys() - weights.keys():
        raise QilError(f"{path} has a scale without its weight {min(lost)}. Download it again.")
    return {name: _dequantized(name, weight, scales.get(name), path) for name, weight in weights.items()}


def _scaled_by(scale: str) -> str:
    """Name of the weight that belongs to a scale: both names have the same stem."""
    return scale.rpartition(".")[0] + ".weight"


def _refuse_foreign(readers: Readers, path: Path) -> None:
    for name in readers:
        for ending, format_ in FOREIGN.items():
            if name.endswith(ending):
                raise QilError(f"{path} is quantised as {format_}, which cannot be read here. Use bf16, fp8 or GGUF.")


def _dequantized(name: str, weight: Weight, scale: Weight | None, path: Path) -> Weight:
    if scale is None:
        return replace(weight, read=lambda: _upcast(weight())) if weight.dtype in FP8 else weight
    sides = _scale_sides(weight, scale)
    if weight.dtype not in (*FP8, *FLOATS) or scale.dtype not in FLOATS or sides is None:
        raise QilError(
            f"{path}: weight {name} is {weight.dtype} {list(weight.shape)} with a scale {scale.dtype} "
            f"{list(scale.shape)}; only fp8 with one scale, or one a row, can be read. Use the bf16 or fp8 file."
        )
    return replace(weight, read=lambda: _scaled(weight(), scale(), sides))


def _scale_sides(weight: Weight, scale: Weight) -> tuple[int, ...] | None:
    """Shape in which a scale meets its weight: one number, or one a row. None for anything else, such as blocks."""
    count = prod(scale.shape)
    if count == 1:
        return (1,) * len(weight.shape)
    if weight.shape and count == weight.shape[0] == scale.shape[0]:
        return (count,) + (1,) * (len(weight.shape) - 1)
    return None


def _upcast(weight: Tensor) -> Tensor:
    import torch

    return weight.to(torch.bfloat16)


def _scaled(weight: Tensor, scale: Tensor, sides: tuple[int, ...]) -> Tensor:
    import torch

    return (weight.float() * scale.float().reshape(sides)).to(torch.bfloat16)
