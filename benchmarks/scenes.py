"""Scenes with known layers, drawn from a seed at any size: what decomposing and restoring are measured with.

A scene has a background (flat, gradient, textured, photo) and a content (shapes, text, strokes, shadows, panels,
poster: some of all). What belongs to a thing is in its layer: a card's drop shadow, a disc's glow. A seed gives the
same scene at every size.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch

from qil_core.stack import LayerStack, quantized

from .canvas import CJK, LATIN, OWN, Canvas, Floats, Points, fonts, layer, opaque, over, round_outline

BACKGROUNDS = ("flat", "gradient", "textured", "photo")
ASPECTS = ((1.0, 1.0), (1.0, 0.75), (0.75, 1.0), (1.0, 0.625))
TITLES = ("Afterglow", "Summer Sale", "New Arrivals", "Coffee & Cake", "50% OFF", "Open Air", "Hello", "Journey")
LINES = ("Saturday 21 June, from nine", "www.example.com", "Doors open at eight", "Read more inside")
CJK_TITLES = ("图层分解", "夏日音乐会", "新品上市", "ありがとう", "사계절 축제", "海と空のあいだ")

VISIBLE = 0.5
"""Every layer keeps about this share of its area uncovered."""

TRIES = 16
TRIAL_SIDE = 128
"""Where things go is decided at this size, so that it is the same at all sizes."""

Thing = Callable[[Canvas], Floats]
"""Draws one layer (H, W, 4), straight alpha, on any canvas."""


@dataclass(frozen=True)
class Scene:
    """Which scene it is, and its true layers on the 8-bit grid, named by their kind, bottom first."""

    content: str
    background: str
    seed: int
    layers: LayerStack


def scenes(side: int, seeds: int = 1) -> Iterator[Scene]:
    """Every content on every background, `seeds` of each; the longer side has `side` pixels."""
    for content, background, seed in product(CONTENTS, BACKGROUNDS, range(seeds)):
        yield Scene(content, background, seed, draw(content, background, seed, side))


def draw(content: str, background: str, seed: int, side: int) -> LayerStack:
    """The true layers of a scene: 2..8, on the 8-bit grid, bottom first, side pixels on the longer side."""
    planner = Planner(np.random.default_rng([seed, list(CONTENTS).index(content), BACKGROUNDS.index(background)]))
    things, kinds = [planner.ground(background)], ["background"]
    for plan in CONTENTS[content](planner):
        things.append(_placed(plan, things[1:], Canvas(TRIAL_SIDE, planner.aspect)))
        kinds.append(getattr(plan, "__name__", ""))
    canvas = Canvas(side, planner.aspect)
    layers = torch.from_numpy(np.stack([thing(canvas) for thing in things]))
    return LayerStack(quantized(layers), tuple(kinds))


def _placed(plan: Callable[[], Thing], below: list[Thing], canvas: Canvas) -> Thing:
    """The first of a few plans that leaves enough of every thing below visible, or else the one that leaves most."""
    alphas = [thing(canvas)[..., 3] for thing in below]
    tried: list[tuple[float, int, Thing]] = []
    for attempt in range(TRIES):
        thing = plan()
        left = _least_visible([*alphas, thing(canvas)[..., 3]])
        tried.append((left, -attempt, thing))
        if left > VISIBLE:
            break
    return max(tried)[2]


def _least_visible(alphas: list[Floats]) -> float:
    """The smallest share of its area that any of these layers shows, bottom first."""
    shares, through = [], np.ones_like(alphas[0])
    for alpha in reversed(alphas):
        shares.append(float((alpha * through).sum() / max(float(alpha.sum()), 1e-6)))
        through = through * (1 - alpha)
    return min(shares)


class Planner:
    """Chooses things at random, sizes and places included."""

    def __init__(self, random: np.random.Generator) -> None:
        self.random = random
        self.aspect = ASPECTS[random.integers(len(ASPECTS))]
        self.colors: list[Floats] = []
        self.lines_used: list[tuple[float, float]] = []

    def between(self, low: float, high: float) -> float:
        return float(self.random.uniform(low, high))

    def count(self, low: int, high: int) -> int:
        """low..high, both included."""
        return int(self.random.integers(low, high + 1))

    def color(self) -> Floats:
        """A colour (3,) unlike those before it."""
        choices = self.random.uniform(0, 1, (24, 3)).astype(np.float32)
        apart = [min((float(np.linalg.norm(c - used)) for used in self.colors), default=1.0) for c in choices]
        far = [c for c, distance in zip(choices, apart, strict=True) if distance > 0.45]
        self.colors.append(far[0] if far else choices[int(np.argmax(apart))])
        return self.colors[-1]

    def fill(self) -> Callable[[Canvas], Floats]:
        """One colour, or now and then a gradient: draws (H, W, 3)."""
        one = self.color()
        shift = self.random.uniform(-0.3, 0.3, 3) if self.random.random() < 0.3 else np.zeros(3)
        other, angle = np.clip(one + shift, 0, 1).astype(np.float32), self.between(0, 2 * math.pi)
        return lambda canvas: canvas.gradient(one, other, angle)

    def ground(self, kind: str) -> Thing:
        """The background of a scene."""
        one, other, angle = self.color(), self.random.uniform(0, 1, 3).astype(np.float32), self.between(0, 2 * math.pi)
        seed = self.count(0, 2**31)
        grounds: dict[str, Callable[[Canvas], Floats]] = {
            "flat": lambda canvas: canvas.gradient(one, one, 0),
            "gradient": lambda canvas: canvas.gradient(one, other, angle),
            "textured": lambda canvas: one + 0.03 * canvas.noise(seed, range(4, 10), 0.9),
            "photo": lambda canvas: one + 0.3 * _grayish(canvas.noise(seed, range(1, 10), 0.6)),
        }
        return lambda canvas: opaque(np.clip(grounds[kind](canvas), 0, 1))

    def place(self, radius: float) -> Points:
        """A centre whose thing of this radius lies for the most part inside the page."""
        return np.array([self.between(0.7 * radius, side - 0.7 * radius) for side in self.aspect])

    def shape(self) -> Thing:
        """A disc, ring, box, star, blob or polygon."""
        radius, fill = self.between(0.09, 0.24), self.fill()
        kind, corners, turn = self.random.choice(list(OUTLINES)), self.count(3, 6), self.between(0, 2 * math.pi)
        outline = self.place(radius) + radius * OUTLINES[kind](self.random, corners, turn)
        center = outline.mean(0)
        holes = [center + 0.6 * (outline - center)] if kind == "ring" else []
        return lambda canvas: layer(fill(canvas), canvas.mask([outline], holes))

    def text(self) -> Thing:
        """One to three lines in one font and colour, where no other text is."""
        color, title = self.color(), self.random.random() < 0.6
        cjk = bool(fonts(CJK)) and self.random.random() < 0.35
        font = str(self.random.choice(fonts(CJK) if cjk else (OWN, *fonts(LATIN))))
        words = self.random.choice(CJK_TITLES if cjk else TITLES if title else LINES, self.count(1, 2), replace=False)
        longest = max(len(line) * (1.0 if cjk else 0.58) for line in words)
        size = min(self.between(0.07, 0.13) if title else self.between(0.03, 0.05), 0.85 * self.aspect[0] / longest)
        x, y = self.aspect[0] * self.between(0.48, 0.52), self._row(size * len(words))
        lines = [(str(line), y + (i - (len(words) - 1) / 2) * 1.3 * size) for i, line in enumerate(words)]

        def draw_text(canvas: Canvas) -> Floats:
            masks = [canvas.words(line, font, size, x, at) for line, at in lines]
            return layer(color, np.maximum.reduce(masks))

        return draw_text

    def _row(self, height: float) -> float:
        """A height on the page far from the texts before."""
        rows = [self.between(height, self.aspect[1] - height) for _ in range(32)]
        best = max(rows, key=lambda row: min((abs(row - y) - tall for y, tall in self.lines_used), default=1.0))
        self.lines_used.append((best, height / 2))
        return best

    def hairs(self) -> Thing:
        """A bundle of curved strokes, at 2560 px 1 to 5 px wide in their middle."""
        color, reach, angle = self.color(), self.between(0.4, 0.7), self.between(0, 2 * math.pi)
        center, count = self.place(reach / 2), self.count(4, 12)
        outlines = [self._hair(center, reach, angle + self.random.normal(0, 0.35)) for _ in range(count)]
        return lambda canvas: layer(color, canvas.mask(outlines))

    def _hair(self, center: Points, reach: float, angle: float) -> Points:
        along = np.linspace(-1, 1, 80)
        heading = angle + self.random.normal(0, 0.5) * along
        steps = np.stack([np.cos(heading), np.sin(heading)], -1) * (reach / len(along))
        curve = np.cumsum(steps, 0)
        curve += center - curve.mean(0) + self.random.normal(0, 0.03, 2)
        half = 0.5 * self.between(0.0005, 0.002) * (1 - 0.7 * along**2)
        normal = np.stack([-np.sin(heading), np.cos(heading)], -1) * half[:, None]
        return np.concatenate([curve + normal, (curve - normal)[::-1]])

    def card(self) -> Thing:
        """A rounded box with its drop shadow."""
        radius, fill = self.between(0.12, 0.24), self.fill()
        outline = self.place(radius) + _box(self.random, radius)
        drop, sigma, strength = self.between(0.005, 0.02), self.between(0.006, 0.02), self.between(0.3, 0.6)

        def draw_card(canvas: Canvas) -> Floats:
            shadow = canvas.blurred(canvas.mask([outline + np.array([0.3 * drop, drop])]), sigma) * strength
            return over(layer(fill(canvas), canvas.mask([outline])), layer(np.zeros(3, np.float32), shadow))

        return draw_card

    def glow(self) -> Thing:
        """A disc in its glow, or a glow alone."""
        radius, fill, light = self.between(0.05, 0.14), self.fill(), self.color()
        outline = self.place(2 * radius) + radius * round_outline(lambda t: 1 + 0 * t)
        sigma, alone = radius * self.between(0.3, 0.6), self.random.random() < 0.5

        def draw_glow(canvas: Canvas) -> Floats:
            disc = canvas.mask([outline])
            soft = layer(light, canvas.blurred(disc, sigma) * np.float32(0.85))
            return soft if alone else over(layer(fill(canvas), disc), soft)

        return draw_glow

    def panel(self) -> Thing:
        """A rounded box that one can see through."""
        radius, fill, strength = self.between(0.15, 0.3), self.fill(), self.between(0.4, 0.8)
        outline = self.place(radius) + _box(self.random, radius)
        return lambda canvas: layer(fill(canvas), canvas.mask([outline]) * np.float32(strength))


Plans = Iterator[Callable[[], Thing]]


def _repeated(*ranges: tuple[str, int, int]) -> Callable[[Planner], Plans]:
    """Plans of so many things of each kind, the kinds in this order."""

    def plans(planner: Planner) -> Plans:
        for kind, low, high in ranges:
            for _ in range(planner.count(low, high)):
                yield getattr(planner, kind)

    return plans


CONTENTS: dict[str, Callable[[Planner], Plans]] = {
    "shapes": _repeated(("shape", 1, 5)),
    "text": _repeated(("text", 1, 3)),
    "strokes": _repeated(("shape", 0, 1), ("hairs", 1, 3)),
    "shadows": _repeated(("card", 1, 2), ("glow", 1, 2)),
    "panels": _repeated(("shape", 1, 2), ("panel", 1, 2), ("text", 0, 1)),
    "poster": _repeated(("shape", 1, 2), ("glow", 0, 1), ("card", 1, 1), ("hairs", 0, 1), ("text", 1, 2)),
}


def _grayish(noise: Floats) -> Floats:
    """Noise (H, W, 3) whose channels go together, as light and shade do in photographs."""
    return 0.3 * noise + 1.2 * noise.mean(-1, keepdims=True)


def _box(random: np.random.Generator, radius: float) -> Points:
    """A rounded box (n, 2) around 0, at the most 2 * radius wide and high."""
    half = radius * np.array([random.uniform(0.7, 1), random.uniform(0.45, 1)])
    corner = random.uniform(0, 0.5) * half.min()
    arc = corner * round_outline(lambda t: 1 + 0 * t)
    return arc + np.where(arc >= -1e-9, 1, -1) * (half - corner)


def _star(corners: int, turn: float) -> Points:
    radius = np.where(np.arange(2 * corners) % 2, 0.5, 1.0)
    return radius[:, None] * _corners(2 * corners, turn)


def _corners(corners: int, turn: float) -> Points:
    angle = turn + np.arange(corners) * 2 * math.pi / corners
    return np.stack([np.cos(angle), np.sin(angle)], -1)


def _blob(random: np.random.Generator, turn: float) -> Points:
    waves = random.uniform(-0.12, 0.12, 4)
    return round_outline(lambda t: 1 + sum((w * np.sin((i + 2) * t + turn * i) for i, w in enumerate(waves)), 0 * t))


OUTLINES: dict[str, Callable[[np.random.Generator, int, float], Points]] = {
    "disc": lambda random, corners, turn: round_outline(lambda t: 1 + 0 * t),
    "ring": lambda random, corners, turn: round_outline(lambda t: 1 + 0 * t),
    "box": lambda random, corners, turn: _box(random, 1.0),
    "star": lambda random, corners, turn: _star(corners + 2, turn),
    "blob": lambda random, corners, turn: _blob(random, turn),
    "polygon": lambda random, corners, turn: _corners(corners, turn),
}
