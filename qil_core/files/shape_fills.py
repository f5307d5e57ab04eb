"""What a shape is filled with, and the soft shadow or glow below it; how they are drawn and fitted.

Colours are stored sRGB values in 0..1 and lengths pixels, as in shape_outlines.py. Drawn pictures are premultiplied.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from .shape_outlines import Floats, Mask, Outline, drawn, moved

Color = tuple[float, float, float]

EVEN = 2.5 / 255
"""A fitted gradient that changes less across a shape is one colour: rounding to 8 bits makes up to one step of it."""

MIN_EVEN_SHARE = 0.4
"""Of a region's pixels, those that a fill has to explain: the others are soft things on it, such as a glow."""

MIN_TRIMMED = 2000
"""Pixels of a region from which soft things on it are looked for: it takes 20 ms, and a texture has many small ones."""

TRIMMED_SAMPLES, TRIMMED_STARTS, TRIMMED_NEAR, TRIMMED_ROUNDS = 2000, 10, 40, 6
"""Pixels of a least trimmed fit, how many first guesses it has, pixels beside each other of which each is made, and its
rounds. A guess is right where these have no other thing on them: one in ten is, but for one region in 150."""

MAX_FILL_ERROR = 3 / 255
"""Mean difference of pixels to their fill above which they are no even colour or gradient: JPEG's noise is above."""

END_SHARE, MIN_INNER = 0.04, 100
"""Samples nearer to an end than this share of a gradient's range may lie beyond it; at least so many others are fitted
on their own."""

SAMPLES = 20_000
"""Pixels that a fill is fitted to: more of them change it by less than a thousandth."""

SIGMAS = (2.0, 5.0, 10.0, 20.0, 40.0)
"""Blurs in pixels that the fit of a shadow begins from."""

SHADOW_SIDE, FIRST_SHADOW_SIDE = 192, 80
"""Shadows are fitted at most this large, in pixels: they are smooth. First fits, from all of SIGMAS, are smaller."""

SHADOW_ROUNDS = 12

TRIMMED_SHADOWS = 2
"""How often a shadow is fitted again without what is too far off it: remnants of other things beside a shape."""

SHADOW_REACH = 3.0
"""Standard deviations after which a Gaussian is over: 0.3 % of it lie beyond."""


@dataclass(frozen=True)
class Fill:
    """One colour, or a linear gradient from `color` at `start` to `other` at `end`, in pixels; and its opacity."""

    color: Color
    opacity: float
    other: Color | None = None
    start: tuple[float, float] = (0.0, 0.0)
    end: tuple[float, float] = (0.0, 0.0)

    def colors(self, left: int, top: int, height: int, width: int) -> Floats:
        """Its colours (height, width, 3) in a window; beyond its two points a gradient goes on in their colours."""
        x = np.arange(left, left + width, dtype=np.float32) + np.float32(0.5)
        y = np.arange(top, top + height, dtype=np.float32) + np.float32(0.5)
        return self.at(x[None], y[:, None])

    def at(self, x: Floats, y: Floats) -> Floats:
        """Its colours (..., 3) at places in pixels."""
        if self.other is None:
            shape = (*np.broadcast_shapes(x.shape, y.shape), 3)
            return np.broadcast_to(np.array(self.color, np.float32), shape)
        dx, dy = self.end[0] - self.start[0], self.end[1] - self.start[1]
        along = ((x - self.start[0]) * dx + (y - self.start[1]) * dy) / (dx * dx + dy * dy)
        share = np.clip(along, 0, 1)[..., None].astype(np.float32)
        return np.array(self.color, np.float32) * (1 - share) + np.array(self.other, np.float32) * share

    def moved(self, x: float, y: float) -> Fill:
        """The same fill elsewhere."""
        (a, b), (c, d) = self.start, self.end
        return replace(self, start=(a + x, b + y), end=(c + x, d + y))


@dataclass(frozen=True)
class Shadow:
    """A blurred copy of the outline below a shape, or a glow: colour, opacity, standard deviation of blur, offset."""

    color: Color
    opacity: float
    sigma: float
    x: float
    y: float

    @property
    def reach(self) -> int:
        """Pixels that it may show beyond the shape."""
        return math.ceil(SHADOW_REACH * self.sigma + max(abs(self.x), abs(self.y))) + 1

    def drawn(self, outline: Outline, height: int, width: int) -> Floats:
        """Its alpha (height, width)."""
        reach = self.reach
        around = drawn(moved(outline, reach + self.x, reach + self.y), height + 2 * reach, width + 2 * reach)
        return blurred(around, self.sigma)[reach:-reach, reach:-reach] * np.float32(self.opacity)


def blurred(mask: Floats, sigma: float) -> Floats:
    """A mask (h, w) under a Gaussian, nothing around it."""
    import cv2

    return np.asarray(cv2.GaussianBlur(mask, (0, 0), sigma, borderType=cv2.BORDER_CONSTANT), np.float32)


