"""Pictures that look like photographs, drawn from a seed: a landscape, a still life, a city. No colour is even."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import ArrayLike

from .canvas import Canvas, Floats, rgb

GRAIN = 0.012
"""Standard deviation of a camera's noise in a well-lit photograph, of 1."""

Colors = tuple[float, float, float]


def photograph(seed: int, width: int, height: int) -> Floats:
    """A photograph (height, width, 3) in 0..1."""
    random = np.random.default_rng(seed)
    side = max(width, height)
    view = Canvas(side, (width / side, height / side))
    colors = KINDS[seed % len(KINDS)](view, random)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    far = ((x / width - 0.5) ** 2 + (y / height - 0.5) ** 2)[..., None]
    grain = random.normal(size=colors.shape) * GRAIN
    soft = cv2.GaussianBlur(colors.astype(np.float32), (0, 0), 0.6)
    return np.asarray(np.clip(soft * (1.05 - 0.7 * far) + grain, 0, 1), np.float32)


def landscape(view: Canvas, random: np.random.Generator) -> Floats:
    """Clouds over mountains in haze, a dark wood, and grass."""
    _, y = _places(view)
    y = y / float(y.max())
    cloud = _ramp(_gray(view, random, range(2, 9), 0.62), 0.1, 1.4)
    colors = _mix(_vertical((0.25, 0.47, 0.80), (0.83, 0.88, 0.93), y / 0.6), (0.97, 0.96, 0.95), 0.9 * cloud)
    rock = _gray(view, random, range(4, 10), 0.75)
    for i, base in enumerate((0.42, 0.52, 0.6)):
        ridge = base + 0.11 * _line(view, random, range(1, 8), 0.55) * (1 - 0.2 * i)
        light = (0.36 + 0.08 * rock + 0.15 * _slope(rock))[..., None] * rgb([0.95, 1.0, 0.9])
        colors = _mix(colors, _mix(light, (0.70, 0.79, 0.88), rgb(0.75 - 0.28 * i)), y > ridge)
    wood = 0.68 + 0.02 * _line(view, random, range(3, 8), 0.7) - 0.05 * np.abs(_line(view, random, range(6, 9), 0.9))
    leaves = _gray(view, random, range(6, 11), 0.9)
    colors = _mix(colors, (0.10 + 0.05 * leaves)[..., None] * rgb([0.8, 1.25, 0.7]), y > wood)
    blades = _streaks(view, random, tall=True)
    grass = (0.42 + 0.14 * blades + 0.05 * leaves)[..., None] * rgb([0.85, 1.05, 0.42])
    return _mix(colors, grass, y > 0.76 + 0.03 * _line(view, random, range(1, 5), 0.6))


def still_life(view: Canvas, random: np.random.Generator) -> Floats:
    """Fruit on a wooden table before lights out of focus."""
    x, y = _places(view)
    tone = random.uniform(0.12, 0.35, 3).astype(np.float32)
    colors = np.asarray(tone * (1 + 0.25 * _gray(view, random, range(1, 6), 0.6)[..., None]), np.float32)
    for _ in range(14):
        colors = colors + _light(x, y, random)
    plank = 0.5 + 0.11 * _streaks(view, random, tall=False) + 0.05 * _gray(view, random, range(5, 11), 0.8)
    wood = plank[..., None] * rgb([1.0, 0.72, 0.47]) * (0.7 + 0.5 * y[..., None])
    top = float(y.max())
    colors = _mix(colors, wood, _ramp(y, 0.60 * top, 0.63 * top))
    skin = _gray(view, random, range(4, 11), 0.85)
    for place in np.sort(random.uniform(0.1, 0.9, 4)) * float(x.max()):
        colors = _fruit(colors, x, y, (float(place), top), skin, random)
    return colors


def city(view: Canvas, random: np.random.Generator) -> Floats:
    """Three rows of buildings with lit windows at dusk."""
    x, y = _places(view)
    top = float(y.max())
    haze = _gray(view, random, range(1, 8), 0.6)
    colors = _vertical((0.20, 0.24, 0.45), (0.95, 0.66, 0.45), y / (0.7 * top))
    colors = colors * (1 + 0.08 * haze[..., None])
    dirt = _gray(view, random, range(4, 11), 0.85)
    for depth, low in enumerate((0.50, 0.36, 0.22)):
        left = -0.05
        while left < float(x.max()):
            width = float(random.uniform(0.05, 0.15))
            height = top * (float(random.uniform(low, low + 0.4)) if depth < 2 else float(random.uniform(0.1, 0.45)))
            colors = _building(colors, x, y, (left, width, top - height), depth, dirt, random)
            left += width * float(random.uniform(0.8, 1.4))
    return colors


KINDS: tuple[Callable[[Canvas, np.random.Generator], Floats], ...] = (landscape, still_life, city)


