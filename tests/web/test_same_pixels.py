"""The panel's own compositing against the node's: the code that runs in browsers, run by node on the same layers."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from qil_core.blend import BLEND_MODES
from qil_core.composite import premultiplied
from qil_core.editor.apply import apply_edits
from qil_core.editor.fingerprint import fingerprints
from qil_core.editor.previews import preview, preview_size
from qil_core.editor.state import Edit, Edits, edits_text, parse_edits
from qil_core.files.png import write_image
from qil_core.stack import LayerStack, quantize

pytestmark = pytest.mark.slow
NODE = shutil.which("node")
HERE = Path(__file__).parent
LIMIT = 2.0
"""Of 255, in any channel of colours times alpha, and in alpha."""

NOT_LIVE = {"hard-mix"}
"""It jumps from black to white, so that the last bit of a float decides."""

MODES = sorted(set(BLEND_MODES) - NOT_LIVE)


def scene(seed: int = 0, height: int = 72, width: int = 96) -> LayerStack:
    """A gradient, and above it noise, flat shapes and soft discs, some of them reaching the edge."""
    generator = torch.Generator().manual_seed(seed)
    y, x = torch.meshgrid(torch.arange(height) / height, torch.arange(width) / width, indexing="ij")
    pixels = torch.zeros(5, height, width, 4)
    pixels[0] = torch.stack([x, y, 1 - x, torch.ones_like(x)], -1)
    pixels[1, 10:50, 12:60] = torch.rand(40, 48, 4, generator=generator)
    disc = (1.3 - 4 * ((x - 0.6) ** 2 + (y - 0.5) ** 2).sqrt()).clamp(0, 1)
    pixels[2] = torch.stack([torch.full_like(x, 0.9), 0.2 + 0.3 * y, 0.1 + 0 * x, disc], -1)
    pixels[3, 40:, 50:] = torch.tensor([0.1, 0.6, 0.3, 1.0])
    pixels[4, 5:30, 5:91] = torch.rand(25, 86, 4, generator=generator).round()
    return LayerStack.from_image(quantize(pixels), ["paper", "noise", "disc", "box", "dots"])


def random_edits(stack: LayerStack, seed: int) -> Edits:
    """Any edits at once: places, looks, colours, order, duplicates and merges."""
    chance = random.Random(seed)
    keys = fingerprints(stack)
    ids = [*keys, f"{keys[2]}~2"]
    order = chance.sample(ids, len(ids))
    merged: dict[str, tuple[str, ...]] = {}
    if chance.random() < 0.4:
        merged["m1"] = tuple(order[1:3])
        order = [order[0], "m1", *order[3:]]
    return Edits({id: random_edit(chance) for id in [*ids, *merged]}, tuple(order), merged)


def random_edit(chance: random.Random) -> Edit:
    scale = chance.choice([1, 1, 0.5, 1.3, 0.2, 2.2])
    return Edit(
        hidden=chance.random() < 0.15,
        opacity=chance.choice([1, 1, 0.5, 0.83]),
        mode=chance.choice(["normal", *MODES]),
        dx=chance.choice([0, 7, -13, 4.25]),
        dy=chance.choice([0, -9, 11]),
        scale_x=scale,
        scale_y=chance.choice([scale, 0.7]),
        rotation=chance.choice([0, 0, 90, -33.5, 180]),
        flip_x=chance.random() < 0.3,
        flip_y=chance.random() < 0.2,
        hue=chance.choice([0, 0, 75, -140]),
    )


def drawn(stack: LayerStack, texts: Sequence[str], folder: Path) -> list[NDArray[np.float64]]:
    """What the panel draws for each text of edits: straight RGBA (h, w, 4), 0..255."""
    small = preview_size(stack.width, stack.height)
    layers: list[dict[str, Any]] = []
    for i, key in enumerate(fingerprints(stack)):
        found = preview(stack, i)
        layers.append({"id": key, "name": stack.names[i], "box": found.content, "at": (found.left, found.top)})
        if found.content:
            layers[-1]["file"] = f"{i}.png"
            write_image(found.pixels, folder / f"{i}.png")
    given = {"canvas": (stack.width, stack.height), "small": small, "layers": layers}
    (folder / "scene.json").write_text(json.dumps(given))
    (folder / "states.json").write_text(json.dumps(list(texts)))
    subprocess.run([str(NODE), str(HERE / "draw.mjs"), str(folder)], check=True, timeout=300)
    shape = small[1], small[0], 4
    files = [folder / f"{i}.bin" for i in range(len(texts))]
    return [np.frombuffer(file.read_bytes(), np.uint8).astype(float).reshape(shape) for file in files]


def worst(stack: LayerStack, text: str, found: NDArray[np.float64]) -> float:
    """The largest difference to the node's own picture, in steps of 8 bits."""
    wanted = apply_edits(stack, parse_edits(text)).layered().composite()
    other = torch.from_numpy(found / 255)
    return float((premultiplied(wanted.double()) - premultiplied(other)).abs().max()) * 255


@pytest.fixture(autouse=True)
def with_node() -> None:
    if not NODE:
        pytest.skip("!!! The panel's pixels are NOT TESTED: there is no node (20 or newer) on the PATH")


def test_every_live_blend_mode_gives_the_nodes_picture(tmp_path: Path) -> None:
    stack = scene()
    keys = fingerprints(stack)
    texts = [edits_text(Edits({key: Edit(mode=mode, opacity=0.9) for key in keys[1:]})) for mode in MODES]
    errors = {mode: worst(stack, t, f) for mode, t, f in zip(MODES, texts, drawn(stack, texts, tmp_path), strict=True)}
    assert max(errors.values()) <= LIMIT, errors


@pytest.mark.parametrize(
    "edit",
    [
        Edit(dx=5, dy=-8),
        Edit(dx=500),
        Edit(dx=4.5, dy=0.25),
        Edit(rotation=90),
        Edit(rotation=-90, dx=3),
        Edit(rotation=180, flip_x=True),
        Edit(flip_y=True),
        Edit(rotation=27),
        Edit(scale_x=1.6, scale_y=1.6),
        Edit(scale_x=0.5, scale_y=0.7),
        Edit(scale_x=0.11, scale_y=0.2),
        Edit(scale_x=6, scale_y=6, rotation=10),
        Edit(hue=120),
        Edit(color="#c02060"),
        Edit(color="#c02060", scale_x=0.6, rotation=200, flip_x=True),
    ],
    ids=str,
)
def test_a_placed_and_recoloured_layer_is_the_nodes(edit: Edit, tmp_path: Path) -> None:
    stack = scene()
    texts = [edits_text(Edits({key: edit})) for key in fingerprints(stack)]
    errors = [worst(stack, text, found) for text, found in zip(texts, drawn(stack, texts, tmp_path), strict=True)]
    assert max(errors) <= LIMIT, errors


def test_fifty_random_states_give_the_nodes_picture(tmp_path: Path) -> None:
    stack = scene(1)
    texts = [edits_text(random_edits(stack, seed)) for seed in range(50)]
    errors = [worst(stack, text, found) for text, found in zip(texts, drawn(stack, texts, tmp_path), strict=True)]
    assert max(errors) <= LIMIT, [(i, round(error, 1)) for i, error in enumerate(errors) if error > LIMIT]
