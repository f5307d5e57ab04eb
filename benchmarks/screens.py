"""App screens: a sidebar with a menu, a toolbar, cards with icons, a table with one-pixel rules, buttons, a dialog."""

from __future__ import annotations

import colorsys

import numpy as np

from .canvas import opaque, rgb
from .page import Color, Page, Sheet, ellipse, words_width

SHAPES = ((1.0, 0.625), (1.0, 0.75), (0.56, 1.0))

ITEMS = ("Home", "Inbox", "Calendar", "Projects", "Reports", "Team", "Files", "Settings", "Archive", "Billing")
NAMES = ("Anna Berg", "Luis Ortega", "Mei Chen", "Tom Fisher", "Sara Novak", "Ken Ito", "Ada Osei", "Ravi Patel")
STATES = ("Paid", "Open", "Late", "Draft", "Sent")
CARDS = ("Visitors", "Orders", "Revenue", "Returns", "Uptime", "Messages")
BUTTONS = ("Save", "New report", "Share", "Continue", "Invite", "Export")
QUESTIONS = ("Delete this project?", "Unsaved changes", "Invite people", "Session expired")

HAIR = 0.0004
"""Narrower than a pixel at every size used: drawn one pixel wide."""

Box = tuple[float, float, float, float]


def screen(page: Page) -> None:
    """Draw an app screen: 5 to 10 layers."""
    look = Look(page)
    page.add("background", opaque(page.canvas.gradient(rgb(look.paper), rgb(look.paper), 0)))
    narrow = page.width < page.height
    left = 0.0 if narrow else _sidebar(page, look)
    _toolbar(page, look, left)
    cards = 2 if narrow else page.count(2, 3)
    step = (page.width - left - 0.02) / cards
    for i in range(cards):
        _card(page, look, (left + 0.02 + i * step, 0.10, step - 0.02, 0.13), i + 1)
    _table(page, look, (left + 0.02, 0.26, page.width - left - 0.04, page.height - (0.40 if narrow else 0.29)))
    if narrow:
        _button(page, look, (0.06, page.height - 0.10, page.width - 0.12, 0.06))
    elif page.chance(0.5):
        _dialog(page, look, left)


class Look:
    """The colours and fonts of one app."""

    def __init__(self, page: Page) -> None:
        dark, hue = page.chance(0.25), page.between(0, 1)
        self.paper: Color = colorsys.hls_to_rgb(hue, 0.11 if dark else 0.955, 0.12)
        self.panel: Color = colorsys.hls_to_rgb(hue, 0.17 if dark else 1.0, 0.12)
        self.rule: Color = colorsys.hls_to_rgb(hue, 0.30 if dark else 0.84, 0.1)
        self.ink: Color = (0.9, 0.9, 0.92) if dark else (0.13, 0.14, 0.18)
        self.pale: Color = (0.6, 0.6, 0.64) if dark else (0.45, 0.46, 0.5)
        self.accent: Color = colorsys.hls_to_rgb(hue, 0.55, 0.75)
        self.deep: Color = colorsys.hls_to_rgb(hue, 0.27, 0.5)
        self.hue, self.font = hue, page.letters(cjk=False)
        self.radius = page.between(0, 0.012)


def _sidebar(page: Page, look: Look) -> float:
    """A panel at the left with its border, and a menu on it; returns its right side."""
    width, sheet = page.between(0.15, 0.2), page.sheet()
    colored = page.chance(0.4)
    sheet.box(0, 0, width, page.height, look.deep if colored else look.panel)
    sheet.box(width, 0, HAIR, page.height, look.rule)
    page.add("sidebar", sheet.rgba())
    sheet, count = page.sheet(), page.count(5, 8)
    for i, item in enumerate(page.random.choice(ITEMS, count, replace=False)):
        y = 0.10 + 0.048 * i
        _icon(page, sheet, look, (0.018, y - 0.011, 0.022, 0.022), page.count(0, 3))
        sheet.words(str(item), look.font, 0.016, 0.052, y, (0.97, 0.97, 0.97) if colored else look.ink)
    page.add("menu", sheet.rgba())
    return width


def _toolbar(page: Page, look: Look, left: float) -> None:
    """A bar above with the app's title, then a search field and a button on it."""
    sheet, height = page.sheet(), 0.065
    sheet.box(left + (0.001 if left else 0), 0, page.width - left, height, look.panel)
    sheet.box(left + (0.001 if left else 0), height, page.width - left, HAIR, look.rule)
    sheet.words(page.one_of(ITEMS), look.font, 0.024, left + 0.02, 0.033, look.ink)
    page.add("toolbar", sheet.rgba())
    if left:
        sheet = page.sheet()
        sheet.framed((page.width - 0.36, 0.017, 0.2, 0.032), look.paper, look.rule, look.radius)
        sheet.stroke(ellipse(page.width - 0.345, 0.032, 0.006, 0.006), look.pale, 0.0015)
        sheet.words("Search", look.font, 0.014, page.width - 0.33, 0.033, look.pale)
        page.add("search field", sheet.rgba())
        _button(page, look, (page.width - 0.14, 0.015, 0.12, 0.036))


