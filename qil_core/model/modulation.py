"""A third of the transformer as a small table.

The modulation layers (img_mod and txt_mod of every block) see nothing but the timestep, so for a given schedule their
outputs are a table of steps x 2 x blocks rows: 221 MB instead of 13.6 GB at 50 steps. Each row comes from the very
operation that the layer would have done, one timestep at a time, so it is the same to the bit. Where conditions are
modulated as at time 0 (zero_cond_t), the image stream has two rows a step.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .storage import whole_weight

STREAMS = ("img_mod", "txt_mod")
"""Of the image tokens and of the text tokens, which only know the timestep itself."""

KEPT_BYTES = 1 << 30
"""Host memory of the tables that are kept: of 4 schedules with 50 steps, or 11 with 20."""

Table = list[dict[str, Tensor]]
"""Of every block, by stream: rows (steps, batch, 6 * width)."""


class Step:
    """Which row of the tables counts now; one object for all blocks. A tensor, so that a compiled block stays valid."""

    def __init__(self, device: torch.device) -> None:
        self.now = torch.zeros(1, dtype=torch.long, device=device)


class StoredModulation(nn.Module):
    """Stands in for a modulation layer: gives the row of the current step, whatever it is asked."""

    def __init__(self, step: Step) -> None:
        super().__init__()
        self.rows = torch.empty(0)  # (steps, batch, 6 * width) once a table is in use
        self._step = step

    def forward(self, temb: Tensor) -> Tensor:
        return self.rows.index_select(0, self._step.now)[0]


class Modulation:
    """The modulation layers of a transformer, taken out of it, and the tables that stand in for them.

    layers: by block, a module of both streams' layers, their weights as they are stored. computed: how many blocks'
    rows have been worked out so far.
    """

    def __init__(self, transformer: Any) -> None:
        blocks = list(transformer.transformer_blocks)
        self.layers = [nn.ModuleDict({name: getattr(block, name) for name in STREAMS}) for block in blocks]
        self.step = Step(torch.device("cpu"))
        self.computed = 0
        self._tables: OrderedDict[str, Table] = OrderedDict()
        self._places = [{name: StoredModulation(self.step) for name in STREAMS} for _ in blocks]
        for block, places in zip(blocks, self._places, strict=True):
            for name, place in places.items():
                setattr(block, name, place)

    def knows(self, key: str) -> bool:
        """Whether there is a table of this schedule."""
        return key in self._tables

    def make(
        self, key: str, layers: Iterable[nn.Module], conditions: Sequence[Tensor], each: Callable[[int], None]
    ) -> None:
        """Work the table of a schedule out, and keep it under a name.

        layers: as `layers`, each on the device of the conditions when its turn comes. conditions: time embeddings
        (1, width), or (2, width) with time 0 as the second, one a step. each(i) is called after block i; it may raise.
        """
        seen = dict(zip(STREAMS, (conditions, [condition[:1] for condition in conditions]), strict=True))
        table: Table = []
        for i, pair in enumerate(layers):
            table.append({name: _rows(pair[name][1], seen[name]).cpu() for name in STREAMS})  # type: ignore[index]
            self.computed += 1
            each(i)
        self._tables[key] = table
        while len(self._tables) > 1 and sum(map(_weigh, self._tables.values())) > KEPT_BYTES:
            self._tables.popitem(last=False)

    def use(self, key: str, device: torch.device) -> None:
        """Let the blocks look things up in a table that is known, on this device."""
        self._tables.move_to_end(key)
        for places, rows in zip(self._places, self._tables[key], strict=True):
            for name, place in places.items():
                place.rows = rows[name].to(device)
        self.step.now = self.step.now.to(device)

    def leave(self) -> None:
        """Nothing of it is on a device any more."""
        for places in self._places:
            for place in places.values():
                place.rows = torch.empty(0)


def _weigh(table: Table) -> int:
    return sum(rows.nbytes for pair in table for rows in pair.values())


def is_modulation(name: str) -> bool:
    """Whether a weight of this name belongs to a modulation layer of a block."""
    return any(f".{stream}.1." in name for stream in STREAMS)


def _rows(linear: Any, conditions: Sequence[Tensor]) -> Tensor:
    weight, bias = whole_weight(linear, conditions[0].dtype), linear.bias
    return torch.stack([F.linear(F.silu(condition), weight, bias) for condition in conditions])
