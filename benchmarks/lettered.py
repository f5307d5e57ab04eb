"""Slides whose every letter is known: titles, bullets and captions in six fonts, Latin and CJK, 18 to 120 px high.

What is drawn is what is remembered: a `Lettered` slide knows its picture and, a line each, words, ink, size and colour.
"""

from __future__ import annotations

import colorsys
import io
import subprocess
from functools import cache
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from .slides import BULLETS, CJK, FOOTERS, TITLES

SIZE = (1280, 720)
"""Width and height of a slide in pixels."""

LATIN_FONTS = ("Liberation Sans", "Liberation Serif", "Liberation Mono", "DejaVu Sans", "Carlito")
CJK_FONTS = ("Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans CJK KR")
"""One font in three languages, whose texts are those of `slides`."""

CAPTIONS = (
    "The figures of this page come from the yearly survey of our customers, and all of them were checked twice before "
    "they were printed.",
    "We asked forty teams what slows them down. Most of them said that waiting for others takes more time than the "
    "work itself.",
    "Energy use fell in every region, although the number of machines grew and the summer was warmer than usual.",
)
CJK_CAPTIONS = (
    "本页的数字来自我们每年的客户调查。所有数据在印刷之前都经过两次核对。因此可以放心引用。",
    "このページの数字は毎年の顧客調査によるもので、印刷の前にすべて二回確認されています。",
    "이 페이지의 숫자는 매년 고객 조사에서 나온 것이며 인쇄하기 전에 모두 두 번 확인했습니다.",
)
DIRECTED = {
    "Arabic": (
        "DejaVu Sans",
        "تقرير الربع الرابع",
        ("مكتبان جديدان في لشبونة", "التكاليف أقل من الخطة", "شركة Northwind"),
    ),
    "Hebrew": (
        "DejaVu Sans",
        "דוח רבעוני",
        ("שני משרדים חדשים בליסבון", "העלויות נמוכות מהתוכנית", "חברת Northwind"),
    ),
    "Chinese, vertical": ("Noto Sans CJK SC", "明年的产品路线图", ("本页的数字来自客户调查", "所有数据都经过核对")),
    "Japanese, vertical": ("Noto Sans CJK JP", "来年の計画について", ("サポートは一時間以内に", "回答されています")),
}
"""Texts that run from right to left or from top to foot: font, title, lines."""

LEADING = 1.35
"""From baseline to baseline of a caption, in font sizes."""


class TrueLine(NamedTuple):
    """Words, ink as left, top, right, bottom in pixels, font size in pixels, colour 0..255."""

    text: str
    box: tuple[int, int, int, int]
    size: float
    color: tuple[int, int, int]


class Lettered(NamedTuple):
    """A slide: its picture (H, W, 3), its paragraphs of lines in the order of reading, and what is special of it."""

    picture: np.ndarray
    paragraphs: list[list[TrueLine]]
    label: str


@cache
def font_file(name: str) -> str:
    """The file of an installed font; "" where fontconfig would take another one."""
    found = subprocess.run(["fc-match", "-f", "%{family}|%{file}", name], capture_output=True, text=True, check=True)
    family, _, path = found.stdout.partition("|")
    return path if name in family.split(",") else ""


def missing_fonts() -> list[str]:
    """Fonts that a slide needs and that are not installed."""
    return [name for name in (*LATIN_FONTS, *CJK_FONTS) if not font_file(name)]


def lettered_slide(seed: int) -> Lettered:
    """Slide number `seed`: fonts take turns, every other one is a JPEG of quality 80."""
    pen = _Pen(seed)
    at = seed % (len(LATIN_FONTS) + 1)
    is_cjk = at == len(LATIN_FONTS)
    language = pen.count(0, 2)
    face = CJK_FONTS[language] if is_cjk else LATIN_FONTS[at]
    titles, bullets, footers = CJK[language] if is_cjk else (TITLES, BULLETS, FOOTERS)
    pen.title(pen.choice(titles), face)
    if pen.random.random() < 0.6:
        pen.bullets([str(each) for each in pen.random.choice(bullets, pen.count(3, 4), replace=False)], face)
    else:
        pen.caption(CJK_CAPTIONS[language] if is_cjk else pen.choice(CAPTIONS), face, "" if is_cjk else " ")
    pen.line(pen.choice(footers), face, 18, 70, 670)
    as_jpeg = seed // 6 % 2 == 1
    return Lettered(_as_jpeg(pen.image) if as_jpeg else np.array(pen.image), pen.paragraphs, face)


