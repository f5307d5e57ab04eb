"""Test-only models for ComfyUI's own segmenting nodes, which run for real on them, and a partner node's double."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from comfy import model_management
from comfy.model_patcher import ModelPatcher
from comfy_api.latest import io
from torch import Tensor, nn

COLORS = {"blue": (40, 90, 200), "red": (220, 60, 50), "green": (60, 160, 80)}
"""What the words of the segmenter mean: the colours of the test picture's shapes."""

NEAR = 0.25
"""How far a colour may be from that of a word, of 1."""

SEEN = 1008
"""Side of the square that SAM3 sees."""

COARSE = 288
"""Side of the square of SAM3's unrefined masks."""

MARGIN = 40
"""Clear rows and columns before a shape in the document: its place is then outside the canvas."""


def like(picture: Tensor, color: Tensor) -> Tensor:
    """Logits (1, 1, h, w) of a picture (1, 3, h, w): above 0 where it has this colour."""
    return (NEAR - (picture - color.reshape(1, 3, 1, 1)).norm(dim=1, keepdim=True)) * 100


class ColorDetector(nn.Module):
    """What SAM3_Detect asks of SAM3: every separate area in the colour of the word, and its mask refined."""

    def forward(self, frame: Tensor, text_embeddings: Tensor, orig_size: tuple[int, int], **_: Any) -> dict[str, Any]:
        logits = like(frame, text_embeddings)[0, 0]
        count, labels, found, _ = cv2.connectedComponentsWithStats((logits > 0).numpy().astype(np.uint8))
        order = sorted(range(1, count), key=lambda i: -int(found[i, cv2.CC_STAT_AREA]))
        masks = [torch.where(torch.from_numpy(labels == i), 9.0, -9.0) for i in order]
        left, top, width, height = (torch.from_numpy(found[order, i]).float() / SEEN for i in range(4))
        rows, columns = orig_size
        boxes = torch.stack([left * columns, top * rows, (left + width) * columns, (top + height) * rows], dim=-1)
        stacked = torch.stack(masks) if masks else torch.zeros(0, SEEN, SEEN)
        small = F.interpolate(stacked[None], size=(COARSE, COARSE), mode="bilinear")
        return {"boxes": boxes[None], "scores": torch.linspace(3, 2, len(order))[None], "masks": small}

    def forward_segment(self, frame: Tensor, mask_inputs: Tensor) -> Tensor:
        inside = (mask_inputs > 0).expand_as(frame)
        color = torch.stack([frame[:, i][inside[:, i]].median() for i in range(3)])
        return torch.minimum(like(frame, color), mask_inputs + 5)


class ColorModel(nn.Module):
    """A model as ModelPatcher holds one."""

    def __init__(self) -> None:
        super().__init__()
        self.diffusion_model = ColorDetector()
        self.device = torch.device("cpu")

    def get_dtype(self) -> torch.dtype:
        return torch.float32


class ColorWords:
    """What CLIPTextEncode asks of SAM3's text encoder: "blue, red:2" is one blue and two red things at the most."""

    def tokenize(self, text: str) -> list[tuple[str, int]]:
        parts = [word.strip().partition(":") for word in text.split(",")]
        return [(word.strip(), int(most or 1)) for word, _, most in parts]

    def encode_from_tokens_scheduled(self, tokens: list[tuple[str, int]]) -> list[Any]:
        prompts = [
            {"cond": torch.tensor([[COLORS[word]]]) / 255, "attention_mask": None, "max_detections": most}
            for word, most in tokens
        ]
        return [[prompts[0]["cond"], {"sam3_multi_cond": prompts}]]


class StandInSAM3Checkpoint(io.ComfyNode):
    """In the place of Load Checkpoint: SAM3 and its text encoder, which know the colours of the test picture."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="StandInSAM3Checkpoint",
            category="_for_testing",
            inputs=[io.String.Input("ckpt_name")],
            outputs=[io.Model.Output(), io.Clip.Output(), io.Vae.Output()],
        )

    @classmethod
    def execute(cls, ckpt_name: str) -> io.NodeOutput:
        here = torch.device("cpu")
        return io.NodeOutput(ModelPatcher(ColorModel(), load_device=here, offload_device=here), ColorWords(), None)


class CornerRemover:
    """What RemoveBackground asks of its model: soft masks (B, H, W) of all that has not the corner's colour."""

    def encode_image(self, image: Tensor) -> Tensor:
        away = (image[..., :3] - image[:, :1, :1, :3]).norm(dim=-1)
        return ((away - 0.02) / 0.2).clamp(0, 1).to(model_management.intermediate_device())


