"""PNG encoding: the settings that are used against Pillow's defaults, on the example poster's own layers."""

from __future__ import annotations

import io
import os

import numpy as np
import torch
from PIL import Image

from qil_core.decompose import Request
from qil_core.decompose.builtin import Builtin
from qil_core.decompose.run import decompose
from qil_core.example import draw_poster
from qil_core.files.png import encode, parallel
from qil_core.stack import LayerStack, to_bytes

from .timing import in_turns


def with_pillow(stack: LayerStack) -> list[bytes]:
    encoded = []
    for layer in stack.pixels:
        buffer = io.BytesIO()
        Image.fromarray(to_bytes(layer).numpy()).save(buffer, "PNG")
        encoded.append(buffer.getvalue())
    return encoded


def with_ours(stack: LayerStack) -> list[bytes]:
    with parallel(encode, stack.pixels) as encoded:
        return list(encoded)


def run() -> None:
    poster = torch.from_numpy(np.array(draw_poster().convert("RGB"))).float() / 255
    stack, _ = decompose(Builtin(), poster, Request(6))
    times = in_turns(lambda: with_ours(stack), lambda: with_pillow(stack), turns=3)
    ours, theirs = (sum(map(len, encoded)) / 1e6 for encoded in (with_ours(stack), with_pillow(stack)))
    print(f"  {len(stack)} layers of {stack.width} x {stack.height}, {os.cpu_count()} cores: {times}")
    print(f"  size {ours:.2f} MB against {theirs:.2f} MB")
