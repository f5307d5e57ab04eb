"""The model's runtime against the stock diffusers pipeline, on a tiny checkpoint of the true layout."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

pytest.importorskip("diffusers")

from checkpoint_forms import QUERY, saved
from stock import Spy, stock_pipeline

from qil_core.checkpoints.folders import Files
from qil_core.decompose.qwen import Qwen
from qil_core.decompose.run import decompose
from qil_core.model import plan, vae, words
from qil_core.model.attention import rotate
from qil_core.model.machine import Machine
from qil_core.model.modulation import Modulation
from qil_core.model.parts import Parts, load
from qil_core.model.pipeline import LayeredModel
from qil_core.model.plan import ALL, LEAVES, LOSSY, STREAMED
from qil_core.model.runtime import bucket
from qil_core.model.streaming import StreamedBlocks, spread
from qil_core.progress import silent
from qil_core.request import Request

CPU = torch.device("cpu")
ASKED = Request(layers=2, steps=3, prompt="a red disc on white", seed=7)
SMALL = replace(ASKED, resolution=128)


def stock_layers(pipeline: Any, picture: torch.Tensor, request: Request) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Decoded layers and the latents after every step of the stock pipeline."""
    latents: list[torch.Tensor] = []

    def keep(_: Any, __: int, ___: Any, values: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        latents.append(values["latents"].clone())
        return {}

    pipeline.set_progress_bar_config(disable=True)
    result = pipeline(
        Image.fromarray(np.uint8((picture * 255).round().numpy())),
        prompt=request.prompt,
        negative_prompt=request.negative_prompt,
        true_cfg_scale=request.true_cfg_scale,
        layers=request.layers,
        num_inference_steps=request.steps,
        generator=torch.Generator().manual_seed(request.seed),
        resolution=request.resolution,
        cfg_normalize=request.cfg_normalize,
        output_type="pt",
        callback_on_step_end=keep,
    )
    return result.images[0].permute(0, 2, 3, 1), latents


def test_latents_equal_stock_to_the_bit_and_pixels_to_1e_4(
    folder: Path, parts: Parts, picture: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    stock = stock_pipeline(folder, parts)
    want, latents = stock_layers(stock, picture, ASKED)
    monkeypatch.setattr(vae, "encode", lambda _, pixels, tile: stock._encode_vae_image(pixels[:, :, None], None))
    seen: list[torch.Tensor] = []
    original = vae.decode
    monkeypatch.setattr(
        vae, "decode", lambda model, frames, *more: seen.append(frames) or original(model, frames, *more)
    )
    got, _ = LayeredModel(parts, CPU).layers(picture, ASKED, silent)
    packed = stock._unpack_latents(latents[-1], *reversed(bucket(80, 60, 640)), ASKED.layers, 8)[:, :, 1:]
    assert torch.equal(seen[0], packed.permute(0, 2, 1, 3, 4).reshape(seen[0].shape))
    assert (got - want).abs().max() < 1e-4


@pytest.mark.parametrize("changes", [{"true_cfg_scale": 1.0}, {"cfg_normalize": False}, {"layers": 3, "steps": 2}])
def test_every_control_agrees_with_stock(
    folder: Path, parts: Parts, picture: torch.Tensor, changes: dict[str, Any]
) -> None:
    request = Request(**{**ASKED.__dict__, **changes})
    want, _ = stock_layers(stock_pipeline(folder, parts), picture, request)
    got, _ = LayeredModel(parts, CPU).layers(picture, request, silent)
    assert got.shape == want.shape
    assert (got - want).abs().max() < 1e-4


def test_the_single_frame_vae_agrees_with_the_causal_one(folder: Path, parts: Parts) -> None:
    from diffusers import AutoencoderKLQwenImage

    stock = AutoencoderKLQwenImage.from_pretrained(folder / "vae")
    pixels = torch.rand(1, 4, 64, 96) * 2 - 1
    with torch.inference_mode():
        mean, std = (
            torch.tensor(v).view(1, -1, 1, 1, 1) for v in (stock.config.latents_mean, stock.config.latents_std)
        )
        want = (stock.encode(pixels[:, :, None]).latent_dist.mode() - mean) / std
        got = vae.encode(parts.vae, pixels)
        assert (got - want).abs().max() < 1e-5
        frames = torch.randn(3, 16, 1, 8, 12)
        decoded = stock.decode(frames * std + mean).sample[:, :, 0]
        assert (vae.decode(parts.vae, frames) - decoded).abs().max() < 1e-5


def test_real_rotary_embedding_is_the_complex_one_to_the_bit() -> None:
    x, angle = torch.randn(1, 50, 2, 128), torch.randn(50, 64)
    turned = torch.view_as_complex(x.unflatten(-1, (-1, 2))) * torch.polar(torch.ones(50, 64), angle)[:, None]
    want = torch.view_as_real(turned).flatten(3)
    unit = torch.polar(torch.ones_like(angle), angle)[:, None]
    assert torch.equal(rotate(x, unit), want)
    assert torch.equal(rotate(x, torch.view_as_real(unit)), want)


@pytest.mark.parametrize("mode", [LEAVES, STREAMED])
def test_every_lossless_memory_mode_gives_the_same_bits(folder: Path, picture: torch.Tensor, mode: str) -> None:
    want, _ = LayeredModel(load(Files.of_folder(folder), torch.float32), CPU, ALL).layers(picture, ASKED, silent)
    model = LayeredModel(load(Files.of_folder(folder), torch.float32), CPU, mode, free=0)
    got, run = model.layers(picture, ASKED, silent)
    assert torch.equal(got, want)
    assert f"Memory: {mode}." in run.notes


def test_a_second_call_with_another_seed_encodes_nothing_again(
    parts: Parts, picture: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = LayeredModel(parts, CPU)
    request = Request(layers=2, steps=1, seed=1)
    first, run = model.layers(picture, request, silent)
    spies = [Spy(monkeypatch, parts.text_encoder.model, "forward"), Spy(monkeypatch, parts.text_encoder, "generate")]
    spies += [Spy(monkeypatch, vae, "encode"), Spy(monkeypatch, Modulation, "make")]
    other, again = model.layers(picture, Request(layers=2, steps=1, seed=2), silent)
    assert [spy.calls for spy in spies] == [0, 0, 0, 0]
    assert again.prompt == run.prompt
    assert run.prompt
    assert not torch.equal(first, other)
    model.layers(picture.flip(0), request, silent)
    assert [spy.calls > 0 for spy in spies] == [True, True, True, False]


@pytest.mark.parametrize(("language", "word"), [("English", "Image Annotator"), ("Chinese", "图像标注器")])
def test_a_caption_is_asked_for_with_one_place_a_merged_patch(parts: Parts, language: Any, word: str) -> None:
    template = words.template(language)
    assert word in template
    image = Image.new("RGBA", (112, 84))
    inputs = words.caption_inputs(parts.tokenizer, parts.image_processor, parts.text_encoder, template, image)
    places = inputs["input_ids"] == parts.text_encoder.config.image_token_id
    assert places.sum() == inputs["image_grid_thw"].prod() // 4
    assert len(inputs["pixel_values"]) == inputs["image_grid_thw"].prod()
    assert torch.equal(inputs["mm_token_type_ids"], places.int())


def test_the_table_takes_the_modulation_layers_place(folder: Path, parts: Parts, picture: torch.Tensor) -> None:
    from diffusers import QwenImageTransformer2DModel

    stock = QwenImageTransformer2DModel.from_pretrained(folder / "transformer")
    LayeredModel(parts, CPU).layers(picture, SMALL, silent)
    width = 32
    dropped = plan.weigh(stock) - plan.weigh(parts.transformer)
    assert dropped == 4 * 2 * 2 * (width * 6 * width + 6 * width)
    rows = parts.transformer.transformer_blocks[1].img_mod.rows
    assert rows.shape == (SMALL.steps, 1, 6 * width)
    time = torch.tensor([1.0])
    temb = stock.time_text_embed(time, torch.zeros(1), torch.zeros(1, dtype=torch.long))
    torch.testing.assert_close(rows[0], stock.transformer_blocks[1].img_mod(temb))


def test_streaming_moves_each_block_once_for_both_passes(parts: Parts, picture: torch.Tensor) -> None:
    model = LayeredModel(parts, CPU, STREAMED, free=0)
    model.layers(picture, ASKED, silent)
    streamed = model.placement.streamed
    assert streamed is not None
    round_trip = sum(packed.size for packed in streamed._order)
    assert streamed.moved == round_trip * (ASKED.steps + 1)  # the next round's first blocks are on their way already


@pytest.mark.parametrize("resident", [0, 1, 3, 5])
def test_streamed_blocks_compute_what_resident_ones_do(resident: int) -> None:
    torch.manual_seed(0)
    blocks = [torch.nn.Linear(16, 16) for _ in range(5)]
    x = torch.randn(3, 16)

    def through(given: Any) -> torch.Tensor:
        y = x
        for block in given:
            y = block(y)
        return y

    want = through(blocks)
    streamed = StreamedBlocks([copy.deepcopy(block) for block in blocks], Machine(CPU), spread(5, resident))
    for _ in range(3):
        assert torch.equal(through(streamed), want)
    stopped = iter(streamed)
    next(stopped), next(stopped)
    del stopped
    assert torch.equal(through(streamed), want)


def test_stopping_between_steps_leaves_a_model_that_works(parts: Parts, picture: torch.Tensor) -> None:
    class Stop(BaseException):
        pass

    def stop(_: float, what: str) -> None:
        if what.startswith("step 2"):
            raise Stop

    model = LayeredModel(parts, CPU, STREAMED, free=0)
    with pytest.raises(Stop):
        model.layers(picture, ASKED, stop)
    after, _ = model.layers(picture, ASKED, silent)
    fresh, _ = LayeredModel(parts, CPU).layers(picture, ASKED, silent)
    assert torch.equal(after, fresh)


@pytest.mark.parametrize("stage", ["describing", "preparing", "step 1", "step 3", "decoding layer 2"])
def test_every_stage_can_be_stopped_and_the_next_call_gives_the_same_bits(
    parts: Parts, picture: torch.Tensor, stage: str
) -> None:
    class Stop(BaseException):
        pass

    def stop(_: float, what: str) -> None:
        if what.startswith(stage):
            raise Stop

    asked = replace(ASKED, prompt="")
    model = LayeredModel(parts, CPU)
    with pytest.raises(Stop):
        model.layers(picture, asked, stop)
    again, _ = model.layers(picture, asked, silent)
    fresh, _ = LayeredModel(parts, CPU).layers(picture, asked, silent)
    assert torch.equal(again, fresh)


def test_out_of_memory_is_tried_again_once_in_the_next_smaller_mode(
    parts: Parts, picture: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = LayeredModel(parts, CPU, ALL)
    original, calls = LayeredModel._denoise, []

    def failing(self: LayeredModel, *args: Any) -> torch.Tensor:
        calls.append(self.placement.plan.mode)
        if len(calls) == 1:
            raise torch.OutOfMemoryError
        return original(self, *args)

    monkeypatch.setattr(LayeredModel, "_denoise", failing)
    _, run = model.layers(picture, ASKED, silent)
    assert calls == [ALL, LEAVES]
    assert any("Out of GPU memory" in note for note in run.notes)


def test_decomposing_brings_layers_back_to_the_pictures_own_size_and_exact(parts: Parts) -> None:
    picture = torch.rand(37, 91, 3, generator=torch.Generator().manual_seed(0))
    stack, report = decompose(Qwen(LayeredModel(parts, CPU)), picture, Request(layers=2, steps=1, prompt="noise"))
    assert stack.pixels.shape == (2, 37, 91, 4)
    assert report.after.max_error <= 1
    assert "Prompt: noise" in str(report)
    assert "denoising" in str(report)


@pytest.mark.parametrize(("mode", "bound"), list(zip(LOSSY, (0.03, 0.03, 0.1), strict=True)))
def test_storage_in_fewer_bits_is_lossy_says_so_and_stays_close(
    parts: Parts, picture: torch.Tensor, mode: str, bound: float
) -> None:
    want, _ = LayeredModel(parts, CPU, ALL).layers(picture, SMALL, silent)
    before, words_before = plan.weigh(parts.transformer.transformer_blocks), plan.weigh(parts.text_encoder.model)
    seen: list[int] = []
    spy = parts.text_encoder.model.register_forward_pre_hook(lambda encoder, _: seen.append(plan.weigh(encoder)))
    model = LayeredModel(parts, CPU, mode)
    got, run = model.layers(picture, SMALL, silent)
    spy.remove()
    assert plan.weigh(parts.transformer.transformer_blocks) < before / 2
    assert max(seen) < words_before / 1.3, "the text encoder's layers too, but not its table of words"
    assert 0 < (got - want).abs().mean() < bound
    assert f"Memory: {mode}." in run.notes


def test_the_first_block_cache_leaves_steps_out_and_counts_them(parts: Parts, picture: torch.Tensor) -> None:
    asked = replace(SMALL, steps=6)
    want, _ = LayeredModel(parts, CPU, STREAMED, free=0).layers(picture, asked, silent)
    model = LayeredModel(parts, CPU, STREAMED, free=0)
    model.tune(reuse=10.0)
    got, run = model.layers(picture, asked, silent)
    (note,) = (note for note in run.notes if "First block cache (lossy)" in note)
    computed = int(note.split(": ")[1].split(" of 6 evaluations")[0])
    assert 1 <= computed < 6
    assert 0 < (got - want).abs().mean() < 0.1
    model.tune(reuse=0.0)
    assert torch.equal(model.layers(picture, asked, silent)[0], want)


def test_keys_of_a_lora_without_a_place_are_in_the_report(folder: Path, tmp_path: Path) -> None:
    up, down = torch.zeros(32, 1), torch.zeros(1, 32)
    pair = {f"{QUERY}.lora_B.weight": up, f"{QUERY}.lora_A.weight": down, "elsewhere.lora_A.weight": down}
    lora = saved(tmp_path / "half.safetensors", pair)
    model = LayeredModel(load(Files.of_folder(folder, ((lora, 1.0),)), torch.float32), CPU)
    notes = Qwen(model).decompose(torch.rand(16, 16, 4), replace(SMALL, steps=1), silent).notes
    note = "LoRA half.safetensors changes 1 weights; 1 of its keys have no place here, such as elsewhere.lora_A.weight."
    assert notes.count(note) == 1


def test_the_vae_in_tiles_gives_what_it_gives_whole(parts: Parts) -> None:
    coder = parts.vae
    pixels = torch.rand(1, 4, 256, 320, generator=torch.Generator().manual_seed(3)) * 2 - 1
    latents = vae.encode(coder, pixels)
    assert (vae.encode(coder, pixels, tile=8) - latents).abs().max() < 1e-5
    whole = vae.decode(coder, latents)
    assert (vae.decode(coder, latents, tile=8) - whole).abs().max() < 1e-5
    assert whole.std() > 0.01


def test_margins_of_tiles_are_as_wide_as_need_be(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    coder = parts.vae
    pixels = torch.rand(1, 4, 256, 320, generator=torch.Generator().manual_seed(3)) * 2 - 1
    latents = vae.encode(coder, pixels)
    whole = vae.decode(coder, latents)
    monkeypatch.setattr(vae, "ENCODING_MARGIN", 4)
    monkeypatch.setattr(vae, "DECODING_MARGIN", 5)
    assert not torch.equal(vae.encode(coder, pixels, tile=8), latents)
    assert (vae.decode(coder, latents, tile=8) - whole).abs().max() > 1e-6


def test_a_vae_that_runs_out_of_memory_works_in_tiles_and_says_so(
    parts: Parts, picture: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    want, _ = LayeredModel(parts, CPU).layers(picture, SMALL, silent)
    original = vae._decode

    def failing(coder: Any, frame: torch.Tensor, tile: int | None) -> torch.Tensor:
        if tile is None:
            raise torch.OutOfMemoryError
        return original(coder, frame, tile)

    monkeypatch.setattr(vae, "_decode", failing)
    got, run = LayeredModel(parts, CPU).layers(picture, SMALL, silent)
    assert (got - want).abs().max() < 1e-5
    assert run.notes.count("Little GPU memory: the VAE worked in tiles.") == 1


def test_streamed_blocks_lie_in_the_file_before_and_after_a_call(parts: Parts, picture: torch.Tensor) -> None:
    blocks = parts.transformer.transformer_blocks
    before = [tensor.data_ptr() for tensor in blocks.parameters() if not tensor.is_meta]
    model = LayeredModel(parts, CPU, STREAMED, free=0)
    want, _ = model.layers(picture, SMALL, silent)
    assert [tensor.data_ptr() for tensor in blocks.parameters()] == before
    model.placement.release()
    assert model.placement.held == 0
    again, _ = model.layers(picture, replace(SMALL, seed=8), silent)
    assert not torch.equal(again, want)
    assert torch.equal(model.layers(picture, SMALL, silent)[0], want)


def test_layers_of_the_text_encoder_that_fit_stay_while_it_writes(
    parts: Parts, picture: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of two layers stays: every word moves the other one alone."""
    asked = replace(SMALL, steps=1, prompt="")
    want, told = LayeredModel(parts, CPU).layers(picture, asked, silent)
    model = LayeredModel(parts, CPU, STREAMED, free=0)
    model.placement.plan = replace(model.placement.plan, words=1)
    moved: list[int] = []
    rest = StreamedBlocks.rest
    monkeypatch.setattr(StreamedBlocks, "rest", lambda self: moved.append(self.moved) or rest(self))
    got, said = model.layers(picture, asked, silent)
    assert said.prompt == told.prompt
    assert torch.equal(got, want)
    layer = plan.weigh(parts.text_encoder.model.language_model.layers[0])
    passes = len(parts.tokenizer(told.prompt).input_ids)
    assert moved[0] <= 1.1 * layer * (words.MAX_TOKENS + 4)
    assert moved[0] >= layer * passes