def directed_slide(seed: int) -> Lettered:
    """Slide number `seed` of those in DIRECTED: kinds take turns, the second half of each eight are JPEG."""
    label = list(DIRECTED)[seed % len(DIRECTED)]
    face, title, texts = DIRECTED[label]
    pen = _Pen(seed)
    size = pen.count(24, 40)
    lines = [(title, pen.count(48, 72)), *((text, size) for text in texts)]
    if "vertical" in label:
        pen.columns(lines, face)
    else:
        pen.right_to_left(lines, face)
    as_jpeg = seed // len(DIRECTED) % 2 == 1
    return Lettered(_as_jpeg(pen.image) if as_jpeg else np.array(pen.image), pen.paragraphs, label)


def _as_jpeg(image: Image.Image) -> np.ndarray:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=80)
    return np.array(Image.open(file))


class _Pen:
    """Draws lines on a plain page and remembers them."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        hue, dark = self.random.random(), self.random.random() < 0.3
        self.image = Image.new("RGB", SIZE, _color(hue, 0.14 if dark else 0.96, 0.4))
        self.ink = _color(hue, 0.93 if dark else 0.17, 0.15)
        self.accent = _color(hue, 0.66 if dark else 0.36, 0.7)
        self.paragraphs: list[list[TrueLine]] = []

    def count(self, low: int, high: int) -> int:
        return int(self.random.integers(low, high + 1))

    def choice(self, texts: tuple[str, ...]) -> str:
        return texts[self.count(0, len(texts) - 1)]

    def line(self, text: str, face: str, size: int, x: int, y: int, goes_on: bool = False) -> None:
        """A line whose baseline begins at x and y, in the ink's colour."""
        font = ImageFont.truetype(font_file(face), size)
        ImageDraw.Draw(self.image).text((x, y), text, fill=self.ink, font=font, anchor="ls")
        left, top, right, bottom = font.getbbox(text, anchor="ls")
        true = TrueLine(text, (x + int(left), y + int(top), x + int(right), y + int(bottom)), size, self.ink)
        if goes_on:
            self.paragraphs[-1].append(true)
        else:
            self.paragraphs.append([true])

    def right_to_left(self, lines: list[tuple[str, int]], face: str) -> None:
        """Lines whose right sides agree."""
        y = 150
        for text, size in lines:
            font = ImageFont.truetype(font_file(face), size)
            self.line(text, face, size, round(1200 - font.getlength(text)), y)
            y += round(1.7 * size) + 30

    def columns(self, lines: list[tuple[str, int]], face: str) -> None:
        """Columns from right to left, an em a letter: the first is a title, the others one paragraph."""
        x = 1180
        for number, (text, size) in enumerate(lines):
            font = ImageFont.truetype(font_file(face), size)
            for at, letter in enumerate(text):
                place = (x, 80 + round((at + 0.88) * size))
                ImageDraw.Draw(self.image).text(place, letter, fill=self.ink, font=font, anchor="ms")
            half = size // 2
            true = TrueLine(text, (x - half, 80, x + half, 80 + len(text) * size), size, self.ink)
            if number > 1:
                self.paragraphs[-1].append(true)
            else:
                self.paragraphs.append([true])
            x -= 110 if number == 0 else round(1.5 * size)

    def title(self, text: str, face: str) -> None:
        """36 to 120 px high, as far as the page is wide enough."""
        width = ImageFont.truetype(font_file(face), 100).getlength(text) / 100
        size = min(self.count(36, 120), int(1140 / width))
        ink, self.ink = self.ink, self.accent if self.random.random() < 0.5 else self.ink
        self.line(text, face, size, 70, 150)
        self.ink = ink

    def bullets(self, texts: list[str], face: str) -> None:
        size = self.count(24, 44)
        step = round(size * (1.7 + 0.5 * self.random.random()))
        for number, text in enumerate(texts):
            y, dot = 270 + number * step, size * 0.13
            middle = y - 0.33 * size
            ImageDraw.Draw(self.image).ellipse([80 - dot, middle - dot, 80 + dot, middle + dot], fill=self.accent)
            self.line(text, face, size, 110, y)

    def caption(self, text: str, face: str, between: str) -> None:
        """A paragraph in lines of one width."""
        size, width = self.count(20, 34), self.count(560, 900)
        font = ImageFont.truetype(font_file(face), size)
        lines = [""]
        for word in text.split(" ") if between or " " in text else list(text):
            joint = " " if lines[-1] and (between or " " in text) else ""
            longer = f"{lines[-1]}{joint}{word}"
            if font.getlength(longer) <= width or word in "。、":
                lines[-1] = longer
            else:
                lines.append(word)
        for number, each in enumerate(lines):
            self.line(each, face, size, 90, 270 + round(number * LEADING * size), number > 0)


def _color(hue: float, light: float, strength: float) -> tuple[int, int, int]:
    red, green, blue = (round(255 * share) for share in colorsys.hls_to_rgb(hue, light, strength))
    return red, green, blue
