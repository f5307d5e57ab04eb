"""Where weights are to live: one choice, `memory`, made for what is free on the device and in the host's memory.

auto takes the first of the lossless modes that fits the device's free memory. Streaming keeps as many blocks on the
device as there is room for, and as many of the others in pinned memory as the host can spare; what remains is read
from the mapped file each time, which costs no memory of its own. Storage in fewer bits is lossy, so it is only used
when it is asked for.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from torch import nn

from ..errors import QilError
from .machine import UNLIMITED
from .storage import FORMATS, packed_size
from .streaming import SLOTS, STAGES, weights

ALL, LEAVES, STREAMED = "all on the GPU", "text encoder leaves", "streamed"
LOSSLESS = (ALL, LEAVES, STREAMED)
LOSSY = {f"{name} storage (lossy)": name for name in FORMATS}
MODES = ("auto", *LOSSLESS, *LOSSY)
GIB = 1 << 30

WORDS_FORMAT = "fp8"
"""Of the text encoder in every lossy mode: 8.3 of 16.6 GB, so that on a 16 GB card it comes whole, and a caption moves
no weights from word to word."""

WORKING = 3 * GIB // 2
"""Bytes kept free on the device for what does not grow with the tokens: the VAE, which works on one picture at a time,
the text encoder at work, the modulation table, and unpacked weights."""

WORKING_A_TOKEN = 107_000
"""Bytes of activations a token of the transformer, in bf16: with WORKING, 2.5 GiB for the 10 112 tokens of 640 px with
4 layers, and 4 GiB for the 25 088 of 1024 px."""

USUAL_TOKENS = 10_112
"""Of 640 px with 4 layers: 5 generated frames and the picture, 1600 tokens each, and 512 of the prompt."""


@dataclass(frozen=True)
class Sizes:
    """Bytes of weights. transformer: without modulation layers. block: one transformer block; layer: of the encoder.

    packed_words: the text encoder in the bits that it has in the lossy modes.
    """

    transformer: int
    block: int
    blocks: int
    text_encoder: int
    layer: int
    layers: int
    vae: int
    packed_words: int = 0


@dataclass(frozen=True)
class Free:
    """Bytes that are free: on the device, in the host's memory, and how many of those may be pinned.

    unified: the device's memory is part of the host's.
    """

    device: int
    ram: int = UNLIMITED
    pinnable: int = 0
    unified: bool = False


@dataclass(frozen=True)
class Plan:
    """mode: one of MODES but auto. resident: transformer blocks that stay on the device while it works.

    pinned: blocks that stay in pinned host memory. words: layers of the text encoder that stay on the device while it
    works; all of them: it comes whole, in fewer bits in the lossy modes. leaves: whether the text encoder is away while
    the transformer works, and the other way round. why: for people; plans that differ in it alone are equal.
    """

    mode: str
    resident: int
    words: int
    pinned: int = 0
    leaves: bool = True
    why: str = field(default="", compare=False)

    def __str__(self) -> str:
        return self.mode


def sizes(transformer: Any, text_encoder: Any, vae: nn.Module, form: str | None = None) -> Sizes:
    """Measure modules; weights that are still on the meta device (modulation) do not count.

    form: of FORMATS, in which the transformer's blocks are to be stored.
    """
    blocks, layers = transformer.transformer_blocks, text_encoder.model.language_model.layers
    block = packed_size(blocks[0], FORMATS[form]) if form else weigh(blocks[0])
    others = weigh(transformer) - weigh(blocks)
    packed_words = packed_size(text_encoder, FORMATS[WORDS_FORMAT])
    words, layer = weigh(text_encoder), weigh(layers[0])
    return Sizes(others + block * len(blocks), block, len(blocks), words, layer, len(layers), weigh(vae), packed_words)


def weigh(module: nn.Module) -> int:
    """Bytes of a module's weights."""
    return sum(tensor.nbytes for tensor in weights(module) if not tensor.is_meta)


def working(tokens: int) -> int:
    """Bytes of device memory that a call with so many tokens takes beside the weights."""
    return WORKING + WORKING_A_TOKEN * tokens


