"""Where the files of a model that runs here come from, and how it runs: the options of its loader."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ..options import Option
from .plan import MODES

FOLDER, FILES, DOWNLOAD = "diffusers folder", "ComfyUI files", "download"
ATTENTION = ("default", "_native_cudnn", "flash", "_flash_3", "sage", "xformers")


class Wanted(NamedTuple):
    """A kind of model that runs here, in the words of its loader.

    repository: where it is downloaded from; its last part is the name of its folder. size: of the download.
    transformer, vae: what their files are called. advice: what goes where, for somebody who has no weights yet.
    rest: the repository from which what the other one lacks is downloaded, where it has no more than a transformer.
    """

    repository: str
    size: str
    transformer: str
    vae: str
    advice: str
    rest: str = ""


def sources(wanted: Wanted, more: Sequence[Option] = ()) -> dict[str, tuple[Option, ...]]:
    """The options of each source of such a model. more: options of that kind of model alone."""
    common = (*more, *runtime_options())
    return {
        FOLDER: (folder_option(wanted), *common),
        FILES: (*file_options(wanted), *common),
        DOWNLOAD: (*download_options(wanted), *common, revision_option()),
    }


def folder_option(wanted: Wanted) -> Option:
    tooltip = (
        "A folder in models/diffusers, or the path of one, with transformer, text_encoder, vae and tokenizer in it."
    )
    return Option("folder", wanted.repository.rpartition("/")[2], tooltip)


def file_options(wanted: Wanted) -> tuple[Option, ...]:
    text_encoder = "qwen_2.5_vl_7b, bf16, fp8_scaled or GGUF (its mmproj file beside it), in models/text_encoders."
    return (
        Option("transformer", "", f"{wanted.transformer}, in models/diffusion_models.", files="diffusion_models"),
        Option("text_encoder", "", text_encoder, files="text_encoders"),
        Option("vae", "", f"{wanted.vae}, in models/vae.", files="vae"),
    )


def download_options(wanted: Wanted) -> tuple[Option, ...]:
    tooltip = f"Repository id: owner/name. About {wanted.size} go to models/diffusers/owner/name unless they are there."
    return (
        Option("repository", wanted.repository, tooltip),
        Option("from", "huggingface", "Where the repository is.", choices=("huggingface", "modelscope")),
    )


def revision_option() -> Option:
    """The last one, and optional: graphs from before it was there stay valid."""
    tooltip = "A branch, tag or commit of the repository, in a folder of its own. Empty: the main one."
    return Option("revision", "", tooltip, optional=True, advanced=True)


def runtime_options() -> tuple[Option, ...]:
    loras = "LoRAs from models/loras, one a line, with a strength: my_lora.safetensors 0.8"
    memory = (
        "auto: the first lossless mode that fits the free memory, from all on the GPU to streamed from the file, which "
        "needs about 6 GB and little RAM; the report says what was chosen and why. Another choice loads nothing anew. "
        "Storage in fp8, int8 or nf4 (4 bits) is lossy; files in fp8, int8 or GGUF keep their own in every mode."
    )
    attention = (
        "default: what torch takes. _native_cudnn (NVIDIA), flash (package flash-attn), _flash_3 (FlashAttention 3, "
        "built from source, for H100 and the like) and xformers compute the same but for rounding; which is fastest "
        "depends on the GPU. sage (package sageattention) is lossy: 8 bits. One that cannot be used here is refused "
        "when the model is loaded; none is ever downloaded."
    )
    compiled = "Compile the transformer's blocks: faster steps after a first run that takes minutes longer."
    cached = (
        "Lossy when above 0: a step whose first block does nearly what it did before reuses the work of the others. "
        "0.1 skips about half of the steps; 0 computes all."
    )
    return (
        Option("loras", "", loras, multiline=True),
        Option("memory", MODES[0], memory, choices=tuple(MODES)),
        Option("attention", ATTENTION[0], attention, choices=ATTENTION),
        Option("compile", False, compiled),
        Option("first_block_cache", 0.0, cached, step=0.01, advanced=True),
    )