def fit_fill(colors: Floats, alpha: Floats, region: Mask) -> Fill | None:
    """The fill of a region (h, w) of straight colours (h, w, 3) with alpha (h, w); None where there is no such fill."""
    ys, xs = np.nonzero(region)
    every = max(1, len(xs) // SAMPLES)
    ys, xs = ys[::every], xs[::every]
    samples, opacities = colors[ys, xs].astype(np.float64), alpha[ys, xs]
    opacity = float(np.median(opacities))
    if float(np.abs(opacities - opacity).mean()) > MAX_FILL_ERROR:
        return None
    x, y = xs + 0.5, ys + 0.5
    whole = _fit_even(samples, opacity) or _fit_gradient(x, y, samples, opacity)
    share = float(_fits(whole, x, y, samples).mean()) if whole else 0.0
    if share == 1:
        return whole
    most = _fit_most(x, y, samples, opacity) if len(x) >= MIN_TRIMMED else None
    return most if most and float(_fits(most, x, y, samples).mean()) > max(share, MIN_EVEN_SHARE) else whole


def _fit_even(samples: np.ndarray, opacity: float) -> Fill | None:
    """The one colour of all samples (n, 3)."""
    flat = np.median(samples, axis=0)
    return Fill(_color(flat), _eight_bits(opacity)) if float(np.abs(samples - flat).max()) <= EVEN else None


def _fits(fill: Fill, x: np.ndarray, y: np.ndarray, samples: np.ndarray) -> Mask:
    """Which samples (n, 3) have the fill's colour."""
    return np.asarray(np.abs(samples - fill.at(x, y)).max(-1) <= EVEN)


def _fit_most(x: np.ndarray, y: np.ndarray, samples: np.ndarray, opacity: float) -> Fill | None:
    """One colour or a gradient through the samples that agree best, and all others that agree with it.

    Least trimmed squares by concentration steps (Rousseeuw and Van Driessen 1999).
    """
    chance = np.random.default_rng(0)
    few = chance.choice(len(x), min(TRIMMED_SAMPLES, len(x)), replace=False)
    base = np.stack([np.ones(len(few)), x[few] - x.mean(), y[few] - y.mean()], -1)
    best, least, kept = np.zeros((3, 3)), math.inf, int(MIN_EVEN_SHARE * len(few))
    for _ in range(TRIMMED_STARTS):
        used = np.argsort(np.hypot(*(base[:, 1:] - base[chance.integers(len(few)), 1:]).T))[:TRIMMED_NEAR]
        for _ in range(TRIMMED_ROUNDS):
            plane, *_ = np.linalg.lstsq(base[used], samples[few][used], rcond=None)
            off = np.square(samples[few] - base @ plane).sum(-1)
            used = np.argpartition(off, kept)[: kept + 1]
        if float(off[used].sum()) < least:
            best, least = plane, float(off[used].sum())
    shown = np.stack([np.ones(len(x)), x - x.mean(), y - y.mean()], -1) @ best
    alike = np.abs(samples - shown).max(-1) <= EVEN
    if alike.sum() < MIN_INNER:
        return None
    x, y, samples = x[alike], y[alike], samples[alike]
    return _fit_even(samples, opacity) or _fit_gradient(x, y, samples, opacity)


def _fit_gradient(x: np.ndarray, y: np.ndarray, samples: np.ndarray, opacity: float) -> Fill | None:
    """A plane through all samples, and again through those between the two ends: beyond these the colours stay."""
    used = np.ones(len(x), bool)
    for _ in range(2):
        axis, at, change, middle = _plane(x, y, samples, used)
        strength = max(float(np.linalg.norm(change)), 1e-9)
        value = (samples - middle) @ change / strength
        low, high = (float(one) for one in np.percentile(value, (0.5, 99.5)))
        inner = (value > low + END_SHARE * (high - low)) & (value < high - END_SHARE * (high - low))
        used = inner if inner.sum() >= MIN_INNER else used
    along = x * axis[0] + y * axis[1] - at
    first, last = max(float(along.min()), low / strength), min(float(along.max()), high / strength)
    shown = middle + np.clip(along, first, last)[:, None] * change
    if last <= first or float(np.abs(samples - shown).mean()) > MAX_FILL_ERROR:
        return None
    if float(np.abs(change).max() * (last - first)) <= EVEN:
        return Fill(_color(middle), _eight_bits(opacity))
    one, other = (_color(middle + place * change) for place in (first, last))
    side = np.array([-axis[1], axis[0]])
    on_line = side * float(np.mean(x * side[0] + y * side[1]))  # the gradient's line runs through the samples' middle
    (a, b), (c, d) = (axis * (at + place) + on_line for place in (first, last))
    return Fill(one, _eight_bits(opacity), other, (float(a), float(b)), (float(c), float(d)))


def _plane(
    x: np.ndarray, y: np.ndarray, samples: np.ndarray, used: np.ndarray
) -> tuple[np.ndarray, float, np.ndarray, np.ndarray]:
    """Least squares of a plane a channel: the direction (2,) in which they change, the place on it at which they have
    the middle colour (3,), the change of colour a pixel (3,), and that colour.
    """
    center = np.array([x[used].mean(), y[used].mean()])
    base = np.stack([np.ones(int(used.sum())), x[used] - center[0], y[used] - center[1]], -1)
    (middle, *slopes), *_ = np.linalg.lstsq(base, samples[used], rcond=None)
    axes, strengths, across = np.linalg.svd(np.array(slopes))
    axis = axes[:, 0]
    return axis, float(center @ axis), strengths[0] * across[0], middle


def _eight_bits(value: float) -> float:
    return round(min(1.0, max(0.0, value)) * 255) / 255


def _color(values: np.ndarray) -> Color:
    red, green, blue = (min(1.0, max(0.0, float(value))) for value in values)
    return red, green, blue


def fit_shadow(alpha: Floats, outside: Mask, coverage: Floats, color: Color) -> Shadow | None:
    """The shadow whose alpha (h, w) is seen outside of a shape of this coverage; None where none fits."""
    import cv2

    small, first = (_Small.of(alpha, coverage, outside, side) for side in (SHADOW_SIDE, FIRST_SHADOW_SIDE))
    seen, shape, known, scale = small
    trials = [_fit_shadow(*first[:3], max(0.5, sigma * first.scale)) for sigma in SIGMAS]
    error, (x, y, sigma, opacity) = min(trials, key=lambda trial: trial[0])
    x, y, sigma = (value * scale / first.scale for value in (x, y, sigma))
    for _ in range(TRIMMED_SHADOWS if math.isfinite(error) else 0):
        spread = cv2.warpAffine(blurred(shape, sigma), np.array([[1, 0, x], [0, 1, y]], np.float32), seen.shape[::-1])
        off = np.abs(seen - opacity * spread)
        own = known & (off <= max(EVEN, 3 * float(np.median(off[known]))))
        error, (x, y, sigma, opacity) = _fit_shadow(seen, shape, own, sigma, x, y)
    if not math.isfinite(error) or not 0 < opacity <= 1.05:
        return None
    return Shadow(color, min(1.0, opacity), sigma / scale, x / scale, y / scale)


class _Small(NamedTuple):
    """What a shadow is fitted to: an alpha (h, w), the coverage of its shape, where it is known, and the scale."""

    seen: Floats
    shape: Floats
    known: Mask
    scale: float

    @classmethod
    def of(cls, alpha: Floats, coverage: Floats, outside: Mask, side: int) -> _Small:
        import cv2

        scale = min(1.0, side / max(alpha.shape))
        size = (max(1, round(alpha.shape[1] * scale)), max(1, round(alpha.shape[0] * scale)))
        seen, shape, known = (
            np.asarray(cv2.resize(np.asarray(one, np.float32), size, interpolation=cv2.INTER_AREA), np.float32)
            for one in (alpha, coverage, outside)
        )
        return cls(seen, shape, known > 0.99, scale)


def _fit_shadow(
    seen: Floats, shape: Floats, known: Mask, sigma: float, x: float = 0.0, y: float = 0.0
) -> tuple[float, tuple[float, float, float, float]]:
    """Square error, and x, y, sigma and opacity: Gauss and Newton's method, opacity by least squares each time."""
    import cv2

    height, width = shape.shape

    def shown(x: float, y: float, blur: float) -> Floats:
        move = np.array([[1, 0, x], [0, 1, y]], np.float32)
        spread = blurred(shape, blur)
        return np.asarray(cv2.warpAffine(spread, move, (width, height), flags=cv2.INTER_LINEAR)[known], np.float32)

    wanted, now = seen[known], np.array([x, y, sigma])
    best: tuple[float, tuple[float, float, float, float]] = (math.inf, (x, y, sigma, 0.0))
    for _ in range(SHADOW_ROUNDS):
        base = shown(*now)
        opacity = float(base @ wanted) / max(float(base @ base), 1e-9)
        error = float(np.square(wanted - opacity * base).sum())
        if error < best[0] * 0.999:
            best = (error, (float(now[0]), float(now[1]), float(now[2]), opacity))
        else:
            break
        slopes = [(shown(*(now + step)) - base) * opacity / 0.25 for step in np.eye(3) * 0.25]
        change, *_ = np.linalg.lstsq(np.stack([*slopes, base], -1), wanted - opacity * base, rcond=1e-4)
        limit = max(1.0, now[2])
        now = now + np.clip(change[:3], -limit, limit)
        now[2] = min(max(now[2], 0.4), max(height, width) / 3)
    return best