def _building(
    colors: Floats,
    x: Floats,
    y: Floats,
    place: tuple[float, float, float],
    depth: int,
    dirt: Floats,
    random: np.random.Generator,
) -> Floats:
    """Colours with a building (left, width, roof) whose front is the darker the nearer it is."""
    left, width, roof = place
    inside = (x > left) & (x < left + width) & (y > roof)
    wall = random.uniform(0.75, 1.1, 3) * (0.40, 0.28, 0.16)[depth]
    front = wall.astype(np.float32) * (1 + 0.16 * dirt[..., None]) * (1.1 - 0.35 * ((x - left) / width))[..., None]
    across, down = int(random.integers(4, 9)), int(random.integers(10, 24))
    column, row = (x - left) / width * across, (y - roof) * down / 0.5
    lit = random.random((64, 64)).astype(np.float32)
    level = lit[row.astype(int).clip(0, 63), column.astype(int).clip(0, 63)]
    pane = (column % 1 > 0.25) & (column % 1 < 0.8) & (row % 1 > 0.3) & (row % 1 < 0.75)
    glow = np.where(level > 0.6, level, 0.12)[..., None] * rgb([1.0, 0.82, 0.5])
    return _mix(colors, np.where(pane[..., None], glow, front), inside)


def _fruit(
    colors: Floats, x: Floats, y: Floats, place: tuple[float, float], skin: Floats, random: np.random.Generator
) -> Floats:
    """Colours with a lit ball and its shadow on the table."""
    center, top = place
    radius = float(random.uniform(0.1, 0.17)) * top
    dx, dy = (x - center) / radius, (y - (0.8 * top - radius)) / radius
    shadow = np.exp(-((dx - 0.25) ** 2) - ((dy - 0.95) * 4) ** 2)
    colors = _mix(colors, (0, 0, 0), 0.65 * shadow)
    height = np.sqrt(np.clip(1 - dx**2 - dy**2, 0, 1))
    facing = np.clip(-0.45 * dx - 0.6 * dy + 0.66 * height, 0, 1)
    own = rgb(FRUITS[int(random.integers(len(FRUITS)))]) * (1 + 0.12 * skin[..., None])
    lit = own * (0.18 + 0.95 * facing[..., None]) + 0.6 * (facing[..., None] ** 40)
    return _mix(colors, lit, _ramp(1 - np.sqrt(dx**2 + dy**2), 0, 0.03))


FRUITS: tuple[Colors, ...] = ((0.80, 0.16, 0.12), (0.90, 0.52, 0.10), (0.55, 0.70, 0.18), (0.85, 0.75, 0.22))


def _light(x: Floats, y: Floats, random: np.random.Generator) -> Floats:
    """What a lamp out of focus adds: a disc with a brighter rim."""
    place, radius = random.uniform(0, 1, 2) * (float(x.max()), 0.6 * float(y.max())), float(random.uniform(0.02, 0.06))
    far = np.hypot(x - place[0], y - place[1]) / radius
    disc = _ramp(1.05 - far, 0, 0.1) * (0.6 + 0.4 * np.clip(far, 0, 1) ** 4)
    color = rgb([1.0, 0.75, 0.45]) * random.uniform(0.5, 1.1, 3) * float(random.uniform(0.15, 0.55))
    return np.asarray(disc[..., None] * color, np.float32)


def _places(view: Canvas) -> tuple[Floats, Floats]:
    """x and y (H, W) in shares of the longer side."""
    y, x = np.mgrid[0 : view.height, 0 : view.width].astype(np.float32) / view.side
    return x, y


def _gray(view: Canvas, random: np.random.Generator, octaves: range, fall: float) -> Floats:
    """Noise (H, W) of standard deviation near 1."""
    noise = view.noise(int(random.integers(2**31)), octaves, fall)[..., 0]
    return np.asarray(noise / max(float(noise.std()), 1e-6), np.float32)


def _line(view: Canvas, random: np.random.Generator, octaves: range, fall: float) -> Floats:
    """Noise along x alone, (1, W), of standard deviation near 1."""
    noise = _gray(Canvas(view.side, (1, 1)), random, octaves, fall)[view.side // 2, : view.width]
    return noise[None]


def _streaks(view: Canvas, random: np.random.Generator, tall: bool) -> Floats:
    """Noise (H, W) drawn out along one axis, of standard deviation near 1."""
    cells = (12, 400) if tall else (160, 10)
    noise = random.normal(size=cells).astype(np.float32)
    grown = cv2.resize(noise, (view.side, view.side), interpolation=cv2.INTER_CUBIC)[: view.height, : view.width]
    return np.asarray(grown / grown.std(), np.float32)


def _slope(noise: Floats) -> Floats:
    """How noise (H, W) rises to the left: light from the side; in -1..1."""
    slope = cv2.Sobel(cv2.GaussianBlur(noise, (0, 0), 1.5), cv2.CV_32F, 1, 0)
    return np.asarray(np.tanh(slope / max(float(slope.std()), 1e-6)), np.float32)


def _vertical(upper: Colors, lower: Colors, share: ArrayLike) -> Floats:
    """Colours (H, W, 3) from the upper to the lower one."""
    one, other = rgb(upper), rgb(lower)
    return np.asarray(one + (other - one) * np.clip(share, 0, 1)[..., None], np.float32)


def _ramp(values: Floats, low: float, high: float) -> Floats:
    return np.asarray(np.clip((values - low) / (high - low), 0, 1), np.float32)


def _mix(colors: Floats, other: Floats | Colors, share: ArrayLike) -> Floats:
    """Colours (H, W, 3) with so much of others, a share (H, W) or one for all."""
    weight = np.asarray(share, np.float32)
    return np.asarray(colors + (rgb(other) - colors) * (weight[..., None] if weight.ndim else weight), np.float32)
