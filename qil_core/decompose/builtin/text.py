"""Finding text: small pieces of one colour and one size, close together, on one ground."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .regions import Table
from .working import Floats, Labels, Mask

LEAST_LETTERS = 3


def find_texts(table: Table, shape: tuple[int, int]) -> list[NDArray[np.int64]]:
    """Groups of region numbers that are text, largest first, for a picture of shape (h, w)."""
    letters = np.flatnonzero(_like_letters(table, shape))
    groups = [g for g in _connected(letters, _near(table, letters)) if _reads_as_text(table, g)]
    groups = _with_rest(table, groups)
    return sorted(groups, key=lambda g: -float(table.area[g].sum()))


def _reads_as_text(table: Table, group: NDArray[np.int64]) -> bool:
    """Letters differ in shape and fill their boxes loosely; windows, dots and leaves do not."""
    if len(group) < LEAST_LETTERS:
        return False
    size = np.maximum(table.width, table.height)[group]
    loose = table.area[group] / table.hull[group]
    return bool(loose.mean() < 0.83 and (len(group) > LEAST_LETTERS or size.std() < 0.3 * size.mean()))


def grounds(table: Table) -> NDArray[np.int64]:
    """For each region, the one it shares most of its border with: what it lies on or in."""
    return np.asarray(table.border.argmax(1))


def _like_letters(table: Table, shape: tuple[int, int]) -> Mask:
    size = np.maximum(table.width, table.height)
    box = np.maximum(table.width * table.height, 1)
    ground = grounds(table)
    alone = table.border.max(1) / np.maximum(table.border.sum(1), 1)
    contrast = np.abs(table.color - table.color[ground]).max(1)
    like = (size >= 5) & (table.height <= 0.3 * shape[0]) & (table.width <= 0.3 * shape[1])
    like &= (table.stroke <= 0.62 * size) & (table.area >= 0.12 * box) & (alone > 0.6) & (contrast > 30)
    like[0] = False
    return np.asarray(like)


def _near(table: Table, items: NDArray[np.int64]) -> Mask:
    """Which of the items belong together, pair by pair."""
    size = np.maximum(table.width, table.height)[items].astype(np.float32)
    larger, smaller = np.maximum.outer(size, size), np.minimum.outer(size, size)
    return np.asarray(
        (gaps(table.box[items], table.box[items]) <= 0.9 * larger)
        & (larger <= 2.6 * smaller)
        & _alike(table.color[items], table.color[items])
        & np.equal.outer(grounds(table)[items], grounds(table)[items])
    )


def gaps(first: NDArray[np.int64], second: NDArray[np.int64]) -> Floats:
    """Clear distance between boxes (n, 4) and (m, 4): (n, m), 0 where they touch."""
    left = np.maximum.outer(first[:, 0], second[:, 0]) - np.minimum.outer(first[:, 2], second[:, 2])
    top = np.maximum.outer(first[:, 1], second[:, 1]) - np.minimum.outer(first[:, 3], second[:, 3])
    return np.asarray(np.hypot(np.maximum(left, 0), np.maximum(top, 0)), np.float32)


def _alike(first: Floats, second: Floats) -> Mask:
    return np.asarray(np.abs(first[:, None] - second[None]).max(2) < 45)


def _connected(items: NDArray[np.int64], near: Mask) -> list[NDArray[np.int64]]:
    """Connected groups of items under a symmetric relation."""
    label = np.arange(len(items))
    while True:
        lowest = np.where(near, label[None, :], len(items)).min(1, initial=len(items))
        lowest = np.minimum(lowest, label)
        if (lowest == label).all():
            return [items[label == k] for k in np.unique(label)]
        label = lowest


def _with_rest(table: Table, groups: list[NDArray[np.int64]]) -> list[NDArray[np.int64]]:
    """Add what belongs to the lines: dots, accents, short words, letters that touch."""
    taken = np.zeros(len(table), bool)
    taken[np.concatenate([[0], *groups]).astype(int)] = True
    out = []
    for group in groups:
        while len(found := _within_reach(table, group, np.flatnonzero(~taken))):
            taken[found] = True
            group = np.concatenate([group, found])
        out.append(group)
    return out


def _within_reach(table: Table, group: NDArray[np.int64], free: NDArray[np.int64]) -> NDArray[np.int64]:
    """Those of the free regions that have the group's colour, be it blurred, at most its size, and lie close."""
    size = float(np.median(np.maximum(table.width, table.height)[group]))
    small = (table.height[free] <= 1.8 * size) & (table.width[free] <= 6 * size)
    free = free[small & (table.stroke[free] <= 0.7 * size)]
    near = (gaps(table.box[free], table.box[group]) <= 0.8 * size).any(1)
    ink, paper = np.median(table.color[group], axis=0), np.median(table.color[grounds(table)[group]], axis=0)
    share, misfit = between(table.color[free], ink, paper)
    return free[near & (share < 0.6) & (misfit < 40)]


def between(color: Floats, first: Floats, second: Floats) -> tuple[Floats, Floats]:
    """Where colours (n, 4) lie on the line from a first to a second colour (0..1), and how far off it.

    A fifth of the line's length is forgiven: edges drawn in linear light leave it that far.
    """
    line = second - first
    share = np.clip(((color - first) * line).sum(-1) / np.maximum((line * line).sum(-1), 1), 0, 1)
    return share, np.abs(color - first - line * share[:, None]).max(-1) - 0.2 * np.abs(line).max(-1)


def relabel(labels: Labels, groups: list[NDArray[np.int64]]) -> tuple[Labels, int]:
    """A label map in which each group has one number; those numbers come last, the first of them is returned."""
    count = int(labels.max()) + 1
    first = count - sum(len(g) for g in groups)
    table = np.zeros(count, np.int32)
    rest = np.setdiff1d(np.arange(count), np.concatenate(groups)) if groups else np.arange(count)
    table[rest] = np.arange(len(rest))
    for i, group in enumerate(groups):
        table[group] = first + i
    return table[labels], first
