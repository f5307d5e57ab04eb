"""Test-only nodes: what needs 50 GB of weights, without them."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import torch
from comfy_api.latest import ComfyExtension, io
from torch import Tensor

from . import segmenters


class StandInLayeredDecode(io.ComfyNode):
    """(layers + 1, H, W, 4): the whole picture, then vertical strips of it, bottom first, together the picture.

    That is the shape and order of what ComfyUI's own layered graph decodes.
    """

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="StandInLayeredDecode",
            category="_for_testing",
            inputs=[io.Image.Input("image"), io.Int.Input("layers", default=4, min=1, max=10)],
            outputs=[io.Image.Output()],
        )

    @classmethod
    def execute(cls, image: torch.Tensor, layers: int) -> io.NodeOutput:
        picture = torch.cat([image[:1, ..., :3], torch.ones_like(image[:1, ..., :1])], dim=-1)
        strip = torch.arange(picture.shape[2]) * layers // picture.shape[2]
        frames = picture.repeat(layers + 1, 1, 1, 1)
        for i in range(layers):
            frames[i + 1, ..., 3] *= strip == i
        return io.NodeOutput(frames)


class Obedient:
    """An editor (qil_core.edit.Editor) that does what the last word of the instruction says.

    same: nothing. A word of r, g and b: puts these channels in the place of red, green and blue. quarter: paints the
    right quarter in the colour of the corner. everything: paints all of it so. slow: nothing, in 20 s. Variant i is
    darker by i/10.
    """

    label = "Obedient"

    def native_size(self, width: int, height: int) -> tuple[int, int]:
        ratio = math.sqrt(width / height)
        return max(32, round(512 * ratio / 16) * 16), max(32, round(512 / ratio / 16) * 16)

    def edit(self, pictures: Sequence[Tensor], request: Any, progress: Callable[[float, str], None]) -> Any:
        word = request.instruction.split()[-1]
        for i in range(400 if word == "slow" else 1):
            progress(i / 400, "obeying")
            time.sleep(0.05)
        answer = changed(pictures[0], word)
        sizes = ", ".join(f"{picture.shape[1]} x {picture.shape[0]}" for picture in pictures)
        answers = tuple(answer * (1 - i / 10) for i in range(request.variants))
        return SimpleNamespace(pictures=answers, notes=(f"Given: {sizes}; seed {request.seed}.",))


def changed(picture: Tensor, word: str) -> Tensor:
    if sorted(word) == ["b", "g", "r"]:
        return picture[..., ["rgb".index(letter) for letter in word]]
    picture = picture.clone()
    if word == "quarter":
        picture[:, picture.shape[1] * 3 // 4 :] = picture[0, 0]
    if word == "everything":
        picture[:] = picture[0, 0]
    return picture


class StandInEditModel(io.ComfyNode):
    """An edit model without weights."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="StandInEditModel",
            category="_for_testing",
            inputs=[],
            outputs=[io.Custom("EDIT_MODEL").Output()],
        )

    @classmethod
    def execute(cls) -> io.NodeOutput:
        return io.NodeOutput(Obedient())


class StandIn(ComfyExtension):
    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        return [StandInLayeredDecode, StandInEditModel, *segmenters.NODES]


async def comfy_entrypoint() -> StandIn:
    return StandIn()
