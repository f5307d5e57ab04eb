"""Checkpoints of a megabyte with the true layout of the models and random weights, as diffusers folders.

Everything that decides the numbers is as in the real ones. Qwen-Image-Layered: key names, 4-channel VAE, layer-aware
RoPE, the second timestep condition, prompt templates whose prefix is 34 tokens. Qwen-Image-Edit: 3-channel VAE, the
pictures' own RoPE, zero_cond_t in 2511, a prefix of 64 tokens. Only the sizes are small.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>")
WORDS = r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
"""How Qwen2's tokenizer splits a text into words before it merges bytes."""

TRANSFORMER = {
    "patch_size": 2,
    "in_channels": 64,
    "out_channels": 16,
    "num_layers": 2,
    "attention_head_dim": 16,
    "num_attention_heads": 2,
    "joint_attention_dim": 32,
    "axes_dims_rope": (4, 6, 6),
    "use_additional_t_cond": True,
    "use_layer3d_rope": True,
}


LAYERED, EDIT, EDIT_PLUS = "QwenImageLayeredPipeline", "QwenImageEditPipeline", "QwenImageEditPlusPipeline"


def build(folder: Path, seed: int = 0) -> Path:
    """Write a whole layered checkpoint into folder, in 0.3 s; the same seed gives the same weights."""
    return _build(folder, seed, LAYERED, TRANSFORMER, 4, {"time_shift_type": "linear"})


def build_edit(folder: Path, pipeline: str = EDIT_PLUS, zero_cond_t: bool = False, seed: int = 0) -> Path:
    """The same for an edit model: EDIT is the base model's pipeline, zero_cond_t makes it 2511's."""
    transformer = {**TRANSFORMER, "use_additional_t_cond": False, "use_layer3d_rope": False, "zero_cond_t": zero_cond_t}
    return _build(folder, seed, pipeline, transformer, 3, {"time_shift_type": "exponential", "shift_terminal": 0.02})


def _build(
    folder: Path, seed: int, pipeline: str, transformer: dict[str, Any], channels: int, schedule: dict[str, Any]
) -> Path:
    from diffusers import FlowMatchEulerDiscreteScheduler, QwenImageTransformer2DModel

    torch.manual_seed(seed)
    for name in ("tokenizer", "processor"):
        build_tokenizer(folder / name, _template(pipeline))
    _image_processor().save_pretrained(folder / "processor")
    _spread(QwenImageTransformer2DModel(**transformer)).save_pretrained(folder / "transformer")
    _spread(_vae(channels)).save_pretrained(folder / "vae")
    _spread(_text_encoder(folder / "tokenizer")).save_pretrained(folder / "text_encoder")
    FlowMatchEulerDiscreteScheduler(
        base_image_seq_len=256,
        base_shift=0.5,
        max_image_seq_len=8192,
        max_shift=0.9,
        use_dynamic_shifting=True,
        **schedule,
    ).save_pretrained(folder / "scheduler")
    (folder / "model_index.json").write_text(MODEL_INDEX.replace(LAYERED, pipeline), encoding="utf-8")
    return folder


def _template(pipeline: str) -> str:
    import diffusers

    parts = ("scheduler", "vae", "text_encoder", "tokenizer", "processor", "transformer")
    return getattr(diffusers, pipeline)(**dict.fromkeys(parts)).prompt_template_encode


MODEL_INDEX = """{
  "_class_name": "QwenImageLayeredPipeline",
  "processor": ["transformers", "Qwen2VLProcessor"],
  "scheduler": ["diffusers", "FlowMatchEulerDiscreteScheduler"],
  "text_encoder": ["transformers", "Qwen2_5_VLForConditionalGeneration"],
  "tokenizer": ["transformers", "Qwen2Tokenizer"],
  "transformer": ["diffusers", "QwenImageTransformer2DModel"],
  "vae": ["diffusers", "AutoencoderKLQwenImage"]
}
"""


def _spread(module: torch.nn.Module) -> torch.nn.Module:
    """Random biases, norms and embeddings too, so that a key that is dropped or swapped shows in the numbers."""
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if parameter.ndim == 1:
                parameter.add_(0.1 * torch.randn_like(parameter))
            elif "embed" in name:
                parameter.copy_(0.3 * torch.randn_like(parameter))
    return module.eval()


def _vae(channels: int) -> torch.nn.Module:
    from diffusers import AutoencoderKLQwenImage

    return AutoencoderKLQwenImage(
        base_dim=4, z_dim=16, dim_mult=[1, 1, 1, 1], num_res_blocks=1, temperal_downsample=[False, True, True],
        input_channels=channels,
    )  # fmt: skip


def _text_encoder(tokenizer: Path) -> torch.nn.Module:
    from transformers import AutoTokenizer, Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    words = AutoTokenizer.from_pretrained(tokenizer)
    ids = {token: words.convert_tokens_to_ids(token) for token in SPECIAL}
    config = Qwen2_5_VLConfig(
        text_config={
            "vocab_size": max(400, len(words)), "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
            "num_attention_heads": 2, "num_key_value_heads": 1, "max_position_embeddings": 4096,
            "rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [2, 3, 3]},
            "bos_token_id": ids["<|endoftext|>"], "eos_token_id": ids["<|im_end|>"],
            "pad_token_id": ids["<|endoftext|>"],
        },
        vision_config={
            "depth": 2, "hidden_size": 32, "intermediate_size": 48, "num_heads": 2, "out_hidden_size": 32,
            "fullatt_block_indexes": [1], "window_size": 112,
        },
        image_token_id=ids["<|image_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
    )  # fmt: skip
    return Qwen2_5_VLForConditionalGeneration(config)


def _image_processor() -> object:
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    return Qwen2VLImageProcessorPil(min_pixels=56 * 56, max_pixels=112 * 112)


def build_tokenizer(folder: Path, template: str) -> None:
    """A byte-level BPE tokenizer trained on a pipeline's own template: its prefix has as many tokens as in Qwen's."""
    import re

    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    split = pre_tokenizers.Split(Regex(WORDS), "isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=1000, special_tokens=list(SPECIAL), initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    texts = re.split("|".join(map(re.escape, SPECIAL)), template)
    tokenizer.train_from_iterator([text for text in texts if text] * 3, trainer)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token=SPECIAL[0], eos_token=SPECIAL[2], additional_special_tokens=list(SPECIAL)
    ).save_pretrained(folder)


# What the stock edit pipelines need here


class Placing:
    """The text encoder as transformers 4 had it: it finds out by itself where pictures are.

    The stock pipelines do not tell transformers 5, which then takes patches for words (diffusers issue 14194).
    """

    def __init__(self, encoder: Any) -> None:
        self.encoder, self.dtype = encoder, encoder.dtype

    def __call__(self, input_ids: torch.Tensor, **more: Any) -> Any:
        types = (input_ids == self.encoder.config.image_token_id).int()
        return self.encoder(input_ids=input_ids, mm_token_type_ids=types, **more)


def processor(tokenizer: Any, image_processor: Any) -> Any:
    """The stock processor without its part for videos, which needs torchvision."""
    from transformers import Qwen2VLProcessor

    class Pictures(Qwen2VLProcessor):
        def __init__(self) -> None:
            self.image_processor, self.tokenizer, self.video_processor = image_processor, tokenizer, None
            self.image_token, self.video_token, self.video_token_id = "<|image_pad|>", "<|video_pad|>", None
            self.image_token_id = tokenizer.convert_tokens_to_ids(self.image_token)
            self.chat_template = None

        @classmethod
        def get_attributes(cls) -> list[str]:
            return ["image_processor", "tokenizer"]

    return Pictures()
