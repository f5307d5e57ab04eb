"""Quantised safetensors files: which tensors make up a weight, and how they become numbers.

Two ways of saying it are in use. Older files have fp8 weights beside a factor, `scale_weight`. ComfyUI's newer ones say
it for each layer in a JSON text, `comfy_quant` (a tensor of bytes) or an entry of the header, `_quantization_metadata`;
its formats are those of comfy-kitchen's layouts. Everything is multiplied in float32 and rounded once, to bfloat16.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from math import log, prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import QilError
from .stored import Readers, Stored, Weight

if TYPE_CHECKING:
    from torch import Tensor

SCALES = (".scale_weight", ".weight_scale")
SECOND_SCALE = ".weight_scale_2"
SETTINGS = ".comfy_quant"
LEFT_OUT = (".scale_input", ".input_scale", SETTINGS, "scaled_fp8", SECOND_SCALE)
"""For arithmetic in fp8, which is not done here, or read with its weight."""

SVDQUANT = "SVDQuant for Nunchaku (4 bits, computed by CUDA kernels alone that are downloaded as programs)"
"""Why diffusers can load it and this package does not: docs/model.md, "Files and downloads"."""

FOREIGN = {
    ".wscales": SVDQUANT,
    ".weight_scale_inv": "block-wise fp8",
    ".qweight": "4-bit integers (AWQ or GPTQ)",
    ".absmax": "4-bit bitsandbytes",
    ".SCB": "8-bit bitsandbytes",
}
FP8 = ("F8_E4M3", "F8_E5M2")
FLOATS = ("F64", "F32", "F16", "BF16")

MX_GROUP, NV_GROUP = 32, 16
"""Neighbouring weights that share a scale in MXFP8 and in NVFP4 (OCP Microscaling 1.0; NVIDIA's block scaling)."""

E2M1 = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)
"""The values of NVFP4's codes 0-7; 8-15 are the same below zero."""

E8M0_BIAS = 127
"""An e8m0 scale of code c is 2 ** (c - 127)."""

TILE_ROWS, TILE_COLUMNS = 128, 4
"""Block scales lie in tiles of 128 x 4, as cuBLAS wants them: row 32 * i + j of a tile is row j, columns 4 * i on."""

Settings = Mapping[str, Mapping[str, Any]]
"""How a layer is quantised, by the layer's name."""


def with_packed(readers: Readers, path: Path, header: Settings) -> Readers:
    """Weights as they are stored, their scales with them. header: what the file's header says about its layers.

    Raises QilError for formats that cannot be unpacked here.
    """
    _refuse_foreign(readers, path)
    settings = {**header, **_settings(readers, path)}
    scales = {_weight_of(name): name for name in readers if name.endswith(SCALES)}
    weights = {name: weight for name, weight in readers.items() if not name.endswith((*SCALES, *LEFT_OUT))}
    if lost := scales.keys() - weights.keys():
        raise QilError(f"{path} has a scale without its weight {min(lost)}. Download it again.")
    return {
        name: _packed(name, weight, readers, scales.get(name), settings.get(name.removesuffix(".weight")), path)
        for name, weight in weights.items()
    }


def _weight_of(scale: str) -> str:
    """Name of the weight that belongs to a scale: both names have the same stem."""
    return scale.rpartition(".")[0] + ".weight"


def _refuse_foreign(readers: Readers, path: Path) -> None:
    for ending, what in FOREIGN.items():
        if any(name.endswith(ending) for name in readers):
            raise refused(path, what)


def refused(path: Path, what: str) -> QilError:
    """The error for a format that only ComfyUI itself may know."""
    return QilError(
        f"{path} is quantised as {what}, which cannot be read here. Use bf16, fp8 or GGUF; or load it with ComfyUI's "
        "own nodes, where those can, and give their model to the node Native Layered Model."
    )


def _settings(readers: Readers, path: Path) -> dict[str, dict[str, Any]]:
    return {
        name.removesuffix(SETTINGS): _parsed(bytes(weight().tolist()), path)
        for name, weight in readers.items()
        if name.endswith(SETTINGS) and weight.dtype == "U8"
    }


