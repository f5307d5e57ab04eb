"""Every GGUF type gives the numbers that the gguf package gives, to the bit."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from qil_core.checkpoints import stored
from qil_core.checkpoints.gguf_codes import TYPES
from qil_core.checkpoints.stored import Stored

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


@pytest.mark.parametrize("name", TYPES)
@pytest.mark.parametrize("rows", [1, 3, 16, 17, 50])
def test_rows_in_pieces_become_what_they_become_at_once(name: str, rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    kind = TYPES[name]
    monkeypatch.setattr(stored, "PIECE", 2 * 5 * kind.bytes)  # two rows; 16 have their scales made ready together
    codes = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (rows, 5 * kind.bytes), np.uint8))
    weight = Stored((codes, *([torch.tensor(kind.table)] if kind.table else [])), kind.unpack)
    got, want = weight.to(torch.bfloat16), weight.value.to(torch.bfloat16)
    assert got.shape == (rows, 5 * kind.weights)
    assert torch.equal(got.nan_to_num(), want.nan_to_num())
