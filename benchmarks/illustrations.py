"""Illustrated scenes of overlapping figures, and posters with an outlined headline and a figure over it."""

from __future__ import annotations

import colorsys
import math

import numpy as np

from .canvas import Canvas, Floats, Points, layer, opaque, over, rgb
from .figures import FIGURES, draw_figure
from .page import Page, smooth, words_width

ASPECTS = ((1.0, 0.75), (1.0, 1.0), (1.0, 0.5625))
POSTER_ASPECTS = ((0.75, 1.0), (1.0, 1.0), (0.667, 1.0))

HEADLINES = (
    ("SUMMER", "PARTY"),
    ("BIG", "ROBOT SHOW"),
    ("HALLOWEEN",),
    ("CAT", "CAFE"),
    ("OPEN AIR", "CINEMA"),
    ("SPOOKY", "NIGHT"),
)
CJK_HEADLINES = (("夏日", "音乐会"), ("秋祭り",), ("动物", "嘉年华"), ("할로윈", "파티"))
LINES = (
    "Saturday 21 June, from nine",
    "Doors open at eight  |  Free entry",
    "Town hall  |  14 Mill Lane",
    "www.example.com",
)

SHADED = 0.12
"""How much lighter above and darker below a shaded figure is, in shares of its colours."""


def illustration(page: Page) -> None:
    """Draw 3 to 5 figures that overlap, on a flat, a gradient or a scenery ground: 4 to 9 layers."""
    horizon = page.height * page.between(0.55, 0.7)
    kind = page.count(0, 3)
    if kind < 2:
        page.add("background", _ground(page, gradient=kind == 1))
    else:
        _scenery(page, horizon)
    count = page.count(3, 5)
    names = [str(name) for name in page.random.choice(list(FIGURES), count, replace=False)]
    tall, wide = (0.78, 1.5) if kind < 2 else (0.5, 1.15)  # the scenery stays in sight
    heights = [min(tall * page.height, wide * page.width / count / FIGURES[name][1]) for name in names]
    heights = [height * page.between(0.8, 1.0) for height in heights]
    feet = sorted(page.between(0.82, 0.97) * page.height for _ in names)
    seats = page.random.permutation(count)
    shaded = page.chance(0.5)
    for name, height, foot, seat in zip(names, heights, feet, seats, strict=True):
        x = page.width * (seat + 0.5 + page.between(-0.12, 0.12)) / count
        pixels = draw_figure(page, name, (float(x), foot), height).rgba()
        page.add(name, _shaded(pixels, page.canvas, foot, height) if shaded else pixels)


def poster(page: Page) -> None:
    """Draw a headline with an outline, a figure over part of it, a badge, a line of text: 4 to 6 layers."""
    page.add("background", _rays(page) if page.chance(0.4) else _ground(page, gradient=page.chance(0.5)))
    hue = page.between(0, 1)
    size = _headline(page, hue)
    name = page.one_of(tuple(FIGURES))
    height = min(0.62 * page.height, 0.8 * page.width / FIGURES[name][1])
    foot = min(0.87 * page.height, size + 0.75 * height + 0.06)
    page.add(name, draw_figure(page, name, (page.width * page.between(0.4, 0.6), foot), height).rgba())
    if page.chance(0.6):
        _badge(page, hue)
    sheet, text = page.sheet(), page.one_of(LINES)
    font = page.letters(cjk=False)
    sheet.words(
        text,
        font,
        min(0.04, 0.85 * page.width / words_width(text, font, 1)),
        page.width / 2,
        0.94 * page.height,
        _ink(page),
        "mm",
    )
    page.add("footer", sheet.rgba())


def _headline(page: Page, hue: float) -> float:
    """One or two lines of large letters with an outline, some with a shadow or a glow; returns their lower end."""
    cjk = page.chance(0.3) and page.has_cjk()
    lines, font = (CJK_HEADLINES if cjk else HEADLINES)[page.count(0, 3 if cjk else 5)], page.letters(cjk)
    size = min(0.2, 0.86 * page.width / max(words_width(line, font, 1) for line in lines))
    fill, rim = (
        colorsys.hls_to_rgb(hue, page.between(0.5, 0.9), 0.9),
        colorsys.hls_to_rgb(hue, page.between(0.08, 0.2), 0.7),
    )
    colors = (rim, fill) if page.chance(0.3) else (fill, rim)
    sheet, thick = page.sheet(), page.between(0.006, 0.014)
    for i, line in enumerate(lines):
        sheet.rimmed_words(line, font, size, (page.width / 2, 0.05 + size * (0.55 + 1.02 * i)), colors, thick)
    style = page.count(0, 2)
    if style == 0:
        page.add("title", sheet.rgba())
    elif style == 1:
        page.add("title", sheet.shadowed(0.012, 0.006, 0.5))
    else:
        page.add("title", _glowing(sheet.rgba(), page.canvas, colorsys.hls_to_rgb((hue + 0.1) % 1, 0.75, 0.9)))
    return 0.05 + size * (0.1 + 1.02 * len(lines))


def _glowing(pixels: Floats, canvas: Canvas, color: tuple[float, float, float]) -> Floats:
    """A layer (H, W, 4) in its glow."""
    return over(pixels, layer(rgb(color), canvas.blurred(pixels[..., 3], 0.012) * rgb(0.7)))


