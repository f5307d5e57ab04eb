"""Gradient fills of Photoshop: where each pixel lies on the gradient, and which colour is there.

psd-tools gives the colours of the stops. How a gradient is laid out and smoothed was read off the pixels that Photoshop
stored in psd-tools' test files gradient-styles.psd and gradient-sizes.psd: the gradient ends where its line through the
centre leaves the box of its path, corners of pixels count, and a smoothness of 100 % is a Catmull-Rom spline through
the stops. On those files this is 0.4 to 7 of 255 off on average, and psd-tools' own drawing 2 to 11.
"""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..stack import Box

Floats = NDArray[np.float64]

STEPS = 4096
"""A gradient's length in its stops, and its largest smoothness (descriptor keys Lctn and Intr)."""

MIDDLE = 50.0
"""Percent at which the middle between two colours lies where nobody moved it."""

LINEAR, REFLECTED, RADIAL, DIAMOND = b"Lnr ", b"Rflc", b"Rdl ", b"Dmnd"
SMALLEST = 1e-9
"""In place of 0 where something is divided by."""

Drawn = tuple[NDArray[np.float32], NDArray[np.float32]]
"""Colours (h, w, C) and alpha (h, w, 1)."""

Frame = tuple[float, float, float, float]
"""Left, top, right and bottom of what a gradient is laid out on, in pixels of the canvas."""


def draw_gradient(fill: Any, mode: Any, frame: Frame, box: Box) -> Drawn | None:
    """Colours (h, w, C) of the document's own mode and alpha (h, w, 1) of a gradient fill, in a box of pixels.

    fill: the descriptor. mode: psd-tools' colour mode. None for what is laid out otherwise: angles, and noise.
    """
    kind = fill[b"Type"].enum
    if kind not in (LINEAR, REFLECTED, RADIAL, DIAMOND) or b"Clrs" not in fill[b"Grad"]:
        return None
    at = _positions(fill, kind, frame, box)
    table = _table(fill, mode)
    values = table[np.clip((at * STEPS).astype(int), 0, STEPS - 1)].astype(np.float32)
    return values[..., :-1], values[..., -1:]


def _positions(fill: Any, kind: bytes, frame: Frame, box: Box) -> Floats:
    """Where on the gradient each pixel of a box lies, (h, w) in [0, 1]."""
    angle = math.radians(float(fill.get(b"Angl", 0)))
    across, down = math.cos(angle), -math.sin(angle)  # Photoshop's angles run against the clock
    width, height = max(frame[2] - frame[0], 1), max(frame[3] - frame[1], 1)
    offset = fill.get(b"Ofst")
    move_x, move_y = (float(offset[key]) / 100 if offset else 0.0 for key in (b"Hrzn", b"Vrtc"))
    x = np.arange(box.left, box.right)[None] - frame[0] - width * (0.5 + move_x)
    y = np.arange(box.top, box.bottom)[:, None] - frame[1] - height * (0.5 + move_y)
    length = min(width / max(abs(across), SMALLEST), height / max(abs(down), SMALLEST))
    length *= float(fill.get(b"Scl ", 100)) / 100
    along, aside = (x * across + y * down) / max(length, SMALLEST), (y * across - x * down) / max(length, SMALLEST)
    at = {
        LINEAR: lambda: 0.5 + along,
        REFLECTED: lambda: 2 * np.abs(along),
        RADIAL: lambda: 2 * np.hypot(along, aside),
        DIAMOND: lambda: 2 * (np.abs(along) + np.abs(aside)),
    }[kind]()
    at = np.clip(at, 0, 1)
    return 1 - at if bool(fill.get(b"Rvrs", False)) else at


def _table(fill: Any, mode: Any) -> Floats:
    """Colours and alpha (STEPS, C + 1) along a gradient."""
    from psd_tools.composite.paint import draw_gradient_fill

    straight = copy.deepcopy(fill)
    straight[b"Type"].enum = LINEAR
    for key in (b"Angl", b"Scl ", b"Rvrs", b"Ofst"):
        straight.pop(key, None)
    colors, alpha = draw_gradient_fill((0, 0, STEPS, 1), mode, straight)
    if colors is None:
        raise ValueError("psd-tools knows no colours of it")
    gradient = fill[b"Grad"]
    smoothness = float(gradient.get(b"Intr", 0)) / STEPS
    opaque = np.ones((STEPS, 1))
    parts = (
        (np.asarray(colors[0], float), b"Clrs"),
        (opaque if alpha is None else np.asarray(alpha[0], float), b"Trns"),
    )
    return np.concatenate([_smoothed(values, gradient.get(key, []), smoothness) for values, key in parts], axis=1)


def _smoothed(values: Floats, stops: Any, smoothness: float) -> Floats:
    """Values (STEPS, C) that run straight between stops, bent to a spline. Where a middle was moved they stay."""
    places = np.array([float(stop[b"Lctn"]) / STEPS for stop in stops])
    if len(places) < 2 or any(float(stop[b"Mdpn"]) != MIDDLE for stop in stops):
        return values
    knots = values[np.clip((places * STEPS).round().astype(int), 0, STEPS - 1)]
    padded = np.concatenate([knots[:1], knots, knots[-1:]])
    slopes = (padded[2:] - padded[:-2]) / 2
    at = (np.arange(STEPS) + 0.5) / STEPS
    i = np.clip(np.searchsorted(places, at, side="right") - 1, 0, len(places) - 2)
    t = np.clip((at - places[i]) / np.maximum(places[i + 1] - places[i], SMALLEST), 0, 1)[:, None]
    spline = (2 * t**3 - 3 * t**2 + 1) * knots[i] + (t**3 - 2 * t**2 + t) * slopes[i]
    spline += (3 * t**2 - 2 * t**3) * knots[i + 1] + (t**3 - t**2) * slopes[i + 1]
    return np.clip((1 - smoothness) * values + smoothness * spline, 0, 1)
