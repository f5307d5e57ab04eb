"""Quality on scenes with known layers: the built-in decomposer, restoring small blurred noisy layers, and use."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
import torch
from PIL import Image
from torch import Tensor

from qil_core.composite import composite, premultiplied, visible_weights
from qil_core.decompose import Request
from qil_core.decompose.builtin import Builtin
from qil_core.decompose.run import decompose
from qil_core.exact import make_exact, recomposition
from qil_core.metrics import edge_band, edge_error, layers_edit_dist
from qil_core.restore import restore
from qil_core.stack import LayerStack, quantized

from . import drawn_scores
from .scenes import BACKGROUNDS, CONTENTS, Scene, scenes
from .tables import print_table

BLUR, NOISE = 0.7, 0.02
"""What a model does to small layers: standard deviations, in pixels of them and in 0..1."""

FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "bicubic": Image.Resampling.BICUBIC,
    "Lanczos": Image.Resampling.LANCZOS,
}

Row = dict[str, float]


def run() -> None:
    decomposed()
    restored()
    drawn_scores.tuning()


def decomposed(side: int = 768, seeds: int = 4) -> None:
    """The built-in decomposer, asked for as many layers as there are."""
    rows = []
    for scene in scenes(side, seeds):
        found, report = decompose(Builtin(), composite(scene.layers)[..., :3], Request(len(scene.layers)))
        rows.append((scene, {**scored(found, scene.layers), "max error": report.after.max_error}))
    show(f"the built-in decomposer, {len(rows)} scenes of {side} px", rows)


def scored(found: LayerStack, true: LayerStack) -> Row:
    """LayersEditDist without merges and with five. One layer for all is scored as that and a clear one."""
    if len(found) == 1:
        found = LayerStack(torch.cat([found.pixels, torch.zeros_like(found.pixels)]), ("", ""))
    levels = layers_edit_dist(found, true).levels
    names = [
        (merges, what, attribute) for merges in (0, 5) for what, attribute in (("L1", "rgb_l1"), ("IoU", "alpha_iou"))
    ]
    return {f"{what} at {merges}": getattr(levels[merges], attribute) for merges, what, attribute in names}


def restored(side: int = 2560, small: int = 640, seeds: int = 1) -> None:
    """True layers made small, blurred and noisy, and brought back."""
    rows = [(scene, restored_row(scene, small / side)) for scene in scenes(side, seeds)]
    show(f"restored from {small} to {side} px, errors as shares of those of other ways, {len(rows)} scenes", rows)


def restored_row(scene: Scene, scale: float) -> Row:
    """Alpha error in Lanczos's edge band, and colour error inside soft edges."""
    true, picture = scene.layers, composite(scene.layers)
    low = degraded(true, scale)
    ours = make_exact(restore(low, picture), picture)
    theirs = {name: resized(low.pixels, true.height, true.width, how) for name, how in FILTERS.items()}
    alpha, band = true.pixels[1:, ..., 3], edge_band(theirs["Lanczos"][1:, ..., 3])
    mine = edge_error(ours.pixels[1:, ..., 3], alpha, band)
    shares = {f"alpha/{name}": mine / edge_error(other[1:, ..., 3], alpha, band) for name, other in theirs.items()}
    soft = edge_band(alpha, 0.05)
    lanczos = theirs["Lanczos"]
    shares["colour/Lanczos"] = color_error(ours.pixels, true.pixels, soft) / color_error(lanczos, true.pixels, soft)
    seen = soft & (visible_weights(true.pixels[..., 3])[1:] > 0.95 * alpha)
    if seen.any() and (colors := pymatting_colors(picture, ours.pixels)) is not None:
        usual = color_error(lanczos, true.pixels, seen)
        shares["c. seen/L."] = color_error(ours.pixels, true.pixels, seen) / usual
        shares["PyMatting/L."] = color_error(colors, true.pixels, seen) / usual
    hidden = 255 * hidden_error(ours, true)
    return {"alpha error": mine, **shares, "hidden /255": hidden, "max error": recomposition(ours, picture).max_error}


def pymatting_colors(picture: Tensor, layers: Tensor) -> Tensor | None:
    """PyMatting's multi-level foreground colours (N, H, W, 3) of a picture, given the alpha of layers (N, H, W, 4).

    It knows the picture alone, so only what is seen of a layer can be compared. None where it is not installed.
    """
    try:
        from pymatting import estimate_foreground_ml
    except ImportError:
        return None
    image = picture[..., :3].double().numpy()
    colors = [torch.from_numpy(estimate_foreground_ml(image, layer[..., 3].double().numpy())) for layer in layers]
    return torch.stack(colors).float()


def hidden_error(layers: LayerStack, true: LayerStack) -> float:
    """Mean difference of colours, 0..1, of all true layers where they are solid and nothing of them shows."""
    alpha = true.pixels[..., 3]
    hidden = (alpha > 0.99) & (visible_weights(alpha) < 0.01)
    return float((layers.pixels[..., :3] - true.pixels[..., :3]).abs()[hidden].mean()) if hidden.any() else math.nan


def color_error(pixels: Tensor, true: Tensor, soft: Tensor) -> float:
    """Mean difference of colours (N, H, W, 4) of all layers but the bottom one, where (N - 1, H, W)."""
    return float((pixels[1:, ..., :3] - true[1:, ..., :3]).abs()[soft].mean())


def degraded(layers: LayerStack, scale: float, seed: int = 0) -> LayerStack:
    """Layers at a share of their size, blurred and noisy, on the 8-bit grid: what a model may give."""
    height, width = (round(side * scale) for side in (layers.height, layers.width))
    small = resized(layers.pixels, height, width, Image.Resampling.BOX)
    blurred = [cv2.GaussianBlur(premultiplied(layer).numpy(), (0, 0), BLUR) for layer in small]
    pixels = straight(torch.from_numpy(np.stack(blurred)))
    noise = torch.randn(pixels.shape, generator=torch.Generator().manual_seed(seed))
    return LayerStack(quantized((pixels + NOISE * noise).clamp(0, 1)), layers.names)


def resized(layers: Tensor, height: int, width: int, how: Image.Resampling) -> Tensor:
    """Layers (N, H, W, 4) at another size by Pillow, every premultiplied channel by itself."""
    planes = premultiplied(layers).permute(0, 3, 1, 2).contiguous().flatten(0, 1)
    done = [np.asarray(Image.fromarray(plane.numpy()).resize((width, height), how)) for plane in planes]
    return straight(torch.from_numpy(np.stack(done)).unflatten(0, (len(layers), 4)).permute(0, 2, 3, 1))


def straight(layers: Tensor) -> Tensor:
    """Straight alpha from premultiplied layers (..., 4)."""
    alpha = layers[..., 3:].clamp(0, 1)
    return torch.cat([layers[..., :3] / alpha.clamp(min=1e-4), alpha], -1).clamp(0, 1)


def show(title: str, rows: Sequence[tuple[Scene, Row]]) -> None:
    """A table: the scenes of each background, of each content, and all."""
    kinds = {
        kind: [row for scene, row in rows if kind in (scene.background, scene.content)]
        for kind in (*BACKGROUNDS, *CONTENTS)
    }
    print_table(title, {**kinds, "all": [row for _, row in rows]})