def _button(page: Page, look: Look, box: Box) -> None:
    sheet, (x, y, width, height) = page.sheet(), box
    text = page.one_of(BUTTONS)
    sheet.box(*box, look.accent, look.radius)
    size = min(0.4 * height, 0.85 * width / words_width(text, look.font, 1))
    sheet.words(text, look.font, size, x + width / 2, y + height / 2, (1, 1, 1), "mm")
    page.add("button", sheet.rgba())


def _card(page: Page, look: Look, box: Box, number: int) -> None:
    """A white box with a border of one pixel: an icon, a small heading, a large figure, a trend."""
    sheet, (x, y, width, height) = page.sheet(), box
    sheet.framed(box, look.panel, look.rule, look.radius)
    _icon(page, sheet, look, (x + 0.014, y + 0.022, 0.038, 0.038), page.count(0, 3))
    sheet.words(page.one_of(CARDS), look.font, 0.014, x + 0.064, y + 0.03, look.pale)
    sheet.words(f"{page.count(100, 9999):,}", look.font, 0.028, x + 0.064, y + 0.058, look.ink)
    levels = np.clip(np.cumsum(page.random.normal(0.02, 0.15, 12)) + 0.5, 0, 1)
    across = x + 0.014 + (width - 0.028) * np.linspace(0, 1, 12)
    sheet.stroke(np.stack([across, y + height - 0.014 - 0.026 * levels], -1), look.accent, 0.0016)
    page.add(f"card {number}", sheet.rgba())


def _icon(page: Page, sheet: Sheet, look: Look, box: Box, kind: int) -> None:
    """A coloured tile with a white mark inside."""
    x, y, width, height = box
    color = colorsys.hls_to_rgb((look.hue + 0.15 * page.count(0, 6)) % 1, 0.52, 0.6)
    cx, cy, half = x + width / 2, y + height / 2, width / 2
    if page.chance(0.5):
        sheet.shape(ellipse(cx, cy, half, half), color)
    else:
        sheet.box(x, y, width, height, color, 0.25 * width)
    white, thick = (1, 1, 1), 0.18 * width
    if kind == 0:
        sheet.stroke(
            np.array([[cx - 0.45 * half, cy], [cx - 0.1 * half, cy + 0.4 * half], [cx + 0.5 * half, cy - 0.4 * half]]),
            white,
            thick,
        )
    elif kind == 1:
        sheet.shape(ellipse(cx, cy, 0.45 * half, 0.45 * half), white)
        sheet.shape(ellipse(cx, cy, 0.18 * half, 0.18 * half), color)
    elif kind == 2:
        for turn in (np.array([[1, 0], [-1, 0]]), np.array([[0, 1], [0, -1]])):
            sheet.stroke(np.array([cx, cy]) + 0.5 * half * turn, white, thick)
    else:
        sheet.shape(np.array([cx, cy]) + half * np.array([[-0.5, 0.45], [0, -0.55], [0.5, 0.45]]), white)


def _table(page: Page, look: Look, box: Box) -> None:
    """Rows of text with a rule of one pixel between them, framed: one layer."""
    sheet, (x, y, width, height) = page.sheet(), box
    sheet.framed(box, look.panel, look.rule, look.radius)
    rows = int((height - 0.045) / 0.042)
    columns = [x + 0.02 + width * share for share in ((0, 0.33, 0.62, 0.82) if width > 0.6 else (0, 0.5, 0.78))]
    for at, name in zip(columns, ("Name", "Date", "State", "Amount"), strict=False):
        sheet.words(name, look.font, 0.013, at, y + 0.022, look.pale)
    for i in range(rows):
        top = y + 0.042 + 0.042 * i
        sheet.box(x, top, width, HAIR, look.rule)
        cells = (page.one_of(NAMES), f"{page.count(1, 28)} May", page.one_of(STATES), f"{page.count(10, 990)}.00")
        for at, cell in zip(columns, cells, strict=False):
            sheet.words(cell, look.font, 0.014, at, top + 0.021, look.ink)
    page.add("table", sheet.rgba())


def _dialog(page: Page, look: Look, left: float) -> None:
    """A box with a shadow over the table: a question, a line of text, two buttons drawn in it."""
    sheet, width, height = page.sheet(), 0.3, 0.16
    x, y = left + (page.width - left - width) * page.between(0.35, 0.65), page.height * 0.5
    sheet.box(x, y, width, height, look.panel, look.radius + 0.004)
    sheet.words(page.one_of(QUESTIONS), look.font, 0.02, x + 0.02, y + 0.03, look.ink)
    sheet.words("This cannot be undone.", look.font, 0.014, x + 0.02, y + 0.065, look.pale)
    sheet.framed((x + 0.08, y + 0.105, 0.09, 0.036), look.panel, look.rule, look.radius)
    sheet.words("Cancel", look.font, 0.014, x + 0.125, y + 0.123, look.ink, "mm")
    sheet.box(x + 0.185, y + 0.105, 0.09, 0.036, look.accent, look.radius)
    sheet.words("OK", look.font, 0.014, x + 0.23, y + 0.123, (1, 1, 1), "mm")
    page.add("dialog", sheet.shadowed(0.006, 0.01, 0.45))
