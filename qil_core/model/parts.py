"""The pieces of a model's pipeline, built empty and then filled one weight at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..checkpoints.folders import MMPROJ, Files
from ..checkpoints.layouts import text_encoder_names, vae_names, vision_names
from ..checkpoints.lora import apply, open_lora
from ..checkpoints.readers import open_readers
from ..checkpoints.recognize import Kind, expect
from ..checkpoints.stored import NO_FLOATS, Readers, Stored
from ..errors import QilError
from ..progress import Progress, part, silent
from .models import CONTROL, LAYERED, Model, check_layered_name, edition_of

TRANSFORMER_READ = 0.6
"""Share of the progress at which the transformer is loaded: without modulation it has 27 of all 44 GB."""

TEXT_ENCODER_READ = 0.95
"""Share of the progress at which the text encoder is loaded too."""

VISUAL = "model.visual."
"""How the names of the text encoder's vision part begin."""

NAMED = 4
"""Weights that an error message names, at the most."""

if TYPE_CHECKING:
    import torch
    from torch import nn

    from .modulation import Modulation


@dataclass(frozen=True, eq=False)
class Parts:
    """A pipeline's pieces, on the CPU, in evaluation mode, their weights in the mapped files as they are stored.

    model: what they make up. transformer: its modulation layers are in `modulation`. vae: for single frames (see
    vae.py). notes: what a user should know. files: what they were loaded from.
    """

    model: Model
    transformer: Any
    modulation: Modulation
    vae: Any
    text_encoder: Any
    tokenizer: Any
    image_processor: Any
    scheduler: Any
    can_caption: bool
    notes: tuple[str, ...] = ()
    files: Files | None = None


def load(files: Files, dtype: torch.dtype, progress: Progress = silent, models: Sequence[Model] = (LAYERED,)) -> Parts:
    """Open, recognise and compare all files; only then read weights. progress may raise to stop.

    models: what the files may be: (LAYERED,), (CONTROL,), one edition of Qwen-Image-Edit, or models.EDITIONS to find
    out which.
    Raises QilError that names the file for anything missing, broken, of another kind or of other sizes.
    """
    from .modulation import Modulation
    from .vae import for_single_frames

    transformer, model = _transformer(files, models)
    vae = _vae(files, model)
    text_encoder = _text_encoder(files, model)
    tokenizer, scheduler = load_tokenizer(files.tokenizer), load_scheduler(files, model)
    image_processor = load_image_processor(files)
    _fill(transformer, dtype, part(progress, 0, TRANSFORMER_READ), "Loading the transformer")
    _fill(text_encoder, dtype, part(progress, TRANSFORMER_READ, TEXT_ENCODER_READ), "Loading the text encoder")
    _fill(vae, dtype, part(progress, TEXT_ENCODER_READ, 1), "Loading the VAE")
    return Parts(
        model=model,
        transformer=transformer.module,
        modulation=Modulation(transformer.module),
        vae=for_single_frames(vae.module),
        text_encoder=text_encoder.module,
        tokenizer=tokenizer,
        image_processor=image_processor,
        scheduler=scheduler,
        can_caption=model is LAYERED and not text_encoder.notes,
        notes=(*transformer.notes, *text_encoder.notes),
        files=files,
    )


@dataclass(frozen=True, eq=False)
class _Opened:
    """A module without weights, and where its weights are."""

    module: nn.Module
    readers: Readers
    notes: tuple[str, ...] = ()


def _fill(opened: _Opened, dtype: torch.dtype, progress: Progress, what: str) -> None:
    fill(opened.module, opened.readers, dtype, lambda done: progress(done, what))


# The three networks


def _transformer(files: Files, models: Sequence[Model]) -> tuple[_Opened, Model]:
    from diffusers import QwenImageTransformer2DModel

    readers = open_readers(files.transformer)
    expect(readers, models[0].transformer, files.transformer)
    model = models[0] if len(models) == 1 else edition_of(files.transformer, readers)
    check_layered_name(files.transformer, model)
    loras = [(open_lora(path, readers), strength) for path, strength in files.loras]
    module = _empty(QwenImageTransformer2DModel, files.config("transformer", model.settings))
    check(module, readers, files.transformer)
    return _Opened(module, apply(readers, loras), tuple(lora.note for lora, _ in loras)), model


