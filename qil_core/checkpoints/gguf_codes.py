"""How GGUF's types become numbers: llama.cpp's block formats (ggml-common.h, ggml-quants.c) as arithmetic in torch.

A row of a weight is a row of bytes, cut into blocks of 32 weights (the older types) or 256 (the K types). d and m are
half floats; q are integers of a few bits, of which a run of bytes first has all the lowest ones, then the next ones.
Every Type's unpack gives float32 (..., weights) of uint8 (..., bytes), by the same operations as the gguf package,
which takes minutes for this in numpy. Q4_K to Q6_K, in which most files are, do it in two steps (`InBlocks`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from .stored import InBlocks

Unpack = Callable[..., Tensor]
"""Of the codes and, where a type has one, its table."""


@dataclass(frozen=True)
class Type:
    """weights and bytes: of a block. table: what unpack looks its values up in."""

    weights: int
    bytes: int
    unpack: Unpack
    table: tuple[float, ...] = ()


IQ4 = (-127.0, -104.0, -83.0, -65.0, -49.0, -35.0, -22.0, -10.0, 1.0, 13.0, 25.0, 38.0, 53.0, 69.0, 89.0, 113.0)
"""kvalues_iq4nl of ggml-common.h."""


def _fields(codes: Tensor, *sizes: int) -> tuple[Tensor, ...]:
    """The fields (blocks, size) of all blocks."""
    return codes.reshape(-1, sum(sizes)).split(sizes, 1)


def _half(field: Tensor) -> Tensor:
    return field.contiguous().view(torch.float16).float()


def _bits(field: Tensor, run: int, width: int) -> Tensor:
    """Integers of `width` bits of every run of bytes: (blocks, runs, 8 / width, run)."""
    runs, mask = field.reshape(len(field), -1, 1, run), (1 << width) - 1
    middle = [(runs >> shift) & mask for shift in range(width, 8 - width, width)]
    return torch.cat([runs & mask, *middle, runs >> (8 - width)], 2)


def _rows(values: Tensor, codes: Tensor) -> Tensor:
    return values.reshape(*codes.shape[:-1], -1)


def q4_0(codes: Tensor) -> Tensor:
    d, q = _fields(codes, 2, 16)
    return _rows(_half(d) * (_bits(q, 16, 4).flatten(1).float() - 8), codes)


def q4_1(codes: Tensor) -> Tensor:
    d, m, q = _fields(codes, 2, 2, 16)
    return _rows(_half(d) * _bits(q, 16, 4).flatten(1).float() + _half(m), codes)


def q5_0(codes: Tensor) -> Tensor:
    d, high, low = _fields(codes, 2, 4, 16)
    return _rows(_half(d) * (_five(low, high).float() - 16), codes)


def q5_1(codes: Tensor) -> Tensor:
    d, m, high, low = _fields(codes, 2, 2, 4, 16)
    return _rows(_half(d) * _five(low, high).float() + _half(m), codes)


def _five(low: Tensor, high: Tensor) -> Tensor:
    """Five bits, the fifth from a field with one bit a weight."""
    return _bits(low, 16, 4).flatten(1) | (_bits(high, 1, 1).flatten(1) << 4)


def q8_0(codes: Tensor) -> Tensor:
    d, q = _fields(codes, 2, 32)
    return _rows(q.view(torch.int8).float() * _half(d), codes)


def q2_k(codes: Tensor) -> Tensor:
    scales, q, d, m = _fields(codes, 16, 64, 2, 2)
    scale = (_half(d) * (scales & 15).float())[..., None]
    least = (_half(m) * (scales >> 4).float())[..., None]
    return _rows(scale * _bits(q, 32, 2).reshape(-1, 16, 16).float() - least, codes)


def q3_k(codes: Tensor) -> Tensor:
    high, low, scales, d = _fields(codes, 32, 64, 12, 2)
    six = _bits(scales[:, :8], 8, 4).flatten(1) | (_bits(scales[:, 8:], 4, 2).flatten(1) << 4)
    scale = (_half(d) * (six.float() - 32))[..., None]
    q = _bits(low, 32, 2).reshape(-1, 16, 16) | (_bits(high, 32, 1).reshape(-1, 16, 16) << 2)
    return _rows(scale * (q.float() - 4), codes)


def _q4_k_fields(codes: Tensor) -> tuple[Tensor, ...]:
    head, q = _fields(codes, 16, 128)
    return (*_scales_and_least(head), q)


def _q4_k_values(scale: Tensor, least: Tensor, q: Tensor) -> Tensor:
    return (scale * _bits(q, 32, 4).reshape(-1, 8, 32) - least).flatten(1)


def _q5_k_fields(codes: Tensor) -> tuple[Tensor, ...]:
    head, high, low = _fields(codes, 16, 32, 128)
    return (*_scales_and_least(head), high, low)


def _q5_k_values(scale: Tensor, least: Tensor, high: Tensor, low: Tensor) -> Tensor:
    q = _bits(low, 32, 4).reshape(-1, 8, 32) | (_bits(high, 32, 1).reshape(-1, 8, 32) << 4)
    return (scale * q - least).flatten(1)


def _scales_and_least(head: Tensor) -> tuple[Tensor, Tensor]:
    """(blocks, 8, 1) each, of the 8 groups of a block, from its d, m and 12 bytes with 6 bits a number.

    The bytes begin with 4 scales, then 4 least values; of the other 4 groups, the top bits lie above those, the rest in
    the last 4 bytes. Both are worked out together, since what takes time here is the number of operations.
    """
    d_and_m, first, both = head.split((4, 8, 4), 1)
    others = torch.cat([both & 15, both >> 4], 1) | ((first >> 6) << 4)
    six = torch.cat([(first & 63).view(-1, 2, 4), others.view(-1, 2, 4)], 2)
    scale, least = (_half(d_and_m)[..., None] * six).unsqueeze(-1).unbind(1)
    return scale, least


def _q6_k_fields(codes: Tensor) -> tuple[Tensor, ...]:
    low, high, scales, d = _fields(codes, 128, 64, 16, 2)
    return (_half(d) * scales.view(torch.int8).float())[..., None], low, high


def _q6_k_values(scale: Tensor, low: Tensor, high: Tensor) -> Tensor:
    q = _bits(low, 64, 4).reshape(-1, 8, 32) | (_bits(high, 32, 2).reshape(-1, 8, 32) << 4)
    return (scale * (q.float() - 32).reshape(-1, 16, 16)).flatten(1)


def iq4_nl(codes: Tensor, table: Tensor) -> Tensor:
    d, q = _fields(codes, 2, 16)
    return _rows(_half(d) * table[_bits(q, 16, 4).flatten(1).int()], codes)


def iq4_xs(codes: Tensor, table: Tensor) -> Tensor:
    d, high, low, q = _fields(codes, 2, 2, 4, 128)
    six = _bits(low, 1, 4).flatten(1) | (_bits(high, 1, 2).flatten(1) << 4)
    scale = (_half(d) * (six.float() - 32))[..., None]
    return _rows(scale * table[_bits(q, 16, 4).reshape(-1, 8, 32).int()], codes)


TYPES = {
    "Q4_0": Type(32, 18, q4_0),
    "Q4_1": Type(32, 20, q4_1),
    "Q5_0": Type(32, 22, q5_0),
    "Q5_1": Type(32, 24, q5_1),
    "Q8_0": Type(32, 34, q8_0),
    "Q2_K": Type(256, 84, q2_k),
    "Q3_K": Type(256, 110, q3_k),
    "Q4_K": Type(256, 144, InBlocks(_q4_k_fields, _q4_k_values)),
    "Q5_K": Type(256, 176, InBlocks(_q5_k_fields, _q5_k_values)),
    "Q6_K": Type(256, 210, InBlocks(_q6_k_fields, _q6_k_values)),
    "IQ4_NL": Type(32, 18, iq4_nl, IQ4),
    "IQ4_XS": Type(256, 136, iq4_xs, IQ4),
}
PLAIN = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "F64": torch.float64}
