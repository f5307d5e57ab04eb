"""Checkpoints of the true sizes with random weights, written without ever holding more than a block of them.

A file is (1) its header, (2) its large weights one after another, (3) its small weights, biases, norms and scales.

The large weights are one block of random bytes, again and again. Its length has no divisor in common with theirs, so
every weight begins at another place of it. Where the file system can share blocks between places
(XFS, btrfs), the copies take no room on the disk, but the page cache and the process see as many bytes as in any file.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import struct
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from math import prod
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
import torch

SPREAD = 0.02
"""Standard deviation of weights: 3072 of them keep a row's length about as it is, so that nothing overflows."""

FP8_SPREAD = 16.0
"""Of fp8 codes before their scale: the largest of a billion normal values is 6 times that, and fp8 ends at 448."""

PAGE = 4096
"""Bytes: what file systems share is a multiple of this, and begins at one."""

UNIT = 36_864
"""Bytes of the block are a multiple of this: of a page, and of a Q4_K super-block."""

UNITS = 1823
"""Of UNIT bytes in the block, 67 MB. A prime: no weight of the blocks begins where another one did."""

SUPER_BLOCK, CODES = 144, 256
"""Bytes of Q4_K, and the weights that they hold (ggml's block_q4_K)."""

CLONE_RANGE = 0x4020940D
"""Linux's ioctl FICLONERANGE: let a part of a file share the blocks of another part."""

KINDS = ("bf16", "fp8", "q4_k")
"""Forms of the transformer's file, the largest first."""

FILE_NAMES = {
    "bf16": "qwen_image_layered_bf16.safetensors",
    "fp8": "qwen_image_layered_fp8_scaled.safetensors",
    "q4_k": "qwen_image_layered_Q4_K.gguf",
}
WORDS = {"bf16": "qwen_2.5_vl_7b.safetensors", "fp8": "qwen_2.5_vl_7b_fp8_scaled.safetensors"}
"""Files of the text encoder."""

TYPES = {"bf16": "BF16", "fp8": "F8_E4M3", "q4_k": "Q4_K"}
"""What large weights are stored as."""

BYTES = {"BF16": 2.0, "F8_E4M3": 1.0, "F32": 4.0, "Q4_K": SUPER_BLOCK / CODES}
"""Bytes of a weight."""

PREFIX = "model.diffusion_model."
"""Before the names of a transformer in ComfyUI's single files."""


class Entry(NamedTuple):
    """A weight of a file: its name there, its shape, and how it is stored."""

    name: str
    shape: tuple[int, ...]
    type: str

    @property
    def size(self) -> int:
        return int(prod(self.shape) * BYTES[self.type])


@dataclass(frozen=True)
class Content:
    """A file's weights: the large ones, which come first, those of a type together, and the small ones, whose bytes are
    made by `small_bytes`."""

    large: list[Entry]
    small: list[Entry]

    @property
    def entries(self) -> list[Entry]:
        return [*self.large, *self.small]

    @property
    def size(self) -> int:
        return sum(entry.size for entry in self.entries)


