"""Every GGUF type gives the numbers that the gguf package gives, to the bit."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from qil_core.checkpoints.gguf_codes import TYPES

gguf = pytest.importorskip("gguf")


@pytest.mark.parametrize("name", TYPES)
def test_random_blocks_become_the_same_floats(name: str) -> None:
    kind, type_ = TYPES[name], gguf.GGMLQuantizationType[name]
    assert gguf.GGML_QUANT_SIZES[type_] == (kind.weights, kind.bytes)
    codes = np.random.default_rng(0).integers(0, 256, (6, 5 * kind.bytes), np.uint8)
    with np.errstate(invalid="ignore"):  # random bytes make half floats that are none
        want = torch.from_numpy(gguf.quants.dequantize(codes, type_))
    tables = [torch.tensor(kind.table)] if kind.table else []
    got = kind.unpack(torch.from_numpy(codes), *tables)
    assert got.shape == (6, 5 * kind.weights)
    same = (got == want) | (got.isnan() & want.isnan())
    assert same.all()
    assert want.isfinite().float().mean() > 0.8
    assert torch.equal(kind.unpack(torch.from_numpy(codes[2:4]), *tables).nan_to_num(), got[2:4].nan_to_num())