def of_header(metadata: Mapping[str, str], path: Path) -> dict[str, dict[str, Any]]:
    """What a safetensors header says about the layers that are quantised."""
    layers = _parsed(metadata.get("_quantization_metadata", "{}").encode(), path).get("layers", {})
    if not isinstance(layers, dict) or not all(isinstance(layer, dict) for layer in layers.values()):
        raise QilError(f"{path} has a damaged header: _quantization_metadata is of no known form. Download it again.")
    return layers


def _parsed(text: bytes, path: Path) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise QilError(f"{path} does not say how it is quantised ({error}). Download it again.") from error
    if not isinstance(found, dict):
        raise QilError(f"{path} does not say how it is quantised: {found!r}. Download it again.")
    return found


def _packed(
    name: str, weight: Weight, readers: Readers, scale: str | None, settings: Mapping[str, Any] | None, path: Path
) -> Weight:
    kind = str(settings["format"]) if settings and "format" in settings else ""
    if kind not in ("", "float8_e4m3fn", "float8_e5m2", *WITH_SETTINGS):
        raise refused(path, kind)
    if kind in WITH_SETTINGS:
        assert settings is not None
        second = readers.get(name.removesuffix(".weight") + SECOND_SCALE)
        found = WITH_SETTINGS[kind](weight, readers[scale] if scale else None, second, settings)
        if found is None:
            raise QilError(f"{path}: the parts of weight {name} do not fit {kind}. Download the file again.")
        return found
    if name.removesuffix(".weight") + SECOND_SCALE in readers:
        raise refused(path, "NVFP4 of another layout than ComfyUI's")
    return _fp8(name, weight, readers[scale] if scale else None, path)


# fp8: e4m3 or e5m2, with one scale, with one a row, or with none


def _fp8(name: str, weight: Weight, scale: Weight | None, path: Path) -> Weight:
    if scale is None:
        return _with(weight, (), _rounded, True) if weight.dtype in FP8 else weight
    sides = _scale_sides(weight.shape, scale.shape)
    if weight.dtype not in (*FP8, *FLOATS) or scale.dtype not in FLOATS or sides is None:
        raise QilError(
            f"{path}: weight {name} is {weight.dtype} {list(weight.shape)} with a scale {scale.dtype} "
            f"{list(scale.shape)}; only fp8 with one scale, or one a row, can be read. Use the bf16 or fp8 file."
        )
    return _with(weight, (scale,), partial(_scaled, sides=sides), by_rows=prod(sides) == 1)


def _with(weight: Weight, more: tuple[Weight, ...], unpack: Any, by_rows: bool = False, **changes: Any) -> Weight:
    """A weight that is unpacked of its own tensor and those of others. changes: of its shape and dtype."""

    def stored() -> Stored:
        return Stored(tuple(part() for part in (weight, *more)), unpack, by_rows)

    return replace(weight, stored=stored, **changes)


def _scale_sides(weight: tuple[int, ...], scale: tuple[int, ...]) -> tuple[int, ...] | None:
    """Shape in which a scale meets its weight: one number, or one a row. None for anything else, such as blocks."""
    count = prod(scale)
    if count == 1:
        return (1,) * len(weight)
    if weight and count == weight[0] == scale[0]:
        return (count,) + (1,) * (len(weight) - 1)
    return None


def _rounded(codes: Tensor) -> Tensor:
    import torch

    return codes.to(torch.bfloat16)


def _scaled(codes: Tensor, scale: Tensor, sides: tuple[int, ...]) -> Tensor:
    return _rounded(codes.float() * scale.float().reshape(sides))


# int8 with one scale or one a row, turned by ConvRot where the settings say so


def _int8(weight: Weight, scale: Weight | None, second: Weight | None, settings: Mapping[str, Any]) -> Weight | None:
    sides = _scale_sides(weight.shape, scale.shape) if scale else None
    if weight.dtype != "I8" or scale is None or scale.dtype not in FLOATS or sides is None:
        return None
    more = settings.get("params")
    named = {**(more if isinstance(more, Mapping) else {}), **settings}
    if not named.get("convrot"):
        return _with(weight, (scale,), partial(_scaled, sides=sides), dtype="INT8")
    size = named.get("convrot_groupsize", 256)
    if not isinstance(size, int) or size < 4 or 4 ** round(log(size, 4)) != size or weight.shape[-1] % size:
        return None
    return _with(weight, (scale, _table(hadamard, size)), partial(_turned_back, sides=sides), dtype="INT8")