def shapes(kind: Any, arguments: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the weights that a network would have; none is made."""
    with torch.device("meta"):
        module = kind(**arguments)
    return {name: tuple(w.shape) for name, w in module.state_dict().items() if w.is_floating_point()}


# What the files hold


def transformer(config: Mapping[str, Any], kind: str) -> Content:
    """The transformer's weights in one of KINDS; 2-D ones of its blocks are large."""
    from diffusers import QwenImageTransformer2DModel

    found = shapes(QwenImageTransformer2DModel, config)
    prefix = "" if kind == "q4_k" else PREFIX
    large = [name for name, shape in found.items() if _is_large(name, shape, kind)]
    types = {"Q4_K": ("F32", "BF16")}.get(TYPES[kind], ("BF16", "BF16"))  # as ComfyUI-GGUF's files have it
    small = [Entry(prefix + name, found[name], types[len(found[name]) > 1]) for name in found.keys() - set(large)]
    entries = [Entry(prefix + name, found[name], TYPES[kind]) for name in large]
    return Content(entries, sorted(small + _fp8_scales(entries, prefix)))


def _is_large(name: str, shape: tuple[int, ...], kind: str) -> bool:
    whole = kind != "q4_k" or shape[-1] % CODES == 0
    return name.startswith("transformer_blocks.") and len(shape) == 2 and whole


def text_encoder(config: Mapping[str, Any], kind: str = "bf16") -> Content:
    """The text encoder's weights under the names of ComfyUI's files, one of WORDS; in fp8 those of its blocks are."""
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    found = shapes(Qwen2_5_VLForConditionalGeneration, {"config": Qwen2_5_VLConfig(**config)})
    blocks = TYPES[kind]
    entries = [
        Entry(_older_name(name), shape, blocks if _in_block(name) and len(shape) == 2 else "BF16")
        for name, shape in found.items()
    ]
    large = sorted((entry for entry in entries if len(entry.shape) > 1), key=lambda entry: entry.type)
    return Content(large, [entry for entry in entries if len(entry.shape) == 1] + _fp8_scales(large, ""))


def _in_block(name: str) -> bool:
    return ".layers." in name or ".blocks." in name


def _fp8_scales(large: list[Entry], prefix: str) -> list[Entry]:
    """What a file of ComfyUI has beside its weights in fp8, if it has any."""
    names = [entry.name for entry in large if entry.type == TYPES["fp8"]]
    scales = [Entry(f"{name.removesuffix('weight')}scale_weight", (), "F32") for name in names]
    return [*scales, Entry(f"{prefix}scaled_fp8", (0,), TYPES["fp8"])] if names else []


def _older_name(name: str) -> str:
    return name.replace("model.language_model.", "model.").replace("model.visual.", "visual.")


def write_vae(path: Path, config: Mapping[str, Any]) -> None:
    """The VAE in bf16 as diffusers makes it anew, 0.25 GB."""
    from diffusers import AutoencoderKLQwenImage
    from safetensors.torch import save_file

    build: Any = AutoencoderKLQwenImage
    torch.manual_seed(0)
    save_file({name: weight.bfloat16() for name, weight in build(**config).state_dict().items()}, path)


# Random bytes


def block(type: str, length: int) -> bytes:
    """Random weights of this type, as bytes."""
    random = np.random.default_rng(0)
    if type == "Q4_K":
        return _super_blocks(random, length // SUPER_BLOCK).tobytes()[:length]
    count = int(length / BYTES[type])
    return _stored(random.standard_normal(count, np.float32), type)


def _stored(normal: np.ndarray, type: str) -> bytes:
    """Normal values as weights of a type."""
    spread = FP8_SPREAD if type == "F8_E4M3" else SPREAD
    dtype = {"F8_E4M3": torch.float8_e4m3fn, "BF16": torch.bfloat16, "F32": torch.float32}[type]
    return torch.from_numpy(normal * np.float32(spread)).to(dtype).view(torch.uint8).numpy().tobytes()


def _super_blocks(random: np.random.Generator, count: int) -> np.ndarray:
    """Q4_K: two halves d and dmin, 12 bytes of 6-bit scales s and minima m, 128 of 4-bit codes q: w = d s q - dmin m.

    With all codes random, the mean of s q is 7.5 times that of m, and their difference spreads by 258 d.
    """
    found = random.integers(0, 256, (count, SUPER_BLOCK), np.uint8)
    found[:, :4] = np.array([SPREAD / 258, 7.5 * SPREAD / 258], np.float16).view(np.uint8)
    return found


def small_bytes(entry: Entry) -> bytes:
    """Norms are 1, a scale of fp8 undoes FP8_SPREAD, and all else is random."""
    count = prod(entry.shape)
    if entry.name.endswith("scale_weight"):
        return np.float32(SPREAD / FP8_SPREAD).tobytes()
    if "norm" in entry.name and len(entry.shape) == 1 and entry.name.endswith("weight"):
        return _stored(np.full(count, 1 / SPREAD, np.float32), entry.type)
    return _stored(np.random.default_rng(count).standard_normal(count, np.float32), entry.type)


# Writing


def write(path: Path, content: Content) -> bool:
    """Write a safetensors file, or a GGUF file where its ending says so. Gives whether copies share their room.

    Raises OSError before anything is written where there is no room for it.
    """
    _check_room(path, content.size)
    header = _gguf_header(path, content) if path.suffix == ".gguf" else _safetensors_header(content)
    with path.open("w+b") as file:  # what shares its blocks has to be open for reading too
        file.write(header)
        shared = False
        for _, group in groupby(content.large, lambda entry: entry.type):
            shared |= _write_large(file, list(group))
        for entry in content.small:
            file.write(small_bytes(entry))
            if path.suffix == ".gguf":
                file.write(bytes(-file.tell() % 32))
        file.flush()
        os.fsync(file.fileno())
    forget(path)
    return shared


def _check_room(path: Path, size: int) -> None:
    free = shutil.disk_usage(path.parent).free
    if size <= free:
        return
    with tempfile.TemporaryFile(dir=path.parent) as file:
        file.write(bytes(PAGE))
        file.flush()
        if not _share(file, 0, PAGE, PAGE):
            text = f"{size / 1e9:.1f} GB are needed, {free / 1e9:.1f} GB are free, and the file system shares no blocks"
            raise OSError(errno.ENOSPC, text, str(path))


def _safetensors_header(content: Content) -> bytes:
    """Spaces at its end, which the format allows, let the weights begin at a page."""
    header, at = {}, 0
    for entry in content.entries:
        header[entry.name] = {"dtype": entry.type, "shape": entry.shape, "data_offsets": (at, at + entry.size)}
        at += entry.size
    text = json.dumps(header).encode()
    text += b" " * (-(len(text) + 8) % PAGE)
    return struct.pack("<Q", len(text)) + text


def _gguf_header(path: Path, content: Content) -> bytes:
    """A text of the right length among its entries lets the weights begin at a page."""
    bare = _gguf_bytes(path, content, 0)
    return _gguf_bytes(path, content, -len(bare) % PAGE)


def _gguf_bytes(path: Path, content: Content, padding: int) -> bytes:
    import gguf

    writer = gguf.GGUFWriter(path, "qwen_image")
    writer.add_string("rehearsal.padding", " " * (1 + padding))  # an empty one would be left out
    for entry in content.entries:
        kind = gguf.GGMLQuantizationType[entry.type]
        sides = gguf.quant_shape_to_byte_shape(entry.shape, kind) if entry.type in ("Q4_K", "BF16") else entry.shape
        numbers = np.dtype(np.uint8 if entry.type in ("Q4_K", "BF16") else np.float32)
        writer.add_tensor_info(entry.name, sides, numbers, entry.size, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    writer.close()
    found = path.read_bytes()
    return found + bytes(-len(found) % 32)


def _write_large(file: IO[bytes], entries: list[Entry]) -> bool:
    """The block again and again, until all weights of a type are written. Gives whether the copies take no room."""
    total, start = sum(entry.size for entry in entries), file.tell()
    found = block(entries[0].type, min(total, UNIT * UNITS))
    copies = 0
    for at in range(0, total, len(found)):
        shared = at > 0 and at + len(found) <= total and _share(file, start, start + at, len(found))
        if shared:
            file.seek(len(found), os.SEEK_CUR)
        else:
            file.write(found[: total - at])
            file.flush()
        copies += shared
    return copies > 0


def _share(file: IO[bytes], source: int, target: int, length: int) -> bool:
    """Let two parts of a file lie in the same place of the disk. False where the system cannot do that."""
    try:
        import fcntl
    except ImportError:  # Windows
        return False
    try:
        fcntl.ioctl(file.fileno(), CLONE_RANGE, struct.pack("=qQQQ", file.fileno(), source, length, target))
    except OSError:
        return False
    return True


def forget(path: Path) -> None:
    """Let the system drop what its page cache holds of a file, so that the next reader starts from the disk."""
    if hasattr(os, "posix_fadvise"):
        with path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def warm(path: Path) -> None:
    """Let the page cache hold a file."""
    with path.open("rb", buffering=0) as file:
        while file.read(UNIT * UNITS):
            pass