class StandInBackgroundRemovalModel(io.ComfyNode):
    """In the place of Load Background Removal Model."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="StandInBackgroundRemovalModel",
            category="_for_testing",
            inputs=[io.String.Input("bg_removal_name")],
            outputs=[io.BackgroundRemoval.Output("bg_model")],
        )

    @classmethod
    def execute(cls, bg_removal_name: str) -> io.NodeOutput:
        return io.NodeOutput(CornerRemover())


def _separation_inputs(extra: list[io.Input]) -> list[io.Input]:
    return [
        io.Image.Input("image"),
        io.String.Input("prompt", multiline=True, default=""),
        io.Combo.Input("size", options=["auto", "1K", "1.5K", "2K"], default="auto"),
        io.Int.Input("seed", default=42, min=0, max=2**31 - 1, control_after_generate=True),
        *extra,
        io.Boolean.Input("watermark", default=False, advanced=True),
        io.Boolean.Input("crop_layers", default=False, label_on="minimal size", label_off="full canvas"),
    ]


class LayerSeparation(io.ComfyNode):
    """ByteDance's partner node by its own id, inputs and outputs, which this ComfyUI lacks: nothing is sent.

    Its document is as the real one makes it: half the picture's size, a plate without the shapes and the shapes cropped
    to their boxes, soft masks with 1 for transparent, places without sizes, a box that begins outside the canvas.
    """

    @classmethod
    def define_schema(cls) -> io.Schema:
        fast = io.Combo.Input("prompt_optimization", options=["standard", "fast"], default="standard", advanced=True)
        models = {"seedream 5.0 pro": [fast], "seedream 5.0 flash": []}
        options = [io.DynamicCombo.Option(name, _separation_inputs(extra)) for name, extra in models.items()]
        return io.Schema(
            node_id="ByteDanceSeedreamLayerSeparationNodeV2",
            display_name="ByteDance Seedream 5.0 Layer Separation",
            category="_for_testing",
            inputs=[io.DynamicCombo.Input("model", options=options)],
            outputs=[
                io.Image.Output("base_image"),
                io.Mask.Output("base_mask"),
                io.Image.Output("layers"),
                io.Mask.Output("masks"),
                io.BoundingBox.Output("bboxes"),
                io.Custom("LAYERS").Output("layer_stack"),
            ],
        )

    @classmethod
    def execute(cls, model: dict[str, Any]) -> io.NodeOutput:
        small = F.interpolate(model["image"].movedim(-1, 1), scale_factor=0.5, mode="area").movedim(1, -1)
        plate = small[:, :1, :1].expand_as(small).contiguous()
        items = [{"image": plate, "type": "raster", "x": 0, "y": 0, "z_index": 0, "name": "background"}]
        for name, color in COLORS.items():
            items.append(_item(small[0], name, torch.tensor(color) / 255, len(items)))
        height, width = small.shape[1:3]
        none = torch.zeros(1, height, width)
        document = {"version": 1, "canvas": (width, height), "layers": items[::-1]}
        return io.NodeOutput(plate, none, small, 1 - none, [[]], document)


def _item(picture: Tensor, name: str, color: Tensor, level: int) -> dict[str, Any]:
    """A shape of one colour over the paper of the corner, cropped, with MARGIN clear columns and rows before it."""
    paper = picture[0, 0]
    alpha = ((picture - paper) @ (color - paper) / (color - paper).pow(2).sum()).clamp(0, 1)
    rest = (picture - (paper + alpha[..., None] * (color - paper))).norm(dim=-1)
    alpha = torch.where(rest < 0.1, alpha, 0)
    rows, columns = (torch.nonzero(alpha.amax(dim=i) > 0.5).flatten() for i in (1, 0))
    top, left = int(rows[0]) - MARGIN, int(columns[0]) - MARGIN
    padded = F.pad(alpha, (MARGIN, 0, MARGIN, 0))
    cut = padded[int(rows[0]) : int(rows[-1]) + MARGIN + 2, int(columns[0]) : int(columns[-1]) + MARGIN + 2]
    image = color.expand(1, *cut.shape, 3).contiguous()
    return {
        "image": image,
        "type": "raster",
        "x": left,
        "y": top,
        "z_index": level,
        "mask": 1 - cut[None],
        "name": name,
    }


NODES: list[type[io.ComfyNode]] = [StandInSAM3Checkpoint, StandInBackgroundRemovalModel, LayerSeparation]