def _vae(files: Files, model: Model) -> _Opened:
    from diffusers import AutoencoderKLQwenImage

    readers = open_readers(files.vae)
    expect(readers, model.vae, files.vae)
    module = _empty(AutoencoderKLQwenImage, files.config("vae", model.settings))
    readers = vae_names(readers)
    check(module, readers, files.vae)
    return _Opened(module, readers)


def _text_encoder(files: Files, model: Model) -> _Opened:
    from transformers import GenerationConfig, Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    readers = open_readers(files.text_encoder)
    expect(readers, Kind.TEXT_ENCODER, files.text_encoder)
    config = Qwen2_5_VLConfig(**files.config("text_encoder", model.settings))
    module: Any = _empty(Qwen2_5_VLForConditionalGeneration, {"config": config})
    wanted = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    readers = _with_eyes(text_encoder_names(readers, wanted), files, wanted)
    module.generation_config = GenerationConfig(**files.generation_config())
    adapted = _words_alone if model is CONTROL else _without_speech if model.sight else _without_caption
    notes = adapted(module, readers, files.text_encoder)
    check(module, readers, files.text_encoder)
    return _Opened(module, readers, notes)


def _with_eyes(readers: Readers, files: Files, wanted: Mapping[str, tuple[int, ...]]) -> Readers:
    """A GGUF text encoder with its vision part, from the first mmproj file beside it that has all of its weights."""
    if _sees(readers):
        return readers
    seeing = [name for name in wanted if name.startswith(VISUAL)]
    for beside in files.mmproj:
        eyes = text_encoder_names(vision_names(open_readers(beside)), wanted)
        if all(name in eyes and eyes[name].shape == wanted[name] for name in seeing):
            return readers | {name: eyes[name] for name in seeing}
    return readers


def _without_speech(module: Any, readers: Readers, path: Path) -> tuple[str, ...]:
    """Drop what only writes words, a gigabyte. Raises QilError where the file cannot see."""
    from torch import nn

    if not _sees(readers):
        raise QilError(
            f"{path} lacks the vision part, with which an edit model looks at the pictures. Use a complete file, such "
            f"as qwen_2.5_vl_7b_fp8_scaled.safetensors, in models/text_encoders.{_advice(path)}"
        )
    module.lm_head = nn.Identity()
    return ()


def _words_alone(module: Any, readers: Readers, path: Path) -> tuple[str, ...]:
    """Drop what looks at pictures and what writes words, 2.4 GB: this model only has prompts read."""
    from torch import nn

    module.model.visual, module.lm_head = None, nn.Identity()
    return ()


def _sees(readers: Readers) -> bool:
    return any(name.startswith(VISUAL) for name in readers)


def _advice(path: Path) -> str:
    return f" Its {MMPROJ} file (.gguf) is used when it lies beside it." if path.suffix.lower() == ".gguf" else ""


def _without_caption(module: Any, readers: Readers, path: Path) -> tuple[str, ...]:
    """Drop what only captions need where the file has none of it, and say so."""
    from torch import nn

    sees = _sees(readers)
    speaks = "lm_head.weight" in readers
    if not sees:
        module.model.visual = None
    if not speaks:
        module.lm_head = nn.Identity()
    lost = [what for what, there in (("the vision part", sees), ("lm_head", speaks)) if not there]
    if not lost:
        return ()
    return (
        f"The text encoder's file lacks {' and '.join(lost)}: no automatic captions.{'' if sees else _advice(path)}",
    )


def _empty(kind: Any, arguments: Mapping[str, Any]) -> nn.Module:
    """A module with parameters on the meta device, and true values where they are computed, such as RoPE's tables."""
    from accelerate import init_empty_weights

    with init_empty_weights(include_buffers=False):
        return kind(**arguments).eval().requires_grad_(False)


# Filling


