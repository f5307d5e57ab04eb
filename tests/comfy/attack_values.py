"""What the nodes are attacked with: values that are right, and values that are wrong, by the types of the inputs.

Imported by attack.py once ComfyUI's modules are set up.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import torch
from comfy_api.latest import io
from torch import Tensor

NAN, INF = math.nan, math.inf
SIDE = 12

ANYTHING = {
    "None": None,
    "a text": "bogus",
    "empty text": "",
    "half a pair": "\ud83d",
    "true": True,
    "number": 7,
    "negative": -7,
    "huge": 2**80,
    "part": 0.5,
    "NaN": NAN,
    "infinity": INF,
    "minus infinity": -INF,
    "object": {},
    "wrapped": {"__value__": ["\ud83d"]},
    "empty list": [],
    "list": ["a", "b", "c"],
}
"""For every input, typed in and over a link."""

OBJECTS = {"bytes": b"\xff", "a thing": object(), "class": dict, "tensor": torch.zeros(2)}
"""For every input, over a link."""

TEXTS = {
    "blanks": " \t ",
    "NUL": "a\0b",
    "escape": "\x1b[31mred\x1b[0m",
    "long": "a" * 100_000,
    "longer": "a b\n" * 100_000,
    "long line of letters": "x" * 4000,
    "many lines": "\n" * 5000,
    "many indices": "0," * 1500,
    "large range": "0-999999999",
    "many digits": "9" * 4000,
    "ranges": "0-999 " * 100,
    "home": "~nosuchuser/x",
    "name of 300 letters": "a" * 300,
    "name of 300 letters below": f"layers/{'漢' * 100}/x",
    "up": "../../x",
    "absolute": "/etc/passwd",
    "hidden": ".",
    "format": "%s%n{}{0}%(x)s",
    "right to left": "\u202egnp.x",
    "half a pair inside": "a\ud800/b",
    "letters": "é漢😀",
    "out of range": "rgb(300, 0, 0)",
}
"""For what takes free texts."""

LAYER = "0123456789abcdef"
CUTS = {
    "a number": 7,
    "a list": [],
    "other name": {"x1": {"of": LAYER, "inside": [[1, 1]]}},
    "too many": {f"c{i + 1}": {"of": LAYER, "inside": [[1, 1]]} for i in range(101)},
    "of nothing": {"c1": {"inside": [[1, 1]]}},
    "of a duplicate": {"c1": {"of": f"{LAYER}~2", "inside": [[1, 1]]}},
    "of itself": {"c1": {"of": "c1", "inside": [[1, 1]]}},
    "of a later one": {"c1": {"of": "c2", "inside": [[1, 1]]}, "c2": {"of": "c1", "inside": [[1, 1]]}},
    "of a layer that is gone": {"c1": {"of": LAYER, "inside": [[1, 1]]}},
    "no pick": {"c1": {"of": LAYER}},
    "half a point": {"c1": {"of": LAYER, "inside": [[1]]}},
    "huge point": {"c1": {"of": LAYER, "inside": [[10**400, 1e308]]}},
    "many points": {"c1": {"of": LAYER, "inside": [[1, 1]] * 101}},
    "empty box": {"c1": {"of": LAYER, "box": [5, 5, 5, 9]}},
    "box of texts": {"c1": {"of": LAYER, "box": ["1", "2", "3", "4"]}},
    "huge grow": {"c1": {"of": LAYER, "inside": [[1, 1]], "grow": 10**400}},
    "other key": {"c1": {"of": LAYER, "inside": [[1, 1]], "pixels": "AAAA"}},
}
"""What is wrong, or names what is not there, in the cuts of Layer Editor's edits."""

POINTS = {
    "no list": "7",
    "pairs": "[[1, 2]]",
    "beside": '[{"x": 99, "y": 1}]',
    "no number": '[{"x": "1", "y": true}]',
    "NaN point": '[{"x": NaN, "y": 1e999}]',
    "huge point": f'[{{"x": {10**400}, "y": 1}}]',
    "deep": "[" * 100_000,
    "many": "[" + '{"x": 1, "y": 1},' * 1001 + '{"x": 1, "y": 1}]',
}
"""For what takes points as ComfyUI's nodes give them."""

BOX = {"x": 2, "y": 2, "width": 6, "height": 6}
BOXES = {
    "half a box": {"x": 1},
    "NaN box": {**BOX, "x": NAN},
    "huge box": {**BOX, "width": 10**400},
    "box beside": {**BOX, "x": 99},
    "empty box": {**BOX, "width": 0},
    "box of texts": dict.fromkeys(BOX, "1"),
    "two frames": [[BOX], [BOX]],
    "one frame": [[BOX]],
    "many boxes": [BOX] * 101,
}