def choose(mode: str, free: Free, need: Sizes, tokens: int = USUAL_TOKENS) -> Plan:
    """The plan for a mode; auto takes the first lossless one that fits. Raises QilError: unknown mode."""
    check_mode(mode)
    asked, beside = mode, working(tokens)
    if mode == "auto":
        mode = next((m for m in LOSSLESS if peak(m, need, beside) <= free.device), STREAMED)
    if mode in (ALL, LEAVES):
        why = _why_whole(asked, free, need, beside)
        return Plan(mode, need.blocks, need.layers, leaves=mode == LEAVES, why=why)
    if mode in LOSSY:
        return _lossy(mode, free, replace(need, text_encoder=need.packed_words), need, beside)
    words = _words_that_stay(free, need)
    resident = _fitting(
        free.device - beside - need.vae - (need.transformer - need.block * need.blocks), need.block, need.blocks
    )
    pinned = min(need.blocks - resident, max(0, free.pinnable // need.block - STAGES))
    plan = Plan(STREAMED, resident, words, pinned)
    return replace(plan, why=_why_streamed(plan, free, need))


def _lossy(mode: str, free: Free, packed: Sizes, need: Sizes, beside: int) -> Plan:
    whole = need.packed_words + need.vae + WORKING <= free.device
    words = need.layers if whole else _words_that_stay(free, need)
    return Plan(mode, need.blocks, words, leaves=not whole or peak(ALL, packed, beside) > free.device)


def check_mode(mode: str) -> None:
    """QilError unless it is one of MODES."""
    if mode not in MODES:
        raise QilError(f'Unknown memory mode "{mode}". Use one of: {", ".join(MODES)}.')


def smaller(plan: Plan) -> Plan | None:
    """The next plan that needs less memory; None when there is none."""
    if plan.mode == ALL:
        return replace(plan, mode=LEAVES, leaves=True)
    least = replace(plan, words=0, leaves=True) if plan.mode in LOSSY else Plan(STREAMED, 0, 0, plan.pinned)
    return None if plan == least else least


def peak(mode: str, need: Sizes, beside: int) -> int:
    """Bytes of device memory that a mode takes at the most, of which `beside` for working."""
    if mode == ALL:
        return need.transformer + need.text_encoder + need.vae + beside
    return max(need.transformer + beside, need.text_encoder + WORKING) + need.vae


def _words_that_stay(free: Free, need: Sizes) -> int:
    """Layers of the text encoder that fit on the device while the transformer is away; all where it fits whole."""
    room = free.device - WORKING - need.vae - (need.text_encoder - need.layer * need.layers)
    return need.layers if room >= need.layer * need.layers else _fitting(room, need.layer, need.layers)


def _fitting(room: int, size: int, count: int) -> int:
    """How many of `count` pieces stay where others travel through slots beside them."""
    return max(0, min(count - 1, room // size - SLOTS))


# For people


def gib(size: float) -> str:
    """Bytes as people read them."""
    return f"{size / GIB:.1f} GiB"


def _why_whole(asked: str, free: Free, need: Sizes, beside: int) -> str:
    if asked != "auto" or free.device >= UNLIMITED:
        return ""
    return f"Of {gib(free.device)} free on the GPU, all on the GPU takes {gib(peak(ALL, need, beside))}, " + (
        f"text encoder leaves {gib(peak(LEAVES, need, beside))}."
    )


def _why_streamed(plan: Plan, free: Free, need: Sizes) -> str:
    """Where each block is, and what the disk has to do in every step."""
    if free.device >= UNLIMITED:
        return ""
    files = need.blocks - plan.resident - plan.pinned
    where = f"{plan.resident} of {need.blocks} blocks stay on the GPU, {plan.pinned} in pinned memory"
    text = f"Of {gib(free.device)} free on the GPU and {gib(free.ram)} of RAM: {where}"
    if not files:
        return f"{text}."
    text += f", {files} are read from the file in every step ({gib(files * need.block)})"
    if cached(plan, free, need):
        return f"{text}, which stays in RAM."
    return f"{text}, from the disk: RAM does not hold them. A smaller file, such as fp8 or GGUF, would be faster."


def cached(plan: Plan, free: Free, need: Sizes) -> bool:
    """Whether the host's memory holds the blocks that are read from the file in every step, beside the pinned ones."""
    ram = free.ram - (plan.resident * need.block if free.unified else 0)
    return (need.blocks - plan.resident) * need.block + STAGES * need.block <= ram
