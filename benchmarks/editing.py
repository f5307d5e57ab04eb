"""Edits by words on scenes with known layers: what alpha and colours survive, beside the usual green-screen recipe."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from qil_core.composite import onto_color
from qil_core.edit.answer import Alpha
from qil_core.edit.frame import Frame, frame_of
from qil_core.edit.run import edit_layer
from qil_core.edit_request import EditRequest
from qil_core.metrics import edge_band
from qil_core.recolor import HueTurn, recolor
from qil_core.stack import LayerStack, quantized
from qil_core.transform import Placement, transform

from .fake_editors import FakeEditor, key_of, noisy, unchanged
from .scenes import Scene, scenes
from .scores import Row, show

GREEN = (30 / 255, 215 / 255, 96 / 255)
KEYING = (0.1, 0.4)
"""Distances from the green at which the recipe's alpha is 0 and 1."""

NOISE = 2 / 255
DEGREES = 120.0
MOVE = Placement(rotation=-5, scale_x=0.8, scale_y=1.05)
REQUEST = EditRequest("turn its colours")

WAVERING = {
    "as it was": unchanged,
    "noise of 0.02": noisy(0.02),
    "noise of 0.01, 3 px wide": noisy(0.01, smooth=1),
    "noise of 0.01, 7 px wide": noisy(0.01, smooth=3),
    "tone, noise of 0.01": noisy(0.01, (0.02, -0.02, 0.01), 0.98),
    "noise of 0.04": noisy(0.04),
    "noise of 0.02, 7 px wide": noisy(0.02, smooth=3),
}
"""Answers in which nothing was edited; the last one is more than what is promised."""


SIDE, EDITED = 400, 512
"""The scenes' longer side, and the side of the square with as many pixels as the editor works on: minutes on a CPU. The
model's own are 640 and 1024."""


def run() -> None:
    identities(SIDE)
    recolourings(SIDE)
    reshapings(SIDE)


def identities(side: int) -> None:
    """Layers that an editor gives back as they were, or nearly."""
    print(f"  answers without an edit, scenes of {side} px: largest differences in 1/255, layers that changed at all")
    rows: dict[str, list[tuple[float, float, bool]]] = {name: [] for name in WAVERING}
    for scene, index in layers_of(side):
        for name, change in WAVERING.items():
            (done,), _ = edit_layer(FakeEditor(change, EDITED), scene.layers, index, REQUEST)
            rows[name].append(differences(done.pixels[index], scene.layers.pixels[index]))
    for name, found in rows.items():
        colors, alphas, others = zip(*found, strict=True)
        what = f"colour {max(colors):6.1f}, alpha {max(alphas):6.1f}"
        print(f"  {name:28}{what}, {sum(others)} of {len(found)} layers")


def differences(layer: Tensor, true: Tensor) -> tuple[float, float, bool]:
    """Largest differences of colour, where there is alpha, and of alpha, in 1/255; and whether any bit differs."""
    off = 255 * (layer - true).abs()
    return float(off[true[..., 3] > 0][:, :3].max()), float(off[..., 3].max()), not torch.equal(layer, true)


def layers_of(side: int) -> Iterator[tuple[Scene, int]]:
    """Every layer but the bottom ones."""
    for scene in scenes(side):
        for index in range(1, len(scene.layers)):
            yield scene, index


def recolourings(side: int) -> None:
    """Every layer with its colours turned by an editor that leaves the backdrop alone."""
    rows = []
    for scene in scenes(side):
        found = [recoloured_row(scene.layers, index) for index in range(1, len(scene.layers))]
        rows.append((scene, {name: statistics.fmean(row[name] for row in found) for name in found[0]}))
    show(f"colours turned by {DEGREES:g} degrees, noise of {NOISE:.3f}, {len(rows)} scenes of {side} px", rows)
    errors = {name: statistics.fmean(row[name] for _, row in rows) for name in ("auto", "new", "recipe")}
    for name in ("auto", "new"):
        print(f"  alpha error of {name} as a share of the recipe's: {errors[name] / errors['recipe']:.3f}")