def _badge(page: Page, hue: float) -> None:
    """A star with a short line of text on it."""
    sheet, corners = page.sheet(), 14
    radius, at = (
        0.1 * page.width / page.height,
        (page.width * (0.16 if page.chance(0.5) else 0.84), page.height * page.between(0.5, 0.75)),
    )
    angle = np.arange(2 * corners) * math.pi / corners
    reach = radius * np.where(np.arange(2 * corners) % 2, 0.82, 1.0)
    outline = np.stack([np.cos(angle), np.sin(angle)], -1) * reach[:, None] + at
    sheet.shape(outline, colorsys.hls_to_rgb((hue + 0.5) % 1, 0.5, 0.85), (1, 1, 1), 0.004)
    text = page.one_of(("50%", "NEW", "FREE", "Live"))
    font = page.letters(cjk=False)
    sheet.words(text, font, 1.3 * radius / words_width(text, font, 1), *at, (1, 1, 1), "mm")
    page.add("badge", sheet.rgba())


def _ink(page: Page) -> tuple[float, float, float]:
    """Dark on a light page and light on a dark one."""
    return (0.1, 0.1, 0.14) if page.lightness() > 0.5 else (0.97, 0.97, 0.95)


def _ground(page: Page, gradient: bool) -> Floats:
    """An even ground, or one between two colours."""
    one = rgb(colorsys.hls_to_rgb(page.between(0, 1), page.between(0.3, 0.85), page.between(0.3, 0.8)))
    shift = page.random.uniform(-0.25, 0.25, 3) if gradient else np.zeros(3)
    other = np.clip(one + shift, 0, 1).astype(np.float32)
    return opaque(page.canvas.gradient(one, other, page.between(0, 2 * math.pi)))


def _rays(page: Page) -> Floats:
    """Rays in two like colours from the page's middle."""
    one = rgb(colorsys.hls_to_rgb(page.between(0, 1), page.between(0.4, 0.8), 0.7))
    sheet, middle = page.sheet(), np.array([page.width / 2, 0.6 * page.height])
    for i in range(12):
        angle = np.array([i, i + 0.5]) * math.pi / 6
        sheet.shape(np.stack([middle, *(middle + 2 * np.stack([np.cos(angle), np.sin(angle)], -1))]), one * rgb(0.88))
    return over(sheet.rgba(), opaque(page.canvas.gradient(one, one, 0)))


def _scenery(page: Page, horizon: float) -> None:
    """Sky with a sun or moon, hills, a row of small trees, a band of ground: up to four layers."""
    night, hue = page.chance(0.35), page.between(0.45, 0.75)
    upper, lower = (colorsys.hls_to_rgb(hue, light, 0.6) for light in ((0.12, 0.35) if night else (0.6, 0.88)))
    sky = opaque(page.canvas.gradient(rgb(upper), rgb(lower), math.pi / 2))
    page.add("background", sky)
    land = page.between(0.2, 0.4)
    dim = 0.45 if night else 1.0
    if page.chance(0.7):
        sheet = page.sheet()
        for i in range(2):
            color = rgb(colorsys.hls_to_rgb(land + 0.03 * i, 0.62 - 0.1 * i, 0.4)) * rgb(dim)
            sheet.shape(_hills(page, horizon - 0.26 + 0.11 * i, 0.05, horizon + 0.07), color)
        page.add("hills", sheet.rgba())
    if page.chance(0.5):
        _trees(page, horizon + 0.03, colorsys.hls_to_rgb(land + 0.05, 0.3 * dim, 0.45))
    sheet = page.sheet()
    ground = rgb(colorsys.hls_to_rgb(land - 0.05, 0.45, 0.5)) * rgb(dim)
    sheet.shape(_hills(page, horizon + 0.03, 0.012, page.height + 0.1), ground, ground * rgb(0.6), 0.004)
    for x, y in page.random.uniform((0, horizon + 0.06), (page.width, page.height), (60, 2)):
        sheet.stroke(np.array([[x, y], [x + 0.004, y - 0.012]]), ground * rgb(0.78), 0.0025)
    page.add("ground", sheet.rgba())


def _hills(page: Page, level: float, rise: float, low: float) -> Points:
    """What lies between a wavy line across the page and a height below it."""
    across = np.linspace(-0.1, page.width + 0.1, 8)
    line = smooth([(float(x), level + page.between(-rise, rise)) for x in across], closed=False)
    return np.concatenate([line, [[page.width + 0.1, low], [-0.1, low]]])


def _trees(page: Page, foot: float, color: tuple[float, float, float]) -> None:
    """A row of small firs."""
    sheet, dark = page.sheet(), rgb(color) * rgb(0.6)
    for x in np.arange(0.03, page.width, page.between(0.07, 0.12)):
        tall, at = page.between(0.09, 0.16), float(x) + page.between(-0.015, 0.015)
        sheet.box(at - 0.004, foot - 0.03, 0.008, 0.05, (0.3, 0.2, 0.14))
        for share in (0.0, 0.3, 0.55):
            half, base = 0.32 * tall * (1 - share), foot - 0.02 - share * tall
            sheet.shape(np.array([[at - half, base], [at + half, base], [at, base - 0.5 * tall]]), color, dark, 0.002)
    page.add("trees", sheet.rgba())


def _shaded(pixels: Floats, canvas: Canvas, foot: float, height: float) -> Floats:
    """A figure (H, W, 4) lit from above."""
    y = np.arange(canvas.height, dtype=np.float32) / canvas.side
    light = 1 + SHADED * np.clip(2 * (foot - y) / height - 1, -1, 1)
    return np.concatenate([np.clip(pixels[..., :3] * light[:, None, None], 0, 1), pixels[..., 3:]], -1).astype(
        np.float32
    )
