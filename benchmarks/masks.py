"""Layers from masks: soft edges against the masks themselves, moved things against cutting out and inpainting.

The masks are the true alpha above a half, up to SHAKEN_PX too large or too small. Alpha errors are means along the
edges, within BAND_PX of them, where no layer lies above. CF is PyMatting's closed-form matting alone, with a trimap of
the mask's place; `plate` is ours with a clean plate, the true ground. Moved errors are those of `judging.moved_error`:
what cutting with the mask and cv2.inpaint leave is `plain`. Hair is drawn: strokes of 0.7 to 1.5 px around a head, over
a textured ground.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator

import cv2
import numpy as np
import torch

from qil_core.composite import composite
from qil_core.decompose import Request
from qil_core.decompose.masks import Masks
from qil_core.decompose.matting import before, soft_alpha, trimap
from qil_core.decompose.run import decompose
from qil_core.stack import LayerStack, quantized

from .canvas import Floats, opaque
from .judging import Mask, grown, moved_error, shown, traces
from .photographs import photograph
from .scenes import draw
from .tables import Row, print_table

SIDE, SEEDS = 640, (0, 1)
CONTENTS = ("shapes", "text", "shadows", "poster")
GROUNDS = ("textured", "photo")
SHAKEN_PX, BAND_PX, CF_PX = 3, 5, 6
MIN_EDGE_PX = 100
HAIRS = 2000
LARGE = (4000, 3000)
"""Width and height of the picture of 12 megapixels."""


def run() -> None:
    random = np.random.default_rng(0)
    for title, figures in (("alpha along edges", _edges), ("moved things", _moved)):
        print_table(title, {ground: list(figures(ground, random)) for ground in GROUNDS})
    print_table("hair", {"2000 strokes": [_edge_row(*_hair(), random)]})
    print_table("12 megapixels, 5 masks", {"photo": [_large()]})


def shaken(mask: Mask, random: np.random.Generator) -> Mask:
    """A mask that is up to SHAKEN_PX too large or too small."""
    pixels = int(random.integers(-SHAKEN_PX, SHAKEN_PX + 1))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * abs(pixels) + 1, 2 * abs(pixels) + 1))
    change = cv2.dilate if pixels > 0 else cv2.erode
    return np.asarray(change(mask.astype(np.uint8), disc) > 0)


def _scenes(ground: str) -> Iterator[LayerStack]:
    for content in CONTENTS:
        for seed in SEEDS:
            yield draw(content, ground, seed, SIDE)


def _edges(ground: str, random: np.random.Generator) -> Iterator[Row]:
    for true in _scenes(ground):
        picture, alphas = shown(true).numpy(), true.pixels[..., 3].numpy()
        for i in range(1, len(true)):
            above = np.any([a > 0 for a in alphas[i + 1 :]] or [alphas[i] < 0], axis=0)
            below = composite(LayerStack(true.pixels[:i], true.names[:i]))[..., :3].numpy()
            yield from _edge_rows(picture, below, alphas[i], ~grown(above, BAND_PX), random)


def _edge_rows(picture: Floats, plate: Floats, alpha: Floats, free: Mask, random: np.random.Generator) -> Iterator[Row]:
    mask = shaken(alpha > 0.5, random)
    judged = grown(alpha > 0.5, BAND_PX) & grown(alpha <= 0.5, BAND_PX) & free
    if judged.sum() >= MIN_EDGE_PX and mask.any():
        yield _errors(picture, plate, alpha, mask, judged)


def _edge_row(picture: Floats, plate: Floats, alpha: Floats, random: np.random.Generator) -> Row:
    mask = shaken(alpha > 0.5, random)
    return _errors(picture, plate, alpha, mask, grown(alpha > 0.02, BAND_PX) & ~(alpha > 0.98))


def _errors(picture: Floats, plate: Floats, alpha: Floats, mask: Mask, judged: Mask) -> Row:
    hard = mask.astype(np.float32)
    inside, outside = (cv2.distanceTransform(m.astype(np.uint8), cv2.DIST_L2, 5) for m in (mask, ~mask))
    plain = np.where(inside > CF_PX, 1, np.where(outside > CF_PX, 0, 0.5)).astype(np.float32)
    if not (plain == 1).any():
        plain = np.where(inside >= inside.max(), 1, plain)  # so that PyMatting has something that is surely inside
    soft = soft_alpha(picture, trimap(picture, mask, CF_PX))
    ways: dict[str, Floats] = {
        "mask": hard,
        "blurred": np.asarray(cv2.GaussianBlur(hard, (0, 0), 2), np.float32),
        "CF": soft_alpha(picture, plain),
        "ours": soft,
    }
    ways["plate"] = before(plate, picture, trimap(picture, mask, CF_PX), soft)
    errors = {name: float(np.abs(found - alpha)[judged].mean()) for name, found in ways.items()}
    return errors | {f"of {name}": errors["ours"] / max(errors[name], 1e-6) for name in ("mask", "blurred", "CF")}


def _moved(ground: str, random: np.random.Generator) -> Iterator[Row]:
    for true in _scenes(ground):
        picture = shown(true)
        masks = [shaken((alpha > 0.5).numpy(), random).astype(np.float32) for alpha in true.pixels[1:, ..., 3]]
        found, report = decompose(Masks(masks, is_ordered=True), picture, Request())
        errors = {"ours": moved_error(found, true), "plain": moved_error(_plain(picture, masks), true)}
        yield errors | {
            "of plain": errors["ours"] / max(errors["plain"], 1e-6),
            "traces %": 100 * traces(found, true),
            "max error /255": report.after.max_error,
        }


def _plain(picture: torch.Tensor, masks: list[Floats]) -> LayerStack:
    """Things cut with their masks, and the holes filled by cv2.inpaint."""
    cut = [torch.cat([picture, torch.from_numpy(mask)[..., None]], -1) for mask in masks]
    holes = (np.max(masks, 0) > 0).astype(np.uint8)
    ground = cv2.inpaint((picture.numpy() * 255).round().astype(np.uint8), holes, 5, cv2.INPAINT_TELEA)
    below = torch.from_numpy(opaque(np.asarray(ground / 255, np.float32)))
    return LayerStack(torch.stack([below, *cut]), ("",) * (len(cut) + 1))


def _hair() -> tuple[Floats, Floats, Floats]:
    """A picture (h, w, 3) of a head with hair over a textured ground, that ground, and the hair's alpha (h, w)."""
    random = np.random.default_rng(7)
    ground = draw("shapes", "textured", 5, SIDE).pixels[0, ..., :3].numpy()
    height, width = ground.shape[:2]
    alpha = np.zeros((height * 4, width * 4), np.uint8)
    middle, radius = np.array([width / 2, height * 0.55]), min(width, height) * 0.22
    cv2.circle(alpha, tuple(int(v * 4) for v in middle), int(radius * 4), 255, -1, cv2.LINE_AA)
    for angle in random.uniform(0, 2 * np.pi, HAIRS):
        bend, length = random.uniform(-0.5, 0.5), radius * random.uniform(0.9, 1.5)
        steps = np.linspace(0, 1, 12)
        turn = angle + bend * steps**2
        points = middle + (radius * 0.8 + length * 0.4 * steps)[:, None] * np.stack([np.cos(turn), np.sin(turn)], 1)
        thick = max(1, round(4 * random.uniform(0.7, 1.5)))
        cv2.polylines(alpha, [(points * 4).astype(np.int32)], False, 255, thick, cv2.LINE_AA)
    small = np.asarray(cv2.resize(alpha, (width, height), interpolation=cv2.INTER_AREA) / 255, np.float32)
    color = np.array([0.25, 0.14, 0.08], np.float32)
    return np.asarray(ground + small[..., None] * (color - ground), np.float32), ground, small


def _large() -> Row:
    width, height = LARGE
    picture = torch.from_numpy(photograph(0, width, height)[..., :3].copy())
    row, column = np.mgrid[0:height, 0:width].astype(np.float32)
    masks, random = [], np.random.default_rng(3)
    for _ in range(5):
        x, y, radius = random.uniform(0.2, 0.8) * width, random.uniform(0.2, 0.8) * height, random.uniform(200, 500)
        alpha = np.clip(radius + 2 - np.hypot(column - x, row - y), 0, 4) / 4
        color = torch.from_numpy(random.uniform(0, 1, 3).astype(np.float32))
        picture += torch.from_numpy(alpha)[..., None] * (color - picture)
        masks.append((alpha > 0.5).astype(np.float32))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    stack, report = decompose(Masks(masks), quantized(picture), Request())
    seconds = time.perf_counter() - started
    peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 2**20
    size = stack.pixels.numel() * 4 / 2**30
    return {"seconds": seconds, "GiB over result": peak - size, "max error /255": report.after.max_error}
