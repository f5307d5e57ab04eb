"""Slides: a title, bullets, a chart, a photo, a card and a footer, on a plain, tinted or gradient page."""

from __future__ import annotations

import colorsys

import numpy as np

from .canvas import OWN, Floats, opaque, rgb
from .page import Color, Page, Sheet, ellipse, words_width
from .photographs import photograph

WIDE = (1.0, 0.5625)

TITLES = (
    "Quarterly results",
    "How we got here",
    "Roadmap for next year",
    "What customers say",
    "Energy use by region",
    "Three things to remember",
)
BULLETS = (
    "Revenue grew by 18 percent",
    "Two new offices opened in May",
    "Support answers within an hour",
    "Costs stay below the plan",
    "The pilot ends in September",
    "Hiring continues in all teams",
    "Every region met its target",
)
FOOTERS = ("Annual meeting  |  12 March", "Northwind Research", "Confidential  |  draft 3", "www.example.com/report")
CJK: tuple[tuple[tuple[str, ...], ...], ...] = (
    (
        ("季度业绩回顾", "明年的产品路线图"),
        ("收入同比增长百分之十八", "五月新开了两家办公室", "试点项目将于九月结束", "各地区均已达标", "成本低于计划"),
        ("内部资料 请勿外传", "年度会议 三月十二日"),
    ),
    (
        ("地域別エネルギー消費", "来年の計画について"),
        (
            "サポートは一時間以内に回答",
            "五月に二つの拠点を開設",
            "費用は計画を下回る",
            "採用はすべての部署で続く",
            "売上は二割増えた",
        ),
        ("株式会社サンプル", "社外秘 第三版"),
    ),
    (
        ("고객 만족도 조사", "내년 제품 로드맵"),
        (
            "비용은 계획보다 낮습니다",
            "오월에 사무실 두 곳을 열었습니다",
            "모든 지역이 목표를 달성했습니다",
            "채용은 계속됩니다",
            "시범 사업은 구월에 끝납니다",
        ),
        ("연례 회의 삼월 십이일", "내부용 자료"),
    ),
)
"""Titles, bullets and footers in Chinese, Japanese and Korean."""


def slide(page: Page) -> None:
    """Draw a slide: 4 to 7 layers."""
    theme = Theme(page)
    page.add("background", theme.ground(page))
    if page.chance(0.4):
        _banner(page, theme)
    _title(page, theme)
    left, right = (0.06, 0.53) if page.chance(0.5) else (0.53, 0.06)
    with_photo, with_chart = page.chance(0.6), page.chance(0.75)
    _bullets(page, theme, left if with_photo or with_chart else 0.06)
    if with_chart:
        box = (right, 0.16, 0.40, 0.20 if with_photo else 0.32)
        _chart(page, theme, box)
    if with_photo:
        _photo(page, (right + 0.02, 0.385 if with_chart else 0.17, 0.36, 0.12 if with_chart else 0.30))
    _footer(page, theme)


class Theme:
    """The colours and fonts of one slide."""

    def __init__(self, page: Page) -> None:
        self.dark, hue = page.chance(0.3), page.between(0, 1)
        self.paper = colorsys.hls_to_rgb(hue, 0.14 if self.dark else page.between(0.93, 1.0), 0.4)
        self.ink: Color = (0.93, 0.93, 0.95) if self.dark else (0.15, 0.16, 0.2)
        self.accent = colorsys.hls_to_rgb(hue, 0.6 if self.dark else 0.4, 0.7)
        self.second = colorsys.hls_to_rgb((hue + 0.4) % 1, 0.55, 0.7)
        self.faint = tuple(0.72 * p + 0.28 * i for p, i in zip(self.paper, self.ink, strict=True))
        cjk = page.chance(0.35) and page.has_cjk()
        self.font = page.letters(cjk)
        self.titles, self.bullets, self.footers = CJK[page.count(0, 2)] if cjk else (TITLES, BULLETS, FOOTERS)
        self.shade = page.between(0, 0.18) if page.chance(0.4) else 0.0

    def ground(self, page: Page) -> Floats:
        """The page (H, W, 4): even, or darker towards its lower right."""
        one = rgb(self.paper)
        return opaque(page.canvas.gradient(one, one * rgb(1 - self.shade), page.between(0.3, 1.3)))


def _banner(page: Page, theme: Theme) -> None:
    """A coloured bar at the page's left or upper side."""
    sheet = page.sheet()
    box = (0.0, 0.0, 0.025, page.height) if page.chance(0.5) else (0.0, 0.0, 1.0, 0.02)
    sheet.box(*box, theme.accent)
    page.add("banner", sheet.rgba())


