"""A third of the transformer as a small table.

The modulation layers (img_mod and txt_mod of every block) see nothing but the timestep, so for a given schedule their
outputs are a table of steps x 2 x blocks rows: 221 MB instead of 13.6 GB at 50 steps. Each row comes from the very
operation that the layer would have done, one timestep at a time, so it is the same to the bit. Where conditions are
modulated as at time 0 (zero_cond_t), the image stream has two rows a step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

STREAMS = ("img_mod", "txt_mod")
"""Of the image tokens and of the text tokens, which only know the timestep itself."""

Reader = Callable[[str], Tensor]
"""Gives a weight by its name in the diffusers layout, on any device."""


class Step:
    """Which row of the tables counts now; one object for all blocks. A tensor, so that a compiled block stays valid."""

    def __init__(self, device: torch.device) -> None:
        self.now = torch.zeros(1, dtype=torch.long, device=device)


class StoredModulation(nn.Module):
    """Stands in for a modulation layer: gives the row of the current step, whatever it is asked."""

    def __init__(self, rows: Tensor, step: Step) -> None:
        """rows: (steps, batch, 6 * width)."""
        super().__init__()
        self.rows = rows
        self._step = step

    def forward(self, temb: Tensor) -> Tensor:
        return self.rows.index_select(0, self._step.now)[0]


def is_modulation(name: str) -> bool:
    """Whether a weight of this name belongs to a modulation layer of a block."""
    return any(f".{stream}.1." in name for stream in STREAMS)


def move_tables(transformer: nn.Module, device: torch.device) -> None:
    """Tables to a device; they are no parameters, so that nothing else moves them."""
    for module in transformer.modules():
        if isinstance(module, StoredModulation):
            module.rows = module.rows.to(device)


def weigh_tables(transformer: nn.Module) -> int:
    """Bytes of all tables."""
    return sum(m.rows.numel() * m.rows.element_size() for m in transformer.modules() if isinstance(m, StoredModulation))


def install(
    transformer: Any, read: Reader, conditions: Sequence[Tensor], step: Step, each: Callable[[int], None]
) -> None:
    """Replace every block's modulation layers by tables for these conditions.

    conditions: time embeddings (1, width), or (2, width) with time 0 as the second, one a step. each(i) is called after
    block i; it may raise to stop the work.
    """
    seen = dict(zip(STREAMS, (conditions, [condition[:1] for condition in conditions]), strict=True))
    for i, block in enumerate(transformer.transformer_blocks):
        for stream in STREAMS:
            weight, bias = (read(f"transformer_blocks.{i}.{stream}.1.{part}") for part in ("weight", "bias"))
            setattr(block, stream, StoredModulation(_rows(weight, bias, seen[stream]), step))
        each(i)


def _rows(weight: Tensor, bias: Tensor, conditions: Sequence[Tensor]) -> Tensor:
    weight, bias = weight.to(conditions[0]), bias.to(conditions[0])
    return torch.stack([F.linear(F.silu(condition), weight, bias) for condition in conditions])