def recoloured_row(stack: LayerStack, index: int) -> Row:
    """Alpha errors and spill in soft edges: ours with alpha "auto" and "new", and the recipe's."""
    true = quantized(recolor(stack, index, HueTurn(DEGREES)).pixels[index])
    frame = frame_of(FakeEditor(unchanged, EDITED), stack.pixels[index], index, "new", behind=False)
    editor = FakeEditor(painted(true, frame), EDITED)
    kept, new = (edited(editor, stack, index, alpha) for alpha in ("auto", "new"))
    key = key_of(editor.given[0][0])
    recipe, green = by_recipe(editor, stack.pixels[index], frame), key.new_tensor(GREEN)
    return {
        "auto": alpha_error(kept, true),
        "new": alpha_error(new, true),
        "recipe": alpha_error(recipe, true),
        "spill auto": spill(kept, true, key),
        "spill new": spill(new, true, key),
        "spill recipe": spill(recipe, true, green),
    }


def reshapings(side: int) -> None:
    """Every layer turned and scaled by an editor that leaves colours and backdrop alone."""
    rows = []
    for scene in scenes(side):
        found = [reshaped_row(scene.layers, index) for index in range(1, len(scene.layers))]
        rows.append((scene, {name: statistics.fmean(row[name] for row in found) for name in found[0]}))
    show(f"layers turned and scaled, noise of {NOISE:.3f}, {len(rows)} scenes of {side} px", rows)


def reshaped_row(stack: LayerStack, index: int) -> Row:
    """What is off where either layer is: alpha, and colours on white; with alpha "auto", and the recipe's."""
    true = quantized(transform(stack, index, MOVE).pixels[index])
    frame = frame_of(FakeEditor(unchanged, EDITED), stack.pixels[index], index, "auto", behind=False)
    editor = FakeEditor(painted(true, frame), EDITED)
    ours, recipe = edited(editor, stack, index, "auto"), by_recipe(editor, stack.pixels[index], frame)
    return {
        "alpha": off_by(ours, true)[0],
        "alpha recipe": off_by(recipe, true)[0],
        "on white": off_by(ours, true)[1],
        "white recipe": off_by(recipe, true)[1],
    }


def off_by(layer: Tensor, true: Tensor) -> tuple[float, float]:
    """Mean difference where either layer is seen, of alpha and of colours on white."""
    seen = (layer[..., 3] > 0.01) | (true[..., 3] > 0.01)
    alpha = (layer - true)[..., 3].abs()[seen]
    white = [onto_color(one[seen], one.new_ones(3))[..., :3] for one in (layer, true)]
    return float(alpha.mean()), float((white[0] - white[1]).abs().mean())


def painted(layer: Tensor, frame: Frame) -> Callable[[Tensor, int], Tensor]:
    """Answers with a layer (H, W, 4) on the key colour that was sent, slightly noisy."""
    small = frame.seen(layer)

    def change(picture: Tensor, variant: int) -> Tensor:
        return noisy(NOISE)(torch.lerp(key_of(picture).expand_as(picture), small[..., :3], small[..., 3:]), variant)

    return change


def edited(editor: FakeEditor, stack: LayerStack, index: int, alpha: Alpha) -> Tensor:
    (done,), _ = edit_layer(editor, stack, index, REQUEST, alpha)
    return done.pixels[index]


def by_recipe(editor: FakeEditor, layer: Tensor, frame: Frame) -> Tensor:
    """The layer flattened on green, edited, and cut out by its distance from the green: (H, W, 4)."""
    small, green = frame.seen(layer), layer.new_tensor(GREEN)
    flat = torch.lerp(green.expand_as(small[..., :3]), small[..., :3], small[..., 3:])
    (answer,) = editor.edit([flat], REQUEST, lambda fraction, what: None).pictures
    low, high = KEYING
    alpha = (((answer - green).norm(dim=-1, keepdim=True) - low) / (high - low)).clamp(0, 1)
    done = torch.zeros_like(layer)
    left, top, right, bottom = frame.within(layer)
    done[top:bottom, left:right] = frame.back(torch.cat([answer, alpha], -1), layer, "bicubic")
    return quantized(done)


def alpha_error(layer: Tensor, true: Tensor) -> float:
    """Mean difference of alpha where either is soft; 0 where nothing is."""
    band = edge_band(true[..., 3]) | edge_band(layer[..., 3])
    return float((layer - true)[..., 3].abs()[band].mean()) if bool(band.any()) else 0.0


def spill(layer: Tensor, true: Tensor, key: Tensor) -> float:
    """Mean shift of colour towards the key, by alpha, in true soft edges."""
    band = edge_band(true[..., 3])
    weight, before = true[band][:, 3], true[band][:, :3]
    towards = torch.nn.functional.normalize(key - before, dim=-1)
    shift = ((layer[band][:, :3] - before) * towards).sum(-1)
    return float((weight * shift).sum() / weight.sum().clamp(min=1e-6))
