"""The table of docs/model.md that says where the true model's weights live on which machine.

python tests/helpers/memory_table.py      prints it
"""

from __future__ import annotations

from typing import Any

from torch import nn

from qil_core.checkpoints.folders import SHIPPED, read_json
from qil_core.model.machine import PIN_SHARE
from qil_core.model.modulation import is_modulation
from qil_core.model.plan import GIB, STREAMED, Free, Plan, Sizes, cached, choose

CARDS, RAM = (8, 12, 16, 24, 48), (16, 32, 64)
"""GiB."""

CARD_TAKEN, RAM_TAKEN = 0.8, 4.0
"""GiB that a desktop and CUDA itself take of a card, and the system and its programs of the RAM: a usual machine."""

BYTES = 2
"""Of a weight in bf16."""


def true_sizes() -> Sizes:
    """Of the published model in bf16, from its configurations."""
    from diffusers import AutoencoderKLQwenImage, QwenImageTransformer2DModel
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    from qil_core.model.parts import _empty

    transformer: Any = _empty(QwenImageTransformer2DModel, read_json(SHIPPED / "transformer.json"))
    config = Qwen2_5_VLConfig(**read_json(SHIPPED / "text_encoder.json"))
    encoder: Any = _empty(Qwen2_5_VLForConditionalGeneration, {"config": config})
    vae: Any = _empty(AutoencoderKLQwenImage, read_json(SHIPPED / "vae.json"))
    blocks, layers = transformer.transformer_blocks, encoder.model.language_model.layers
    return Sizes(
        count(transformer), count(blocks[0]), len(blocks), count(encoder), count(layers[0]), len(layers), count(vae)
    )


def count(module: nn.Module) -> int:
    """Bytes of a module in bf16, without modulation."""
    weights = module.named_parameters(prefix="x")
    return BYTES * sum(weight.numel() for name, weight in weights if not is_modulation(name))


def table(need: Sizes) -> str:
    """Markdown: what auto chooses, cards down and RAM across."""
    head = ["GPU", *(f"{ram} GB RAM" for ram in RAM)]
    rows = [[f"{card} GB", *(cell(card, ram, need) for ram in RAM)] for card in CARDS]
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *rows])


def cell(card: int, ram: int, need: Sizes) -> str:
    """One machine's plan."""
    left = int((ram - RAM_TAKEN) * GIB)
    free = Free(int((card - CARD_TAKEN) * GIB), left, int(PIN_SHARE * left))
    return told(choose("auto", free, need), free, need)


def told(plan: Plan, free: Free, need: Sizes) -> str:
    """A plan in the words of the table."""
    if plan.mode != STREAMED:
        return plan.mode
    files = need.blocks - plan.resident - plan.pinned
    mark = "" if cached(plan, free, need) else " (disk)"
    return f"{plan.resident} + {plan.pinned} + {files}{mark}, words {plan.words}"


if __name__ == "__main__":
    print(table(true_sizes()))
