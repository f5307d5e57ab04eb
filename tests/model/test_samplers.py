"""Samplers of the layered model, on the tiny checkpoint and on an equation whose solution is known."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

pytest.importorskip("diffusers")

from diffusers import FlowMatchEulerDiscreteScheduler
from stock import Spy, stock_pipeline

from qil_core.errors import QilError
from qil_core.model import denoise
from qil_core.model.parts import Parts
from qil_core.model.pipeline import LayeredModel
from qil_core.model.runtime import bucket
from qil_core.progress import silent
from qil_core.request import Request

CPU = torch.device("cpu")
ASKED = Request(layers=2, prompt="a red disc on white", seed=7, resolution=128, sampler="heun")


def heun_by_hand(stock: Any, picture: torch.Tensor, request: Request) -> tuple[torch.Tensor, int]:
    """Latents (1, tokens, 64) of Heun's method over the stock transformer and schedule, and its evaluations.

    Written after Stable-Layers' own sampler (hihaluemen/Stable-Layers, decompose.py): the slope at both ends of a step,
    and no more than Euler's in the last one, which ends at 0.
    """
    width, height = bucket(picture.shape[1], picture.shape[0], request.resolution)
    image = Image.fromarray(np.uint8((picture * 255).round().numpy())).resize((width, height), Image.Resampling.LANCZOS)
    pixels = torch.from_numpy(np.array(image)).float().permute(2, 0, 1)[None, :, None] / 127.5 - 1
    seen = stock._encode_vae_image(pixels, None)
    rows, columns = height // 16, width // 16
    pack = stock._pack_latents
    condition = pack(seen.permute(0, 2, 1, 3, 4), 1, 16, 2 * rows, 2 * columns, 1)
    noise = torch.randn(
        1, request.layers + 1, 16, 2 * rows, 2 * columns, generator=torch.Generator().manual_seed(request.seed)
    )
    x = pack(noise, 1, 16, 2 * rows, 2 * columns, request.layers + 1)
    texts = [request.prompt, request.negative_prompt][: 1 if request.true_cfg_scale == 1 else 2]
    prompts = [stock.encode_prompt(prompt=text, device=CPU)[0] for text in texts]
    sigmas = np.append(np.linspace(1, 0, request.steps + 1)[:-1], 0)
    mu = (condition.shape[1] / 256) ** 0.5
    sigmas[:-1] = mu / (mu + 1 / sigmas[:-1] - 1)
    evaluations = 0

    def slope(x: torch.Tensor, sigma: float) -> torch.Tensor:
        nonlocal evaluations
        evaluations += 1
        found = [
            stock.transformer(
                hidden_states=torch.cat([x, condition], 1),
                timestep=torch.tensor([sigma], dtype=torch.float32),
                encoder_hidden_states=prompt,
                img_shapes=[[(1, rows, columns)] * (request.layers + 2)],
                additional_t_cond=torch.zeros(1, dtype=torch.long),
                return_dict=False,
            )[0][:, : x.shape[1]]
            for prompt in prompts
        ]
        if len(found) == 1:
            return found[0]
        joined = found[1] + request.true_cfg_scale * (found[0] - found[1])
        return joined * found[0].norm(dim=-1, keepdim=True) / joined.norm(dim=-1, keepdim=True)

    for here, there in pairwise(sigmas.tolist()):
        first = slope(x, here)
        euler = x + (there - here) * first
        x = euler if there == 0 else x + (there - here) / 2 * (first + slope(euler, there))
    return x, evaluations


@pytest.mark.parametrize(("steps", "scale"), [(1, 1.0), (4, 1.0), (3, 4.0)])
def test_heuns_method_agrees_with_one_written_down_by_hand(
    folder: Path, parts: Parts, picture: torch.Tensor, monkeypatch: pytest.MonkeyPatch, steps: int, scale: float
) -> None:
    request = replace(ASKED, steps=steps, true_cfg_scale=scale)
    with torch.inference_mode():
        want, evaluations = heun_by_hand(stock_pipeline(folder, parts), picture, request)
    seen: list[torch.Tensor] = []
    asked = Spy(monkeypatch, denoise, "predict")
    original = denoise.denoise
    monkeypatch.setattr(denoise, "denoise", lambda *given: seen.append(original(*given)) or seen[-1])
    LayeredModel(parts, CPU).layers(picture, request, silent)
    assert asked.calls == evaluations == 2 * steps - 1
    assert (seen[0] - want).abs().max() < 1e-4 * want.abs().max()


def test_heuns_method_is_of_second_order_and_eulers_of_first() -> None:
    """On dx/ds = x / 2 from s = 1 to s = 0 with twice the steps: half of the error, or about a quarter of it."""

    def error(sampler: str, steps: int) -> float:
        scheduler = FlowMatchEulerDiscreteScheduler()
        scheduler.set_timesteps(sigmas=np.linspace(1, 1 / steps, steps))
        x = torch.ones(1, 1, 1)
        for i in range(steps):
            x = denoise.METHODS[sampler](scheduler, lambda _, latents: latents / 2, i, x)
        return abs(float(x) - float(np.exp(-0.5)))

    assert error("euler", 20) / error("euler", 40) == pytest.approx(2, rel=0.1)
    assert error("heun", 20) / error("heun", 40) == pytest.approx(4, rel=0.3), "its last step is one of Euler's"
    assert error("heun", 40) < error("euler", 40) / 10


def test_a_sampler_that_is_not_known_is_refused() -> None:
    with pytest.raises(QilError, match="Sampler must be one of euler, heun; got dpm"):
        Request(sampler="dpm").check()
