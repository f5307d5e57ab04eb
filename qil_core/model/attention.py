"""Joint attention of a block, its rotary embedding complex or real.

Both are the same numbers, (a + ib)(cos + i sin). Complex is faster as it is; only the real form can be compiled, since
Inductor generates no code for complex values.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..errors import QilError
from .devices import has_complex
from .machine import HOST

DEFAULT = "default"
"""The backend that diffusers takes when none is chosen."""

LOSSY_BACKENDS = ("sage", "_sage")
"""How the names of backends begin that compute in fewer bits than the model has."""


def rotary(
    transformer: Any, shapes: list[tuple[int, int, int]], text: int, device: torch.device, real: bool = False
) -> Tensor:
    """Table of the joint sequence S, for `text` prompt tokens first and the latent grids `shapes`, the condition last.

    shapes: (frames, rows, columns). Complex64 (S, 1, head / 2), or as float32 (S, 1, head / 2, 2), which is also what
    a device gets that has no complex numbers.
    """
    image, words = transformer.pos_embed([shapes], max_txt_seq_len=text, device=HOST)
    joint = torch.cat([words, image])[:, None]
    return (torch.view_as_real(joint) if real or not has_complex(device) else joint).to(device)


def rotate(x: Tensor, table: Tensor) -> Tensor:
    """x (B, S, heads, head) turned pair by pair, in float32, by a table of `rotary`."""
    pairs = x.float().unflatten(-1, (-1, 2))
    if table.is_complex():
        return torch.view_as_real(torch.view_as_complex(pairs) * table).flatten(3).type_as(x)
    (a, b), (cos, sin) = pairs.unbind(-1), table.unbind(-1)
    return torch.stack([a * cos - b * sin, a * sin + b * cos], -1).flatten(3).type_as(x)


class JointAttention:
    """Attention processor for QwenImageTransformerBlock; image_rotary_emb is a table of the joint sequence."""

    _attention_backend = None  # set by diffusers' set_attention_backend, which checks that it is there
    _parallel_config = None

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor,
        encoder_hidden_states_mask: None = None,
        attention_mask: None = None,
        image_rotary_emb: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        from diffusers.models.attention_dispatch import dispatch_attention_fn

        assert image_rotary_emb is not None
        head = attn.inner_dim // attn.heads
        text, image = encoder_hidden_states, hidden_states

        def heads(x: Tensor) -> Tensor:
            return x.unflatten(-1, (-1, head))

        query = torch.cat([attn.norm_added_q(heads(attn.add_q_proj(text))), attn.norm_q(heads(attn.to_q(image)))], 1)
        key = torch.cat([attn.norm_added_k(heads(attn.add_k_proj(text))), attn.norm_k(heads(attn.to_k(image)))], 1)
        value = torch.cat([heads(attn.add_v_proj(text)), heads(attn.to_v(image))], 1)
        query, key = rotate(query, image_rotary_emb), rotate(key, image_rotary_emb)
        mixed = dispatch_attention_fn(query, key, value, backend=self._attention_backend).flatten(2, 3)
        words = text.shape[1]
        return attn.to_out[0](mixed[:, words:].contiguous()), attn.to_add_out(mixed[:, :words].contiguous())


def use_backend(transformer: Any, name: str, device: torch.device) -> None:
    """Compute this transformer's attention with a backend of diffusers, which is tried once on the device.

    Raises QilError when it cannot be used here; the transformer is then as it was. diffusers' set_attention_backend
    also makes it the default of every model in the process; leaving the context puts the default that was there back.
    """
    from diffusers.models.attention_dispatch import attention_backend

    if HUB in name.lower():  # diffusers does not mind capitals
        raise QilError(_DOWNLOADS.format(name))
    processors = [block.attn.processor for block in transformer.transformer_blocks]
    before = [processor._attention_backend for processor in processors]
    try:
        with attention_backend("native"):
            transformer.set_attention_backend(name)
        _try(transformer, device)
    except Exception as error:  # backends are many packages, each with errors of its own
        for processor, backend in zip(processors, before, strict=True):
            processor._attention_backend = backend
        raise QilError(f'The attention backend "{name}" cannot be used here: {error}') from None


HUB = "hub"
"""In the names of diffusers' backends that are downloaded when they are chosen."""

_DOWNLOADS = (
    'The attention backend "{}" would be downloaded as a program and run. A graph that somebody else made must not do '
    "that, so it is not done here. Install a package and choose its backend: flash (flash-attn), _flash_3 "
    "(FlashAttention 3, built from source), sage (sageattention), xformers; _native_cudnn needs no package."
)

TRIAL_TOKENS = 128
"""Of the attention that is computed to see whether a backend works on a device."""


def _try(transformer: Any, device: torch.device) -> None:
    """Attention of the blocks' own width and type, over zeros. Raises whatever the backend does."""
    from diffusers.models.attention_dispatch import dispatch_attention_fn

    config = transformer.config
    x = torch.zeros(
        1, TRIAL_TOKENS, config.num_attention_heads, config.attention_head_dim,
        dtype=transformer.txt_norm.weight.dtype, device=device,
    )  # fmt: skip
    dispatch_attention_fn(x, x, x, backend=transformer.transformer_blocks[0].attn.processor._attention_backend)


def use_joint_attention(transformer: Any) -> None:
    """Give every block our processor."""
    for block in transformer.transformer_blocks:
        block.attn.set_processor(JointAttention())


class Tuning:
    """How a transformer computes: the attention backend by diffusers' name, and whether its blocks are compiled."""

    def __init__(self, transformer: Any, device: torch.device) -> None:
        self._transformer, self._device = transformer, device
        self._attention, self._compiled = DEFAULT, False
        use_joint_attention(transformer)

    def use(self, attention: str, compiled: bool) -> None:
        """Change what is different from now. Raises QilError when the backend is not installed or not known."""
        if attention != self._attention:
            if attention == DEFAULT:
                use_joint_attention(self._transformer)
            else:
                use_backend(self._transformer, attention, self._device)
            self._attention = attention
        if compiled and not self._compiled:
            # tokens of pictures and prompts and the rows of the tables vary from call to call
            self._transformer.compile_repeated_blocks(fullgraph=True, dynamic=True)
        if self._compiled and not compiled:
            for module in self._transformer.modules():
                module._compiled_call_impl = None  # as nn.Module has it before compile()
        self._compiled = compiled