def _title(page: Page, theme: Theme) -> None:
    sheet, text = page.sheet(), page.one_of(theme.titles)
    size = min(0.052, 0.85 / words_width(text, theme.font, 1))
    sheet.words(text, theme.font, size, 0.06, 0.085, theme.accent if page.chance(0.5) else theme.ink)
    page.add("title", sheet.rgba())


def _bullets(page: Page, theme: Theme, x: float) -> None:
    """Lines of text, each with a dot."""
    sheet, count = page.sheet(), page.count(3, 5)
    lines = [str(line) for line in page.random.choice(theme.bullets, count, replace=False)]
    size = min(0.026, 0.37 / max(words_width(line, theme.font, 1) for line in lines))
    for i, line in enumerate(lines):
        y = 0.20 + i * min(0.065, 0.3 / count)
        sheet.shape(ellipse(x + 0.008, y, 0.005, 0.005), theme.accent)
        sheet.words(line, theme.font, size, x + 0.028, y, theme.ink)
    page.add("bullets", sheet.rgba())


def _chart(page: Page, theme: Theme, box: tuple[float, float, float, float]) -> None:
    """Axis, grid, labels, and bars or lines: one layer."""
    sheet, (x, y, width, height) = page.sheet(), box
    left, floor, top = x + 0.04, y + height - 0.025, y + 0.01
    grid, hair = page.count(3, 5), 0.0005
    for i in range(1, grid + 1):
        level = floor - (floor - top) * i / grid
        sheet.box(left, level, x + width - left, hair, theme.faint)
        sheet.words(str(20 * i), OWN, 0.012, left - 0.008, level, theme.ink, "rm")
    sheet.box(left, top, hair, floor - top, theme.ink)
    sheet.box(left, floor, x + width - left, hair, theme.ink)
    area = (left, top, x + width - left, floor - top)
    (_bars if page.chance(0.5) else _lines)(page, sheet, theme, area)
    page.add("chart", sheet.rgba())


def _bars(page: Page, sheet: Sheet, theme: Theme, area: tuple[float, float, float, float]) -> None:
    x, y, width, height = area
    count, paired = page.count(4, 7), page.chance(0.5)
    step = width / count
    for i in range(count):
        for k in range(2 if paired else 1):
            tall = height * page.between(0.2, 0.95)
            wide = step * (0.3 if paired else 0.55)
            at = x + step * (i + 0.2) + k * wide
            sheet.box(at, y + height - tall, wide, tall, theme.second if k else theme.accent)
        sheet.words(f"Q{i + 1}", OWN, 0.012, x + step * (i + 0.5), y + height + 0.014, theme.ink, "mm")


def _lines(page: Page, sheet: Sheet, theme: Theme, area: tuple[float, float, float, float]) -> None:
    x, y, width, height = area
    count = page.count(5, 9)
    across = x + width * (np.arange(count) + 0.5) / count
    for color in (theme.accent, theme.second)[: page.count(1, 2)]:
        levels = np.interp(np.cumsum(page.random.normal(0.06, 0.2, count)), (-0.8, 1.2), (0.05, 0.97))
        points = np.stack([across, y + height * (1 - levels)], -1)
        sheet.stroke(points, color, 0.003)
        for point in points:
            sheet.shape(ellipse(point[0], point[1], 0.005, 0.005), color)
    for i, at in enumerate(across):
        sheet.words(str(2018 + i), OWN, 0.011, float(at), y + height + 0.014, theme.ink, "mm")


def _photo(page: Page, box: tuple[float, float, float, float]) -> None:
    """A photograph with square or rounded corners."""
    sheet, (x, y, width, height) = page.sheet(), box
    pixels = [round(share * page.canvas.side) for share in (width, height)]
    sheet.picture(photograph(page.count(0, 10**6), *pixels), x, y, 0.012 if page.chance(0.4) else 0)
    page.add("photo", sheet.rgba())


def _footer(page: Page, theme: Theme) -> None:
    """A small line of text and the page's number, now and then under a rule."""
    sheet, y = page.sheet(), page.height - 0.028
    font = theme.font
    if page.chance(0.5):
        sheet.box(0.06, y - 0.022, 0.88, 0.0005, theme.faint)
    sheet.words(page.one_of(theme.footers), font, 0.015, 0.06, y, theme.ink)
    sheet.words(str(page.count(2, 40)), font, 0.015, 0.94, y, theme.ink, "rm")
    page.add("footer", sheet.rgba())
