"""Qwen-Image-Edit on this machine against the stock diffusers pipelines, on tiny checkpoints of the true layout."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

pytest.importorskip("diffusers")

import tiny_model
from diffusers import FlowMatchEulerDiscreteScheduler
from stock import Spy, stock_pipeline
from torch import Tensor

from qil_core.checkpoints.folders import Files
from qil_core.edit import studio_request
from qil_core.edit.local import LocalEditor
from qil_core.edit_request import EditRequest
from qil_core.errors import QilError
from qil_core.model import editing, vae, words
from qil_core.model.editing import EditModel, native_size
from qil_core.model.models import EDIT, EDIT_2509, EDIT_2511, EDITIONS, Model
from qil_core.model.modulation import Modulation
from qil_core.model.parts import Parts, load
from qil_core.model.plan import ALL, LEAVES, LOSSY, STREAMED
from qil_core.progress import silent
from qil_core.stack import to_bytes

CPU = torch.device("cpu")
ASKED = EditRequest("make the disc light blue", steps=2, seed=7)


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A checkpoint of each edition, by its label."""
    at = tmp_path_factory.mktemp("edit")
    return {
        EDIT.label: tiny_model.build_edit(at / "base", tiny_model.EDIT),
        EDIT_2509.label: tiny_model.build_edit(at / "2509"),
        EDIT_2511.label: tiny_model.build_edit(at / "2511", zero_cond_t=True),
    }


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures of about 128 x 128 instead of 1024 x 1024, with us and in the stock pipeline."""
    from diffusers.pipelines.qwenimage import pipeline_qwenimage_edit_plus as plus

    monkeypatch.setattr(editing, "RESOLUTION", 128)
    monkeypatch.setattr(plus, "VAE_IMAGE_SIZE", 128 * 128)


def opened(folder: Path) -> Parts:
    return load(Files.of_folder(folder), torch.float32, models=EDITIONS)


@pytest.fixture
def parts(folders: dict[str, Path], small: None) -> Parts:
    return opened(folders[EDIT_2509.label])


@pytest.fixture
def parts_2511(folders: dict[str, Path], small: None) -> Parts:
    return opened(folders[EDIT_2511.label])


def noise(height: int, width: int, seed: int) -> Tensor:
    """A picture (10 * height, 10 * width, 3) of coarse noise."""
    cells = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(cells, scale_factor=10)[0].permute(1, 2, 0).contiguous()


@pytest.fixture
def pictures() -> list[Tensor]:
    """Three pictures of three aspects."""
    return [noise(6, 8, 1), noise(9, 4, 2), noise(5, 5, 3)]


def stock_editor(folder: Path, parts: Parts, encoder: Callable[[Any], Any] = tiny_model.Placing) -> Any:
    """The stock pipeline of the model over the very same tensors."""
    import diffusers

    pieces = stock_pipeline(folder, parts).components
    pieces |= {
        "text_encoder": encoder(parts.text_encoder),
        "processor": tiny_model.processor(parts.tokenizer, parts.image_processor),
    }
    pipeline = getattr(diffusers, parts.model.stock)(**pieces)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def stock_edit(pipeline: Any, pictures: list[Tensor], request: EditRequest) -> tuple[Tensor, Tensor]:
    """The picture (h, w, 3) that the stock pipeline makes, at the size of the first one, and its last latents."""
    latents: list[Tensor] = []

    def keep(_: Any, __: int, ___: Any, values: dict[str, Tensor]) -> dict[str, Tensor]:
        latents.append(values["latents"].clone())
        return {}

    images = [Image.fromarray(to_bytes(picture).numpy()) for picture in pictures]
    width, height = editing.native_size(*images[0].size)
    result = pipeline(
        images if len(images) > 1 else images[0],
        prompt=request.instruction,
        negative_prompt=request.negative_prompt,
        true_cfg_scale=request.true_cfg_scale,
        num_inference_steps=request.steps,
        generator=torch.Generator().manual_seed(request.seed),
        height=height,
        width=width,
        output_type="pt",
        callback_on_step_end=keep,
    )
    return result.images[0].permute(1, 2, 0), latents[-1]


# Against the stock pipelines


@pytest.mark.parametrize("model", [EDIT_2509, EDIT_2511], ids=lambda model: model.label)
@pytest.mark.parametrize("count", [1, 3])
def test_latents_equal_stock_to_the_bit_and_pixels_to_1e_5(
    folders: dict[str, Path], small: None, pictures: list[Tensor], model: Model, count: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    parts = opened(folders[model.label])
    assert parts.model is model
    stock = stock_editor(folders[model.label], parts)
    want, latents = stock_edit(stock, pictures[:count], ASKED)
    with monkeypatch.context() as patch:
        patch.setattr(vae, "encode", lambda _, pixels, tile: stock._encode_vae_image(pixels[:, :, None], None))
        seen: list[Tensor] = []
        make = _keeping(Modulation.make, lambda *given: seen.append(given[3][0]))
        patch.setattr(Modulation, "make", make)
        decoded: list[Tensor] = []
        patch.setattr(vae, "decode", _keeping(vae.decode, lambda _, frames, *more: decoded.append(frames)))
        EditModel(parts, CPU).edit(pictures[:count], ASKED, silent)
    got, _ = EditModel(parts, CPU).edit(pictures[:count], ASKED, silent)
    assert len(seen[0]) == (2 if model is EDIT_2511 else 1)
    assert torch.equal(decoded[0], stock._unpack_latents(latents, *reversed(native_size(80, 60)), 8))
    assert got.shape == (1, 96, 160, 3)
    assert (got[0] - want).abs().max() < 1e-5


def _keeping(function: Any, keep: Any) -> Any:
    @functools.wraps(function)
    def wrapped(*given: Any) -> Any:
        keep(*given)
        return function(*given)

    return wrapped


def test_the_base_model_makes_what_stock_makes_at_full_size_and_without_guidance(
    folders: dict[str, Path], pictures: list[Tensor]
) -> None:
    parts, asked = opened(folders[EDIT.label]), replace(ASKED, true_cfg_scale=1.0)
    assert parts.model is EDIT
    want, _ = stock_edit(stock_editor(folders[EDIT.label], parts), pictures[:1], asked)
    got, _ = EditModel(parts, CPU).edit(pictures[:1], asked, silent)
    assert got.shape == (1, 896, 1184, 3)
    assert (got[0] - want).abs().max() < 1e-4


@pytest.mark.parametrize("changes", [{"true_cfg_scale": 1.0}, {"steps": 5}, {"negative_prompt": "blurred"}])
def test_every_control_agrees_with_stock(
    folders: dict[str, Path], parts: Parts, pictures: list[Tensor], changes: dict[str, Any]
) -> None:
    asked = replace(ASKED, **changes)
    want, _ = stock_edit(stock_editor(folders[EDIT_2509.label], parts), pictures[:2], asked)
    got, _ = EditModel(parts, CPU).edit(pictures[:2], asked, silent)
    assert (got[0] - want).abs().max() < 1e-5


@pytest.mark.parametrize(("steps", "sigmas"), [(4, [1, 0.9, 0.75, 0.5, 0]), (8, None)])
def test_lightning_has_the_sigmas_of_its_authors_scheduler_and_no_guidance(
    folders: dict[str, Path], small: None, pictures: list[Tensor], steps: int, sigmas: list[float] | None
) -> None:
    """ModelTC/Qwen-Image-Lightning, generate_with_diffusers.py."""
    mu = math.log(3)
    theirs = FlowMatchEulerDiscreteScheduler(
        base_image_seq_len=256, base_shift=mu, max_image_seq_len=8192, max_shift=mu, num_train_timesteps=1000,
        shift=1.0, shift_terminal=None, time_shift_type="exponential", use_dynamic_shifting=True,
    )  # fmt: skip
    parts = opened(folders[EDIT_2511.label])
    stock = stock_editor(folders[EDIT_2511.label], parts)
    stock.scheduler = theirs
    plain = replace(ASKED, steps=steps, true_cfg_scale=1.0)
    want, _ = stock_edit(stock, pictures[:1], plain)
    model = EditModel(parts, CPU)
    got, run = model.edit(pictures[:1], replace(ASKED, schedule=f"lightning, {steps} steps"), silent)
    assert (got[0] - want).abs().max() < 1e-5
    assert f"Schedule: lightning, {steps} steps, without guidance." in run.notes
    assert sigmas is None or torch.allclose(theirs.sigmas, torch.tensor(sigmas).float())
    again, _ = model.edit(pictures[:1], plain, silent)
    assert not torch.equal(again, got), "the next call has the model's own schedule again"


def test_lightning_is_one_of_two_and_for_models_on_this_machine(pictures: list[Tensor]) -> None:
    with pytest.raises(QilError, match="Schedule must be one of default, lightning, 4 steps, "):
        replace(ASKED, schedule="turbo").check()
    with pytest.raises(QilError, match="Model Studio has a schedule of its own: set it to default"):
        studio_request.check(pictures[:1], replace(ASKED, schedule="lightning, 4 steps"), studio_request.Options())


def test_patches_have_places_in_their_picture_which_stock_forgets_with_transformers_5(
    folders: dict[str, Path], parts: Parts, pictures: list[Tensor]
) -> None:
    embeddings = []
    for encoder in (tiny_model.Placing, lambda plain: plain):
        stock = stock_editor(folders[EDIT_2509.label], parts, encoder)
        images = [Image.fromarray(to_bytes(picture).numpy()).resize((64, 64)) for picture in pictures]
        with torch.inference_mode():
            embeddings.append(stock._get_qwen_prompt_embeds("a", images, CPU)[0])
    with torch.inference_mode():
        [ours] = words.embed_with_pictures(
            parts.tokenizer, parts.image_processor, parts.text_encoder, parts.model, ["a"], images, CPU
        )
    assert torch.equal(ours, embeddings[0])
    takes_types = "mm_token_type_ids" in parts.text_encoder.forward.__wrapped__.__code__.co_varnames
    assert torch.equal(ours, embeddings[1]) != takes_types


@pytest.mark.parametrize("model", EDITIONS, ids=lambda model: model.label)
def test_templates_have_a_prefix_of_64_tokens(folders: dict[str, Path], model: Model) -> None:
    from transformers import AutoTokenizer

    stock = words.stock(model.stock)
    prefix = stock.prompt_template_encode.split("<|vision_start|>")[0].split("{}")[0]
    tokens = AutoTokenizer.from_pretrained(folders[model.label] / "tokenizer")(prefix).input_ids
    assert len(tokens) == stock.prompt_template_encode_start_idx == 64


# Sizes and variants


@pytest.mark.parametrize(
    ("size", "want"),
    [((640, 640), (1024, 1024)), ((80, 60), (1184, 896)), ((3840, 2160), (1376, 768)), ((1, 5000), (256, 4096))],
)
def test_a_picture_comes_back_with_a_million_pixels_in_its_aspect(size: tuple[int, int], want: tuple[int, int]) -> None:
    assert native_size(*size) == want


def test_the_first_picture_decides_the_size(parts: Parts, pictures: list[Tensor]) -> None:
    model = EditModel(parts, CPU)
    wide, _ = model.edit(pictures[:2], ASKED, silent)
    tall, _ = model.edit(pictures[1::-1], ASKED, silent)
    assert wide.shape[1:] == (96, 160, 3)
    assert tall.shape[1:] == (192, 96, 3)


def test_a_variant_is_the_next_seed_and_repeats_nothing_that_no_seed_changes(
    parts: Parts, pictures: list[Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = [EditModel(parts, CPU).edit(pictures[:2], replace(ASKED, seed=seed), silent)[0] for seed in (7, 8, 9)]
    model = EditModel(parts, CPU)
    spies = [Spy(monkeypatch, parts.text_encoder.model, "forward"), Spy(monkeypatch, vae, "encode")]
    spies.append(Spy(monkeypatch, Modulation, "make"))
    together, _ = model.edit(pictures[:2], replace(ASKED, variants=3), silent)
    assert torch.equal(together, torch.cat(alone))
    assert [spy.calls for spy in spies] == [2, 2, 0]  # the words and the negative ones, two pictures, a known schedule
    model.edit(pictures[:2], replace(ASKED, seed=1), silent)
    assert [spy.calls for spy in spies] == [2, 2, 0]
    model.edit(pictures[:1], ASKED, silent)
    assert [spy.calls for spy in spies] == [4, 2, 0]  # other words are read of one picture; it is encoded already


# Memory, speed, stopping


@pytest.mark.parametrize("edition", [EDIT_2509, EDIT_2511], ids=lambda model: model.label)
@pytest.mark.parametrize("mode", [LEAVES, STREAMED])
def test_every_lossless_memory_mode_gives_the_same_bits(
    folders: dict[str, Path], small: None, pictures: list[Tensor], mode: str, edition: Model
) -> None:
    want, _ = EditModel(opened(folders[edition.label]), CPU, ALL).edit(pictures, ASKED, silent)
    got, run = EditModel(opened(folders[edition.label]), CPU, mode, free=0).edit(pictures, ASKED, silent)
    assert torch.equal(got, want)
    assert f"Memory: {mode}." in run.notes


@pytest.mark.parametrize(("mode", "bound"), list(zip(LOSSY, (0.03, 0.03, 0.1), strict=True)))
def test_storage_in_fewer_bits_stays_close(parts: Parts, pictures: list[Tensor], mode: str, bound: float) -> None:
    want, _ = EditModel(parts, CPU, ALL).edit(pictures, ASKED, silent)
    got, _ = EditModel(parts, CPU, mode).edit(pictures, ASKED, silent)
    assert 0 < (got - want).abs().mean() < bound


def test_conditions_of_2511_are_modulated_as_at_time_0(parts_2511: Parts, pictures: list[Tensor]) -> None:
    model = EditModel(parts_2511, CPU)
    want, _ = model.edit(pictures, ASKED, silent)
    block = parts_2511.transformer.transformer_blocks[0]
    width = 32
    assert block.img_mod.rows.shape == (ASKED.steps, 2, 6 * width)
    assert block.txt_mod.rows.shape == (ASKED.steps, 1, 6 * width)
    assert torch.equal(block.img_mod.rows[0, 1], block.img_mod.rows[1, 1])
    (table,) = parts_2511.modulation._tables.values()
    table[0]["img_mod"] = table[0]["img_mod"][:, :1].expand(-1, 2, -1)
    assert not torch.equal(model.edit(pictures, ASKED, silent)[0], want)


def test_the_first_block_cache_leaves_steps_out_and_counts_them(parts_2511: Parts, pictures: list[Tensor]) -> None:
    asked = replace(ASKED, steps=6)
    model = EditModel(parts_2511, CPU, STREAMED, free=0)
    want, _ = model.edit(pictures, asked, silent)
    model.tune(reuse=10.0)
    got, run = model.edit(pictures, asked, silent)
    assert "First block cache (lossy): 1 of 6 evaluations were computed in full." in run.notes
    assert 0 < (got - want).abs().mean() < 0.1


class Stop(BaseException):
    pass


@pytest.mark.parametrize(
    "stage", ["reading", "encoding picture 2", "preparing", "step 1", "step 2", "decoding picture 2"]
)
def test_every_stage_can_be_stopped_and_the_next_call_gives_the_same_bits(
    parts: Parts, pictures: list[Tensor], stage: str
) -> None:
    def stop(_: float, what: str) -> None:
        if what.startswith(stage):
            raise Stop

    asked = replace(ASKED, variants=2)
    model = EditModel(parts, CPU, STREAMED, free=0)
    with pytest.raises(Stop):
        model.edit(pictures, asked, stop)
    again, _ = model.edit(pictures, asked, silent)
    assert torch.equal(again, EditModel(parts, CPU).edit(pictures, asked, silent)[0])


def test_progress_rises_from_0_to_1_over_all_variants(parts: Parts, pictures: list[Tensor]) -> None:
    told: list[tuple[float, str]] = []
    EditModel(parts, CPU).edit(pictures, replace(ASKED, variants=2), lambda *now: told.append(now))
    fractions = [fraction for fraction, _ in told]
    assert fractions == sorted(fractions)
    assert 0 <= fractions[0] < 0.1
    assert 0.95 < fractions[-1] <= 1
    assert sum(what == "step 2 of 2" for _, what in told) == 2


def test_previews_are_opaque_rgba_at_a_quarter_of_the_size(parts: Parts, pictures: list[Tensor]) -> None:
    seen: list[Tensor] = []
    EditModel(parts, CPU).edit(pictures, replace(ASKED, steps=4), silent, lambda make: seen.append(make()))
    assert [tuple(one.shape) for one in seen] == 3 * [(1, 24, 40, 4)]
    assert all((one[..., 3] == 1).all() for one in seen)
    assert not torch.equal(seen[0], seen[-1])


def test_memory_that_runs_out_is_answered_by_a_smaller_mode_and_tiles(
    parts: Parts, pictures: list[Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    want, _ = EditModel(parts, CPU).edit(pictures, ASKED, silent)
    original, modes = EditModel._denoise, []

    def failing(self: EditModel, *given: Any) -> Tensor:
        modes.append(self.placement.plan.mode)
        if len(modes) == 1:
            raise torch.OutOfMemoryError
        return original(self, *given)

    whole = vae._decode

    def small_only(coder: Any, frame: Tensor, tile: int | None) -> Tensor:
        if tile is None:
            raise torch.OutOfMemoryError
        return whole(coder, frame, tile)

    monkeypatch.setattr(EditModel, "_denoise", failing)
    monkeypatch.setattr(vae, "_decode", small_only)
    got, run = EditModel(parts, CPU, ALL).edit(pictures, ASKED, silent)
    assert modes == [ALL, LEAVES]
    assert run.notes.count("Little GPU memory: the VAE worked in tiles.") == 1
    assert (got - want).abs().max() < 1e-5


# What cannot be done


def test_the_base_model_takes_one_picture_and_says_who_takes_more(
    folders: dict[str, Path], pictures: list[Tensor]
) -> None:
    model = EditModel(opened(folders[EDIT.label]), CPU)
    with pytest.raises(
        QilError, match="takes one picture, got 2: Qwen-Image-Edit-2509 and Qwen-Image-Edit-2511 take up"
    ):
        model.edit(pictures[:2], ASKED, silent)


def test_a_request_that_cannot_be_met_says_so(parts: Parts, pictures: list[Tensor]) -> None:
    model = EditModel(parts, CPU)
    with pytest.raises(QilError, match="takes 1 to 3 pictures, got 4"):
        model.edit([*pictures, pictures[0]], ASKED, silent)
    with pytest.raises(QilError, match="needs 2 steps at the least, got 1"):
        model.edit(pictures, replace(ASKED, steps=1), silent)
    with pytest.raises(QilError, match=r"must not have <\|image_pad\|> in it"):
        model.edit(pictures, replace(ASKED, instruction="like <|image_pad|>"), silent)


# The editor


def test_the_local_editor_gives_every_variant_and_what_it_did(parts: Parts, pictures: list[Tensor]) -> None:
    editor = LocalEditor(EditModel(parts, CPU))
    edited = editor.edit(pictures, replace(ASKED, variants=2), silent)
    assert editor.label == "Qwen-Image-Edit-2509"
    assert [picture.shape for picture in edited.pictures] == 2 * [(96, 160, 3)]
    assert editor.native_size(80, 60) == (160, 96)
    assert not torch.equal(*edited.pictures)
    assert all(picture.mul_(1).dtype == torch.float32 for picture in edited.pictures)  # one may write on them
    assert edited.notes[0] == "Prompt: make the disc light blue"
    assert "Model: Qwen-Image-Edit-2509." in edited.notes
    with pytest.raises(QilError, match="Variants must be 1 to 6, got 7"):
        editor.edit(pictures, replace(ASKED, variants=7), silent)
