"""GGUF files: their headers are read by the gguf package, their weights stay codes in the mapped file."""

from __future__ import annotations

import mmap
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

from ..errors import QilError
from .stored import Readers, Stored, Weight, map_file, view_of

STEPS = 1_000_000
"""Pieces of a header at the most. Qwen2.5 with its whole vocabulary has 760 000."""

LIST = 500_000
"""Entries of one list in a header at the most. Qwen2.5's vocabulary has 152 000."""


def open_gguf(path: Path) -> Readers:
    """Weights of a GGUF file under their stored names. Raises QilError for what is broken or cannot be unpacked."""
    try:
        tensors = _tensors(path)
    except ImportError as error:
        raise QilError(f"Reading {path} needs the Python package gguf: pip install gguf") from error
    except (ValueError, KeyError, IndexError, TypeError, OverflowError, OSError) as error:
        raise QilError(f"{path} is incomplete or damaged ({error}). Download it again.") from error
    mapped = map_file(path)
    return {tensor.name: _weight(path, mapped, tensor) for tensor in tensors}


def _tensors(path: Path) -> list[Any]:
    """The gguf package's tensors, read by a reader that stops at the end of the file: its own one need not."""
    import numpy as np
    from gguf import GGUFReader, GGUFValueType

    class Bounded(GGUFReader):
        steps = 0

        def _get(self, offset: int, dtype: Any, count: int = 1, *more: Any, **named: Any) -> Any:
            self.steps += 1
            end = int(offset) + np.dtype(dtype).itemsize * int(count)
            if not 0 <= int(offset) <= end <= len(self.data) or self.steps > STEPS:
                raise ValueError("it ends in the middle, or its header is wrong")
            return super()._get(offset, dtype, count, *more, **named)

        def _get_field_parts(self, orig_offs: int, raw_type: int) -> Any:
            is_list = int(raw_type) == GGUFValueType.ARRAY
            if is_list and int(self._get(orig_offs + 4, np.uint64)[0]) > LIST:
                raise ValueError("its header has a list without end")
            return super()._get_field_parts(orig_offs, raw_type)

    tensors = list(Bounded(path).tensors)
    if any(tensor.n_elements != prod(int(side) for side in tensor.shape) for tensor in tensors):
        raise ValueError("a shape is wrong")
    return tensors


def _weight(path: Path, mapped: mmap.mmap, tensor: Any) -> Weight:
    from .gguf_codes import PLAIN, TYPES

    kind = tensor.tensor_type.name
    if kind not in TYPES and kind not in PLAIN:
        raise QilError(
            f"{path}: weight {tensor.name} is quantised as {kind}, which cannot be unpacked here. Use a file of one of "
            f"the types {', '.join(TYPES)}."
        )
    shape = tuple(int(side) for side in reversed(tensor.shape))
    return Weight(shape, kind, partial(_stored, path, mapped, tensor.name, int(tensor.data_offset), kind, shape))


def _stored(path: Path, mapped: mmap.mmap, name: str, start: int, kind: str, shape: tuple[int, ...]) -> Stored:
    import torch

    from .gguf_codes import PLAIN, TYPES

    try:
        if kind in PLAIN:
            return Stored((view_of(mapped, start, PLAIN[kind], shape),))
        type_ = TYPES[kind]
        row = shape[-1] // type_.weights * type_.bytes
        codes = view_of(mapped, start, torch.uint8, (*shape[:-1], row))
    except (ValueError, RuntimeError) as error:
        raise QilError(f"{path}: weight {name} cannot be read ({error}). Download the file again.") from error
    tables = (torch.tensor(type_.table),) if type_.table else ()
    return Stored((codes, *tables), type_.unpack)