def check(module: nn.Module, readers: Readers, path: Path) -> None:
    """Compare names and shapes; raises QilError that lists what is missing or of another shape."""
    wanted = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items() if tensor.is_floating_point()}
    missing = [name for name in wanted if name not in readers]
    if missing:
        raise QilError(f"{path} lacks {len(missing)} of {len(wanted)} weights: {_some(missing)}. Download it again.")
    odd = [
        f"{name} is {readers[name].dtype} {list(readers[name].shape)}, expected numbers of {list(shape)}"
        for name, shape in wanted.items()
        if readers[name].shape != shape or readers[name].dtype in NO_FLOATS
    ]
    if odd:
        raise QilError(f"{path} does not fit: {_some(odd, '; ')}. It belongs to another model or configuration.")


def _some(items: list[str], between: str = ", ") -> str:
    return between.join(items[:NAMED]) + (" ..." if len(items) > NAMED else "")


def fill(
    module: nn.Module, readers: Readers, dtype: torch.dtype, each: Callable[[float], None] = lambda done: None
) -> None:
    """Give a module its weights one by one; floating ones as dtype. each(fraction done) may raise to stop.

    A weight that is stored as dtype stays a view of the mapped file. So do linear layers and embeddings of any other
    form: they unpack at work. Only what is small is converted here.
    """
    names = list(module.state_dict())
    for i, name in enumerate(names):
        each(i / len(names))
        _assign(module, name, readers[name].stored(), dtype)
    each(1.0)


def _assign(module: nn.Module, name: str, stored: Stored, dtype: torch.dtype) -> None:
    from torch import nn

    owner, _, leaf = name.rpartition(".")
    holder = module.get_submodule(owner)
    stand_in = _stand_in(holder, stored, dtype) if leaf == "weight" else None
    if stand_in is not None:
        above, _, place = owner.rpartition(".")
        setattr(module.get_submodule(above), place, stand_in)
        return
    value = stored.value
    weight = value.to(dtype) if value.is_floating_point() else value
    if leaf in holder._parameters:
        setattr(holder, leaf, nn.Parameter(weight, requires_grad=False))
    else:
        setattr(holder, leaf, weight)


def _stand_in(holder: nn.Module, stored: Stored, dtype: torch.dtype) -> nn.Module | None:
    """A layer that keeps the weight as it is stored; None where the layer itself does, or where that saves nothing."""
    from torch import nn

    from .storage import StoredEmbedding, StoredLinear

    if stored.is_plain and stored.tensors[0].dtype == dtype:
        return None
    if isinstance(holder, nn.Linear):
        return StoredLinear(stored, None, (holder.out_features, holder.in_features))
    return StoredEmbedding(stored, dtype) if isinstance(holder, nn.Embedding) and stored.by_rows else None


# What has no weights


def load_tokenizer(folder: Path) -> Any:
    """Qwen2.5's tokenizer from a diffusers folder's tokenizer, or from ComfyUI's qwen25_tokenizer."""
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        known = {"<|im_start|>", "<|im_end|>", "<|image_pad|>"} <= tokenizer.get_vocab().keys()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise QilError(f"{folder} holds no tokenizer that can be read ({error}).") from error
    if not known:
        raise QilError(f"{folder} holds another model's tokenizer, without <|im_start|>; expected Qwen2.5's.")
    return tokenizer


def load_scheduler(files: Files, model: Model) -> Any:
    """A FlowMatchEulerDiscreteScheduler as the files or the model have it."""
    from diffusers import FlowMatchEulerDiscreteScheduler

    return FlowMatchEulerDiscreteScheduler(**files.scheduler_config(model.settings))


def load_image_processor(files: Files) -> Any:
    """What cuts a picture into patches for the text encoder's vision part, in the form that needs no torchvision."""
    settings = files.processor_config()
    return _image_processor_class()(
        **{key: value for key, value in settings.items() if not key.endswith(("_type", "_class"))}
    )


def _image_processor_class() -> Any:
    try:
        from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil
    except ImportError:  # transformers before 5, whose plain class needs no torchvision
        from transformers import Qwen2VLImageProcessor

        return Qwen2VLImageProcessor
    return Qwen2VLImageProcessorPil
