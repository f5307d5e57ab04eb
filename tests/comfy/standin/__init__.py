"""A test-only node: the shape and order of what ComfyUI's own layered graph decodes, without its 50 GB of weights."""

from __future__ import annotations

import torch
from comfy_api.latest import ComfyExtension, io


class StandInLayeredDecode(io.ComfyNode):
    """(layers + 1, H, W, 4): the whole picture, then vertical strips of it, bottom first, together the picture."""

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


class StandIn(ComfyExtension):
    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        return [StandInLayeredDecode]


async def comfy_entrypoint() -> StandIn:
    return StandIn()