SHAPES = (
    *((), (4,), (SIDE, 4), (SIDE, SIDE), (SIDE, SIDE, 3), (SIDE, SIDE, 4), (1, 2, SIDE, SIDE, 4)),
    *((0, SIDE, SIDE, 4), (2, 0, SIDE, 4), (2, SIDE, 0, 4), (2, SIDE, SIDE, 0), (0, SIDE, SIDE, 3)),
    *((2, SIDE, SIDE, 1), (2, SIDE, SIDE, 2), (2, SIDE, SIDE, 3), (2, SIDE, SIDE, 5), (2, 4, SIDE, SIDE)),
    *((1, 1, 1, 4), (1, 1, 3000, 4), (1, 3000, 1, 4), (1200, 1, 1, 4), (1, SIDE + 1, SIDE, 4)),
)
MASK_SHAPES = (
    *((), (SIDE,), (SIDE, SIDE), (0, SIDE, SIDE), (1, 0, SIDE), (1, SIDE, SIDE, 1), (1, 1, SIDE, SIDE, 1)),
    *((1, 5, 7), (9, SIDE, SIDE)),
)
DTYPES = (torch.uint8, torch.int64, torch.bool, torch.float16, torch.bfloat16, torch.float64, torch.complex64)
FILLS = (NAN, INF, -INF, -1.0, 2.0, 1e38)


def stack() -> Tensor:
    """Three layers on the 8-bit grid: a ground, a square and a bar."""
    pixels = torch.zeros(3, SIDE, SIDE, 4)
    pixels[0] = torch.tensor([0.2, 0.4, 0.6, 1.0])
    pixels[1, 2:7, 2:7] = torch.tensor([1.0, 0.0, 0.0, 1.0])
    pixels[2, 8:10] = torch.tensor([0.0, 1.0, 0.0, 0.6])
    return pixels


def tensors(good: Tensor, shapes: tuple[tuple[int, ...], ...]) -> dict[str, Any]:
    """What may be wrong with a tensor that is right, and what is unusual about one and still right."""
    shaped = {f"shape {shape}": torch.zeros(shape) for shape in shapes}
    typed = {f"dtype {dtype}": good.to(dtype) for dtype in DTYPES}
    filled = {f"filled {value}": torch.full_like(good, value) for value in FILLS}
    one_nan = good.clone()
    one_nan[0, 0, 0] = NAN
    odd = {
        "one NaN": one_nan,
        "turned": torch.rot90(good, 1, (1, 2)),
        "expanded": good[:1].expand(3, *good.shape[1:]),
        "sparse": good.to_sparse(),
        "on no device": good.to("meta"),
        "array": good.numpy(),
        "list of tensors": [good],
    }
    return {**shaped, **typed, **filled, **odd}


def wrong_values(item: Any) -> Iterator[tuple[str, Any]]:
    """What may be typed in: for all, and by the type of the input. JSON holds it all."""
    yield from ANYTHING.items()
    if isinstance(item, io.Int.Input | io.Float.Input):
        yield from {"below": item.min - 1, "above": item.max + 1, "least": item.min, "most": item.max}.items()
    if item.id == "edits":
        yield from ((f"cut: {what}", json.dumps({"version": 1, "cut": cut})) for what, cut in CUTS.items())
    if item.id.endswith("_coords"):
        yield from POINTS.items()
    listed = isinstance(item, io.Combo.Input) and type(item) is io.Combo.Input
    if isinstance(item, io.String.Input | io.Color.Input | io.Combo.Input | io.MultiType.Input) and not listed:
        yield from TEXTS.items()


def wrong_links(item: Any) -> Iterator[tuple[str, Any]]:
    """What may come over a link."""
    yield from wrong_values(item)
    yield from OBJECTS.items()
    if item.io_type == "BOUNDING_BOX":
        yield from BOXES.items()
    if isinstance(item, io.Image.Input):
        yield from tensors(stack(), SHAPES).items()
    if isinstance(item, io.Mask.Input):
        noise = torch.rand(1, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
        yield from tensors(noise, MASK_SHAPES).items()


class Editor:
    """Gives the picture back."""

    label = "Editor"

    def native_size(self, width: int, height: int) -> tuple[int, int]:
        return width, height

    def edit(self, pictures: Any, request: Any, progress: Any) -> Any:
        return SimpleNamespace(pictures=tuple(pictures[:1]) * request.variants, notes=())


class Core:
    """What a loader of ComfyUI gives, as far as our nodes look at it: a MODEL, a CLIP and a VAE in one."""

    model = SimpleNamespace(model_config=SimpleNamespace(unet_config={"use_additional_t_cond": True}))

    def clone(self) -> Core:
        return self

    def tokenize(self, text: str) -> dict[str, list[Any]]:
        return {"qwen25_7b": []}

    def encode(self, pixels: Tensor) -> Tensor:
        return pixels


def right_values(decomposer: Any, document: Any, look: Any) -> dict[str, Any]:
    """A value that is right by an input's id or, where none is here, by its socket's type.

    Raises KeyError, in whoever asks, for a type that is not known: a new one is added here.
    """
    picture = stack()[:1]
    by_id = dict.fromkeys(("image", "original", "reference_2", "reference_3", "background"), picture)
    square = torch.zeros(1, SIDE, SIDE)
    square[0, 2:7, 2:7] = 1
    core = dict.fromkeys(("MODEL", "CLIP", "VAE"), Core())
    ours = {"LAYERED_MODEL": decomposer, "EDIT_MODEL": Editor(), "LAYERS": document, "LAYER_LOOK": look}
    no_boxes = {"BOUNDING_BOX": None}  # Layers from Masks takes masks or boxes
    return {"IMAGE": stack(), "MASK": torch.zeros(1, SIDE, SIDE), **ours, **core, **by_id, **no_boxes, "masks": square}


TYPED = {"filename_prefix": "attack/x", "instruction": "make it red", "files": "layer.png"}
"""Right values of widgets whose default will not do, by their ids."""