def hadamard(size: int) -> Tensor:
    """The regular Hadamard matrix (size, size) that ConvRot turns weights by: symmetric, orthogonal; 4 ** n."""
    import torch

    four = torch.ones(4, 4) - 2 * torch.eye(4).flip(0)
    found = four
    while len(found) < size:
        found = torch.kron(found, four)
    return found / size**0.5


def _turned_back(codes: Tensor, scale: Tensor, turn: Tensor, sides: tuple[int, ...]) -> Tensor:
    """ConvRot stores W @ H for every group of inputs; H @ H is 1."""
    stored = codes.float() * scale.float().reshape(sides)
    return _rounded((stored.unflatten(-1, (-1, len(turn))) @ turn).flatten(-2))


def _table(make: Any, *given: Any) -> Weight:
    """A table that goes where the codes go."""
    return Weight((), "F32", lambda: Stored((make(*given),)))


# Blocks of weights with a scale each, the scales in tiles


def _mxfp8(weight: Weight, scale: Weight | None, second: Weight | None, settings: Mapping[str, Any]) -> Weight | None:
    if weight.dtype != "F8_E4M3" or scale is None or scale.dtype not in ("U8", "F8_E8M0"):
        return None
    if not _tiles_fit(weight.shape, scale.shape, MX_GROUP):
        return None
    return _with(weight, (scale,), _from_mxfp8, dtype="MXFP8")


def _from_mxfp8(codes: Tensor, scales: Tensor) -> Tensor:
    import torch

    groups = codes.float().unflatten(-1, (-1, MX_GROUP))
    exponents = _out_of_tiles(scales.view(torch.uint8), *groups.shape[:2]).float() - E8M0_BIAS
    return _rounded((groups * torch.exp2(exponents)[..., None]).flatten(-2))


def _nvfp4(weight: Weight, scale: Weight | None, second: Weight | None, settings: Mapping[str, Any]) -> Weight | None:
    if weight.dtype != "U8" or scale is None or second is None or scale.dtype not in ("U8", "F8_E4M3"):
        return None
    shape = (weight.shape[0], 2 * weight.shape[1]) if len(weight.shape) == 2 else ()
    if not shape or prod(second.shape) != 1 or not _tiles_fit(shape, scale.shape, NV_GROUP):
        return None
    return _with(weight, (scale, second, _table(_both_values)), _from_nvfp4, dtype="NVFP4", shape=shape)


def _both_values() -> Tensor:
    """Both values (256, 2) of every byte: the first of two weights has the high half."""
    import torch

    values = torch.tensor([*E2M1, *(-value for value in E2M1)])
    return torch.cartesian_prod(values, values)


def _from_nvfp4(codes: Tensor, scales: Tensor, scale: Tensor, pairs: Tensor) -> Tensor:
    import torch
    import torch.nn.functional as F

    groups = F.embedding(codes.int(), pairs).flatten(-2).unflatten(-1, (-1, NV_GROUP))
    factors = (
        _out_of_tiles(scales.view(torch.uint8), *groups.shape[:2]).view(torch.float8_e4m3fn).float() * scale.float()
    )
    return _rounded((groups * factors[..., None]).flatten(-2))


def _tiles_fit(weight: tuple[int, ...], scale: tuple[int, ...], group: int) -> bool:
    if len(weight) != 2 or weight[1] % group:
        return False
    rows, columns = -(-weight[0] // TILE_ROWS), -(-(weight[1] // group) // TILE_COLUMNS)
    return prod(scale) == rows * columns * TILE_ROWS * TILE_COLUMNS


def _out_of_tiles(scales: Tensor, rows: int, columns: int) -> Tensor:
    """Scales (rows, columns) of tiles, without what fills the last tiles up."""
    tiles = -(-rows // TILE_ROWS), -(-columns // TILE_COLUMNS)
    found = scales.reshape(*tiles, 32, 4, 4).permute(0, 3, 2, 1, 4)
    return found.reshape(tiles[0] * TILE_ROWS, tiles[1] * TILE_COLUMNS)[:rows, :columns]


WITH_SETTINGS = {"int8_tensorwise": _int8, "mxfp8": _mxfp8, "nvfp4": _nvfp4}
"""Formats that only a layer's settings tell, and what makes a weight of its parts; None where those do not fit."""
