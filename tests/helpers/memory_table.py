"""The table of docs/model.md that says where the true model's weights live on which machine.

python tests/helpers/memory_table.py      prints it
"""

from __future__ import annotations

from typing import Any

from torch import nn

from qil_core.checkpoints.folders import SHIPPED, read_json
from qil_core.checkpoints.gguf_codes import TYPES
from qil_core.model.machine import PIN_SHARE
from qil_core.model.modulation import is_modulation
from qil_core.model.plan import GIB, STREAMED, Free, Plan, Sizes, cached, choose

CARDS, RAM = (8, 12, 16, 24, 48), (16, 32, 64)
"""GiB."""

CARD_TAKEN, RAM_TAKEN = 0.8, 4.0
"""GiB that a desktop and CUDA itself take of a card, and the system and its programs of the RAM: a usual machine."""

FORMS = {"bf16": 2.0, "fp8": 1.0, "GGUF Q4_K": TYPES["Q4_K"].bytes / TYPES["Q4_K"].weights}
"""Forms of files, and the bytes that a weight of a linear layer takes in them; other weights are bf16."""

OTHERS = 2
"""Bytes of a weight that is none of a linear layer's."""


def true_sizes(form: str) -> Sizes:
    """Of the published model in a form of FORMS, from its configurations."""
    from diffusers import AutoencoderKLQwenImage, QwenImageTransformer2DModel
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    from qil_core.model.parts import _empty

    transformer: Any = _empty(QwenImageTransformer2DModel, read_json(SHIPPED / "transformer.json"))
    config = Qwen2_5_VLConfig(**read_json(SHIPPED / "text_encoder.json"))
    encoder: Any = _empty(Qwen2_5_VLForConditionalGeneration, {"config": config})
    vae: Any = _empty(AutoencoderKLQwenImage, read_json(SHIPPED / "vae.json"))
    blocks, layers = transformer.transformer_blocks, encoder.model.language_model.layers

    def count(module: nn.Module) -> int:
        return size(module, FORMS[form])

    block, layer = count(blocks[0]), count(layers[0])
    return Sizes(count(transformer), block, len(blocks), count(encoder), layer, len(layers), size(vae, OTHERS))


def size(module: nn.Module, linear: float) -> int:
    """Bytes of a module, without modulation, when a weight of its linear layers takes so many."""
    found = 0.0
    for name, weight in module.named_parameters(prefix="x"):
        if not is_modulation(name):
            owner = module.get_submodule(name.removeprefix("x.").rpartition(".")[0])
            packed = isinstance(owner, nn.Linear) and name.endswith("weight")
            found += (linear if packed else OTHERS) * weight.numel()
    return int(found)


def tables() -> str:
    """Markdown: what auto chooses for each form of files."""
    return "\n\n".join(table(form) for form in FORMS)


def table(form: str) -> str:
    """Cards down and RAM across."""
    need = true_sizes(form)
    head = [f"{form} files, GPU", *(f"{ram} GB RAM" for ram in RAM)]
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
    print(tables())
